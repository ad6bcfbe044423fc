// The page: when it goes away, when it comes back, and how events leave with it.

import { bodyOf, take, type Item } from "./queue.js";

/**
 * A beacon above 65,536 bytes is refused by Chromium, and so are all of a page together; below
 * this one is taken. text/plain, as any other type needs a preflight, which a beacon cannot wait
 * for: the browser then says true, and the events are lost (Chromium 156).
 */
const BEACON_BYTES_MAX = 60_000;
const BEACON_EVENTS_MAX = 25;

export interface PageWatcher {
  left(): void;
  back(): void;
  online(): void;
}

/** Watch the page, where there is one; what is returned stops it. */
export function watchPage(watcher: PageWatcher): () => void {
  const { document, window } = globalThis as Partial<typeof globalThis>;
  if (document === undefined || window === undefined) return () => {};
  const turned = () => (document.visibilityState === "hidden" ? watcher.left() : watcher.back());
  const left = () => watcher.left();
  const back = () => watcher.back();
  const online = () => watcher.online();
  document.addEventListener("visibilitychange", turned);
  window.addEventListener("pagehide", left);
  window.addEventListener("pageshow", back);
  window.addEventListener("online", online);
  return () => {
    document.removeEventListener("visibilitychange", turned);
    window.removeEventListener("pagehide", left);
    window.removeEventListener("pageshow", back);
    window.removeEventListener("online", online);
  };
}

/**
 * Hand over to the browser what no beacon carries yet, as far as it takes it. The events stay in
 * the queue, marked: whether they arrived nobody says, and a page that lives on sends them again.
 */
export function sendBeacons(
  items: readonly Item[],
  to: { url: string; key?: string },
  fetcher: typeof fetch,
): void {
  const key = to.key === undefined ? "" : `&key=${encodeURIComponent(to.key)}`;
  const url = `${to.url}/track/batch?onInvalid=skip${key}`;
  // An event that fits into no beacon must not stand in the way of those behind it.
  let left = items.filter((item) => !item.isHandedOver && item.bytes < BEACON_BYTES_MAX - 100);
  while (left.length > 0) {
    const batch = take(left, BEACON_EVENTS_MAX, BEACON_BYTES_MAX);
    if (!handOver(url, bodyOf(batch, Date.now()), fetcher)) return;
    for (const item of batch) item.isHandedOver = true;
    left = left.slice(batch.length);
  }
}

function handOver(url: string, body: string, fetcher: typeof fetch): boolean {
  const navigator = globalThis.navigator as Navigator | undefined;
  if (typeof navigator?.sendBeacon === "function") {
    return navigator.sendBeacon(url, new Blob([body], { type: "text/plain" }));
  }
  const init = { method: "POST", body, keepalive: true, headers: { "Content-Type": "text/plain" } };
  fetcher(url, init).catch(() => {}); // it stays in the queue, so nothing is lost here
  return true;
}
