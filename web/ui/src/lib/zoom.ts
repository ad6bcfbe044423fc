// The way into a part of the period, and back out of it.

import { PRESETS } from "./period";
import { route, setQuery, type Query, type Route } from "./url";

/** Where each range was zoomed to from, by its word: what the address said of period and steps then. */
const from = new Map<string, Query>();

export function zoomTo(range: string): void {
  const { query } = route.get();
  if (query["range"] === range) return;
  from.set(range, { range: query["range"] ?? null, granularity: query["granularity"] ?? null });
  setQuery({ range, granularity: null });
}

/** The range to go back to, null for that of the view; undefined where what is shown is no part of another. */
export function wayBack({ query }: Route): string | null | undefined {
  const { range } = query;
  if (range === undefined || PRESETS.some(({ word }) => word === range)) return undefined;
  // Of an address that was given, or dates that were chosen, nobody knows the way.
  return from.get(range)?.["range"] ?? null;
}

export function zoomOut(): void {
  const here = route.get();
  if (wayBack(here) === undefined) return;
  setQuery(from.get(here.query["range"] ?? "") ?? { range: null, granularity: null });
}
