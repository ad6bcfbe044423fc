// Where the ticks of an axis stand and what they say.

import { clock, isoDate, addDays, instant, local, monthDay, monthYear, weekdayDay } from "./time";

const STEPS = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

/** What stands on an axis of values: counts have no halves, durations are ms and go by minutes and hours. */
export type Scaled = "counts" | "durations" | "others";

const S_MS = 1000;
const MIN_MS = 60 * S_MS;
const H_MS = 60 * MIN_MS;
/** Steps of durations between two minutes and two days; below and above they go by tens, of ms and of hours. */
const CLOCK_STEPS_MS = [1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720].map((n) => n * MIN_MS);

/** Round ticks that include 0 and cover [least, most], three to five steps of them. */
export function ticks(least: number, most: number, scaled: Scaled): number[] {
  const low = Math.min(0, least);
  const high = Math.max(0, most);
  const extent = high - low;
  if (extent <= 0) return [0, 1];
  const step = stepFor(extent, scaled);
  const found: number[] = [];
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(Math.ceil(high / step - 1e-9), first + 1);
  for (let at = first; at <= last; at += 1) found.push(rounded(at * step));
  return found;
}

export interface Scale {
  from: number;
  to: number;
  ticks: number[];
}

/** Of a step, how far below zero values may reach without a tick of their own. */
const DIP = 0.5;

/** The axis of values: its ends, and the ticks. A dip below zero gets the room it takes, not a step. */
export function scaleFor(least: number, most: number, scaled: Scaled): Scale {
  const found = ticks(least, most, scaled);
  const [first = 0, second = 0] = found;
  const to = found.at(-1) ?? 1;
  if (first < 0 && second === 0 && least > DIP * first) return { from: least, to, ticks: found.slice(1) };
  return { from: first, to, ticks: found };
}

function stepFor(extent: number, scaled: Scaled): number {
  if (scaled === "durations" && extent > 48 * H_MS) return H_MS * stepFor(extent / H_MS, "counts");
  const isWhole = scaled === "counts";
  const decade = 10 ** Math.floor(Math.log10(extent / 4));
  const byClock = scaled === "durations" && extent > 2 * MIN_MS;
  let best = decade * 10;
  let bestWaste = Infinity;
  for (const step of byClock ? CLOCK_STEPS_MS : [...STEPS, ...STEPS.map((n) => n * 10)].map((n) => n * decade)) {
    if (isWhole && (step < 1 || !Number.isInteger(rounded(step)))) continue;
    const steps = Math.ceil(extent / step - 1e-9);
    if (steps < 3 || steps > 5) continue;
    // Four steps look best; a little room above costs less than an odd number of ticks.
    const waste = (steps * step - extent) / extent + (steps === 4 ? 0 : 0.08);
    if (waste < bestWaste) [best, bestWaste] = [step, waste];
  }
  return isWhole && bestWaste === Infinity ? Math.max(1, Math.round(best / 10) || 1) : best;
}

/** The decades around [least, most], two at least. */
export function decadesOf(least: number, most: number, scaled: Scaled): number[] {
  // Zero has no place here: where there is nothing else, any two do.
  const first = below(least > 0 && least <= most ? least : 1, scaled);
  const decades = [first, after(first, scaled)];
  while ((decades.at(-1) ?? Infinity) < most * (1 - 1e-9)) decades.push(after(decades.at(-1) ?? first, scaled));
  return decades;
}

/** Ticks of a logarithmic axis: its decades, and between few of them 2 and 5 as well. */
export function logTicks(least: number, most: number, scaled: Scaled): number[] {
  const decades = decadesOf(least, most, scaled);
  if (decades.length > 3) return decades;
  return decades.flatMap((decade, at) => {
    const next = decades[at + 1];
    const between = next === undefined ? [] : [2, 5].map((n) => n * decade);
    return [decade, ...between.filter((tick) => 1.5 * tick < (next ?? 0))];
  });
}

/** From the minute on durations have "decades" of their own: 1 min, 10 min, 1 h, 10 h. */
function after(decade: number, scaled: Scaled): number {
  if (scaled === "durations" && decade === 10 * S_MS) return MIN_MS;
  if (scaled === "durations" && decade === 10 * MIN_MS) return H_MS;
  return rounded(decade * 10);
}

function below(least: number, scaled: Scaled): number {
  let decade = 10 ** Math.min(3, Math.floor(Math.log10(least)));
  while (after(decade, scaled) <= least * (1 + 1e-9)) decade = after(decade, scaled);
  return decade;
}

const rounded = (value: number): number => Number(value.toPrecision(12));

export interface TimeTick {
  ms: number;
  label: string;
}

/**
 * Ticks of a time axis. Hours for up to 36 h, "Mon 16" at midnights up to 16 days, then dates,
 * then months. `room` is how many labels fit.
 */
export function timeTicks(startMs: number, endMs: number, zone: string, room: number): TimeTick[] {
  const hours = (endMs - startMs) / 3_600_000;
  if (hours <= 36) return hourTicks(startMs, endMs, zone, room);
  const days = hours / 24;
  if (days > 120) return monthTicks(startMs, endMs, zone, room);
  const midnights = midnightsOf(startMs, endMs, zone);
  const label = days <= 9 ? weekdayDay : monthDay;
  const every = strideFor(midnights.length, room, days <= 9 ? [1, 2, 4] : [1, 2, 7, 14, 28]);
  return midnights
    .filter((_, at) => at % every === 0)
    .map((ms) => ({ ms, label: label(ms, zone) }));
}

function strideFor(ticksAll: number, room: number, strides: readonly number[]): number {
  return strides.find((stride) => ticksAll / stride <= room) ?? strides.at(-1) ?? 1;
}

function hourTicks(startMs: number, endMs: number, zone: string, room: number): TimeTick[] {
  const hours = (endMs - startMs) / 3_600_000;
  const every = [1, 2, 3, 4, 6, 12].find((stride) => hours / stride <= room) ?? 12;
  const found: TimeTick[] = [];
  for (let ms = startMs; ms <= endMs; ms += 3_600_000) {
    if (local(ms, zone).hour % every === 0) found.push({ ms, label: clock(ms, zone) });
  }
  return found;
}

function midnightsOf(startMs: number, endMs: number, zone: string): number[] {
  const found: number[] = [];
  for (let date = isoDate(startMs, zone); ; date = addDays(date, 1)) {
    const ms = instant(date, zone);
    if (ms > endMs) return found;
    if (ms >= startMs) found.push(ms);
  }
}

function monthTicks(startMs: number, endMs: number, zone: string, room: number): TimeTick[] {
  const firsts = midnightsOf(startMs, endMs, zone).filter((ms) => local(ms, zone).day === 1);
  const every = strideFor(firsts.length, room, [1, 2, 3, 6]);
  return firsts
    .filter((_, at) => at % every === 0)
    .map((ms) => ({ ms, label: monthYear(ms, zone) }));
}
