// From the rows of a series to the columns of a chart: what is not over, and the period before.

import { timeTicks } from "./axis";
import type { XTick } from "./plot";
import { clock, fullDay, monthDay, monthYear, zoneName } from "./time";
import type { Granularity } from "./types";
import type { View } from "./view";

export interface TimeAxis {
  /** Starts of the steps, epoch seconds. */
  xs: number[];
  startsMs: number[];
  endsMs: number[];
  /** Index of the step that is not over; -1 where all are. */
  running: number;
  /** Steps from here on lie ahead: nothing is known of them, which is not zero. */
  ahead: number;
  xTicks: (room: number) => XTick[];
  areTicksAtStart: boolean;
  nameAt: (index: number) => string;
  xName: string;
}

export function timeAxis(starts: readonly string[], view: View, granularity: Granularity): TimeAxis {
  const startsMs = starts.map((start) => Date.parse(start));
  const endsMs = startsMs.map((_, at) => startsMs[at + 1] ?? view.period.endMs);
  const { nowMs, zone } = view;
  const running = startsMs.findIndex((start, at) => start <= nowMs && nowMs < (endsMs[at] ?? 0));
  const ahead = startsMs.findIndex((start) => start > nowMs);
  const from = startsMs[0] ?? 0;
  const to = startsMs.at(-1) ?? 1;
  const spanHours = (to - from) / 3_600_000;
  return {
    xs: startsMs.map((ms) => ms / 1000),
    startsMs,
    endsMs,
    running,
    ahead: ahead < 0 ? startsMs.length : ahead,
    xTicks: (room) =>
      timeTicks(from, to, zone, room).map(({ ms, label }) => ({ x: ms / 1000, label })),
    areTicksAtStart: granularity === "hour" && spanHours > 36,
    nameAt: (at) => stepName(startsMs[at] ?? 0, endsMs[at] ?? 0, granularity, zone),
    xName: granularity === "hour" ? `Hour, ${zoneName(zone)}` : granularity[0]?.toUpperCase() + granularity.slice(1),
  };
}

/** The same axis with every step at its middle, so that bars and lines share one cursor. */
export function centred(axis: TimeAxis, view: View): TimeAxis & { from: number; to: number } {
  const { startsMs, endsMs } = axis;
  const from = startsMs[0] ?? view.period.startMs;
  const to = endsMs.at(-1) ?? view.period.endMs;
  return {
    ...axis,
    xs: startsMs.map((ms, at) => (ms + (endsMs[at] ?? ms)) / 2000),
    from: from / 1000,
    to: to / 1000,
    areTicksAtStart: true,
    xTicks: (room) => timeTicks(from, to, view.zone, room).map(({ ms, label }) => ({ x: ms / 1000, label })),
  };
}

export function stepName(startMs: number, endMs: number, granularity: Granularity, zone: string): string {
  switch (granularity) {
    case "hour":
      return `${fullDay(startMs, zone)}, ${clock(startMs, zone)} – ${clock(endMs, zone)} ${zoneName(zone)}`;
    case "day":
      return fullDay(startMs, zone);
    case "week":
      return `${monthDay(startMs, zone)} – ${monthDay(endMs - 1, zone)}`;
    case "month":
      return monthYear(startMs, zone);
  }
}

/** Values up to now; what lies ahead is unknown. */
export function known<T>(axis: TimeAxis, rows: readonly T[], pick: (row: T) => number | null): (number | null)[] {
  return rows.map((row, at) => (at < axis.ahead ? pick(row) : null));
}

/** The period before, step by step beside this one; steps that it does not have are unknown. */
export function beside<T>(axis: TimeAxis, rows: readonly T[] | undefined, pick: (row: T) => number | null): (number | null)[] {
  return axis.xs.map((_, at) => {
    const row = rows?.[at];
    return row === undefined ? null : pick(row);
  });
}
