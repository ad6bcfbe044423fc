// From a widget to the question it asks, and from answers to what is drawn.

import type {
  Client,
  CountersAnswer,
  ExperimentsAnswer,
  MarketplaceAnswer,
  RevenueAnswer,
  ServicesAnswer,
  UsersAnswer,
} from "@tallymark/client";
import { counterKeyOf, familyOf, FILTERS, type Family } from "../metrics.js";
import { granularityFor, rangeOf, spanOf, type Granularity } from "../ranges.js";
import type { WidgetConfig } from "../types.js";

export type Answer =
  | { family: "services"; answer: ServicesAnswer }
  | { family: "revenue"; answer: RevenueAnswer }
  | { family: "marketplace"; answer: MarketplaceAnswer }
  | { family: "experiments"; answer: ExperimentsAnswer }
  | { family: "users"; answer: UsersAnswer }
  | { family: "counters"; answer: CountersAnswer };

/** All that decides the answer but the present: widgets with equal questions share one. */
export interface Question {
  family: Family;
  range: ReturnType<typeof rangeOf>["value"];
  timezone: string;
  granularity: Granularity | null;
  isCompared: boolean;
  limit: number;
  filters: Record<string, string>;
  keys: string[];
}

const ROWS_DEFAULT = 10;

export function questionOf(widget: WidgetConfig, timezone: string): Question {
  const family = familyOf(widget.metric);
  const { blockType: kind } = widget;
  const isSeries = (kind === "lineChart" || kind === "barChart") && !isRanked(widget);
  const finest = family === "users" ? "day" : "hour";
  const range = rangeOf(widget.range).value;
  const given = FILTERS[family].map((name) => [name, widget.filters?.[name]?.trim()] as const);
  return {
    family,
    range,
    timezone,
    granularity: isSeries ? granularityFor(range, finest, kind) : null,
    isCompared: kind === "counter",
    limit: isRanked(widget) ? (widget.limit ?? ROWS_DEFAULT) : 1,
    filters: Object.fromEntries(given.filter((one): one is [(typeof one)[0], string] => Boolean(one[1]))),
    keys: family === "counters" ? [counterKeyOf(widget.metric)] : [],
  };
}

/** Whether a widget shows rows, the largest first, and not steps of time. */
export const isRanked = ({ blockType, metric }: WidgetConfig): boolean =>
  blockType === "table" || (blockType === "barChart" && RANKED.test(metric));

const RANKED = /^(services\.services|experiments\..*|(revenue|marketplace)\.top.*)$/;

/** Ask it as of now. */
export async function ask(client: Client, question: Question, nowMs: number): Promise<Answer> {
  const { family, range, timezone, granularity, isCompared, limit, filters } = question;
  if (family === "counters") return { family, answer: await client.counters(question.keys) };
  const asked = {
    ...spanOf(range, timezone, nowMs, family === "users" ? "day" : "hour"),
    timezone,
    ...filters,
    ...(granularity && { granularity }),
  };
  const compared = isCompared ? { compare: "previous" as const } : {};
  switch (family) {
    case "services":
      return { family, answer: await client.services({ ...asked, ...compared, limit }) };
    case "revenue":
      return { family, answer: await client.revenue({ ...asked, ...compared, limit }) };
    case "marketplace":
      return { family, answer: await client.marketplace({ ...asked, ...compared, limit }) };
    case "experiments":
      return { family, answer: await client.experiments(asked) };
    case "users":
      return { family, answer: await client.users({ ...asked, ...compared }) };
  }
}

export interface Scalar {
  now: number | null;
  before: number | null;
  /** Why there is no figure, where the service says so. */
  reason: string | null;
}

/** The one figure of a counter. */
export function scalarOf(found: Answer, field: string): Scalar {
  if (found.family === "experiments") return { now: null, before: null, reason: null };
  if (found.family === "counters") return { now: found.answer.data[field] ?? null, before: null, reason: null };
  if (found.family === "services") {
    const { total, previous } = found.answer;
    return { now: ofServices(total, field), before: previous ? ofServices(previous, field) : null, reason: null };
  }
  const { data, previous } = found.answer;
  const reason = "reason" in data ? data.reason : null;
  return { now: numberIn(data, field), before: previous ? numberIn(previous, field) : null, reason };
}

function ofServices(row: ServicesAnswer["total"], field: string): number | null {
  if (field === "errors") return Object.values(row.errors).reduce((sum, count) => sum + count, 0);
  return numberIn(row, field) ?? numberIn(row.latency, field);
}

function numberIn(holder: object, field: string): number | null {
  const value = (holder as Record<string, unknown>)[field];
  return typeof value === "number" ? value : null;
}

/** '' where the answer does not say it. */
export const currencyOf = (found: Answer): string => (found.family === "revenue" ? found.answer.data.currency : "");

export interface Line {
  label: string;
  values: (number | null)[];
}

export interface Series {
  /** The beginning of each step, as the service wrote it. */
  starts: string[];
  lines: Line[];
}

const PERCENTILES = ["p50", "p95", "p99"];

/** The steps that have begun; what lies ahead is not zero. */
export function seriesOf(found: Answer, field: string, label: string, nowMs: number): Series {
  const steps = stepsOf(found).filter(({ start }) => Date.parse(start) <= nowMs);
  const fields = field === "latency" ? PERCENTILES : [field];
  return {
    starts: steps.map(({ start }) => start),
    lines: fields.map((name) => ({
      label: fields.length > 1 ? name : label,
      values: steps.map((step) => stepValue(step, name)),
    })),
  };
}

function stepsOf(found: Answer): { start: string }[] {
  if (found.family === "services") return found.answer.series ?? [];
  if (found.family === "experiments" || found.family === "counters") return [];
  return found.answer.data.series ?? [];
}

/** Rates are made of the counts of their step, which is what they are. */
function stepValue(step: object, field: string): number | null {
  const part = (top: string, whole: string): number | null => {
    const [share, all] = [numberIn(step, top), numberIn(step, whole)];
    return share === null || !all ? null : (100 * share) / all;
  };
  if (field === "errorRate") return part("errors", "executions");
  if (field === "conversionRate") return part("conversions", "views");
  return numberIn(step, field);
}

/** Whether there is anything to draw: a line along zero tells less than a sentence. */
export const isEmptySeries = ({ lines }: Series): boolean =>
  lines.every(({ values }) => values.every((value) => value === null || value === 0));
