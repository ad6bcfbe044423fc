import type { IncomingMessage, ServerResponse } from "node:http";
import { afterAll, beforeAll, beforeEach, expect, inject, test } from "vitest";
import { tallymark } from "../src/index.js";
import { listen, startSite, track, until, type Site } from "./site.js";

/** Stands where Tallymark stands: what it was asked, and what it is to answer. */
const asked: IncomingMessage[] = [];
let respond: (request: IncomingMessage, response: ServerResponse) => void;
let upstream: Awaited<ReturnType<typeof listen>>;
let site: Site;
let real: Site;
let token: string;

beforeAll(async () => {
  upstream = await listen((request, response) => {
    asked.push(request);
    respond(request, response);
  });
  const access = ({ req }: { req: { user: unknown } }) => (req.user as { email?: string } | null)?.email === "owner@example.com";
  site = await startSite([], [tallymark({ url: `${upstream.url}/`, readKey: "secret-of-the-site", access })]);
  real = await startSite([], [tallymark({ url: inject("serviceUrl") })]);
  token = await site.signIn("owner@example.com");
});
afterAll(async () => {
  await Promise.all([site.close(), real.close()]);
  upstream.server.closeAllConnections();
  upstream.server.close();
});
beforeEach(() => {
  asked.length = 0;
  respond = (_, response) => response.setHeader("Content-Type", "application/json").end('{"data":[]}');
});

test("who has signed in is answered by the service itself", async () => {
  await track(inject("serviceUrl"), { eventType: "marketplace_view", serviceId: "proxied" });
  const user = await real.signIn("user@example.com");
  const answer = await real.ask("/tallymark/metrics/marketplace?serviceId=proxied", { token: user });
  const { data } = (await answer.json()) as { data: { views: number } };
  expect([answer.status, data.views, answer.headers.get("Cache-Control")]).toEqual([200, 1, "no-store"]);
});

test("a refusal of the service arrives with its status and its reason", async () => {
  const user = await real.signIn("refused@example.com");
  const answer = await real.ask("/tallymark/metrics/services?granularity=century", { token: user });
  expect(answer.status).toBe(422);
  expect(((await answer.json()) as { detail: string }).detail).toContain("granularity");
});

test("the key goes to the service and nowhere else, and none of the visitor's takes its place", async () => {
  respond = (_, response) => response.setHeader("X-Secret", "inner").end("{}");
  const answer = await site.ask("/tallymark/counters?key=mine&keys=a%26b", { token });
  expect(asked[0]?.headers.authorization).toBe("Bearer secret-of-the-site");
  expect(asked[0]?.headers.cookie).toBeUndefined();
  expect(asked[0]?.url).toBe("/counters?keys=a%26b");
  expect(JSON.stringify([...answer.headers])).not.toMatch(/secret/i);
});

test("nobody is 401, the wrong user 403, and the service is not asked", async () => {
  const other = await site.signIn("other@example.com");
  const answers = [await site.ask("/tallymark/counters"), await site.ask("/tallymark/stream", { token: other })];
  expect(answers.map(({ status }) => status)).toEqual([401, 403]);
  expect(asked).toEqual([]);
});

test.each([
  ["GET", "/tallymark/sql?query=SELECT"],
  ["GET", "/tallymark/export/events"],
  ["GET", "/tallymark/dashboards"],
  ["GET", "/tallymark/metrics/prometheus"],
  ["GET", "/tallymark/metrics/..%2Fsql"],
  ["GET", "/tallymark/counters/executions:today"],
  ["POST", "/tallymark/track"],
  ["DELETE", "/tallymark/counters"],
])("%s %s is no way to the service", async (method, path) => {
  const answer = await site.ask(path, { token, method });
  expect(answer.status).toBe(404);
  expect(asked).toEqual([]);
});

test("a redirection is not followed: the key would go with it", async () => {
  respond = (_, response) => response.writeHead(307, { Location: `${upstream.url}/elsewhere` }).end();
  const answer = await site.ask("/tallymark/counters", { token });
  expect([answer.status, asked.length]).toEqual([502, 1]);
});

test.each([401, 403])("a key that the service refuses (%i) is no fault of the visitor", async (status) => {
  respond = (_, response) => response.writeHead(status).end("{}");
  const answer = await site.ask("/tallymark/counters", { token });
  expect(answer.status).toBe(502);
});

test("Retry-After of a service that is full is passed on", async () => {
  respond = (_, response) => response.writeHead(503, { "Retry-After": "7" }).end("{}");
  const answer = await site.ask("/tallymark/counters", { token });
  expect([answer.status, answer.headers.get("Retry-After")]).toEqual([503, "7"]);
});

test("a service that is away is 502, and its address stays unsaid", async () => {
  const gone = await listen(() => {});
  await new Promise((resolve) => gone.server.close(resolve));
  const alone = await startSite([], [tallymark({ url: gone.url })]);
  const user = await alone.signIn("user@example.com");
  const answer = await alone.ask("/tallymark/counters", { token: user });
  expect(answer.status).toBe(502);
  expect(await answer.text()).not.toContain("127.0.0.1");
  await alone.close();
});

test("the stream arrives as it is sent, uncompressed, and is let go by who leaves", async () => {
  let left = () => {};
  const gone = new Promise<void>((resolve) => (left = resolve));
  respond = (request, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" }).write('data: {"type":"connected"}\n\n');
    request.on("close", () => left());
  };
  const leaving = new AbortController();
  const answer = await site.ask("/tallymark/stream?keys=executions:today", { token, signal: leaving.signal });
  expect(answer.headers.get("Cache-Control")).toContain("no-transform");
  const first = await answer.body?.getReader().read();
  expect(new TextDecoder().decode(first?.value as Uint8Array)).toContain("connected");
  leaving.abort();
  await gone;
});

test("a stream of the real service ends there when its reader leaves", async () => {
  const user = await real.signIn("leaving@example.com");
  const leaving = new AbortController();
  const answer = await real.ask("/tallymark/stream", { token: user, signal: leaving.signal });
  await answer.body?.getReader().read();
  const readers = async () => {
    const health = (await (await fetch(`${inject("serviceUrl")}/health`)).json()) as { stream: { subscribers: number } };
    return health.stream.subscribers;
  };
  const before = await readers();
  leaving.abort();
  expect(before).toBeGreaterThan(0);
  await until(async () => (await readers()) < before);
});
