// The period of a view: from a word in the address to the parameters of a question.

import type { Granularity } from "./types";
import {
  DAY_MS,
  HOUR_MS,
  addDays,
  clock,
  dateSpan,
  daysBetween,
  hourOf,
  instant,
  isoDate,
  local,
  monthDay,
} from "./time";

export interface Period {
  /** As the address holds it: "7d", "2026-11-01..2026-11-05". */
  word: string;
  /** startDate and endDate of a question. */
  start: string;
  end: string;
  startMs: number;
  endMs: number;
  /** "Last 7 days" */
  label: string;
  /** "Nov 16 – 22" */
  dates: string;
  /** How the period before is called: "previous 7 days". */
  previousLabel: string;
  days: number;
  /** Whether now lies in it, so that its figures still move. */
  isRunning: boolean;
}

export interface Preset {
  word: string;
  label: string;
}

export const PRESETS: readonly Preset[] = [
  { word: "today", label: "Today" },
  { word: "yesterday", label: "Yesterday" },
  { word: "24h", label: "Last 24 hours" },
  { word: "7d", label: "Last 7 days" },
  { word: "28d", label: "Last 28 days" },
  { word: "30d", label: "Last 30 days" },
  { word: "90d", label: "Last 90 days" },
  { word: "month", label: "This month" },
  { word: "lastmonth", label: "Last month" },
  { word: "year", label: "This year" },
];

const DATE = String.raw`\d{4}-\d\d-\d\d`;
const CUSTOM = new RegExp(`^(${DATE})(?:T(\\d\\d):00)?\\.\\.(${DATE})(?:T(\\d\\d):00)?$`);

/** The period that a word stands for now, in a zone; null where the word means nothing. */
export function periodOf(word: string, zone: string, nowMs: number): Period | null {
  const today = isoDate(nowMs, zone);
  const days = /^(\d{1,3})d$/.exec(word);
  if (days !== null && PRESETS.some((preset) => preset.word === word)) {
    const length = Number(days[1]);
    return ofDates(word, addDays(today, 1 - length), today, zone, nowMs);
  }
  switch (word) {
    case "today":
      return ofDates(word, today, today, zone, nowMs);
    case "yesterday":
      return ofDates(word, addDays(today, -1), addDays(today, -1), zone, nowMs);
    case "24h":
      return lastDay(word, zone, nowMs);
    case "month":
      return ofDates(word, `${today.slice(0, 7)}-01`, today, zone, nowMs);
    case "lastmonth": {
      const last = addDays(`${today.slice(0, 7)}-01`, -1);
      return ofDates(word, `${last.slice(0, 7)}-01`, last, zone, nowMs);
    }
    case "year":
      return ofDates(word, `${today.slice(0, 4)}-01-01`, today, zone, nowMs);
    default:
      return custom(word, zone, nowMs);
  }
}

const PREVIOUS: Record<string, string> = {
  today: "yesterday",
  yesterday: "the day before",
  "24h": "previous 24 hours",
  month: "the days before",
  lastmonth: "the days before",
  year: "the days before",
};

function ofDates(word: string, first: string, last: string, zone: string, nowMs: number): Period {
  const startMs = instant(first, zone);
  const endMs = instant(addDays(last, 1), zone);
  const days = daysBetween(first, last) + 1;
  return {
    word,
    start: first,
    end: last,
    startMs,
    endMs,
    label: labelOf(word, days),
    dates: dateSpan(first, last),
    previousLabel: PREVIOUS[word] ?? (days === 1 ? "the day before" : `previous ${days} days`),
    days,
    isRunning: startMs <= nowMs && nowMs < endMs,
  };
}

const labelOf = (word: string, days: number): string =>
  PRESETS.find((preset) => preset.word === word)?.label ?? (days === 1 ? "1 day" : `${days} days`);

function lastDay(word: string, zone: string, nowMs: number): Period {
  const endMs = hourOf(nowMs, zone) + HOUR_MS;
  const startMs = endMs - DAY_MS;
  return ofInstants(word, startMs, endMs, zone, nowMs);
}

function ofInstants(
  word: string,
  startMs: number,
  endMs: number,
  zone: string,
  nowMs: number,
): Period {
  const hours = Math.round((endMs - startMs) / HOUR_MS);
  const named = PRESETS.find((preset) => preset.word === word)?.label;
  const lastMs = endMs - 1;
  const isOneDay = isoDate(startMs, zone) === isoDate(lastMs, zone);
  const from = `${monthDay(startMs, zone)}, ${clock(startMs, zone)}`;
  const to = isOneDay ? clock(endMs, zone) : `${monthDay(endMs, zone)}, ${clock(endMs, zone)}`;
  return {
    word,
    start: new Date(startMs).toISOString(),
    end: new Date(endMs).toISOString(),
    startMs,
    endMs,
    label: named ?? (hours === 1 ? "1 hour" : `${hours} hours`),
    dates: `${from} – ${to}`,
    previousLabel: PREVIOUS[word] ?? (hours === 1 ? "the hour before" : `previous ${hours} hours`),
    days: (endMs - startMs) / DAY_MS,
    isRunning: startMs <= nowMs && nowMs < endMs,
  };
}

