// What widgets can show: the figures of each family, which widget draws them, and how they read.

export type WidgetKind = "counter" | "lineChart" | "barChart" | "table" | "funnel";
export type Family = "services" | "revenue" | "marketplace" | "experiments" | "users" | "counters";
export type Format = "count" | "duration" | "percent" | "money";
/** Whether more of it is welcome, unwelcome, or neither. */
export type Good = "up" | "down" | "neutral";

export interface Metric {
  /**
   * The family and the figure, as in Tallymark's own dashboards: "services.p95". But a counter is
   * "counters.executions.today": GraphQL, for which Payload makes a name of it, knows no colon.
   */
  name: string;
  label: string;
  kinds: readonly WidgetKind[];
  format: Format;
  good: Good;
}

const FIGURE: readonly WidgetKind[] = ["counter"];
const SERIES: readonly WidgetKind[] = ["counter", "lineChart", "barChart"];
const RANKED: readonly WidgetKind[] = ["table", "barChart"];

function metric(
  name: string,
  label: string,
  kinds: readonly WidgetKind[],
  format: Format,
  good: Good = "neutral",
): Metric {
  return { name, label, kinds, format, good };
}

export const METRICS: readonly Metric[] = [
  metric("services.executions", "Service executions", SERIES, "count", "up"),
  metric("services.errors", "Failed executions", SERIES, "count", "down"),
  metric("services.errorRate", "Error rate", SERIES, "percent", "down"),
  metric("services.successRate", "Success rate", FIGURE, "percent", "up"),
  metric("services.latency", "Latency: p50, p95, p99", ["lineChart"], "duration", "down"),
  metric("services.p50", "p50 latency", SERIES, "duration", "down"),
  metric("services.p95", "p95 latency", SERIES, "duration", "down"),
  metric("services.p99", "p99 latency", SERIES, "duration", "down"),
  metric("services.avg", "Mean latency", FIGURE, "duration", "down"),
  metric("services.services", "Top services by executions", RANKED, "count"),
  metric("revenue.gmv", "GMV", SERIES, "money", "up"),
  metric("revenue.mrr", "MRR", FIGURE, "money", "up"),
  metric("revenue.takeRate", "Take rate", FIGURE, "percent"),
  metric("revenue.creatorEarnings", "Creator earnings", FIGURE, "money", "up"),
  metric("revenue.transactionCount", "Orders", SERIES, "count", "up"),
  metric("revenue.avgOrderValue", "Average order", FIGURE, "money", "up"),
  metric("revenue.refunds", "Refunds", SERIES, "money", "down"),
  metric("revenue.fees", "Fees", FIGURE, "money"),
  metric("revenue.topServices", "Top services by GMV", RANKED, "money"),
  metric("revenue.byCurrency", "Revenue by currency", ["table"], "money"),
  metric("marketplace.searches", "Searches", SERIES, "count"),
  metric("marketplace.views", "Views", SERIES, "count", "up"),
  metric("marketplace.conversions", "Conversions", SERIES, "count", "up"),
  metric("marketplace.conversionRate", "Conversion rate", SERIES, "percent", "up"),
  metric("marketplace.funnel", "Search to conversion", ["funnel"], "count"),
  metric("marketplace.topServices", "Top services by views", RANKED, "count"),
  metric("marketplace.topCategories", "Categories by views", RANKED, "count"),
  metric("marketplace.topSearches", "Search terms", RANKED, "count"),
  metric("experiments.variants", "Variants of experiments", ["table"], "percent"),
  metric("experiments.unitRate", "Conversion of variants", ["barChart"], "percent"),
  metric("users.dau", "Daily active users", SERIES, "count", "up"),
  metric("users.mau", "Monthly active users", SERIES, "count", "up"),
  metric("users.newUsers", "New users", SERIES, "count", "up"),
  metric("users.sessions", "Sessions", SERIES, "count"),
  metric("users.avgSessionDuration", "Mean session", FIGURE, "duration"),
  metric("users.churnRate", "Churn", FIGURE, "percent", "down"),
  metric("counters.executions.today", "Executions today", FIGURE, "count", "up"),
  metric("counters.errors.today", "Failed executions today", FIGURE, "count", "down"),
  metric("counters.revenue.today", "Revenue today", FIGURE, "money", "up"),
  metric("counters.views.today", "Views today", FIGURE, "count", "up"),
  metric("counters.searches.today", "Searches today", FIGURE, "count"),
  metric("counters.conversions.today", "Conversions today", FIGURE, "count", "up"),
  metric("counters.sessions.today", "Sessions today", FIGURE, "count"),
  metric("counters.activeUsers.5m", "Active users, last 5 minutes", FIGURE, "count", "up"),
];

export const metricOf = (name: string): Metric | undefined => METRICS.find((one) => one.name === name);

export const metricsFor = (kind: WidgetKind): readonly Metric[] => METRICS.filter(({ kinds }) => kinds.includes(kind));

export const familyOf = (name: string): Family => name.split(".", 1)[0] as Family;

export const fieldOf = (name: string): string => name.slice(name.indexOf(".") + 1);

/** What the service calls a counter: "executions:today". */
export const counterKeyOf = (name: string): string => fieldOf(name).replace(".", ":");

export type FilterName = "serviceId" | "category" | "creatorId" | "currency" | "experimentId";

/** The filters that a family's route takes; a widget of it ignores all others. */
export const FILTERS: Readonly<Record<Family, readonly FilterName[]>> = {
  services: ["serviceId", "category"],
  revenue: ["serviceId", "creatorId", "currency"],
  marketplace: ["serviceId", "category"],
  experiments: ["experimentId"],
  users: [],
  counters: [],
};

export const isFilterOf = (metricName: unknown, filter: FilterName): boolean =>
  typeof metricName === "string" && (FILTERS[familyOf(metricName)] ?? []).includes(filter);
