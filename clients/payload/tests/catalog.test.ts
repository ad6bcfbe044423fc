import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { Catalog, tallymark } from "../src/index.js";
import { listen, startSite, until, type Site } from "./site.js";

const SERVICES = {
  slug: "services",
  admin: { useAsTitle: "title" },
  versions: { drafts: true },
  fields: [
    { name: "title", type: "text" as const },
    { name: "code", type: "text" as const },
    { name: "summary", type: "textarea" as const },
  ],
};
const EXPERIMENTS = {
  slug: "experiments",
  fields: [
    { name: "name", type: "text" as const },
    { name: "arms", type: "array" as const, fields: [{ name: "label", type: "text" as const }] },
  ],
};
const CATALOG = {
  services: [{ collection: "services", id: "code", description: "summary" }],
  experiments: [
    {
      collection: "experiments",
      id: (doc: Record<string, unknown>) => `exp-${String(doc["id"])}`,
      variants: (doc: Record<string, unknown>) =>
        (doc["arms"] as { label: string }[]).map(({ label }, index) => ({ index, name: label })),
    },
  ],
};

let site: Site;
beforeAll(async () => {
  site = await startSite([SERVICES, EXPERIMENTS], [tallymark({ url: inject("serviceUrl"), catalog: CATALOG })]);
});
afterAll(() => site.close());

interface Entry {
  name: string;
  description: string;
  variants?: { index: number; name: string }[];
}

async function named(kind: string, id: string): Promise<Entry | undefined> {
  const answer = await fetch(`${inject("serviceUrl")}/catalog/${kind}/${encodeURIComponent(id)}`);
  return answer.ok ? ((await answer.json()) as { data: Entry }).data : undefined;
}

const publish = (title: string, code: string, more: Record<string, unknown> = {}) =>
  site.payload.create({ collection: "services", data: { title, code, _status: "published", ...more } });

test("a service has the name of its document, from its first saving to its deletion", async () => {
  const { id } = await publish("Résumé / Writer", "a b/ü%", { summary: "Writes." });
  expect(await named("services", "a b/ü%")).toMatchObject({ name: "Résumé / Writer", description: "Writes." });
  await site.payload.update({ collection: "services", id, data: { title: "Writer" } });
  expect(await named("services", "a b/ü%")).toMatchObject({ name: "Writer" });
  await site.payload.delete({ collection: "services", id });
  expect(await named("services", "a b/ü%")).toBeUndefined();
});

test("a document that gets another id takes its name along", async () => {
  const { id } = await publish("Mover", "old");
  await site.payload.update({ collection: "services", id, data: { code: "new" } });
  expect([await named("services", "old"), (await named("services", "new"))?.name]).toEqual([undefined, "Mover"]);
});

test("a draft is not known before it is published, and changes nothing after", async () => {
  const { id } = await publish("Hidden", "draft", { _status: "draft" });
  expect(await named("services", "draft")).toBeUndefined();
  await site.payload.update({ collection: "services", id, data: { _status: "published" } });
  await site.payload.update({ collection: "services", id, draft: true, data: { title: "Not yet", _status: "draft" } });
  expect((await named("services", "draft"))?.name).toBe("Hidden");
});

test("an experiment takes its variants along", async () => {
  const { id } = await site.payload.create({
    collection: "experiments",
    data: { name: "Pricing", arms: [{ label: "One tier" }, { label: "Three tiers" }] },
  });
  expect(await named("experiments", `exp-${id}`)).toMatchObject({
    name: "Pricing",
    variants: [{ index: 0, name: "One tier" }, { index: 1, name: "Three tiers" }],
  });
});

test("a name that is too long is cut, whole characters at a time", async () => {
  await publish("🦊".repeat(300), "long");
  expect((await named("services", "long"))?.name).toBe("🦊".repeat(200));
});

test("a document without a name or an id is left out", async () => {
  await publish("", "nameless");
  await publish("Nobody", "");
  expect(await named("services", "nameless")).toBeUndefined();
});

test("of many changes in a row the last one stays", async () => {
  const { id } = await publish("Change 0", "often");
  for (let n = 1; n <= 10; n++) {
    await site.payload.update({ collection: "services", id, data: { title: `Change ${n}` } });
  }
  expect((await named("services", "often"))?.name).toBe("Change 10");
});

test("a document is saved all the same while the service is away, and told when it is back", async () => {
  const away = await listen((_, response) => response.writeHead(503).end());
  const lone = await startSite([SERVICES], [tallymark({ url: away.url, catalog: { services: CATALOG.services }, syncOnStart: false })]);
  const data = { title: "Later", code: "later", _status: "published" };
  const { id } = await lone.payload.create({ collection: "services", data });
  expect((await lone.payload.findByID({ collection: "services", id }))["title"]).toBe("Later");
  expect(await named("services", "later")).toBeUndefined();
  const catalog = new Catalog({ services: CATALOG.services }, { url: () => inject("serviceUrl"), adminKey: () => undefined });
  expect(await catalog.sync(lone.payload)).toEqual({ written: 1, unchanged: 0, failed: 0 });
  expect(await catalog.sync(lone.payload)).toEqual({ written: 0, unchanged: 1, failed: 0 });
  expect((await named("services", "later"))?.name).toBe("Later");
  await lone.close();
  away.server.close();
});

test("a site that starts brings the catalog up to date", async () => {
  const before = await startSite([EXPERIMENTS], []);
  await before.payload.create({ collection: "experiments", data: { name: "Older than the plugin", arms: [] } });
  await before.close();
  const experiments = [{ collection: "experiments", id: () => "older" }];
  const after = await startSite([EXPERIMENTS], [tallymark({ url: inject("serviceUrl"), catalog: { experiments } })], before.folder);
  await until(async () => (await named("experiments", "older"))?.name === "Older than the plugin");
  await after.close();
});

test("the catalog of a collection that is not there is a mistake of the configuration", () => {
  const plugin = tallymark({ catalog: { services: [{ collection: "servces" }] } });
  expect(() => plugin({ collections: [], db: undefined as never, secret: "" })).toThrow('"servces"');
});
