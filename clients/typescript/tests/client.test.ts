import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createClient, trackMarketplaceSearch, trackMarketplaceView, type Drop } from "../src/index.js";
import { page, service, Shelf, status, taken, type Reply } from "./harness.js";

const VIEW = trackMarketplaceView({ serviceId: "s-1" });
const URL = "https://analytics.example";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-11-22T10:00:00Z") });
  vi.spyOn(Math, "random").mockReturnValue(1);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

function client(options: Partial<Parameters<typeof createClient>[0]> = {}, ...replies: Reply[]) {
  const drops: Drop[] = [];
  const { fetch, sent } = service(...replies);
  const made = createClient({ url: `${URL}/`, fetch, onDrop: (drop) => drops.push(drop), ...options });
  return { client: made, sent, drops };
}

test("events wait a second for company and go together, with ids, times and the key", async () => {
  const { client: c, sent } = client({ key: "w" });
  c.track(VIEW);
  await vi.advanceTimersByTimeAsync(400);
  c.track({ ...VIEW, eventId: "mine" });
  expect(sent).toEqual([]);
  await vi.advanceTimersByTimeAsync(600);
  expect(sent).toHaveLength(1);
  const [{ url, init, events, sentAt }] = sent as [(typeof sent)[0]];
  expect(url).toBe(`${URL}/track/batch?onInvalid=skip`);
  expect(init.headers).toMatchObject({ Authorization: "Bearer w" });
  expect(events.map((event) => event["eventId"])).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/), "mine"]);
  expect(sentAt - Number(events[0]?.["timestamp"])).toBe(1000);
  expect(c.stats).toEqual({ queued: 0, delivered: 2, dropped: 0 });
});

test("25 events do not wait, and no batch has more", async () => {
  const { client: c, sent } = client();
  for (let n = 0; n < 60; n++) c.track(VIEW);
  await vi.advanceTimersByTimeAsync(0);
  expect(sent).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(2000);
  expect(sent.map(({ events }) => events.length)).toEqual([25, 25, 10]);
});

test.each([new TypeError("Failed to fetch"), status(408), status(429), status(500), status(503), status(507)])(
  "what may pass is sent again, the same events with the same ids (%#)",
  async (reply) => {
    const { client: c, sent, drops } = client({}, reply);
    c.track(VIEW);
    await vi.advanceTimersByTimeAsync(3000);
    expect(sent).toHaveLength(2);
    expect(sent[1]?.events).toEqual(sent[0]?.events);
    expect(sent[1]?.sentAt).toBeGreaterThan(sent[0]?.sentAt ?? 0);
    expect([c.stats.delivered, drops]).toEqual([1, []]);
  },
);

test.each(["20", "Sun, 22 Nov 2026 10:00:21 GMT"])("Retry-After is honoured: %s", async (asked) => {
  const { client: c, sent } = client({}, status(503, { "Retry-After": asked }));
  c.track(VIEW);
  await vi.advanceTimersByTimeAsync(20_900);
  for (let n = 0; n < 40; n++) c.track(VIEW); // a full batch is no reason to hurry
  expect(sent).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(2000);
  expect(c.stats).toEqual({ queued: 0, delivered: 41, dropped: 0 });
});

test("who flushes does not wait for the end of a pause", async () => {
  const { client: c, sent } = client({}, ...Array.from({ length: 7 }, () => new Error("away")));
  c.track(VIEW);
  await vi.advanceTimersByTimeAsync(19_000); // the seventh failed a second ago, and the pause is 16
  expect(sent).toHaveLength(7);
  const flushed = c.flush();
  await vi.advanceTimersByTimeAsync(1000);
  expect(await flushed).toBe(true);
  expect(c.stats.delivered).toBe(1);
});

test("who flushes waits as long as the service asks for", async () => {
  const { client: c, sent } = client({}, status(503, { "Retry-After": "20" }));
  c.track(VIEW);
  await vi.advanceTimersByTimeAsync(1000);
  const flushed = c.flush(30_000);
  await vi.advanceTimersByTimeAsync(19_900);
  expect(sent).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1100);
  expect(await flushed).toBe(true);
});

