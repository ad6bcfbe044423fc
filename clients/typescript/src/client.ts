// The client: takes events without ever being in the way, and sends each until it is acknowledged.

import type { TallymarkEvent } from "./collectors/events.js";
import { newId } from "./id.js";
import { exchange, timer, type Answer } from "./http.js";
import { sendBeacons, watchPage } from "./page.js";
import { bodyOf, itemOf, Queue, type Item, type Store } from "./queue.js";
import { queriesOf, type Queries } from "./queries.js";
import { delayMs, hurriedMs, isPassing, retryAfterMs } from "./retry.js";
import type { LiveStream, StreamOptions } from "./stream.js";
import { openStream } from "./stream.js";

/** What `/track/batch` takes. */
const BATCH_EVENTS_MAX = 25;
/** Below the 1 MiB that the service takes as a body, for events with large unknown fields. */
const BATCH_BYTES_MAX = 900_000;
/**
 * One event can be the cause of these for all of its batch, so the batch goes again in halves until
 * that one is alone; whole again once something was taken.
 */
const REFUSALS_OF_A_BODY = [400, 413, 422];
/** How soon what waits is also in the store. */
const SAVE_AFTER_MS = 250;

/** No room, no JSON, not what the service takes, too long in the store, or unsent at `close`. */
export type DropReason = "queue-full" | "unserialisable" | "refused" | "expired" | "closed";

/** An event that will not arrive, and why. */
export interface Drop {
  readonly event: unknown;
  readonly reason: DropReason;
  readonly detail: string;
}

export interface ClientOptions {
  /** Where Tallymark listens, or the route of the site that leads there. */
  url: string;
  /** A write key for events (it is public in a browser), a read key for questions. */
  key?: string;
  /** How many waiting events are sent without waiting for more; default 25. */
  flushEvents?: number;
  /** How long an event waits for company; default 1000. */
  flushIntervalMs?: number;
  /** How many may wait; one more is dropped. Default 1000. */
  queueEventsMax?: number;
  /** Keep what waits over a reload: `true` for localStorage, or something like it. */
  storage?: boolean | Store;
  /** Told of every event that will not arrive; default: console.warn. */
  onDrop?: (drop: Drop) => void;
  /** Of one request; default 10,000. */
  timeoutMs?: number;
  /** In place of the global fetch. */
  fetch?: typeof fetch;
}

export interface Stats {
  readonly queued: number;
  readonly delivered: number;
  readonly dropped: number;
}

export interface Client extends Queries {
  /** Take an event. Returns at once, never throws. */
  track(event: TallymarkEvent): void;
  /** Send what waits; whether all of it was delivered or dropped in this time (default 10 s). */
  flush(timeoutMs?: number): Promise<boolean>;
  /** Flush, then stop; what is left is dropped, or stays in the store for the next page. */
  close(timeoutMs?: number): Promise<boolean>;
  /** The live counters, for as long as it is not closed. */
  stream(options: StreamOptions): LiveStream;
  readonly stats: Stats;
}

/** A client of the service at `url`. Throws only here, where the options make no sense. */
export function createClient(options: ClientOptions): Client {
  const url = options.url.replace(/\/+$/, "");
  const own = { ...options, url };
  const fetcher: typeof fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const sender = new Sender(own, fetcher);
  return {
    track: (event) => sender.track(event),
    flush: (timeoutMs) => sender.flush(timeoutMs),
    close: (timeoutMs) => sender.close(timeoutMs),
    stream: (asked) => openStream({ ...asked, url, key: options.key, fetch: fetcher }),
    get stats() {
      return sender.stats;
    },
    ...queriesOf({ url, key: options.key, fetch: fetcher, timeoutMs: options.timeoutMs ?? 10_000 }),
  };
}

