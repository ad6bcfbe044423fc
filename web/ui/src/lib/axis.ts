// Where the ticks of an axis stand and what they say.

import { clock, isoDate, addDays, instant, local, monthDay, monthYear, weekdayDay } from "./time";

const STEPS = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

/** Round ticks that include 0 and cover [least, most], three to five steps of them. */
export function ticks(least: number, most: number, isWhole: boolean): number[] {
  const low = Math.min(0, least);
  const high = Math.max(0, most);
  const extent = high - low;
  if (extent <= 0) return [0, 1];
  const step = stepFor(extent, isWhole);
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
export function scaleFor(least: number, most: number, isWhole: boolean): Scale {
  const found = ticks(least, most, isWhole);
  const [first = 0, second = 0] = found;
  const to = found.at(-1) ?? 1;
  if (first < 0 && second === 0 && least > DIP * first) return { from: least, to, ticks: found.slice(1) };
  return { from: first, to, ticks: found };
}

function stepFor(extent: number, isWhole: boolean): number {
  const decade = 10 ** Math.floor(Math.log10(extent / 4));
  let best = decade * 10;
  let bestWaste = Infinity;
  for (const factor of [...STEPS, ...STEPS.map((step) => step * 10)]) {
    const step = factor * decade;
    if (isWhole && (step < 1 || !Number.isInteger(rounded(step)))) continue;
    const steps = Math.ceil(extent / step - 1e-9);
    if (steps < 3 || steps > 5) continue;
    // Four steps look best; a little room above costs less than an odd number of ticks.
    const waste = (steps * step - extent) / extent + (steps === 4 ? 0 : 0.08);
    if (waste < bestWaste) [best, bestWaste] = [step, waste];
  }
  return isWhole && bestWaste === Infinity ? Math.max(1, Math.round(best / 10) || 1) : best;
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
