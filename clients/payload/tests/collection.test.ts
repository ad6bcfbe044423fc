import { configToSchema } from "@payloadcms/graphql";
import type { GraphQLEnumType } from "graphql";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AnalyticsDashboards, METRICS, tallymark } from "../src/index.js";
import type { WidgetKind } from "../src/index.js";
import { startSite, type Site } from "./site.js";

let site: Site;
beforeAll(async () => {
  site = await startSite([AnalyticsDashboards], [tallymark()]);
});
afterAll(() => site.close());

const create = (data: Record<string, unknown>, token?: string) =>
  site.ask("/analytics-dashboards", {
    method: "POST",
    body: JSON.stringify(data),
    headers: { "Content-Type": "application/json" },
    ...(token && { token }),
  });

test("the plugin leaves the collection alone where it is there already", () => {
  expect(site.payload.config.collections.filter(({ slug }) => slug === "analytics-dashboards")).toHaveLength(1);
});

test("a dashboard needs a name and its widgets a metric; the rest has defaults", async () => {
  const token = await site.signIn("defaults@example.com");
  const widgets = [{ blockType: "counter", metric: "services.executions" }, { blockType: "table", metric: "services.services" }];
  const created = await create({ name: "Services", widgets }, token);
  expect(created.status).toBe(201);
  const { doc } = (await created.json()) as { doc: Record<string, unknown> };
  expect(doc).toMatchObject({ type: "custom", refreshInterval: 30, timezone: "UTC", isActive: true });
  expect(doc["widgets"]).toMatchObject([
    { blockType: "counter", range: "24h", width: "third", live: false },
    { blockType: "table", range: "7d", width: "half", limit: 10 },
  ]);
});

test.each([
  ["no name", { name: "" }],
  ["an interval of no time", { refreshInterval: 0 }],
  ["an interval of more than a day", { refreshInterval: 86_401 }],
  ["no zone", { timezone: "Mars/Olympus" }],
  ["an unknown type", { type: "weather" }],
  ["a metric that its widget cannot draw", { widgets: [{ blockType: "funnel", metric: "services.p95" }] }],
  ["a widget without a metric", { widgets: [{ blockType: "counter" }] }],
  ["an unknown range", { widgets: [{ blockType: "counter", metric: "services.p95", range: "1y" }] }],
])("refused: %s", async (what, wrong) => {
  const token = await site.signIn(`${what.replaceAll(" ", "-")}@example.com`);
  const refused = await create({ name: "Services", ...wrong }, token);
  expect(refused.status).toBe(400);
});

test("nobody but users may read or write dashboards", async () => {
  const found = await site.ask("/analytics-dashboards");
  const made = await create({ name: "Mine" });
  expect([found.status, made.status]).toEqual([403, 403]);
});

test("GraphQL takes all its names", () => {
  const { schema } = configToSchema(site.payload.config);
  const metric = schema.getType("AnalyticsCounter_metric") as GraphQLEnumType;
  const values = metric.getValues().map(({ value }) => value as string);
  expect(values).toEqual(METRICS.filter(({ kinds }) => kinds.includes("counter")).map(({ name }) => name));
});

test("every metric of every widget can be kept", async () => {
  const token = await site.signIn("all@example.com");
  const kinds: WidgetKind[] = ["counter", "lineChart", "barChart", "table", "funnel"];
  const widgets = kinds.flatMap((blockType) =>
    METRICS.filter((one) => one.kinds.includes(blockType)).map(({ name }) => ({ blockType, metric: name, range: "28d" })),
  );
  const created = await create({ name: "All", widgets }, token);
  const { doc } = (await created.json()) as { doc: { widgets: unknown[] } };
  expect(doc.widgets).toMatchObject(widgets);
  expect(new Set(kinds)).toEqual(new Set(METRICS.flatMap((one) => one.kinds)));
});
