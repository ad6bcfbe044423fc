// What waits to be sent. An event leaves the queue when the service has answered for it, not before.

import { newId } from "./id.js";

/** An event in the queue: its JSON as it will be sent, and whether a beacon has carried it. */
export interface Item {
  readonly id: string;
  readonly json: string;
  readonly bytes: number;
  readonly atMs: number;
  isHandedOver: boolean;
}

/** What is asked of a store: localStorage, or what is like it. */
export type Store = Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;

const PREFIX = "tallymark:";
/** The service knows an eventId for 7 days: what is older might be counted a second time. */
const STORED_AGE_MAX_MS = 6 * 86_400_000;
const encoder = new TextEncoder();

export function itemOf(id: string, text: string, atMs: number): Item {
  const json = wellFormed(text);
  return { id, json, bytes: encoder.encode(json).length, atMs, isHandedOver: false };
}

/**
 * JSON in which half a surrogate pair, what is left of an emoji that was cut in two, is U+FFFD. It
 * stands there as an escape, and a reader of Unicode takes none of a body that has one.
 */
function wellFormed(json: string): string {
  return json.replace(/\\(?:ud[89a-f][0-9a-f]{2}|.)/g, (escape) => (escape.length > 2 ? "\ufffd" : escape));
}

/**
 * A bounded queue, kept in a store too if there is one. Each has an entry of its own there, so
 * that tabs do not overwrite each other; a new queue adopts the entries of those before it.
 * Where their tab still lives both send, and the service drops the second by its eventId.
 */
export class Queue {
  #items: Item[] = [];
  #isDirty = false;
  readonly #max: number;
  readonly #store: Store | undefined;
  readonly #entry: string;
  readonly #scope: string;

  constructor(max: number, scope: string, store?: Store) {
    this.#max = max;
    this.#store = store;
    this.#scope = `${PREFIX}${scope}:`;
    this.#entry = this.#scope + newId();
  }

  get length(): number {
    return this.#items.length;
  }

  get isStored(): boolean {
    return this.#store !== undefined;
  }

  get all(): readonly Item[] {
    return this.#items;
  }

  /** Whether there is room; full means that nothing changed. */
  put(item: Item): boolean {
    if (this.#items.length >= this.#max) return false;
    this.#items.push(item);
    this.#isDirty = true;
    return true;
  }

  /** The events to send next: those that no beacon carries, the oldest first. */
  next(countMax: number, bytesMax: number): Item[] {
    return take(this.#items.filter((item) => !item.isHandedOver), countMax, bytesMax);
  }

  /** The events that are done with leave. */
  remove(done: readonly Item[]): void {
    const gone = new Set(done);
    this.#items = this.#items.filter((item) => !gone.has(item));
    this.#isDirty = true;
  }

  /** Beacons say nothing of their fate: what they carried is sent again, and counted once. */
  takeBack(): void {
    for (const item of this.#items) item.isHandedOver = false;
  }

  /** Write what waits into the store. Throws what the store throws, when it is full. */
  save(): void {
    if (this.#store === undefined || !this.#isDirty) return;
    this.#isDirty = false;
    if (this.#items.length === 0) return this.#store.removeItem(this.#entry);
    const kept = this.#items.map(({ id, json, atMs }) => [id, json, atMs]);
    this.#store.setItem(this.#entry, JSON.stringify(kept));
  }

  /** Take over what earlier pages have left, as far as there is room; what is too old is returned. */
  adopt(nowMs: number): Item[] {
    const store = this.#store;
    if (store === undefined) return [];
    const entries: string[] = [];
    for (let index = 0; index < store.length; index++) {
      const name = store.key(index);
      if (name?.startsWith(this.#scope) && name !== this.#entry) entries.push(name);
    }
    const lost: Item[] = [];
    for (const name of entries) {
      for (const item of stored(store.getItem(name))) {
        if (nowMs - item.atMs > STORED_AGE_MAX_MS || !this.put(item)) lost.push(item);
      }
    }
    this.save(); // ours first: a page that dies in between leaves a copy too many, not one too few
    for (const name of entries) store.removeItem(name);
    return lost;
  }
}

/** The first items that fit together into a body. One that is too large for any goes alone. */
export function take(items: readonly Item[], countMax: number, bytesMax: number): Item[] {
  let bytes = FRAME_BYTES;
  let count = 0;
  for (const item of items) {
    bytes += item.bytes + 1;
    if (count === countMax || (count > 0 && bytes > bytesMax)) break;
    count++;
  }
  return items.slice(0, count);
}

/** What stands around the events of a body: `{"sentAt":…,"events":[…]}`. */
const FRAME_BYTES = 48;

/** A body with these events. `sentAt` lets the service correct our clock. */
export function bodyOf(items: readonly Item[], nowMs: number): string {
  return `{"sentAt":${nowMs},"events":[${items.map((item) => item.json).join(",")}]}`;
}

function stored(text: string | null): Item[] {
  try {
    const kept = JSON.parse(text ?? "[]") as [string, string, number][];
    return kept.map(([id, json, atMs]) => itemOf(id, json, atMs));
  } catch {
    return []; // not ours any more
  }
}
