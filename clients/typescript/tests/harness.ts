// A service that answers as it is told, and a page that can be hidden; no network, no browser.

import { vi } from "vitest";

export interface Sent {
  url: string;
  init: RequestInit;
  events: Record<string, unknown>[];
  sentAt: number;
}

export type Reply = Response | Error;

/** `fetch` that gives these replies in turn, and then always 200; `sent` has what came. */
export function service(...replies: Reply[]) {
  const sent: Sent[] = [];
  const fetch = vi.fn(async (url: unknown, init: RequestInit = {}) => {
    const { events, sentAt } = JSON.parse(String(init.body)) as Pick<Sent, "events" | "sentAt">;
    sent.push({ url: String(url), init, events, sentAt });
    const reply = replies.shift() ?? taken(events.length);
    if (reply instanceof Error) throw reply;
    return reply;
  }) as unknown as typeof globalThis.fetch;
  return { fetch, sent };
}

export function taken(count: number): Response {
  return Response.json({ success: true, count, rejected: [] });
}

export function status(code: number, headers: Record<string, string> = {}): Response {
  return Response.json({ status: code, detail: "no" }, { status: code, headers });
}

/** A page: `hide()`, `show()` and `online()` do what a browser does; beacons land in `beacons`. */
export function page({ takes = (_bytes: number): boolean => true } = {}) {
  const document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  const window = new EventTarget();
  const beacons: { url: string; body: Blob }[] = [];
  vi.stubGlobal("document", document);
  vi.stubGlobal("window", window);
  vi.stubGlobal("navigator", {
    sendBeacon: (url: string, body: Blob) => {
      if (!takes(body.size)) return false;
      beacons.push({ url, body });
      return true;
    },
  });
  const turn = (state: string) => {
    document.visibilityState = state;
    document.dispatchEvent(new Event("visibilitychange"));
  };
  return {
    beacons,
    hide: () => turn("hidden"),
    show: () => turn("visible"),
    leave: () => window.dispatchEvent(new Event("pagehide")),
    online: () => window.dispatchEvent(new Event("online")),
  };
}

/** Something like localStorage. */
export class Shelf {
  readonly #kept = new Map<string, string>();
  isFull = false;
  get length() {
    return this.#kept.size;
  }
  key(index: number) {
    return [...this.#kept.keys()][index] ?? null;
  }
  getItem(name: string) {
    return this.#kept.get(name) ?? null;
  }
  setItem(name: string, value: string) {
    if (this.isFull) throw new Error("QuotaExceededError");
    this.#kept.set(name, value);
  }
  removeItem(name: string) {
    this.#kept.delete(name);
  }
}
