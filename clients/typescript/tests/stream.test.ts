import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createClient, type StreamMessage } from "../src/index.js";
import { readEvents } from "../src/stream.js";

class Source {
  static readonly made: Source[] = [];
  onmessage: ((event: { data: string }) => void) | undefined;
  onerror: (() => void) | undefined;
  isClosed = false;
  constructor(readonly url: string) {
    Source.made.push(this);
  }
  close() {
    this.isClosed = true;
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", Source);
  Source.made.length = 0;
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("a broken EventSource is replaced, until the stream is closed", async () => {
  const heard: StreamMessage[] = [];
  const told: string[] = [];
  const live = createClient({ url: "https://a.example" }).stream({
    keys: ["a", "b"],
    interval: 2,
    onMessage: (message) => heard.push(message),
    onInterruption: (detail) => told.push(detail),
  });
  const [first] = Source.made;
  expect(first?.url).toBe("https://a.example/stream?keys=a%2Cb&interval=2");
  first?.onmessage?.({ data: '{"type":"connected"}' });
  first?.onerror?.();
  await vi.advanceTimersByTimeAsync(500);
  expect([first?.isClosed, Source.made.length, told.length]).toEqual([true, 2, 1]);
  Source.made[1]?.onerror?.();
  live.close();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([Source.made.length, heard]).toEqual([2, [{ type: "connected" }]]);
});

test("events of a stream are put together however it was cut", async () => {
  const text = 'retry: 1000\n\nid: 1\ndata: {"a":"é"}\n\n: heartbeat\n\ndata: 1\r\ndata: 2\r\n\r\n';
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 2, 3, 7, bytes.length]) {
    const heard: string[] = [];
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      },
    });
    await readEvents(body, (data) => heard.push(data));
    expect(heard).toEqual(['{"a":"é"}', "1\n2"]);
  }
});