function custom(word: string, zone: string, nowMs: number): Period | null {
  const found = CUSTOM.exec(word);
  if (found === null) return null;
  const [, first = "", firstHour, last = "", lastHour] = found;
  if (Number.isNaN(Date.parse(first)) || Number.isNaN(Date.parse(last))) return null;
  if (firstHour === undefined && lastHour === undefined) {
    return first > last ? null : ofDates(word, first, last, zone, nowMs);
  }
  const startMs = instant(first, zone, Number(firstHour ?? 0));
  const endMs = instant(last, zone, Number(lastHour ?? 0));
  return startMs < endMs ? ofInstants(word, startMs, endMs, zone, nowMs) : null;
}

/** The word for [startMs, endMs), by whole days where it is made of them, else by hours. */
export function wordFor(startMs: number, endMs: number, zone: string): string {
  const isMidnight = (ms: number): boolean => clock(ms, zone) === "00:00";
  const [first, last] = [isoDate(startMs, zone), isoDate(endMs - 1, zone)];
  if (isMidnight(startMs) && isMidnight(endMs)) return `${first}..${last}`;
  const hourOf = (ms: number): string => `${isoDate(ms, zone)}T${clock(ms, zone).slice(0, 2)}:00`;
  return `${hourOf(startMs)}..${hourOf(endMs)}`;
}

/** Whether a period is of whole days of its zone. */
export const hasDates = ({ start }: Period): boolean => /^\d{4}-\d\d-\d\d$/.test(start);

/** When the period before begins: as many days earlier, of which some may have 23 or 25 hours. */
export function beforeMs(period: Period, zone: string): number {
  const { start, days, startMs, endMs } = period;
  return hasDates(period) ? instant(addDays(start, -days), zone) : startMs - (endMs - startMs);
}

/** Whether the period before is of whole days of another zone too; both have the same hours. */
export function isBeforeOfDays(period: Period, zone: string, other: string): boolean {
  if (!hasDates(period) || zone === other) return hasDates(period);
  // Both ends: the clocks of one zone may have changed between them, and not those of the other.
  return [beforeMs(period, zone), period.startMs].every((ms) => local(ms, other).hour === 0);
}

/** The period moved by its own length: -1 earlier, 1 later. Null where it would lie ahead. */
export function moved(period: Period, steps: -1 | 1, zone: string, nowMs: number): string | null {
  if (hasDates(period)) {
    const first = addDays(period.start, steps * period.days);
    const last = addDays(period.end, steps * period.days);
    return first > isoDate(nowMs, zone) ? null : `${first}..${last}`;
  }
  const length = period.endMs - period.startMs;
  const startMs = period.startMs + steps * length;
  return startMs > nowMs ? null : wordFor(startMs, startMs + length, zone);
}

/** Beyond this a line of hours is a carpet. */
const HOURS_DAYS_MAX = 8;

export interface Step {
  granularity: Granularity;
  label: string;
  /** Why it cannot be chosen; null where it can. */
  reason: string | null;
}

/** Every granularity, with the reason where it does not fit the period. */
export function stepsOf(period: Period): Step[] {
  const { days } = period;
  return [
    {
      granularity: "hour",
      label: "Hour",
      reason: days > HOURS_DAYS_MAX ? `Hours are for up to ${HOURS_DAYS_MAX} days.` : null,
    },
    { granularity: "day", label: "Day", reason: days < 2 ? "Days are for 2 days and more." : null },
    {
      granularity: "week",
      label: "Week",
      reason: days < 28 ? "Weeks are for 28 days and more." : null,
    },
    {
      granularity: "month",
      label: "Month",
      reason: days < 90 ? "Months are for 90 days and more." : null,
    },
  ];
}

interface Wish {
  wanted: string | null;
  finest: "hour" | "day";
  areHoursKept: boolean;
}

/** The granularity to ask for: the wanted one where it fits, else the finest that does. */
export function granularityFor(period: Period, wish: Wish): Granularity {
  const steps = stepsOf(period)
    .filter(({ reason }) => reason === null)
    .map(({ granularity }) => granularity)
    .filter((granularity) => granularity !== "hour" || wish.finest === "hour");
  const found = steps.find((granularity) => granularity === wish.wanted);
  if (found !== undefined) return found;
  // A day of which the hours are gone is one step: better than none.
  return wish.areHoursKept ? (steps[0] ?? "day") : "day";
}

/** Seconds that one step lasts, about: enough to tell how wide it is drawn. */
export const STEP_S: Record<Granularity, number> = {
  hour: 3600,
  day: 86_400,
  week: 7 * 86_400,
  month: 30 * 86_400,
};

export const PER: Record<Granularity, string> = {
  hour: "per hour",
  day: "per day",
  week: "per week",
  month: "per month",
};
