import { expect, test } from "vitest";
import { dateIn, granularityFor, RANGES, rangeOf, spanOf } from "../src/ranges.js";

const DAY_MS = 86_400_000;
const ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "Pacific/Kiritimati", "Pacific/Niue"];

test("every range ends today, whole, in the zone, and has the days of its name", () => {
  // Through a fortnight in which New York and Berlin leave summer time.
  for (let nowMs = Date.UTC(2026, 9, 20); nowMs < Date.UTC(2026, 10, 3); nowMs += 5 * 3_600_000) {
    for (const zone of ZONES) {
      for (const { value, days } of RANGES) {
        const { startDate, endDate } = spanOf(value, zone, nowMs, "day");
        expect(endDate).toBe(dateIn(zone, nowMs));
        expect((Date.parse(endDate) - Date.parse(startDate)) / DAY_MS).toBe(days - 1);
      }
    }
  }
});

test("the last 24 hours are whole hours, and the running one is the last of them", () => {
  const nowMs = Date.UTC(2026, 10, 30, 9, 41, 7);
  expect(spanOf("24h", "Asia/Kolkata", nowMs, "hour")).toEqual({
    startDate: "2026-11-29T10:00:00.000Z",
    endDate: "2026-11-30T10:00:00.000Z",
  });
});

test("hours are asked for where they read, days elsewhere", () => {
  expect(granularityFor("7d", "hour", "lineChart")).toBe("hour");
  expect(granularityFor("7d", "hour", "barChart")).toBe("day");
  expect(granularityFor("28d", "hour", "lineChart")).toBe("day");
  expect(granularityFor("today", "day", "lineChart")).toBe("day");
});

test("a range that is not known is the default", () => {
  expect(rangeOf("1y").value).toBe("7d");
  expect(rangeOf(null).value).toBe("7d");
});
