// The address holds the state of the page: `#/services/svc-stt?range=7d&granularity=hour`.

import { createStore } from "./store";

export interface Route {
  /** Parts of the path, decoded: ["services", "svc-stt"]; [] is the overview. */
  path: readonly string[];
  query: Readonly<Record<string, string>>;
}

export function parseHash(hash: string): Route {
  const text = hash.replace(/^#\/?/, "");
  const cut = text.indexOf("?");
  const path = (cut < 0 ? text : text.slice(0, cut)).split("/").filter((part) => part !== "");
  const query = new URLSearchParams(cut < 0 ? "" : text.slice(cut + 1));
  return { path: path.map(decoded), query: Object.fromEntries(query) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export type Query = Record<string, string | null | undefined>;

/** The address of a view; parameters that are null or undefined are left out. */
export function hashOf(path: readonly string[], query: Query = {}): string {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    if (value == null) continue;
    // Commas, colons and slashes may stand in a fragment, and read better there.
    const text = encodeURIComponent(value).replace(/%(2C|3A|2F)/g, decodeURIComponent);
    pairs.push(`${encodeURIComponent(name)}=${text}`);
  }
  const tail = pairs.length === 0 ? "" : `?${pairs.join("&")}`;
  return `#/${path.map(encodeURIComponent).join("/")}${tail}`;
}

export const route = createStore<Route>(parseHash(location.hash));

/** Who may hold the page back from leaving where it is. */
export interface Guard {
  /** Whether one may go there unasked. */
  isFree: (to: Route) => boolean;
  /** The step was not taken, or was taken back; `leave` takes it. */
  onHeld: (leave: () => void) => void;
}

let guard: Guard | null = null;

/** One at a time; the browser asks where the tab is closed. Returns how to let go. */
export function holdBack(by: Guard): () => void {
  const ask = (event: Event): void => {
    if (guard === by) event.preventDefault();
  };
  guard = by;
  addEventListener("beforeunload", ask);
  return () => {
    removeEventListener("beforeunload", ask);
    if (guard === by) guard = null;
  };
}

/** Do at once what leads away from the page, or when whoever holds it back is agreed to be lost. */
export function leadingAway(act: () => void): void {
  if (guard === null) act();
  else guard.onHeld(act);
}

/** Load the page anew; that its changes are lost is agreed to. */
export function beginAnew(): void {
  guard = null;
  location.reload();
}

/**
 * The place of this address among those that the browser goes back and forward through. It is kept
 * in the history itself, which tells neither direction nor distance, and so outlives a reload.
 */
function numbered(before: number): number {
  const own = (history.state as { step?: number } | null)?.step;
  const step = own ?? before + 1;
  if (own === undefined) history.replaceState({ step }, "");
  return step;
}

let here = numbered(-1);
let shown = here;

addEventListener("hashchange", () => {
  const to = parseHash(location.hash);
  here = numbered(here);
  const steps = here - shown;
  // Not to be prevented everywhere, a step is taken back: the address is again that of what is shown.
  if (guard !== null && steps !== 0 && !guard.isFree(to)) {
    history.go(-steps);
    guard.onHeld(() => {
      guard = null;
      history.go(steps);
    });
    return;
  }
  shown = here;
  route.set(to);
});

/** What a link from view to view takes along. */
const KEPT = ["range", "compare", "granularity", "tz", "theme", "kiosk"] as const;

export function kept(query: Route["query"]): Query {
  return Object.fromEntries(KEPT.map((name) => [name, query[name]]));
}

/** A link to another view, with the period and zone that are chosen now. */
export function linkTo(path: readonly string[], more: Query = {}): string {
  return hashOf(path, { ...kept(route.get().query), ...more });
}

export function go(path: readonly string[], more: Query = {}): void {
  location.hash = linkTo(path, more);
}

/** Change parameters of this view; with `replace`, without a step for the back button. */
export function setQuery(changed: Query, options: { replace: boolean } = { replace: false }): void {
  const { path, query } = route.get();
  const hash = hashOf(path, { ...query, ...changed });
  if (options.replace) putRight(hash);
  else location.hash = hash;
}

/** Have another address in the place of this one. */
export function putRight(hash: string): void {
  history.replaceState(history.state, "", hash);
  route.set(parseHash(hash));
}
