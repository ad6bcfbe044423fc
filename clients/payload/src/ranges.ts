// The periods that widgets show, relative to now, as the parameters of a question.

export const RANGES = [
  { value: "today", label: "Today", previous: "yesterday", days: 1 },
  { value: "24h", label: "Last 24 hours", previous: "the 24 hours before", days: 1 },
  { value: "7d", label: "Last 7 days", previous: "the 7 days before", days: 7 },
  { value: "28d", label: "Last 28 days", previous: "the 28 days before", days: 28 },
  { value: "30d", label: "Last 30 days", previous: "the 30 days before", days: 30 },
  { value: "90d", label: "Last 90 days", previous: "the 90 days before", days: 90 },
] as const;

export type RangeName = (typeof RANGES)[number]["value"];
export type Granularity = "hour" | "day";

export const DEFAULT_RANGE: RangeName = "7d";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** What is known of a range; that of the default where the name is none. */
export const rangeOf = (name: string | null | undefined): (typeof RANGES)[number] =>
  RANGES.find(({ value }) => value === name) ?? rangeOf(DEFAULT_RANGE);

export interface Span {
  startDate: string;
  endDate: string;
}

/**
 * startDate and endDate of a range as of now. Whole days of the zone; the last 24 hours end with
 * the running hour, except where days are the smallest that can be asked for.
 */
export function spanOf(name: RangeName, zone: string, nowMs: number, finest: Granularity): Span {
  if (name === "24h" && finest === "hour") {
    const endMs = (Math.floor(nowMs / HOUR_MS) + 1) * HOUR_MS;
    return { startDate: new Date(endMs - DAY_MS).toISOString(), endDate: new Date(endMs).toISOString() };
  }
  const today = dateIn(zone, nowMs);
  const first = Date.parse(`${today}T00:00:00Z`) - (rangeOf(name).days - 1) * DAY_MS;
  return { startDate: new Date(first).toISOString().slice(0, 10), endDate: today };
}

/** The finest step that still reads: hours in lines of up to a week, in bars of a day. */
export function granularityFor(name: RangeName, finest: Granularity, kind: "lineChart" | "barChart"): Granularity {
  const daysMax = kind === "lineChart" ? 7 : 1;
  return finest === "hour" && rangeOf(name).days <= daysMax ? "hour" : "day";
}

/** The calendar date of an instant: "2026-11-30". */
export function dateIn(zone: string, ms: number): string {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  }).formatToParts(ms);
  const part = (type: string) => parts.find((one) => one.type === type)?.value ?? "";
  return `${part("year")}-${part("month")}-${part("day")}`;
}

export function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat("en-US", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
