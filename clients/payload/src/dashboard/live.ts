// The live stream of a board: one for all its widgets, shut while nobody looks.

import type { Client, LiveStream } from "@tallymark/client";
import { useEffect, useMemo, useSyncExternalStore } from "react";
import type { Family } from "../metrics.js";
import { counterKeyOf, familyOf } from "../metrics.js";
import type { WidgetConfig } from "../types.js";
import { isPassing, reasonOf } from "./failure.js";

export type LiveStatus = "off" | "connecting" | "live" | "interrupted" | "refused";

export interface LiveNow {
  status: LiveStatus;
  counters: Readonly<Record<string, number | null>>;
  /** How many updates have come. */
  updates: number;
  /** Why it is refused, as it was last. */
  reason: string;
}

const NOTHING: LiveNow = { status: "off", counters: {}, updates: 0, reason: "" };

/** The stream says something every second; after this silence it is opened anew. */
const SILENCE_MS = 20_000;
const LOOK_MS = 5_000;

/** The counters that move when something happens that a family counts. */
const SIGNALS: Readonly<Record<Family, readonly string[]>> = {
  services: ["executions:today", "errors:today"],
  revenue: ["revenue:today"],
  marketplace: ["searches:today", "views:today", "conversions:today"],
  users: ["executions:today", "views:today", "searches:today", "conversions:today", "sessions:today", "activeUsers:5m"],
  experiments: [],
  counters: [],
};

/** No counter tells of experiments: they are asked again each so many updates. */
const BLIND_UPDATES = 5;

export function keysOf(widgets: readonly WidgetConfig[]): string[] {
  const keys = widgets
    .filter(({ live }) => live)
    .flatMap(({ metric }) => (familyOf(metric) === "counters" ? [counterKeyOf(metric)] : SIGNALS[familyOf(metric)] ?? []));
  return [...new Set(keys)].sort();
}

/** Changes whenever there may be something new for widgets of this family. */
export function pulseOf(family: Family, { counters, updates }: LiveNow): string {
  if (family === "experiments") return String(Math.floor(updates / BLIND_UPDATES));
  return SIGNALS[family].map((key) => counters[key]).join(" ");
}

export class Live {
  #now: LiveNow = NOTHING;
  #stream: LiveStream | undefined;
  #heardMs = 0;
  readonly #listeners = new Set<() => void>();
  readonly #client: Client;
  readonly #keys: readonly string[];

  constructor(client: Client, keys: readonly string[]) {
    this.#client = client;
    this.#keys = keys.length > 0 ? keys : ["executions:today"];
  }

  /** Follow the stream until the returned function is called. */
  start(): () => void {
    const look = () => {
      if (document.hidden) this.#shut();
      else if (this.#stream === undefined || Date.now() - this.#heardMs > SILENCE_MS) this.#open();
    };
    look();
    const clock = setInterval(() => {
      if (this.#now.status !== "refused") look(); // until somebody comes back, who may have signed in
    }, LOOK_MS);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(clock);
      document.removeEventListener("visibilitychange", look);
      this.#shut();
    };
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly now = (): LiveNow => this.#now;

  #open(): void {
    this.#stream?.close();
    this.#heardMs = Date.now();
    if (this.#now.status !== "interrupted") this.#set({ ...this.#now, status: "connecting" });
    const stream = (this.#stream = this.#client.stream({
      keys: this.#keys,
      onMessage: (message) => {
        this.#heardMs = Date.now();
        if (message.type !== "update") return;
        this.#set({ ...NOTHING, status: "live", counters: message.counters, updates: this.#now.updates + 1 });
      },
      onInterruption: () => {
        this.#heardMs = Date.now(); // it comes back by itself, ever more slowly
        this.#set({ ...this.#now, status: "interrupted" });
        void this.#askWhy(stream);
      },
    }));
  }

  /** A stream does not say why it breaks. Whoever is refused the same figures need not try again. */
  async #askWhy(stream: LiveStream): Promise<void> {
    try {
      await this.#client.counters(this.#keys);
    } catch (error) {
      if (this.#stream !== stream || isPassing(error)) return;
      this.#shut();
      this.#set({ ...this.#now, status: "refused", reason: reasonOf(error) });
    }
  }

  #shut(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }

  #set(now: LiveNow): void {
    this.#now = now;
    for (const listener of this.#listeners) listener();
  }
}

/** The stream of these widgets, while the component is there; null where none of them is live. */
export function useLive(client: Client, widgets: readonly WidgetConfig[]): Live | null {
  const isWanted = widgets.some(({ live }) => live);
  const keys = keysOf(widgets).join(",");
  const live = useMemo(
    () => (isWanted ? new Live(client, keys === "" ? [] : keys.split(",")) : null),
    [client, isWanted, keys],
  );
  useEffect(() => live?.start(), [live]);
  return live;
}

const unheard = () => () => {};

/** What of the live figures a component needs; it draws anew when that changes. */
export function useLiveValue<T extends string | number | null | undefined>(
  live: Live | null,
  pick: (now: LiveNow) => T,
): T {
  const read = () => pick(live?.now() ?? NOTHING);
  return useSyncExternalStore(live?.subscribe ?? unheard, read, () => pick(NOTHING));
}
