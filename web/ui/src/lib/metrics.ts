// What a widget can show: the figures of each family, how they are read from answers, and drawn.

import type { Scaled } from "./axis";
import { count, counted, duration, durationTick, money, moneyTick, percent, plain, short, type Figure } from "./format";
import type { Good, Measure } from "./change";
import type {
  MarketplaceAnswer, RevenueAnswer, ServicesAnswer, UsersAnswer, WidgetKind,
} from "./types";

export type Family = "services" | "revenue" | "marketplace" | "experiments" | "users" | "counters" | "sql";

type Format = "count" | "duration" | "rate" | "share" | "money";

export interface Metric {
  /** "services.p95" */
  name: string;
  label: string;
  kinds: readonly WidgetKind[];
  format: Format;
  measure: Measure;
  good: Good;
}

const SCALAR: readonly WidgetKind[] = ["counter"];
const SERIES: readonly WidgetKind[] = ["counter", "lineChart", "barChart"];
const LINES: readonly WidgetKind[] = ["lineChart", "barChart"];

function metric(
  name: string, label: string, kinds: readonly WidgetKind[], format: Format, good: Good = "neutral",
): Metric {
  const measure = format === "duration" ? "latency" : format === "rate" || format === "share" ? "rate" : "amount";
  return { name, label, kinds, format, measure, good };
}

export const METRICS: readonly Metric[] = [
  metric("services.executions", "Executions", SERIES, "count", "up"),
  metric("services.errors", "Errors", SERIES, "count", "down"),
  metric("services.errorRate", "Error rate", SERIES, "rate", "down"),
  metric("services.successRate", "Success rate", SCALAR, "rate", "up"),
  metric("services.p50", "p50 latency", SERIES, "duration", "down"),
  metric("services.p95", "p95 latency", SERIES, "duration", "down"),
  metric("services.p99", "p99 latency", SERIES, "duration", "down"),
  metric("services.avg", "Mean latency", SCALAR, "duration", "down"),
  metric("services.max", "Slowest execution", SCALAR, "duration", "down"),
  metric("services.latency", "Latency: p50, p95, p99", ["lineChart"], "duration", "down"),
  metric("services.services", "Services", ["table"], "count"),
  metric("revenue.gmv", "GMV", SERIES, "money", "up"),
  metric("revenue.mrr", "MRR", SCALAR, "money", "up"),
  metric("revenue.takeRate", "Take rate", SCALAR, "share"),
  metric("revenue.creatorEarnings", "Creator earnings", SCALAR, "money", "up"),
  metric("revenue.transactionCount", "Orders", SERIES, "count", "up"),
  metric("revenue.avgOrderValue", "Average order", SCALAR, "money", "up"),
  metric("revenue.refunds", "Refunds", SERIES, "money", "down"),
  metric("revenue.fees", "Fees", SCALAR, "money"),
  metric("revenue.topServices", "Top services by GMV", ["table"], "money"),
  metric("revenue.byCurrency", "By currency", ["table"], "money"),
  metric("marketplace.searches", "Searches", SERIES, "count"),
  metric("marketplace.views", "Views", SERIES, "count", "up"),
  metric("marketplace.conversions", "Conversions", SERIES, "count", "up"),
  metric("marketplace.conversionRate", "Conversion rate", SERIES, "rate", "up"),
  metric("marketplace.funnel", "Search to conversion", ["funnel"], "count"),
  metric("marketplace.topServices", "Top services by views", ["table"], "count"),
  metric("marketplace.topCategories", "Categories by views", ["table"], "count"),
  metric("marketplace.topSearches", "Search terms", ["table"], "count"),
  metric("experiments.variants", "Variants", ["table"], "rate"),
  metric("experiments.unitRate", "Rates of variants", ["barChart"], "rate"),
  metric("users.dau", "Daily active", SERIES, "count", "up"),
  metric("users.mau", "Monthly active", SERIES, "count", "up"),
  metric("users.newUsers", "New users", SERIES, "count", "up"),
  metric("users.sessions", "Sessions", SERIES, "count"),
  metric("users.avgSessionDuration", "Session length", SCALAR, "duration"),
  metric("users.churnRate", "Churn", SCALAR, "share", "down"),
  metric("users.curve", "Retention", LINES, "share", "up"),
  metric("counters.executions:today", "Executions today, live", SCALAR, "count"),
  metric("counters.errors:today", "Errors today, live", SCALAR, "count"),
  metric("counters.revenue:today", "Revenue today, live", SCALAR, "money"),
  metric("counters.activeUsers:5m", "Active users, live", SCALAR, "count"),
  metric("counters.searches:today", "Searches today, live", SCALAR, "count"),
  metric("counters.conversions:today", "Conversions today, live", SCALAR, "count"),
  metric("sql", "SQL query", ["table", "lineChart", "barChart", "counter"], "count"),
];