test("a request without an answer is given up and repeated", async () => {
  const fetch = vi.fn(
    (_url: unknown, init: RequestInit) =>
      new Promise((_, reject) => init.signal?.addEventListener("abort", () => reject(init.signal?.reason))),
  );
  const { client: c } = client({ fetch: fetch as unknown as typeof globalThis.fetch, timeoutMs: 5000 });
  c.track(VIEW);
  await vi.advanceTimersByTimeAsync(7500);
  expect(fetch).toHaveBeenCalledTimes(2);
  expect(c.stats.queued).toBe(1);
});

test("what is refused for good is dropped and told", async () => {
  const { client: c, drops } = client({}, status(401));
  c.track(VIEW);
  await vi.advanceTimersByTimeAsync(1000);
  expect(drops).toMatchObject([{ event: VIEW, reason: "refused", detail: "401: no" }]);
});

test("one faulty event is dropped, and its batch arrives", async () => {
  const rejected = [{ index: 1, path: "$.serviceId", message: "too short" }];
  const { client: c, drops } = client({}, Response.json({ success: true, count: 2, rejected }));
  for (const serviceId of ["a", "", "c"]) c.track({ ...VIEW, serviceId });
  await vi.advanceTimersByTimeAsync(1000);
  expect(drops).toMatchObject([{ event: { serviceId: "" }, detail: "$.serviceId: too short" }]);
  expect(c.stats).toEqual({ queued: 0, delivered: 2, dropped: 1 });
});

test.each([400, 413, 422])("a body that is refused with %d goes in halves", async (refusal) => {
  const { client: c, sent } = client({}, status(refusal));
  for (let n = 0; n < 25; n++) c.track(VIEW);
  await vi.advanceTimersByTimeAsync(3000);
  expect(sent.map(({ events }) => events.length)).toEqual([25, 13, 12]);
});

test.each([400, 413, 422])("of a body that is refused with %d one event is dropped and no more", async (refusal) => {
  const fetch = async (_url: unknown, init: RequestInit = {}) =>
    String(init.body).includes("poison") ? status(refusal) : taken(JSON.parse(String(init.body)).events.length);
  const { client: c, drops } = client({ fetch: fetch as unknown as typeof globalThis.fetch });
  for (let n = 0; n < 25; n++) c.track({ ...VIEW, serviceId: n === 7 ? "poison" : "s" });
  await vi.advanceTimersByTimeAsync(20_000);
  expect(drops).toMatchObject([{ event: { serviceId: "poison" }, reason: "refused" }]);
  expect(c.stats).toEqual({ queued: 0, delivered: 24, dropped: 1 });
});

test.each([
  ["a\ud83d", "a\ufffd"],
  ["\ude00b", "\ufffdb"],
  ["\ud83d\ude00", "\ud83d\ude00"],
  ["\\ud83d", "\\ud83d"],
])("half an emoji is sent as the sign for what is no letter: %j", async (searchQuery, expected) => {
  const { client: c, sent } = client({});
  c.track(trackMarketplaceSearch({ searchQuery }));
  await vi.advanceTimersByTimeAsync(1000);
  expect(sent[0]?.events).toMatchObject([{ searchQuery: expected }]);
});

test("a full queue drops what comes, and says so", () => {
  const { client: c, drops } = client({ queueEventsMax: 2 });
  for (const serviceId of ["a", "b", "c"]) c.track({ ...VIEW, serviceId });
  expect(drops).toMatchObject([{ event: { serviceId: "c" }, reason: "queue-full" }]);
});

test("nothing is thrown into the caller, whatever is tracked and whatever onDrop does", () => {
  const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
  const { client: c } = client({
    onDrop: () => {
      throw new Error("ours");
    },
  });
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  for (const wrong of [circle, { n: 1n }, null, undefined, 7]) c.track(wrong as never);
  expect(c.stats.dropped).toBe(4); // 7 is JSON; the service will refuse it
  expect(warn).toHaveBeenCalledTimes(4);
});

test("flush sends at once, and tells whether all has arrived in time", async () => {
  const { client: c } = client({}, status(503, { "Retry-After": "60" }));
  c.track(VIEW);
  const late = c.flush(5000);
  await vi.advanceTimersByTimeAsync(5000);
  expect(await late).toBe(false);
  const done = c.flush(120_000);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await done).toBe(true);
  expect(await c.flush()).toBe(true);
});

test("close drops what is left, and what comes after it", async () => {
  const { client: c, drops } = client({}, new TypeError("offline"), new TypeError("offline"));
  c.track(VIEW);
  const done = c.close(600);
  await vi.advanceTimersByTimeAsync(600);
  expect(await done).toBe(false);
  c.track(VIEW);
  expect(drops.map(({ reason }) => reason)).toEqual(["closed", "closed"]);
});

