// The live counters: a stream while there is one, polling where no place is free, and how it goes.

import { ask, retryNow, send, Problem } from "./api";
import { createStore } from "./store";
import type { Counters, CountersAnswer } from "./types";

export type LiveState = "connecting" | "live" | "reconnecting" | "stale" | "paused" | "polling";

export interface Live {
  state: LiveState;
  counters: Counters | null;
  /** When the last figures came, by this computer's clock; 0 before the first. */
  receivedMs: number;
  /** How old they were then, by both clocks; null where they were polled. */
  latencyMs: number | null;
  /** By how much the service's clock is ahead of this computer's. */
  aheadMs: number;
}

export const live = createStore<Live>({
  state: "connecting",
  counters: null,
  receivedMs: 0,
  latencyMs: null,
  aheadMs: 0,
});

const SILENT_MS = 3_000;
const STALE_MS = 30_000;
const POLL_MS = 10_000;
const WAIT_MAX_MS = 30_000;

let source: EventSource | null = null;
let attempts = 0;
let timer = 0;
let isStarted = false;
let isPaused = false;

const put = (changed: Partial<Live>): void => live.set({ ...live.get(), ...changed });

const LOST: readonly LiveState[] = ["reconnecting", "stale"];

/** Figures came; after an outage also those come that failed in it. */
function putBack(state: LiveState, changed: Partial<Live>): void {
  const wasLost = LOST.includes(live.get().state);
  put({ ...changed, state });
  if (wasLost) retryNow();
}

interface Frame {
  type: "connected" | "update";
  timestamp?: number;
  counters?: Counters;
}

function take(frame: Frame): void {
  if (frame.type !== "update" || frame.counters === undefined) return;
  attempts = 0;
  const now = Date.now();
  const aheadMs = (frame.timestamp ?? now) - now;
  putBack("live", {
    counters: frame.counters,
    receivedMs: now,
    latencyMs: Math.max(0, -aheadMs),
    aheadMs: Math.abs(aheadMs) < 2_000 ? 0 : aheadMs,
  });
}

function open(): void {
  shut();
  const opened = new EventSource("/stream");
  source = opened;
  opened.onmessage = (event: MessageEvent<string>) => {
    try {
      take(JSON.parse(event.data) as Frame);
    } catch {
      // One frame that cannot be read is no loss: the next one has every figure again.
    }
  };
  opened.onerror = () => {
    if (source === opened) void comeBack();
  };
}

function shut(): void {
  clearTimeout(timer);
  source?.close();
  source = null;
}

/** After a loss: poll where the stream has no place for us, else try again, ever more slowly. */
async function comeBack(): Promise<void> {
  shut();
  if (live.get().state !== "stale") put({ state: "reconnecting" });
  if (await isFull()) {
    await poll();
    return;
  }
  attempts += 1;
  const waitMs = Math.min(WAIT_MAX_MS, 1000 * 2 ** (attempts - 1));
  timer = window.setTimeout(open, waitMs * (0.75 + Math.random() / 2));
}

/** An EventSource does not tell the status that it was refused with; an own request does. */
async function isFull(): Promise<boolean> {
  const controller = new AbortController();
  try {
    await send("/stream", { signal: controller.signal });
    return false;
  } catch (error) {
    return error instanceof Problem && error.status === 503;
  } finally {
    controller.abort();
  }
}

let polls = 0;

async function poll(): Promise<void> {
  if (isPaused) return;
  polls += 1;
  try {
    await figures();
    putBack("polling", { latencyMs: null });
  } catch {
    put({ state: Date.now() - live.get().receivedMs > STALE_MS ? "stale" : "reconnecting" });
  }
  // Every third time it looks whether the stream has a place again.
  timer = window.setTimeout(polls % 3 === 0 ? open : () => void poll(), POLL_MS);
}

let isAskedFor = false;

/**
 * The first figures, before the stream has its first tick: asked once, by whoever comes first.
 *
 * A browser has six connections to a service. The page of who was here before asks twenty
 * questions at once, and these figures, which stand at its top, must not wait for all others.
 */
export function askFirst(): void {
  if (isAskedFor) return;
  isAskedFor = true;
  figures().catch(() => undefined);
}

async function figures(): Promise<void> {
  const { data } = await ask<CountersAnswer>("/counters");
  put({ counters: data, receivedMs: Date.now() });
}

function watch(): void {
  const { state, receivedMs } = live.get();
  if (state === "paused" || state === "polling" || receivedMs === 0) return;
  const silentMs = Date.now() - receivedMs;
  if (silentMs > STALE_MS && state !== "stale") put({ state: "stale" });
  else if (silentMs > SILENT_MS && state === "live") put({ state: "reconnecting" });
}

export function start(): void {
  if (isStarted) return;
  isStarted = true;
  askFirst();
  open();
  setInterval(watch, 1_000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) shut();
    else if (!isPaused) reconnect();
  });
}

export function reconnect(): void {
  isPaused = false;
  attempts = 0;
  put({ state: live.get().receivedMs === 0 ? "connecting" : "reconnecting" });
  open();
}

/** The service was heard of on another way: there is no need to wait until the next attempt. */
export function tryNow(): void {
  const { state } = live.get();
  const isWaiting = source === null && (state === "reconnecting" || state === "stale");
  if (isWaiting && !isPaused && !document.hidden) open();
}

export function togglePause(): void {
  if (isPaused) {
    reconnect();
    return;
  }
  isPaused = true;
  shut();
  put({ state: "paused" });
}
