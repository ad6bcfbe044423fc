import { expect, test } from "vitest";
import { PRESETS, beforeMs, granularityFor, isBeforeOfDays, moved, periodOf, stepsOf, wordFor, type Period } from "../src/lib/period";
import { dateSpan, haveSameHours, hourOf, instant, isoDate, local } from "../src/lib/time";

const NOW = Date.parse("2026-11-22T19:07:41Z");

function period(word: string, zone = "UTC"): Period {
  const found = periodOf(word, zone, NOW);
  if (found === null) throw new Error(`${word} means nothing`);
  return found;
}

test("every preset means something", () => {
  for (const { word } of PRESETS) expect(periodOf(word, "UTC", NOW)).not.toBeNull();
});

test("seven days end with today and begin with the same weekday a week before", () => {
  expect(period("7d")).toMatchObject({ start: "2026-11-16", end: "2026-11-22", dates: "Nov 16 – 22", isRunning: true });
});

test("today is the zone's today", () => {
  expect(period("today", "Asia/Tokyo").start).toBe("2026-11-23");
  expect(period("today", "America/Los_Angeles").start).toBe("2026-11-22");
});

test("the last 24 hours end with the running hour", () => {
  expect(period("24h")).toMatchObject({ start: "2026-11-21T20:00:00.000Z", end: "2026-11-22T20:00:00.000Z" });
});

test("the last 24 hours end with the zone's running hour, which may begin at half past", () => {
  expect(period("24h", "Asia/Kolkata")).toMatchObject({ start: "2026-11-21T19:30:00.000Z", end: "2026-11-22T19:30:00.000Z" });
  expect(hourOf(NOW, "Asia/Kathmandu")).toBe(Date.parse("2026-11-22T18:15:00Z"));
});

test("zones whose hours begin together can be cut by each other's", () => {
  expect(haveSameHours("America/New_York", "UTC", NOW)).toBe(true);
  expect(haveSameHours("Asia/Kolkata", "UTC", NOW)).toBe(false);
  expect(haveSameHours("Asia/Kolkata", "Asia/Colombo", NOW)).toBe(true);
});

test("months begin on their first, and last month is over", () => {
  expect(period("month")).toMatchObject({ start: "2026-11-01", end: "2026-11-22" });
  expect(period("lastmonth")).toMatchObject({ start: "2026-10-01", end: "2026-10-31", isRunning: false });
});

test("dates of one's own are whole days, hours of one's own are instants of the zone", () => {
  expect(period("2026-11-01..2026-11-05")).toMatchObject({ start: "2026-11-01", end: "2026-11-05", days: 5 });
  const hours = period("2026-11-22T09:00..2026-11-22T17:00", "Europe/Berlin");
  expect(hours).toMatchObject({ start: "2026-11-22T08:00:00.000Z", end: "2026-11-22T16:00:00.000Z" });
  expect(hours.label).toBe("8 hours");
});

test.each(["", "8d", "banana", "2026-11-05..2026-11-01", "2026-13-01..2026-13-02", "2026-11-01"])(
  "%s means nothing",
  (word) => expect(periodOf(word, "UTC", NOW)).toBeNull(),
);

test("what was dragged over is written so that it can be read again", () => {
  const words = ["2026-11-01..2026-11-05", "2026-11-22T09:00..2026-11-22T17:00"];
  for (const word of words) {
    for (const zone of ["UTC", "America/New_York", "Asia/Tokyo"]) {
      const { startMs, endMs } = period(word, zone);
      expect(wordFor(startMs, endMs, zone)).toBe(word);
    }
  }
});

test("earlier moves by the period's own length, and later stops at today", () => {
  expect(moved(period("7d"), -1, "UTC", NOW)).toBe("2026-11-09..2026-11-15");
  expect(moved(period("7d"), 1, "UTC", NOW)).toBeNull();
});

test("a granularity that does not fit says why, and the finest that fits is taken", () => {
  const reasons = (word: string): (string | null)[] => stepsOf(period(word)).map(({ reason }) => reason);
  expect(reasons("7d").map((reason) => reason === null)).toEqual([true, true, false, false]);
  expect(reasons("90d").map((reason) => reason === null)).toEqual([false, true, true, true]);
  const wish = { wanted: null, finest: "hour", areHoursKept: true } as const;
  expect(granularityFor(period("7d"), wish)).toBe("hour");
  expect(granularityFor(period("7d"), { ...wish, wanted: "week" })).toBe("hour");
  expect(granularityFor(period("28d"), { ...wish, wanted: "week" })).toBe("week");
  expect(granularityFor(period("28d"), wish)).toBe("day");
  expect(granularityFor(period("7d"), { ...wish, finest: "day" })).toBe("day");
  expect(granularityFor(period("7d"), { ...wish, areHoursKept: false })).toBe("day");
});

test("a date begins at its midnight also where the clock is changed", () => {
  for (const date of ["2026-03-29", "2026-10-25", "2026-11-01"]) {
    for (const zone of ["Europe/Berlin", "America/New_York", "UTC"]) {
      const ms = instant(date, zone);
      expect(isoDate(ms, zone)).toBe(date);
      expect(local(ms, zone).hour).toBe(0);
    }
  }
});

test("spans of dates leave out what both ends share", () => {
  expect(dateSpan("2026-11-16", "2026-11-22")).toBe("Nov 16 – 22");
  expect(dateSpan("2026-10-26", "2026-11-22")).toBe("Oct 26 – Nov 22");
  expect(dateSpan("2025-12-03", "2026-01-02")).toBe("Dec 3, 2025 – Jan 2, 2026");
  expect(dateSpan("2026-11-22", "2026-11-22")).toBe("Nov 22");
});

test("the period before is as many days long, although a clock was changed in it", () => {
  expect(beforeMs(period("28d", "Europe/London"), "Europe/London")).toBe(Date.parse("2026-09-27T23:00:00Z"));
  expect(beforeMs(period("24h"), "UTC")).toBe(Date.parse("2026-11-20T20:00:00Z"));
});

test("days before a change of the clocks are not those of a zone that changes none", () => {
  // Since October 25 the days of London are those of UTC.
  expect(isBeforeOfDays(period("7d", "Europe/London"), "Europe/London", "UTC")).toBe(true);
  expect(isBeforeOfDays(period("28d", "Europe/London"), "Europe/London", "UTC")).toBe(false);
  expect(isBeforeOfDays(period("28d"), "UTC", "Europe/London")).toBe(false);
  expect(isBeforeOfDays(period("28d", "Europe/London"), "Europe/London", "Europe/London")).toBe(true);
  expect(isBeforeOfDays(period("24h"), "UTC", "UTC")).toBe(false);
});
