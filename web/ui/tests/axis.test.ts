import { expect, test } from "vitest";
import { scaleFor, ticks, timeTicks } from "../src/lib/axis";

test("ticks begin at zero, cover what there is, and are three to six", () => {
  for (const most of [1, 3, 7, 56, 160, 9_812, 524, 1_284_377, 0.42, 16.4]) {
    const found = ticks(0, most, false);
    expect(found[0]).toBe(0);
    expect(found.at(-1)).toBeGreaterThanOrEqual(most);
    expect(found.length).toBeGreaterThanOrEqual(4);
    expect(found.length).toBeLessThanOrEqual(6);
  }
});

test("counts have no half ticks", () => {
  for (const most of [1, 2, 3, 5, 11, 15]) {
    for (const tick of ticks(0, most, true)) expect(Number.isInteger(tick)).toBe(true);
  }
});

test("below zero there are ticks too, and zero is one of them", () => {
  const found = ticks(-120, 900, false);
  expect(found).toContain(0);
  expect(found[0]).toBeLessThanOrEqual(-120);
});

test("a small dip below zero gets the room that it takes, a deep one its ticks", () => {
  expect(scaleFor(-20, 430, false)).toEqual({ from: -20, to: 450, ticks: [0, 150, 300, 450] });
  const deep = scaleFor(-120, 430, false);
  expect(deep.from).toBe(deep.ticks[0]);
  expect(deep.from).toBeLessThanOrEqual(-120);
});

test("nothing at all still has an axis", () => {
  expect(ticks(0, 0, true)).toEqual([0, 1]);
});

test("a week of hours is marked at its midnights, a day at its hours, a year at its months", () => {
  const at = (text: string): number => Date.parse(text);
  const week = timeTicks(at("2026-11-16T00:00Z"), at("2026-11-22T23:00Z"), "UTC", 10);
  expect(week.map(({ label }) => label)).toEqual(["Mon 16", "Tue 17", "Wed 18", "Thu 19", "Fri 20", "Sat 21", "Sun 22"]);
  const day = timeTicks(at("2026-11-22T00:00Z"), at("2026-11-22T23:00Z"), "UTC", 8);
  expect(day.map(({ label }) => label)).toContain("09:00");
  const year = timeTicks(at("2026-01-01T00:00Z"), at("2026-11-22T00:00Z"), "UTC", 12);
  expect(year[0]?.label).toBe("Jan 2026");
});

test("where labels have no room every other one is left out", () => {
  const week = timeTicks(Date.parse("2026-11-16T00:00Z"), Date.parse("2026-11-22T23:00Z"), "UTC", 5);
  expect(week.map(({ label }) => label)).toEqual(["Mon 16", "Wed 18", "Fri 20", "Sun 22"]);
});
