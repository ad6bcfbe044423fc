// What a view is seen through: period, zone, granularity and comparison, all from the address.

import { useEffect, useMemo } from "preact/hooks";
import { Problem, answerTo, keyAsked, url } from "./api";
import { STEP_S, beforeMs, granularityFor, hasDates, isBeforeOfDays, periodOf, type Period } from "./period";
import { createStore, useStore } from "./store";
import { remember, remembered } from "./theme";
import { DAY_MS, HOUR_MS, haveSameHours, isZone, monthDay, zoneName } from "./time";
import { toast } from "./toasts";
import type { Granularity, Health, MarketplaceAnswer, Settings } from "./types";
import { route, setQuery, type Route } from "./url";

/** The clock of the page, in steps: what is derived from it changes only when it must. */
const TICK_MS = 15_000;
export const clockMs = createStore(Date.now());
setInterval(() => clockMs.set(Date.now()), TICK_MS);

/** The service's reporting zone; null until it has told it. */
export const reportingZone = createStore<string | null>(null);
export const settings = createStore<Settings>({});

/** Whether the service had ever seen an event when the page was opened. */
export const wasEmpty = createStore(false);

/** Whether every event is kept as a row, for SQL to ask. */
export const hasArchive = createStore(true);

/** The instant of the earliest event of all; 0 where that is not known. */
const firstEventMs = createStore(0);

const STORED_ZONE = "tallymark.zone";

/**
 * Learn the service's settings. Who was here before need not wait for the zone: it is chosen once
 * for a data folder, and is put right if this is another one.
 *
 * An older service does not tell its zone, but every answer says the one that it was cut in.
 */
export async function findSettings(): Promise<void> {
  const last = remembered(STORED_ZONE);
  if (last !== null && isZone(last)) reportingZone.set(last);
  const health = await answerTo<Health>("/health");
  if (health.version === undefined) {
    keyAsked.set(true);
    throw new Problem(401, "The service asks for a key.");
  }
  const told = health.settings ?? {};
  settings.set(told);
  wasEmpty.set(health.events === 0);
  hasArchive.set(health.archive?.state !== "off");
  firstEventMs.set(health.archive?.firstMs ?? 0);
  const zone = told.timezone ?? (await zoneOfAnswers());
  reportingZone.set(zone);
  // Not before there are events: the page of a newcomer must not begin with empty figures.
  remember(STORED_ZONE, health.events === 0 ? null : zone);
}

async function zoneOfAnswers(): Promise<string> {
  const answer = await answerTo<MarketplaceAnswer>(url("/metrics/marketplace", { limit: 1 }));
  return answer.range.timezone;
}

const KEEP_HOURS_DAYS = 8;

/** Whether the service still tells the hours of a period that begins then. */
export function areHoursKept(startMs: number, nowMs: number): boolean {
  return nowMs - startMs <= (settings.get().keepHoursDays ?? KEEP_HOURS_DAYS) * DAY_MS;
}

export const REFRESH_MS = 30_000;
const COMPARED_DAYS_MAX = 200;

/** Why a period cannot be compared with the one before; null where it can. */
function compareReasonOf(period: Period, { zone, home, nowMs, firstMs }: {
  zone: string;
  home: string;
  nowMs: number;
  firstMs: number;
}): string | null {
  if (period.days > COMPARED_DAYS_MAX) return "The period before is no longer kept whole.";
  const sinceMs = beforeMs(period, zone);
  // Whole days of the reporting zone are kept as such; all else is made of hours.
  if (!isBeforeOfDays(period, zone, home) && !areHoursKept(sinceMs, nowMs)) {
    return "The period before needs hours that are no longer kept.";
  }
  // A first day, or hour, that began without us is not what spoils a comparison.
  const missingMs = firstMs - sinceMs;
  if (missingMs < (period.days < 2 ? HOUR_MS : DAY_MS)) return null;
  return `There are no events before ${monthDay(firstMs, zone)}: the period before was not counted whole.`;
}

export interface ViewDefaults {
  range: string;
  /** The finest step that makes sense here. */
  finest: "hour" | "day";
}

export interface View {
  route: Route;
  zone: string;
  reportingZone: string;
  nowMs: number;
  period: Period;
  granularity: Granularity;
  isCompared: boolean;
  /** Why there is no comparison; null where there can be one. */
  compareReason: string | null;
  /** startDate, endDate and timezone of every question of this view. */
  params: { startDate: string; endDate: string; timezone?: string };
  /** How often figures are asked for anew: never, where the period is over. */
  refreshMs: number;
}

