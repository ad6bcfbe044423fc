import { expect, test } from "vitest";
import { logTicks, scaleFor, ticks, timeTicks } from "../src/lib/axis";
import { durationTick, NBSP } from "../src/lib/format";

test("ticks begin at zero, cover what there is, and are three to six", () => {
  for (const most of [1, 3, 7, 56, 160, 9_812, 524, 1_284_377, 0.42, 16.4]) {
    const found = ticks(0, most, "others");
    expect(found[0]).toBe(0);
    expect(found.at(-1)).toBeGreaterThanOrEqual(most);
    expect(found.length).toBeGreaterThanOrEqual(4);
    expect(found.length).toBeLessThanOrEqual(6);
  }
});

test("counts have no half ticks", () => {
  for (const most of [1, 2, 3, 5, 11, 15]) {
    for (const tick of ticks(0, most, "counts")) expect(Number.isInteger(tick)).toBe(true);
  }
});

test("below zero there are ticks too, and zero is one of them", () => {
  const found = ticks(-120, 900, "others");
  expect(found).toContain(0);
  expect(found[0]).toBeLessThanOrEqual(-120);
});

test("a small dip below zero gets the room that it takes, a deep one its ticks", () => {
  expect(scaleFor(-20, 430, "others")).toEqual({ from: -20, to: 450, ticks: [0, 150, 300, 450] });
  const deep = scaleFor(-120, 430, "others");
  expect(deep.from).toBe(deep.ticks[0]);
  expect(deep.from).toBeLessThanOrEqual(-120);
});

test("nothing at all still has an axis", () => {
  expect(ticks(0, 0, "counts")).toEqual([0, 1]);
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

test("durations tick at round seconds, minutes and hours, never at 16 min 40 s", () => {
  const said = (most: number): string[] =>
    ticks(0, most * 60_000, "durations").map((ms) => durationTick(ms).replace(NBSP, " "));
  expect(said(1.6)).toEqual(["0", "25 s", "50 s", "75 s", "100 s"]);
  expect(said(4)).toEqual(["0", "1 min", "2 min", "3 min", "4 min"]);
  expect(said(16.7)).toEqual(["0", "5 min", "10 min", "15 min", "20 min"]);
  expect(said(110)).toEqual(["0", "30 min", "1 h", "90 min", "2 h"]);
  expect(said(60 * 22)).toEqual(["0", "6 h", "12 h", "18 h", "24 h"]);
  expect(said(60 * 278)).toEqual(["0", "80 h", "160 h", "240 h", "320 h"]);
});

test("every tick of a duration is a whole number of a unit, and there are four to six", () => {
  for (let ms = 120_001; ms < 4e9; ms *= 1.37) {
    const found = ticks(0, ms, "durations");
    expect(found.at(-1)).toBeGreaterThanOrEqual(ms);
    expect(found.length).toBeGreaterThanOrEqual(4);
    expect(found.length).toBeLessThanOrEqual(6);
    for (const tick of found) expect(durationTick(tick)).toMatch(/^(0|[\d,]+\u00a0(s|min|h))$/);
  }
});

test("a logarithmic axis of durations goes from the second to the minute and to the hour", () => {
  const said = (least: number, most: number): string[] =>
    logTicks(least, most, "durations").map((ms) => durationTick(ms).replace(NBSP, " "));
  expect(said(30, 2_000_000)).toEqual(["10 ms", "100 ms", "1 s", "10 s", "1 min", "10 min", "1 h"]);
  expect(said(70_000, 900_000)).toEqual(["1 min", "2 min", "5 min", "10 min", "20 min", "1 h"]);
  expect(said(0.2, 0.2)).toEqual(["0.1 ms", "0.2 ms", "0.5 ms", "1 ms"]);
  expect(said(0, 0)).toEqual(["1 ms", "2 ms", "5 ms", "10 ms"]);
});
