// How widgets stand in a grid of 12 columns: none over another, and none with air above it.

import type { Layout } from "./types";

export const COLUMNS = 12;
export const WIDTH_MIN = 2;
export const HEIGHT_MIN = 2;
const HEIGHT_MAX = 20;

const overlap = (one: Layout, other: Layout): boolean =>
  one.x < other.x + other.w &&
  other.x < one.x + one.w &&
  one.y < other.y + other.h &&
  other.y < one.y + one.h;

/** Within the grid, and neither too small nor too large. */
export function clamped({ x, y, w, h }: Layout): Layout {
  const width = Math.max(WIDTH_MIN, Math.min(COLUMNS, w));
  return {
    x: Math.max(0, Math.min(COLUMNS - width, x)),
    y: Math.max(0, y),
    w: width,
    h: Math.max(HEIGHT_MIN, Math.min(HEIGHT_MAX, h)),
  };
}

/**
 * The layouts after the one at `moved` was changed: it stays where it was put, the others make
 * room downwards, and all of them then rise as far as they can. Order and number stay.
 */
export function settled(layouts: readonly Layout[], moved: number): Layout[] {
  const order = layouts
    .map((layout, index) => ({ layout: clamped(layout), index }))
    .sort(
      (one, other) =>
        one.layout.y - other.layout.y ||
        Number(other.index === moved) - Number(one.index === moved) ||
        one.layout.x - other.layout.x,
    );
  const found: Layout[] = [...layouts];
  const placed: Layout[] = [];
  for (const { layout, index } of order) {
    const own = { ...layout };
    while (own.y > 0 && !placed.some((other) => overlap({ ...own, y: own.y - 1 }, other))) own.y -= 1;
    while (placed.some((other) => overlap(own, other))) own.y += 1;
    placed.push(own);
    found[index] = own;
  }
  return found;
}

const shareColumns = (one: Layout, other: Layout): boolean =>
  one.x < other.x + other.w && other.x < one.x + one.w;

/** One place up: where the nearest widget above begins, which then makes room. */
export function raised(layouts: readonly Layout[], at: number): Layout[] {
  const own = layouts[at];
  if (own === undefined) return [...layouts];
  const above = layouts.filter((other) => other !== own && other.y < own.y && shareColumns(own, other));
  const y = above.length === 0 ? 0 : Math.max(...above.map((other) => other.y));
  return settled(layouts.map((other) => (other === own ? { ...own, y } : other)), at);
}

/** One place down: behind the nearest widget below; the last one stays. */
export function lowered(layouts: readonly Layout[], at: number): Layout[] {
  const own = layouts[at];
  if (own === undefined) return [...layouts];
  const below = layouts.filter((other) => other.y >= own.y + own.h && shareColumns(own, other));
  if (below.length === 0) return [...layouts];
  const y = Math.min(...below.map((other) => other.y)) + 1;
  return settled(layouts.map((other) => (other === own ? { ...own, y } : other)), at);
}

const HALF = COLUMNS / 2;

/** Half as wide as the page, in the half that is free further up. */
export function inFreeHalf(layouts: readonly Layout[]): Layout {
  const places = [0, HALF].map((x) => {
    const own = { x, y: 0, w: HALF, h: 4 };
    const above = layouts.filter((other) => shareColumns(own, other));
    return { ...own, y: Math.max(0, ...above.map(({ y, h }) => y + h)) };
  });
  const [left, right] = places as [Layout, Layout];
  return right.y < left.y ? right : left;
}
