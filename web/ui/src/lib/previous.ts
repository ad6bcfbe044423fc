// The series of the period before, and a comparison of sums that leaves out what is not over.

import { useAnswer, url } from "./api";
import { change, type Change, type Good } from "./change";
import { beside, type TimeAxis } from "./series";
import { HOUR_MS, daysBetween, isoDate } from "./time";
import type { Granularity } from "./types";
import { areHoursKept, previousParams, type View } from "./view";

interface Row {
  start: string;
}

export interface Previous<R> {
  rows: R[] | undefined;
  granularity: Granularity;
  /** The steps asked for are no longer kept that far back; then there are whole days. */
  isCoarser: boolean;
  zone: string;
}

type Extra = Record<string, string | number | boolean | undefined>;

/** Hours are kept for some days only; where those of the period before are gone, its days serve. */
export function usePrevious<A, R extends Row>(
  view: View,
  path: string,
  rowsOf: (answer: A) => R[] | undefined,
  extra: Extra = {},
): Previous<R> {
  const params = { ...previousParams(view), ...extra };
  const startMs = view.period.startMs - (view.period.endMs - view.period.startMs);
  const isCoarser = view.granularity === "hour" && !areHoursKept(startMs, view.nowMs);
  const granularity = isCoarser ? "day" : view.granularity;
  const canAsk = !isCoarser || /^\d{4}-\d\d-\d\d$/.test(params.startDate);
  const asked = useAnswer<A>(
    view.isCompared && canAsk ? url(path, { ...params, granularity }) : null,
  );
  const isThere = view.isCompared && asked.answer !== undefined && !asked.isOld;
  const rows = isThere && asked.answer !== undefined ? rowsOf(asked.answer) : undefined;
  return { rows, granularity, isCoarser: view.isCompared && isCoarser, zone: view.zone };
}

/** What an hour of a day of which only the whole is known is said to have had. */
export type OfDay = "mean" | "same";

/**
 * The line of the period before, step beside step.
 *
 * Where its hours are no longer kept each hour gets what its day had: a count or money the mean of
 * an hour of that day, a rate that of the whole day. Null where there is nothing to draw.
 */
export function previousLine<R extends Row>(
  axis: TimeAxis,
  previous: Previous<R>,
  pick: (row: R) => number | null,
  ofDay: OfDay,
): (number | null)[] | null {
  const { rows, isCoarser, zone } = previous;
  if (rows === undefined) return null;
  if (!isCoarser) return beside(axis, rows, pick);
  const first = isoDate(axis.startsMs[0] ?? 0, zone);
  return axis.startsMs.map((ms) => {
    const at = daysBetween(first, isoDate(ms, zone));
    const row = rows[at];
    const value = row === undefined ? null : pick(row);
    return value === null || ofDay === "same" ? value : value / hoursOf(rows, at);
  });
}

/** 23 or 25 where the clocks were changed. */
function hoursOf(days: readonly Row[], at: number): number {
  const [start, next] = [days[at], days[at + 1]].map((day) => Date.parse(day?.start ?? ""));
  const hours = ((next ?? NaN) - (start ?? NaN)) / HOUR_MS;
  return Number.isNaN(hours) ? 24 : hours;
}

export interface SumChange {
  change: Change;
  before: number | null;
  /** The steps that were compared, where the whole figure has a running one more. */
  fullSteps: "days" | "weeks" | "months" | null;
}

const STEPS = { hour: null, day: "days", week: "weeks", month: "months" } as const;

type Pick<R> = (row: R) => number | null;

function sum<R>(rows: readonly R[], pick: Pick<R>): number | null {
  let total = 0;
  for (const row of rows) {
    const value = pick(row);
    if (value === null) return null;
    total += value;
  }
  return total;
}

/**
 * How a sum has changed, over the steps that are over in this period and the same ones before.
 *
 * A day that has only begun would look like a loss beside a whole one. Counts and money alone are
 * added here; what cannot be added comes from the service.
 */
export function sumChange<R extends Row>(
  view: View,
  rows: readonly R[],
  previous: Previous<R>,
  pick: Pick<R>,
  good: Good,
): SumChange | null {
  if (previous.rows === undefined) return null;
  const { nowMs, zone, period } = view;
  let over: readonly R[];
  let steps: number;
  if (previous.isCoarser) {
    const today = isoDate(nowMs, zone);
    const isOver = (row: R): boolean => isoDate(Date.parse(row.start), zone) < today;
    over = period.isRunning ? rows.filter(isOver) : rows;
    steps = new Set(over.map((row) => isoDate(Date.parse(row.start), zone))).size;
  } else {
    const endMs = (at: number): number => Date.parse(rows[at + 1]?.start ?? "") || period.endMs;
    over = rows.filter((_, at) => endMs(at) <= nowMs);
    steps = over.length;
  }
  if (steps === 0) return null;
  const now = sum(over, pick);
  const before = sum(previous.rows.slice(0, steps), pick);
  // Nothing beside nothing: a newcomer's first hour needs no comparison.
  if (now === 0 && before === 0) return null;
  // A running hour is a small part of the whole; a running day is not, and has to be told.
  const fullSteps = period.isRunning ? STEPS[previous.granularity] : null;
  return { change: change(now, before, "amount", good), before, fullSteps };
}
