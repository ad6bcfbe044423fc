// Calendar arithmetic in a time zone, and instants as people read them. Epoch ms in, text out.

export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

export interface Local {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function dateFormat(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  let format = formats.get(key);
  if (format === undefined) {
    format = new Intl.DateTimeFormat(undefined, { timeZone: zone, ...options });
    formats.set(key, format);
  }
  return format;
}

const parts = new Map<string, Intl.DateTimeFormat>();

/** The wall clock of a zone at an instant. */
export function local(ms: number, zone: string): Local {
  let format = parts.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    parts.set(zone, format);
  }
  const found: Record<string, number> = {};
  for (const part of format.formatToParts(ms)) found[part.type] = Number(part.value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = found;
  return { year, month, day, hour, minute, second };
}

export function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat("en-US", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

export function zones(): string[] {
  return ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")];
}

/** When the hour of a zone began: there are zones whose hours begin at half past, and at a quarter. */
export function hourOf(ms: number, zone: string): number {
  const { minute, second } = local(ms, zone);
  return Math.floor(ms / 1000) * 1000 - (60 * minute + second) * 1000;
}

/** Whether the hours of two zones begin together, so that what is kept by one can be cut by the other. */
export function haveSameHours(zone: string, other: string, nowMs: number): boolean {
  return hourOf(nowMs, zone) === hourOf(nowMs, other);
}

const two = (value: number): string => String(value).padStart(2, "0");

export function isoDate(ms: number, zone: string): string {
  const { year, month, day } = local(ms, zone);
  return `${year}-${two(month)}-${two(day)}`;
}

/** A date some days later; dates are ISO texts, and need no zone. */
export function addDays(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

export function daysBetween(first: string, last: string): number {
  return Math.round((Date.parse(`${last}T00:00:00Z`) - Date.parse(`${first}T00:00:00Z`)) / DAY_MS);
}

/** The instant at which a wall clock shows this; in a gap of the clock, just after it. */
export function instant(date: string, zone: string, hour = 0, minute = 0): number {
  const wall = Date.parse(`${date}T${two(hour)}:${two(minute)}:00Z`);
  let guess = wall;
  for (let turn = 0; turn < 2; turn += 1) {
    const seen = local(guess, zone);
    const shown = Date.UTC(seen.year, seen.month - 1, seen.day, seen.hour, seen.minute);
    guess += wall - shown;
  }
  return guess;
}

export function clock(ms: number, zone: string): string {
  const { hour, minute } = local(ms, zone);
  return `${two(hour)}:${two(minute)}`;
}

export function clockWithSeconds(ms: number, zone: string): string {
  return `${clock(ms, zone)}:${two(local(ms, zone).second)}`;
}

/** "Nov 16" */
export function monthDay(ms: number, zone: string): string {
  return dateFormat(zone, { month: "short", day: "numeric" }).format(ms);
}

/** "Mon 16" */
export function weekdayDay(ms: number, zone: string): string {
  const weekday = dateFormat(zone, { weekday: "short" }).format(ms);
  return `${weekday} ${local(ms, zone).day}`;
}

/** "Nov 2026" */
export function monthYear(ms: number, zone: string): string {
  return dateFormat(zone, { month: "short", year: "numeric" }).format(ms);
}

/** "Wed Nov 18" */
export function fullDay(ms: number, zone: string): string {
  const weekday = dateFormat(zone, { weekday: "short" }).format(ms);
  return `${weekday} ${monthDay(ms, zone)}`;
}

const dateMs = (date: string): number => Date.parse(`${date}T12:00:00Z`);

/** "Nov 16 – 22", "Oct 26 – Nov 22", "Dec 3, 2025 – Jan 2, 2026"; the last day is included. */
export function dateSpan(first: string, last: string): string {
  const [from, to] = [dateMs(first), dateMs(last)];
  if (first === last) return monthDay(from, "UTC");
  if (first.slice(0, 4) !== last.slice(0, 4)) {
    return [from, to].map((at) => `${monthDay(at, "UTC")}, ${local(at, "UTC").year}`).join(" – ");
  }
  const start = monthDay(from, "UTC");
  if (first.slice(0, 7) === last.slice(0, 7) && /\d$/.test(start)) {
    return `${start} – ${local(to, "UTC").day}`;
  }
  return `${start} – ${monthDay(to, "UTC")}`;
}

/** The zone as it is shown beside a clock: "UTC", "Berlin", "New York". */
export function zoneName(zone: string): string {
  return (zone.split("/").at(-1) ?? zone).replaceAll("_", " ");
}
