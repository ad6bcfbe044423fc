// Figures as people read them, in the language of the browser; with no-break spaces and true minus signs.

import type { Format } from "../metrics.js";

const NBSP = "\u00a0";
export const UNKNOWN = "–";

export interface Shown {
  /** In full, for figures and tables. */
  text: (value: number | null | undefined) => string;
  /** As short as it goes, for axes. */
  tick: (value: number) => string;
}

export function shownAs(format: Format, currency: string): Shown {
  const { text, tick } = WAYS[format](currency);
  return { text: (value) => (value == null ? UNKNOWN : minus(text(value))), tick: (value) => minus(tick(value)) };
}

type Way = (currency: string) => { text: (value: number) => string; tick: (value: number) => string };

const WAYS: Readonly<Record<Format, Way>> = {
  count: () => ({ text: (value) => decimal(value, 0), tick: short }),
  duration: () => ({ text: duration, tick: (value) => (value === 0 ? "0" : duration(value)) }),
  percent: () => ({
    text: (value) => (value !== 0 && Math.abs(value) < 0.005 ? `<${NBSP}${decimal(0.01, 2)}` : decimal(value, 2)) + `${NBSP}%`,
    tick: (value) => `${numbers({ maximumFractionDigits: 1 }).format(value)}${NBSP}%`,
  }),
  // The live counter of revenue does not say its currency.
  money: (currency) => currency === "" ? { text: (value) => decimal(value, 2), tick: short } : ({
    text: (value) => numbers({ style: "currency", currency }).format(value),
    tick: (value) => numbers({ style: "currency", currency, notation: "compact", minimumFractionDigits: 0, maximumFractionDigits: 1 }).format(value),
  }),
};

const formats = new Map<string, Intl.NumberFormat>();

function numbers(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = JSON.stringify(options);
  const format = formats.get(key) ?? new Intl.NumberFormat(undefined, options);
  formats.set(key, format);
  return format;
}

const decimal = (value: number, places: number): string =>
  numbers({ minimumFractionDigits: places, maximumFractionDigits: places }).format(value);

const short = (value: number): string => numbers({ notation: "compact", maximumFractionDigits: 2 }).format(value);

/** 8.4 ms, 842 ms, 1.24 s, 3 min 12 s. */
function duration(ms: number): string {
  if (ms < 9.95) return `${decimal(ms, ms === 0 ? 0 : 1)}${NBSP}ms`;
  if (ms < 999.5) return `${decimal(ms, 0)}${NBSP}ms`;
  if (ms < 59_950) return `${decimal(ms / 1000, ms < 9_995 ? 2 : 1)}${NBSP}s`;
  const seconds = Math.round(ms / 1000);
  return `${decimal(Math.floor(seconds / 60), 0)}${NBSP}min ${seconds % 60}${NBSP}s`;
}

const minus = (text: string): string => (/^-[0.,]*$/.test(text) ? text.slice(1) : text.replace("-", "\u2212"));

export interface Change {
  text: string;
  direction: "up" | "down" | "same";
}

/** From a figure to a later one: relative, and in points where the figure is a rate already. */
export function changeOf(format: Format, before: number, now: number): Change | null {
  const difference = now - before;
  const direction = difference > 0 ? "up" : difference < 0 ? "down" : "same";
  if (format === "percent") return { text: `${decimal(Math.abs(difference), 1)}${NBSP}pts`, direction };
  if (before === 0) return now === 0 ? { text: "no change", direction } : null;
  return { text: `${decimal((100 * Math.abs(difference)) / Math.abs(before), 1)}${NBSP}%`, direction };
}

/** "Mon 16 Nov" of days, "14:00" of hours, both where hours go over a midnight. */
export function stepName(iso: string, step: "hour" | "day", zone: string): string {
  const options: Intl.DateTimeFormatOptions =
    step === "day"
      ? { weekday: "short", day: "numeric", month: "short" }
      : { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat(undefined, { ...options, timeZone: zone }).format(Date.parse(iso));
}

export function stepTick(iso: string, step: "hour" | "day", zone: string, isOneDay: boolean): string {
  const options: Intl.DateTimeFormatOptions =
    step === "hour" && isOneDay
      ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }
      : { day: "numeric", month: "short" };
  return new Intl.DateTimeFormat(undefined, { ...options, timeZone: zone }).format(Date.parse(iso));
}

export const clockTime = (ms: number): string =>
  new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }).format(ms);