test("what was tracked offline is sent as soon as the browser is online", async () => {
  const { online } = page();
  const offline = Array.from({ length: 9 }, () => new TypeError("offline"));
  const { client: c, sent } = client({}, ...offline);
  c.track(VIEW);
  await vi.advanceTimersByTimeAsync(90_000);
  expect(sent).toHaveLength(9); // at 1, 2, 3, 4, 6, 10, 18, 34 and 64 s
  online();
  await vi.advanceTimersByTimeAsync(0);
  expect(c.stats.delivered).toBe(1);
});

test("a hidden page hands over by beacons of text that are small enough", async () => {
  const { beacons, hide } = page();
  const { client: c, sent } = client({ key: "w k" });
  for (let n = 0; n < 30; n++) c.track({ ...VIEW, category: "é".repeat(2000) });
  hide();
  expect(beacons.map(({ body }) => body.type)).toEqual(["text/plain", "text/plain", "text/plain"]);
  expect(beacons.every(({ body }) => body.size <= 60_000)).toBe(true);
  expect(beacons[0]?.url).toBe(`${URL}/track/batch?onInvalid=skip&key=w%20k`);
  const bodies = await Promise.all(beacons.map(({ body }) => body.text()));
  expect(bodies.flatMap((body) => JSON.parse(body).events)).toHaveLength(30);
  await vi.advanceTimersByTimeAsync(60_000);
  expect([sent.length, c.stats.queued]).toEqual([0, 30]); // nobody has acknowledged them
});

test("a page that comes back sends again what only beacons carried, with the same ids", async () => {
  const { beacons, hide, leave, show } = page();
  const { client: c, sent } = client();
  c.track(VIEW);
  hide();
  leave(); // both happen when a tab is closed: one beacon is enough
  expect(beacons).toHaveLength(1);
  show();
  await vi.advanceTimersByTimeAsync(1000);
  const carried = JSON.parse((await beacons[0]?.body.text()) ?? "").events;
  expect(sent[0]?.events).toEqual(carried);
  expect(c.stats).toEqual({ queued: 0, delivered: 1, dropped: 0 });
});

test("events behind a beacon that was refused stay, and go the usual way", async () => {
  const { beacons, hide } = page({ takes: () => false });
  const { client: c } = client();
  c.track(VIEW);
  hide();
  await vi.advanceTimersByTimeAsync(1000);
  expect([beacons.length, c.stats.delivered]).toEqual([0, 1]);
});

test("without sendBeacon it is a fetch that outlives the page", () => {
  const { leave } = page();
  vi.stubGlobal("navigator", {});
  const { client: c, sent } = client();
  c.track(VIEW);
  leave();
  expect(sent[0]?.init).toMatchObject({ keepalive: true, headers: { "Content-Type": "text/plain" } });
});

test("what waits survives a reload, and leaves the store when it has arrived", async () => {
  const storage = new Shelf();
  const before = client({ storage }, ...Array.from({ length: 3 }, () => new TypeError("offline")));
  before.client.track(VIEW);
  await vi.advanceTimersByTimeAsync(1100);
  expect(storage.length).toBe(1);
  const after = client({ storage });
  await vi.advanceTimersByTimeAsync(1000);
  expect(after.sent[0]?.events).toEqual(before.sent[0]?.events);
  await vi.advanceTimersByTimeAsync(60_000); // the page of before sends too: same ids
  expect(storage.length).toBe(0);
});

test("what has lain longer than the service remembers ids is dropped, not counted twice", async () => {
  const storage = new Shelf();
  page();
  const before = client({ storage }, ...Array.from({ length: 100 }, () => new TypeError("offline")));
  before.client.track(VIEW);
  void before.client.close(100);
  await vi.advanceTimersByTimeAsync(7 * 86_400_000);
  const { drops } = client({ storage });
  expect(drops).toMatchObject([{ event: VIEW, reason: "expired" }]);
});

test("a full store costs a warning and no event", async () => {
  const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
  const storage = new Shelf();
  storage.isFull = true;
  const { client: c } = client({ storage });
  c.track(VIEW);
  await vi.advanceTimersByTimeAsync(1000);
  expect([c.stats.delivered, warn.mock.calls.length]).toEqual([1, 1]);
});

