// Whether a service fails more than usual, since when, and until when: from its hours.

import type { ServiceStep } from "./types";

export interface Trouble {
  startMs: number;
  endMs: number;
  /** Percent in that time, and in the hours before it. */
  rate: number;
  usual: number;
}

const LOOK_BACK_HOURS = 24;
const TIMES_USUAL = 3;
const RATE_MIN = 1;
const FAILURES_MIN = 10;
const HOUR_MS = 3_600_000;

const rateOf = (rows: readonly ServiceStep[]): number => {
  const executions = rows.reduce((sum, row) => sum + row.executions, 0);
  const errors = rows.reduce((sum, row) => sum + row.errors, 0);
  return executions === 0 ? 0 : (100 * errors) / executions;
};

/** The last stretch of hours of the past day with three times the usual error rate; null without. */
export function troubleIn(rows: readonly ServiceStep[], nowMs: number): Trouble | null {
  const past = rows.filter(({ start }) => Date.parse(start) <= nowMs);
  const recent = past.slice(-LOOK_BACK_HOURS);
  const before = past.slice(0, -LOOK_BACK_HOURS);
  if (before.length < LOOK_BACK_HOURS) return null;
  const usual = rateOf(before);
  const limit = Math.max(RATE_MIN, TIMES_USUAL * usual);
  const isBad = (row: ServiceStep): boolean => row.executions > 0 && rateOf([row]) > limit;
  let end = recent.length - 1;
  while (end >= 0 && !isBad(recent[end] as ServiceStep)) end -= 1;
  let start = end;
  while (start > 0 && isBad(recent[start - 1] as ServiceStep)) start -= 1;
  const found = end < 0 ? [] : recent.slice(start, end + 1);
  const failures = found.reduce((sum, row) => sum + row.errors, 0);
  const [first, last] = [found[0], found.at(-1)];
  if (first === undefined || last === undefined || failures < FAILURES_MIN) return null;
  return {
    startMs: Date.parse(first.start),
    endMs: Date.parse(last.start) + HOUR_MS,
    rate: rateOf(found),
    usual,
  };
}
