// What the service said of itself since the page was opened: there is no other record of it.

import { createStore } from "./store";
import type { Health } from "./types";

export interface HealthSample {
  atMs: number;
  eventsPerSecond: number | null;
  queueDepth: number | null;
  subscribers: number;
}

const KEPT_MS = 15 * 60_000;

export const healthLog = createStore<readonly HealthSample[]>([]);

export function log(health: Health): void {
  const atMs = Date.now();
  const kept = healthLog.get().filter((sample) => atMs - sample.atMs < KEPT_MS);
  const last = kept.at(-1);
  if (last !== undefined && atMs - last.atMs < 500) return;
  healthLog.set([
    ...kept,
    {
      atMs,
      eventsPerSecond: health.eventsPerSecond ?? null,
      queueDepth: health.queue?.depth ?? null,
      subscribers: health.stream.subscribers,
    },
  ]);
}
