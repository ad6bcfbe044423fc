// The live stream: counters once a second, and again after every interruption.

import { timer } from "./http.js";
import { delayMs, retryAfterMs } from "./retry.js";

/** What the stream says: once that it is there, then the counters, which are absolute figures. */
export type StreamMessage =
  | { type: "connected" }
  | { type: "update"; timestamp: number; counters: Record<string, number> };

export interface StreamOptions {
  onMessage: (message: StreamMessage) => void;
  /** Told when the stream breaks; it comes back by itself. */
  onInterruption?: (detail: string) => void;
  /** Which counters; default all. */
  keys?: readonly string[];
  /** Seconds between updates, 1 to 10; default 1. */
  interval?: number;
}

export interface LiveStream {
  close(): void;
}

interface Target {
  url: string;
  key: string | undefined;
  fetch: typeof fetch;
}

/**
 * By EventSource where there is one. With a key, or without one (Node 20), by fetch: an
 * EventSource can send no Authorization.
 */
export function openStream(options: StreamOptions & Target): LiveStream {
  const asked = new URLSearchParams();
  if (options.keys !== undefined) asked.set("keys", options.keys.join(","));
  if (options.interval !== undefined) asked.set("interval", String(options.interval));
  const query = String(asked) === "" ? "" : `?${asked}`;
  const open = typeof EventSource === "undefined" || options.key !== undefined ? byFetch : byEventSource;
  let failures = 0;
  let clock: ReturnType<typeof setTimeout> | undefined;
  let isClosed = false;
  let stop = () => {};
  const start = () => {
    stop = open(`${options.url}/stream${query}`, options, heard, broken);
  };
  const heard = (data: string) => {
    failures = 0;
    try {
      options.onMessage(JSON.parse(data) as StreamMessage);
    } catch (error) {
      console.warn("tallymark:", error);
    }
  };
  const broken = (detail: string, waitMs = 0) => {
    if (isClosed) return;
    failures++;
    clearTimeout(clock);
    clock = timer(start, delayMs(failures, waitMs));
    try {
      options.onInterruption?.(detail);
    } catch (error) {
      console.warn("tallymark:", error);
    }
  };
  start();
  return {
    close() {
      isClosed = true;
      clearTimeout(clock);
      stop();
    },
  };
}

type Open = (
  url: string,
  target: Target,
  heard: (data: string) => void,
  broken: (detail: string, waitMs?: number) => void,
) => () => void;

/** A browser reconnects by itself after a lost connection, but not after a refusal: both are ours. */
const byEventSource: Open = (url, _target, heard, broken) => {
  const source = new EventSource(url);
  source.onmessage = (event: MessageEvent<string>) => heard(event.data);
  source.onerror = () => {
    source.close();
    broken("the stream was interrupted");
  };
  return () => source.close();
};

const byFetch: Open = (url, target, heard, broken) => {
  const abort = new AbortController();
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (target.key !== undefined) headers["Authorization"] = `Bearer ${target.key}`;
  const read = async () => {
    const response = await target.fetch(url, { headers, signal: abort.signal });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      const waitMs = retryAfterMs(response.headers.get("Retry-After"), Date.now());
      return broken(`the service answered ${response.status}`, waitMs);
    }
    await readEvents(response.body, heard);
    broken("the stream has ended");
  };
  read().catch((error: unknown) => broken(String(error)));
  return () => abort.abort();
};

/** The data of each event of a stream, as the standard cuts them; ours have no other fields. */
export async function readEvents(
  body: ReadableStream<Uint8Array>,
  heard: (data: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (text + decoder.decode(value, { stream: true })).split(/\r?\n\r?\n/);
    text = events.pop() ?? "";
    for (const event of events) {
      const lines = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
      if (lines.length > 0) heard(lines.map((line) => line.slice(5).replace(/^ /, "")).join("\n"));
    }
  }
}
