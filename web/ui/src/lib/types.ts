// The answers of the service, as the page reads them; docs/metrics.md says what each figure means.

export type Granularity = "hour" | "day" | "week" | "month";

export interface Range {
  start: string;
  end: string;
  timezone: string;
  keptSince?: string;
}

export interface Latency {
  p50: number | null;
  p95: number | null;
  p99: number | null;
  avg: number | null;
  max: number | null;
}

export type Interval = [number, number];

export interface LatencyAccuracy {
  exact: boolean;
  p50: Interval | null;
  p95: Interval | null;
  p99: Interval | null;
}

export interface ServiceFigures {
  executions: number;
  latency: Latency;
  errorRate: number | null;
  successRate: number | null;
  errors: Record<string, number>;
  period: string;
  accuracy: LatencyAccuracy;
}

export interface ServiceRow extends ServiceFigures {
  serviceId: string;
  serviceName: string;
  category: string | null;
  trend?: number[];
  previous?: { executions: number; errorRate: number | null; p95: number | null };
}

export interface ServiceStep {
  start: string;
  executions: number;
  errors: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

export interface ServicesAnswer {
  data: ServiceRow[];
  total: ServiceFigures;
  rows: number;
  range: Range;
  series?: ServiceStep[];
  previous?: ServiceFigures;
}

export interface InCurrency {
  gmv: number | null;
  mrr: number | null;
  takeRate: number | null;
  creatorEarnings: number | null;
  transactionCount: number;
  avgOrderValue: number | null;
  grossGmv: number | null;
  refunds: number | null;
  fees: number | null;
}

export interface RevenueStep {
  start: string;
  gmv: number | null;
  transactionCount: number;
  refunds: number | null;
}

export interface RevenueFigures extends InCurrency {
  currency: string;
  reason: string | null;
  byCurrency: Record<string, InCurrency>;
  topServices: { id: string; name: string; gmv: number | null; transactionCount: number }[];
  period: string;
  series?: RevenueStep[];
}

export interface RevenueAnswer {
  data: RevenueFigures;
  range: Range;
  previous?: RevenueFigures;
}

export interface MarketplaceStep {
  start: string;
  searches: number;
  views: number;
  conversions: number;
}

export interface MarketplaceFigures {
  searches: number;
  views: number;
  conversions: number;
  conversionRate: number | null;
  topServices: { id: string; name: string; views: number }[];
  topCategories: { category: string; views: number }[];
  topSearches: { query: string; searches: number; withoutResult: number }[];
  period: string;
  series?: MarketplaceStep[];
}

export interface MarketplaceAnswer {
  data: MarketplaceFigures;
  range: Range;
  previous?: MarketplaceFigures;
}

export interface VariantRow {
  index: number;
  name: string;
  views: number;
  conversions: number;
  conversionRate: number | null;
  units: number;
  convertedUnits: number;
  unitRate: number | null;
  interval: Interval | null;
  lift: number | null;
  liftInterval: Interval | null;
  chanceToWin: number | null;
}

export interface ExperimentRow {
  experimentId: string;
  experimentName: string;
  startedAt: string;
  unitKind: "user" | "session" | "mixed" | "event";
  variants: VariantRow[];
  winner: number | null;
  confidence: number | null;
  pValue: number | null;
  alwaysValidP: number | null;
  srm: { p: number | null; expected: number[]; observed: number[] };
  multipleExposures: number;
  unitsNeeded: number | null;
  daysNeeded: number | null;
  sampleRate: number;
  period: string;
}

export interface ExperimentsAnswer {
  data: ExperimentRow[];
  range?: Range;
}

export interface DistinctAccuracy {
  exact: boolean;
  relativeError: number;
  level: number;
}

export interface UsersStep {
  start: string;
  dau: number;
  mau: number;
  newUsers: number;
  sessions: number;
}

export interface CohortRow {
  week: string;
  users: number;
  days: { day: number; percent: number | null; complete: boolean }[];
}

export interface UsersFigures {
  dau: number;
  mau: number;
  retention: { day1: number | null; day7: number | null; day30: number | null };
  avgSessionDuration: number | null;
  churnRate: number | null;
  avgDau: number | null;
  newUsers: number;
  sessions: number;
  curve: { day: number; percent: number | null; users: number }[];
  period: string;
  accuracy: {
    dau: DistinctAccuracy;
    mau: DistinctAccuracy;
    avgDau: DistinctAccuracy;
    newUsers: { exact: boolean; standardError: number };
    retention: { exact: boolean; sampleRate: number; standardError: Record<string, number> };
    churnRate: { exact: boolean; standardError: number };
  };
  cohorts?: CohortRow[];
  series?: UsersStep[];
}

export interface UsersAnswer {
  data: UsersFigures;
  range: Range;
  previous?: UsersFigures;
}

export type Counters = Record<string, number | null>;

export interface CountersAnswer {
  data: Counters;
}

/** What the page needs to know of the service's settings, where it tells them. */
export interface Settings {
  timezone?: string;
  reportingCurrency?: string;
  keepHoursDays?: number;
  loadRuns?: boolean;
  /** Whether the service asks for keys; who is told so has shown one. */
  keys?: boolean;
}

export interface Health {
  settings?: Settings;
  status: "ok" | "recovering" | "stopping" | "failed";
  /** Absent, as all but the status is, for whoever has no key. */
  version?: string;
  uptimeS: number;
  reason?: string;
  stream: { subscribers: number; limit: number };
  eventsPerSecond?: number;
  events?: number;
  duplicates?: number;
  queue?: { depth: number; limit: number; peak: number; bytes: number; inboxes: number[] };
  journal?: {
    lastSeq: number;
    sizeBytes: number;
    groups: number;
    durability: string;
    failure: string | null;
  };
  snapshot?: { seq: number; ageS: number | null };
  overCap?: Record<string, number>;
  archive?: {
    state: string;
    lag: number;
    files: number;
    rows: number;
    sizeBytes: number;
    /** The earliest event of all; null where that is not known. */
    firstMs?: number | null;
    reason: string | null;
  };
}

export type SqlValue = string | number | boolean | null;

export interface SqlAnswer {
  meta: { name: string; type: string }[];
  data: Record<string, SqlValue>[];
  rows: number;
}

export type WidgetKind = "counter" | "lineChart" | "barChart" | "table" | "funnel";

export interface Layout {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Widget {
  kind: WidgetKind;
  title: string;
  metric: string;
  filters: Record<string, string>;
  range: string | null;
  layout: Layout;
}

export type DashboardType =
  | "service_performance"
  | "revenue"
  | "marketplace"
  | "experiments"
  | "users"
  | "custom";

export interface DashboardBody {
  name: string;
  type: DashboardType;
  isActive: boolean;
  /** Its live counters follow the stream. */
  isLive: boolean;
  /** Seconds. */
  refreshInterval: number;
  description: string;
  widgets: Widget[];
}

export interface Dashboard extends DashboardBody {
  id: string;
  isShared: boolean;
  createdAt: string;
  updatedAt: string;
}

/** One second of a load run; latencies in ms. */
export interface LoadSecond {
  second: number;
  offered: number | null;
  events: number;
  errors: number;
  p50: number;
  p99: number;
  max: number;
}

export interface LoadRun {
  id: string;
  status: "running" | "finished" | "stopped" | "failed";
  profile: string;
  rate: number;
  durationS: number;
  target: "scratch" | "live";
  startedAt: string;
  requests: number;
  events: number;
  refused: Record<string, number>;
  unsent: number;
  latency: Record<string, number>;
  counts: { figure: string; acknowledged: number; unknown: number; counted: number; verdict: string }[];
  seconds?: LoadSecond[];
  reason?: string;
}

/** What the catalog says of a service or an experiment. */
export interface CatalogEntry {
  id: string;
  name: string;
  description: string;
  variants?: { index: number; name: string }[];
}

export interface ProblemBody {
  title?: string;
  status?: number;
  detail?: string;
}
