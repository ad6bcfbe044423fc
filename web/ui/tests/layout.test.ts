import { expect, test } from "vitest";
import { clamped, inFreeHalf, lowered, raised, settled } from "../src/lib/layout";
import type { Layout } from "../src/lib/types";

const box = (x: number, y: number, w: number, h: number): Layout => ({ x, y, w, h });

const overlapping = (layouts: readonly Layout[]): boolean =>
  layouts.some((one, at) =>
    layouts.slice(at + 1).some(
      (other) => one.x < other.x + other.w && other.x < one.x + one.w && one.y < other.y + other.h && other.y < one.y + one.h,
    ),
  );

test("a widget that is put on another pushes it down", () => {
  const found = settled([box(0, 0, 6, 4), box(3, 0, 6, 4)], 1);
  expect(found[1]).toEqual(box(3, 0, 6, 4));
  expect(found[0]).toEqual(box(0, 4, 6, 4));
});

test("whatever is moved anywhere, none lies over another and none leaves the grid", () => {
  const start = [box(0, 0, 3, 2), box(3, 0, 3, 2), box(6, 0, 6, 2), box(0, 2, 6, 4), box(6, 2, 6, 4), box(0, 6, 12, 5)];
  for (let at = 0; at < start.length; at += 1) {
    for (let x = -2; x < 14; x += 3) {
      for (let y = -1; y < 12; y += 2) {
        const found = settled(start.map((layout, other) => (other === at ? { ...layout, x, y } : layout)), at);
        expect(overlapping(found)).toBe(false);
        for (const layout of found) expect(layout.x >= 0 && layout.x + layout.w <= 12 && layout.y >= 0).toBe(true);
      }
    }
  }
});

test("a step down goes behind the next widget, and a step up takes it back", () => {
  const start = [box(0, 0, 6, 2), box(0, 2, 6, 4)];
  const down = lowered(start, 0);
  expect(down).toEqual([box(0, 4, 6, 2), box(0, 0, 6, 4)]);
  expect(raised(down, 0)).toEqual(start);
});

test("the last one cannot go further down", () => {
  const start = [box(0, 0, 6, 2), box(6, 0, 6, 2)];
  expect(lowered(start, 1)).toEqual(start);
});

test("sizes have bounds, and what is new takes the half that is free", () => {
  expect(clamped(box(11, 0, 1, 1))).toEqual(box(10, 0, 2, 2));
  const found: Layout[] = [];
  for (let at = 0; at < 3; at += 1) found.push(inFreeHalf(found));
  expect(found).toEqual([box(0, 0, 6, 4), box(6, 0, 6, 4), box(0, 4, 6, 4)]);
  expect(inFreeHalf([box(0, 0, 6, 2), box(4, 0, 8, 5)])).toEqual(box(0, 5, 6, 4));
});