class Sender {
  readonly #options: ClientOptions;
  readonly #fetch: typeof fetch;
  readonly #queue: Queue;
  readonly #unwatch: () => void;
  #clock: ReturnType<typeof setTimeout> | undefined;
  #saving: ReturnType<typeof setTimeout> | undefined;
  #isSending = false;
  #isClosed = false;
  #failures = 0;
  #notBeforeMs = 0;
  #hurriedMs = 0;
  #batchEventsMax = BATCH_EVENTS_MAX;
  #delivered = 0;
  #dropped = 0;
  #waiting = new Set<() => void>();

  constructor(options: ClientOptions, fetcher: typeof fetch) {
    this.#options = options;
    this.#fetch = fetcher;
    this.#queue = new Queue(options.queueEventsMax ?? 1000, options.url, storeOf(options.storage));
    this.#unwatch = watchPage({
      left: () => this.#leave(),
      back: () => this.#comeBack(),
      online: () => this.#retryNow(),
    });
    this.#guard(() => {
      const lost = this.#queue.adopt(Date.now());
      for (const item of lost) this.#drop(JSON.parse(item.json), "expired", "too old, or too many");
    });
    if (this.#queue.length > 0) this.#schedule();
  }

  get stats(): Stats {
    return { queued: this.#queue.length, delivered: this.#delivered, dropped: this.#dropped };
  }

  track(event: TallymarkEvent): void {
    try {
      const nowMs = Date.now();
      const id = event.eventId ?? newId();
      const whole = { ...event, eventId: id, timestamp: event.timestamp ?? nowMs };
      if (this.#isClosed) return this.#drop(whole, "closed", "tracked after close");
      const item = itemOf(id, JSON.stringify(whole), nowMs);
      if (!this.#queue.put(item)) {
        return this.#drop(whole, "queue-full", `${this.#queue.length} events wait`);
      }
      this.#save();
      this.#schedule();
    } catch (error) {
      this.#drop(event, "unserialisable", String(error));
    }
  }

  flush(timeoutMs = 10_000): Promise<boolean> {
    this.#queue.takeBack();
    const asked = new Set(this.#queue.all);
    const isDone = () => !this.#queue.all.some((item) => asked.has(item));
    if (isDone()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(clock);
        this.#waiting.delete(check);
        resolve(isDone());
      };
      const check = () => (isDone() ? end() : undefined);
      // Not unref'd: whoever waits for a flush wants the process to live so long.
      const clock = setTimeout(end, timeoutMs);
      this.#waiting.add(check);
      this.#schedule();
    });
  }

  async close(timeoutMs?: number): Promise<boolean> {
    this.#isClosed = true;
    const isAllSent = await this.flush(timeoutMs);
    clearTimeout(this.#clock);
    clearTimeout(this.#saving);
    this.#unwatch();
    this.#guard(() => this.#queue.save());
    if (this.#queue.isStored) return isAllSent;
    const left = [...this.#queue.all];
    this.#queue.remove(left);
    for (const item of left) this.#drop(JSON.parse(item.json), "closed", "unsent at close");
    return isAllSent;
  }

  /** Set the clock for the next batch, at once where there is enough or somebody waits for it. */
  #schedule(): void {
    if (this.#isSending) return; // which looks again when it is done
    if (this.#isClosed && this.#waiting.size === 0) return;
    const isHurried = this.#waiting.size > 0;
    const isDue = isHurried || this.#queue.length >= (this.#options.flushEvents ?? BATCH_EVENTS_MAX);
    const notBeforeMs = isHurried ? this.#hurriedMs : this.#notBeforeMs;
    const waitMs = Math.max(isDue ? 0 : (this.#options.flushIntervalMs ?? 1000), notBeforeMs - Date.now());
    if (this.#clock !== undefined) {
      if (!isDue || (this.#failures > 0 && !isHurried)) return; // it runs already, and is not to be hurried
      clearTimeout(this.#clock);
    }
    this.#clock = timer(() => {
      this.#clock = undefined;
      void this.#send();
    }, waitMs);
  }

  async #send(): Promise<void> {
    const batch = this.#queue.next(this.#batchEventsMax, BATCH_BYTES_MAX);
    if (batch.length === 0 || this.#isSending) return;
    this.#isSending = true;
    const { key } = this.#options;
    const headers: Record<string, string> = { "Content-Type": "application/json" };
    if (key !== undefined) headers["Authorization"] = `Bearer ${key}`;
    const answer = await exchange(
      this.#fetch,
      `${this.#options.url}/track/batch?onInvalid=skip`,
      { method: "POST", headers, body: bodyOf(batch, Date.now()) },
      this.#options.timeoutMs ?? 10_000,
    );
    this.#settle(batch, answer);
    this.#isSending = false;
    for (const check of [...this.#waiting]) check();
    if (this.#queue.next(1, BATCH_BYTES_MAX).length > 0) this.#schedule();
  }

  /** What an answer means for the events that were sent. */
  #settle(batch: readonly Item[], answer: Answer): void {
    if (isPassing(answer.status)) {
      this.#failures++;
      const asked = retryAfterMs(answer.retryAfter, Date.now());
      const waitMs = delayMs(this.#failures, asked);
      this.#notBeforeMs = Date.now() + waitMs;
      this.#hurriedMs = Date.now() + hurriedMs(waitMs, asked);
      return;
    }
    this.#failures = 0;
    this.#notBeforeMs = this.#hurriedMs = 0;
    if (REFUSALS_OF_A_BODY.includes(answer.status) && batch.length > 1) {
      this.#batchEventsMax = Math.ceil(batch.length / 2);
      return;
    }
    if (answer.status === 200) this.#batchEventsMax = BATCH_EVENTS_MAX;
    const kept = new Set(this.#queue.all); // `close` may have given up meanwhile
    this.#queue.remove(batch);
    this.#save();
    const refused = answer.status === 200 ? rejectedOf(answer.body) : undefined;
    batch.forEach((item, index) => {
      if (!kept.has(item)) return;
      const why = refused === undefined ? `${answer.status}: ${answer.detail}` : refused.get(index);
      if (why === undefined) this.#delivered++;
      else this.#drop(JSON.parse(item.json), "refused", why);
    });
  }

  /** The page goes away, perhaps for good: what waits goes by beacon, and into the store. */
  #leave(): void {
    this.#guard(() => this.#queue.save());
    this.#guard(() => sendBeacons(this.#queue.all, this.#options, this.#fetch));
  }

  #comeBack(): void {
    this.#queue.takeBack();
    if (this.#queue.length > 0) this.#schedule();
  }

  #retryNow(): void {
    if (this.#isSending || this.#queue.length === 0) return;
    clearTimeout(this.#clock);
    this.#clock = undefined;
    this.#notBeforeMs = 0;
    void this.#send();
  }

  #save(): void {
    if (!this.#queue.isStored || this.#saving !== undefined) return;
    this.#saving = timer(() => {
      this.#saving = undefined;
      this.#guard(() => this.#queue.save());
    }, SAVE_AFTER_MS);
  }

  #drop(event: unknown, reason: DropReason, detail: string): void {
    this.#dropped++;
    this.#guard(() => {
      const told = this.#options.onDrop ?? ((drop: Drop) => console.warn("tallymark: dropped", drop));
      told({ event, reason, detail });
    });
  }

  /** Nothing of ours, and nothing of a callback, may fail in the code of the caller. */
  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      console.warn("tallymark:", error);
    }
  }
}

function storeOf(asked: boolean | Store | undefined): Store | undefined {
  if (asked !== true) return asked === false ? undefined : asked;
  try {
    return globalThis.localStorage; // reading it throws where the visitor forbids it
  } catch {
    return undefined;
  }
}

function rejectedOf(body: unknown): Map<number, string> {
  const { rejected } = (body ?? {}) as { rejected?: { index: number; path: string; message: string }[] };
  return new Map((rejected ?? []).map(({ index, path, message }) => [index, `${path}: ${message}`]));
}