export function metricOf(name: string): Metric {
  const known = METRICS.find((one) => one.name === name);
  return known ?? metric(name, name.split(".").slice(1).join(".") || name, [], "count");
}

export const familyOf = (name: string): Family => name.split(".")[0] as Family;

export const fieldOf = (name: string): string => name.slice(name.indexOf(".") + 1);

export interface Drawn {
  figure: (value: number | null) => Figure;
  text: (value: number) => string;
  tick: (value: number) => string;
  scaled: Scaled;
}

export function drawnAs({ format }: Metric, currency: string): Drawn {
  switch (format) {
    case "count":
      return { figure: counted, text: count, tick: short, scaled: "counts" };
    case "duration":
      return { figure: duration, text: (ms) => plain(duration(ms)), tick: durationTick, scaled: "durations" };
    case "rate":
    case "share": {
      const places = format === "rate" ? 2 : 1;
      return {
        figure: (value) => percent(value, places),
        text: (value) => plain(percent(value, places)),
        tick: (value) => plain(percent(value, Number.isInteger(value) ? 0 : 1)),
        scaled: "others",
      };
    }
    case "money":
      return {
        figure: (value) => money(value, currency),
        text: (value) => plain(money(value, currency)),
        tick: (value) => moneyTick(value, currency),
        scaled: "others",
      };
  }
}

type Answers = ServicesAnswer | RevenueAnswer | MarketplaceAnswer | UsersAnswer;

const numberIn = (holder: unknown, field: string): number | null => {
  const value = (holder as Record<string, unknown> | undefined)?.[field];
  return typeof value === "number" ? value : null;
};

/** The one figure of a metric; `previous` takes that of the period before. */
export function scalarOf(family: Family, field: string, answer: Answers, which: "now" | "previous"): number | null {
  if (family === "services") {
    const services = answer as ServicesAnswer;
    const figures = which === "now" ? services.total : services.previous;
    if (figures === undefined) return null;
    if (field === "errors") return Object.values(figures.errors).reduce((sum, n) => sum + n, 0);
    return numberIn(figures, field) ?? numberIn(figures.latency, field);
  }
  const other = answer as { data: unknown; previous?: unknown };
  return numberIn(which === "now" ? other.data : other.previous, field);
}

export function seriesOf(family: Family, answer: Answers): { start: string }[] {
  if (family === "services") return (answer as ServicesAnswer).series ?? [];
  return (answer as RevenueAnswer).data.series ?? [];
}

/** One step of a series; rates are made of its counts, which is what they are. */
export function stepValue(field: string, row: { start: string }): number | null {
  const part = (top: string, whole: string): number | null => {
    const [share, all] = [numberIn(row, top), numberIn(row, whole)];
    return share === null || all === null || all === 0 ? null : (100 * share) / all;
  };
  if (field === "errorRate") return part("errors", "executions");
  if (field === "conversionRate") return part("conversions", "views");
  return numberIn(row, field);
}

/**
 * Whether a widget of this kind can show the metric. By the API any name can be kept; what it does
 * not know the page draws all the same where the answer has it.
 */
export function canShow(kind: WidgetKind, name: string, answer: Answers): boolean {
  const [family, field] = [familyOf(name), fieldOf(name)];
  const isFigure = family === "services" || family === "revenue" || family === "marketplace" || family === "users";
  if (!isFigure || kind === "funnel" || metricOf(name).kinds.includes(kind)) return true;
  if (kind === "table") return false;
  if (kind === "counter") return scalarOf(family, field, answer, "now") !== null;
  return field === "latency" || seriesOf(family, answer).some((row) => stepValue(field, row) !== null);
}