/** Say that a value of the address means nothing, and take it out: what is shown must not differ from it. */
function complain(parameter: string, value: string, { name, instead }: { name: string; instead: string }): void {
  toast(`“${value}” is no ${name} that this page knows. ${instead}`);
  setQuery({ [parameter]: null }, { replace: true });
}

/** The value of a parameter of the address where it is one that is known, else null; then the reader is told. */
export function useKnown(here: Route, parameter: string, isKnown: (value: string) => boolean, instead: string): string | null {
  const value = here.query[parameter];
  const isOdd = value !== undefined && !isKnown(value);
  useEffect(() => {
    if (isOdd) complain(parameter, value, { name: parameter, instead });
  }, [parameter, value]);
  return isOdd ? null : (value ?? null);
}

const isGranularity = (word: string): boolean => Object.hasOwn(STEP_S, word);
const isComparison = (word: string): boolean => word === "off" || word === "previous";

export function useView(defaults: ViewDefaults): View {
  const here = useStore(route, (value) => value);
  const home = useStore(reportingZone, (value) => value) ?? "UTC";
  const nowMs = useStore(clockMs, (value) => value);
  const asked = here.query["tz"];
  const isKnownZone = asked === undefined || (isZone(asked) && haveSameHours(asked, home, nowMs));
  const zone = asked !== undefined && isKnownZone ? asked : home;
  const word = here.query["range"] ?? defaults.range;
  const found = useMemo(() => periodOf(word, zone, nowMs), [word, zone, nowMs]);
  const period = found ?? periodOf(defaults.range, zone, nowMs);
  if (period === null) throw new Error(`the default range ${defaults.range} means nothing`);
  useEffect(() => {
    if (found === null) complain("range", word, { name: "range", instead: `It shows ${period.label.toLowerCase()}.` });
    if (isKnownZone) return;
    if (!isZone(asked)) complain("tz", asked, { name: "time zone", instead: `It shows ${zone}.` });
    else {
      toast(zoneReason(asked, home));
      setQuery({ tz: null }, { replace: true });
    }
  }, [word, asked]);
  const wanted = useKnown(here, "granularity", isGranularity, "It shows the steps that fit the period.");
  const comparison = useKnown(here, "compare", isComparison, "It compares with the period before.");
  const firstMs = useStore(firstEventMs, (value) => value);
  const compareReason = compareReasonOf(period, { zone, home, nowMs, firstMs });
  const granularity = granularityFor(period, {
    wanted,
    finest: defaults.finest,
    areHoursKept: areHoursKept(period.startMs, nowMs),
  });
  return {
    route: here,
    zone,
    reportingZone: home,
    nowMs,
    period,
    granularity,
    isCompared: comparison !== "off" && compareReason === null,
    compareReason,
    params: {
      startDate: period.start,
      endDate: period.end,
      ...(zone === home ? {} : { timezone: zone }),
    },
    refreshMs: period.isRunning ? REFRESH_MS : 0,
  };
}

/** The last day that there can be figures of: "Nov 22". */
export const lastDayOf = ({ period, nowMs, zone }: View): string =>
  monthDay(Math.min(period.endMs - 1, nowMs), zone);

/** Why a zone cannot be chosen. */
export const zoneReason = (zone: string, home: string): string =>
  `Figures are kept for whole hours of ${zoneName(home)}, and those of ${zoneName(zone)} begin at other minutes.`;

/** The same for a widget with a period of its own. */
export function isComparable(view: View, period: Period): boolean {
  const { zone, reportingZone: home, nowMs } = view;
  const reason = compareReasonOf(period, { zone, home, nowMs, firstMs: firstEventMs.get() });
  return view.route.query["compare"] !== "off" && reason === null;
}

/** The parameters of the period before, for its own series. */
export function previousParams(view: View): View["params"] {
  const { period, params } = view;
  if (!hasDates(period)) {
    const length = period.endMs - period.startMs;
    const [start, end] = [period.startMs - length, period.startMs];
    return { ...params, startDate: new Date(start).toISOString(), endDate: new Date(end).toISOString() };
  }
  const back = (date: string): string =>
    new Date(Date.parse(`${date}T00:00:00Z`) - period.days * 86_400_000).toISOString().slice(0, 10);
  return { ...params, startDate: back(period.start), endDate: back(period.end) };
}
