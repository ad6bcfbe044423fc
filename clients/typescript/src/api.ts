// Written by scripts/types.mjs from /openapi.json; not to be changed by hand.

/** Why a request was refused (RFC 9457); `success` is for clients that look no further. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance?: string;
  errors?: Fault[];
  success?: false;
}

/** What is wrong with one event: its place in the batch, the JSON path in it, and why. */
export interface Fault {
  index: number;
  path: string;
  message: string;
}

/** The service by name, and where its routes and their description are. */
export interface Home {
  service: string;
  version: string;
  links: Record<string, string>;
}

/** One call of a service; its latency counts whether or not it succeeded. */
export interface ServiceExecution {
  eventType: "service_execution";
  eventId?: string | null;
  timestamp?: string | number | null;
  userId?: string | null;
  sessionId?: string | null;
  category?: string | null;
  serviceId: string;
  latencyMs: number;
  success: boolean;
  executionId?: string | null;
  errorCode?: string | null;
  serviceName?: string | null;
}

/** One payment; `refunded` carries the positive amount that is given back. */
export interface RevenueTransaction {
  eventType: "revenue_transaction";
  eventId?: string | null;
  timestamp?: string | number | null;
  userId?: string | null;
  sessionId?: string | null;
  category?: string | null;
  orderId: string;
  amount: number;
  currency: "AED" | "AFN" | "ALL" | "AMD" | "AOA" | "ARS" | "AUD" | "AWG" | "AZN" | "BAM" | "BBD" | "BDT" | "BGN" | "BHD" | "BIF" | "BMD" | "BND" | "BOB" | "BOV" | "BRL" | "BSD" | "BTN" | "BWP" | "BYN" | "BZD" | "CAD" | "CDF" | "CHE" | "CHF" | "CHW" | "CLF" | "CLP" | "CNY" | "COP" | "COU" | "CRC" | "CUP" | "CVE" | "CZK" | "DJF" | "DKK" | "DOP" | "DZD" | "EGP" | "ERN" | "ETB" | "EUR" | "FJD" | "FKP" | "GBP" | "GEL" | "GHS" | "GIP" | "GMD" | "GNF" | "GTQ" | "GYD" | "HKD" | "HNL" | "HTG" | "HUF" | "IDR" | "ILS" | "INR" | "IQD" | "IRR" | "ISK" | "JMD" | "JOD" | "JPY" | "KES" | "KGS" | "KHR" | "KMF" | "KPW" | "KRW" | "KWD" | "KYD" | "KZT" | "LAK" | "LBP" | "LKR" | "LRD" | "LSL" | "LYD" | "MAD" | "MDL" | "MGA" | "MKD" | "MMK" | "MNT" | "MOP" | "MRU" | "MUR" | "MVR" | "MWK" | "MXN" | "MXV" | "MYR" | "MZN" | "NAD" | "NGN" | "NIO" | "NOK" | "NPR" | "NZD" | "OMR" | "PAB" | "PEN" | "PGK" | "PHP" | "PKR" | "PLN" | "PYG" | "QAR" | "RON" | "RSD" | "RUB" | "RWF" | "SAR" | "SBD" | "SCR" | "SDG" | "SEK" | "SGD" | "SHP" | "SLE" | "SOS" | "SRD" | "SSP" | "STN" | "SVC" | "SYP" | "SZL" | "THB" | "TJS" | "TMT" | "TND" | "TOP" | "TRY" | "TTD" | "TWD" | "TZS" | "UAH" | "UGX" | "USD" | "USN" | "UYI" | "UYU" | "UYW" | "UZS" | "VED" | "VES" | "VND" | "VUV" | "WST" | "XAD" | "XAF" | "XAG" | "XAU" | "XBA" | "XBB" | "XBC" | "XBD" | "XCD" | "XCG" | "XDR" | "XOF" | "XPD" | "XPF" | "XPT" | "XSU" | "XTS" | "XUA" | "XXX" | "YER" | "ZAR" | "ZMW" | "ZWG";
  serviceId: string;
  takeRate?: number | null;
  creatorId?: string | null;
  status?: "completed" | "failed" | "refunded" | null;
  billingInterval?: "day" | "month" | "week" | "year" | null;
  billingIntervalCount?: number | null;
  subscriptionId?: string | null;
}

/** One search; a result count of 0 makes it a search that found nothing. */
export interface MarketplaceSearch {
  eventType: "marketplace_search";
  eventId?: string | null;
  timestamp?: string | number | null;
  userId?: string | null;
  sessionId?: string | null;
  category?: string | null;
  searchQuery: string;
  resultCount?: number | null;
}

/** One view of a service's page. */
export interface MarketplaceView {
  eventType: "marketplace_view";
  eventId?: string | null;
  timestamp?: string | number | null;
  userId?: string | null;
  sessionId?: string | null;
  category?: string | null;
  serviceId: string;
  serviceName?: string | null;
}

/** One purchase; revenue counts its amount only as a revenue_transaction. */
export interface MarketplaceConversion {
  eventType: "marketplace_conversion";
  eventId?: string | null;
  timestamp?: string | number | null;
  userId?: string | null;
  sessionId?: string | null;
  category?: string | null;
  serviceId: string;
  orderId?: string | null;
  amount?: number | null;
  currency?: "AED" | "AFN" | "ALL" | "AMD" | "AOA" | "ARS" | "AUD" | "AWG" | "AZN" | "BAM" | "BBD" | "BDT" | "BGN" | "BHD" | "BIF" | "BMD" | "BND" | "BOB" | "BOV" | "BRL" | "BSD" | "BTN" | "BWP" | "BYN" | "BZD" | "CAD" | "CDF" | "CHE" | "CHF" | "CHW" | "CLF" | "CLP" | "CNY" | "COP" | "COU" | "CRC" | "CUP" | "CVE" | "CZK" | "DJF" | "DKK" | "DOP" | "DZD" | "EGP" | "ERN" | "ETB" | "EUR" | "FJD" | "FKP" | "GBP" | "GEL" | "GHS" | "GIP" | "GMD" | "GNF" | "GTQ" | "GYD" | "HKD" | "HNL" | "HTG" | "HUF" | "IDR" | "ILS" | "INR" | "IQD" | "IRR" | "ISK" | "JMD" | "JOD" | "JPY" | "KES" | "KGS" | "KHR" | "KMF" | "KPW" | "KRW" | "KWD" | "KYD" | "KZT" | "LAK" | "LBP" | "LKR" | "LRD" | "LSL" | "LYD" | "MAD" | "MDL" | "MGA" | "MKD" | "MMK" | "MNT" | "MOP" | "MRU" | "MUR" | "MVR" | "MWK" | "MXN" | "MXV" | "MYR" | "MZN" | "NAD" | "NGN" | "NIO" | "NOK" | "NPR" | "NZD" | "OMR" | "PAB" | "PEN" | "PGK" | "PHP" | "PKR" | "PLN" | "PYG" | "QAR" | "RON" | "RSD" | "RUB" | "RWF" | "SAR" | "SBD" | "SCR" | "SDG" | "SEK" | "SGD" | "SHP" | "SLE" | "SOS" | "SRD" | "SSP" | "STN" | "SVC" | "SYP" | "SZL" | "THB" | "TJS" | "TMT" | "TND" | "TOP" | "TRY" | "TTD" | "TWD" | "TZS" | "UAH" | "UGX" | "USD" | "USN" | "UYI" | "UYU" | "UYW" | "UZS" | "VED" | "VES" | "VND" | "VUV" | "WST" | "XAD" | "XAF" | "XAG" | "XAU" | "XBA" | "XBB" | "XBC" | "XBD" | "XCD" | "XCG" | "XDR" | "XOF" | "XPD" | "XPF" | "XPT" | "XSU" | "XTS" | "XUA" | "XXX" | "YER" | "ZAR" | "ZMW" | "ZWG" | null;
}

/** One unit was shown one variant. */
export interface ExperimentView {
  eventType: "experiment_view";
  eventId?: string | null;
  timestamp?: string | number | null;
  userId?: string | null;
  sessionId?: string | null;
  category?: string | null;
  experimentId: string;
  variantIndex: number;
  experimentName?: string | null;
  variantName?: string | null;
}

/** One unit reached the goal. */
export interface ExperimentConversion {
  eventType: "experiment_conversion";
  eventId?: string | null;
  timestamp?: string | number | null;
  userId?: string | null;
  sessionId?: string | null;
  category?: string | null;
  experimentId: string;
  variantIndex: number;
  experimentName?: string | null;
  variantName?: string | null;
  value?: number | null;
}

/** One finished session of `duration` milliseconds. */
export interface UserSession {
  eventType: "user_session";
  eventId?: string | null;
  timestamp?: string | number | null;
  userId?: string | null;
  sessionId: string;
  category?: string | null;
  duration: number;
  cohort?: string | null;
}

/** The event is on disk, and in every later answer. */
export interface Taken {
  success?: true;
}

/** A batch with the time by the sender's clock, by which its timestamps are corrected. */
export interface Envelope {
  events: (ServiceExecution | RevenueTransaction | MarketplaceSearch | MarketplaceView | MarketplaceConversion | ExperimentView | ExperimentConversion | UserSession)[];
  sentAt?: string | number | null;
}

/** `count` events are kept, duplicates included; `rejected` if skipping was asked for. */
export interface BatchTaken {
  success?: true;
  count: number;
  rejected?: Fault[];
}

/** GET /metrics/services; `rows` counts the services found, also beyond the limit. */
export interface ServicesAnswer {
  data: ServiceRow[];
  total: ServiceRow;
  rows: number;
  range: Range;
  series?: ServicesStep[];
  previous?: ServiceRow;
}

/** One service, or all that were asked for in one. */
export interface ServiceRow {
  serviceId?: string;
  serviceName?: string;
  category?: string | null;
  executions: number;
  latency: Latency;
  errorRate: number | null;
  successRate: number | null;
  errors: Record<string, number>;
  period: string;
  accuracy: LatencyAccuracy;
  trend?: number[];
  previous?: Before;
}

/** Milliseconds, failed executions included; null without executions. */
export interface Latency {
  p50: number | null;
  p95: number | null;
  p99: number | null;
  avg: number | null;
  max: number | null;
}

/** The interval [low, high] in which each percentile certainly lies. */
export interface LatencyAccuracy {
  exact: boolean;
  p50: [number, number] | null;
  p95: [number, number] | null;
  p99: [number, number] | null;
}

/** A row's figures in the period before. */
export interface Before {
  executions: number;
  errorRate: number | null;
  p95: number | null;
}

/** What was answered, the end excluded; widened to whole hours or days. keptSince is there if the range begins earlier: the figures include nothing before it. */
export interface Range {
  start: string;
  end: string;
  timezone: string;
  keptSince?: string;
}

/** One step of the series, all rows together. */
export interface ServicesStep {
  start: string;
  executions: number;
  errors: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

/** GET /metrics/revenue. */
export interface RevenueAnswer {
  data: RevenueFigures;
  range: Range;
  previous?: RevenueFigures;
}

/** Money in `currency`; null with a `reason` where amounts in several cannot be added. If sales can be added and recurring revenue is in other currencies, mrr alone is null. topServices is empty if a creator was asked for without a service. */
export interface RevenueFigures {
  gmv: number | null;
  mrr: number | null;
  takeRate: number | null;
  creatorEarnings: number | null;
  transactionCount: number;
  avgOrderValue: number | null;
  grossGmv: number | null;
  refunds: number | null;
  fees: number | null;
  currency: string;
  reason: string | null;
  byCurrency: Record<string, InCurrency>;
  topServices: RevenueTopService[];
  period: string;
  series?: RevenueStep[];
}

/** All figures in one currency; rates in percent, null where the denominator is 0. */
export interface InCurrency {
  gmv: number;
  mrr: number;
  takeRate: number | null;
  creatorEarnings: number;
  transactionCount: number;
  avgOrderValue: number | null;
  grossGmv: number;
  refunds: number;
  fees: number;
}

/** A service by what it sold; null where its currencies cannot be added. */
export interface RevenueTopService {
  id: string;
  name: string;
  gmv: number | null;
  transactionCount: number;
}

/** One step of the series; null where its currencies cannot be added. */
export interface RevenueStep {
  start: string;
  gmv: number | null;
  transactionCount: number;
  refunds: number | null;
}

/** GET /metrics/marketplace. */
export interface MarketplaceAnswer {
  data: MarketplaceFigures;
  range: Range;
  previous?: MarketplaceFigures;
}

/** Events counted; conversionRate is percent of views. */
export interface MarketplaceFigures {
  searches: number;
  views: number;
  conversions: number;
  conversionRate: number | null;
  topServices: MarketplaceTopService[];
  topCategories: TopCategory[];
  topSearches: TopSearch[];
  period: string;
  series?: MarketplaceStep[];
}

/** A service by its views. */
export interface MarketplaceTopService {
  id: string;
  name: string;
  views: number;
}

/** A category by its views. */
export interface TopCategory {
  category: string;
  views: number;
}

/** A search term: how often it was searched, and how often it is known to find nothing. */
export interface TopSearch {
  query: string;
  searches: number;
  withoutResult: number;
}

/** One step of the series. */
export interface MarketplaceStep {
  start: string;
  searches: number;
  views: number;
  conversions: number;
}

/** GET /metrics/experiments; `range` only where dates were given. */
export interface ExperimentsAnswer {
  data: ExperimentRow[];
  range?: Range;
}

/** One experiment. unitKind what is counted as one: a user, a session, both (mixed), or, without ids, an event: then all certainties are overstated unitsNeeded units per variant to tell a lift of 10 % with a power of 80 % daysNeeded days until then at the present pace; null where that many are never kept sampleRate 1 unless units are a sample */
export interface ExperimentRow {
  experimentId: string;
  experimentName: string;
  startedAt: string;
  unitKind: "event" | "mixed" | "session" | "user";
  variants: VariantRow[];
  winner: number | null;
  confidence: number | null;
  pValue: number | null;
  alwaysValidP: number | null;
  srm: SplitCheck;
  multipleExposures: number;
  unitsNeeded: number | null;
  daysNeeded: number | null;
  sampleRate: number;
  period: string;
}

/** One variant. Rates, lift and chance are percent; null where they are not known. views, conversions events; units, convertedUnits people or sessions interval of unitRate, 95 %, Wilson lift, liftInterval against the first variant, relative, 95 % */
export interface VariantRow {
  index: number;
  name: string;
  views: number;
  conversions: number;
  conversionRate: number | null;
  units: number;
  convertedUnits: number;
  unitRate: number | null;
  interval: [number, number] | null;
  lift: number | null;
  liftInterval: [number, number] | null;
  chanceToWin: number | null;
}

/** Whether units are split as they should be, evenly; a mismatch where p < 0.001. */
export interface SplitCheck {
  p: number | null;
  expected: number[];
  observed: number[];
}

/** GET /metrics/users. */
export interface UsersAnswer {
  data: UsersFigures;
  range: Range;
  previous?: UsersFigures;
}

/** Users of a range of days; durations in ms, rates in percent. */
export interface UsersFigures {
  dau: number;
  mau: number;
  retention: Retention;
  avgSessionDuration: number | null;
  churnRate: number | null;
  avgDau: number | null;
  newUsers: number;
  sessions: number;
  curve: CurvePoint[];
  period: string;
  accuracy: Accuracy;
  cohorts?: CohortRow[];
  series?: UsersStep[];
}

/** Percent of the users new in the range active on day N after; null without any. */
export interface Retention {
  day1: number | null;
  day7: number | null;
  day30: number | null;
}

/** Retention on one day; `users` is how many have reached it. */
export interface CurvePoint {
  day: number;
  percent: number | null;
  users: number;
}

/** How exact each figure is; newUsers in users, churnRate in percent. */
export interface Accuracy {
  dau: DistinctAccuracy;
  mau: DistinctAccuracy;
  avgDau: DistinctAccuracy;
  newUsers: SampleAccuracy;
  retention: RetentionAccuracy;
  churnRate: SampleAccuracy;
}

/** How exact a distinct count is: relativeError holds with the probability `level`. */
export interface DistinctAccuracy {
  exact: boolean;
  relativeError: number;
  level: number;
}

/** Whether all users are known; the standard error of a figure of a sample, in its unit. */
export interface SampleAccuracy {
  exact: boolean;
  standardError: number;
}

/** Whether all users are known, or a sample of this rate; standard errors in percent. */
export interface RetentionAccuracy {
  exact: boolean;
  sampleRate: number;
  standardError: Record<string, number>;
}

/** The users whose first day lies in one week, which begins on that Monday. */
export interface CohortRow {
  week: string;
  users: number;
  days: CohortDay[];
}

/** One cell of the cohort table; complete: all of the cohort have reached that day. */
export interface CohortDay {
  day: number;
  percent: number | null;
  complete: boolean;
}

/** One step of the series: dau and mau as of its last day. */
export interface UsersStep {
  start: string;
  dau: number;
  mau: number;
  newUsers: number;
  sessions: number;
}

/** GET /counters: {name: figure}; money is null where currencies cannot be added. */
export interface CountersAnswer {
  data: Record<string, number | null>;
}

/** GET /counters/{key}, wrapped. */
export interface OneAnswer {
  data: One;
}

/** GET /counters/{key}. */
export interface One {
  key: string;
  value: number | null;
}

/** DELETE and GET /users/{userId}. */
export interface ForgettingAnswer {
  data: Progress;
}

/** How far an erasure is. seq its number: what came before it goes, what comes after is new data archiveFiles files of the archive that are still to be read unreadable damaged files of it, which may hold the person */
export interface Progress {
  state: "erased" | "erasing";
  seq: number;
  askedAtMs: number;
  steps: Steps;
  archiveFiles: number;
  unreadable?: Unreadable[];
}

/** Whether the person is gone from each place. */
export interface Steps {
  answers: boolean;
  archive: boolean;
  journal: boolean;
  snapshots: boolean;
}

/** A damaged file of the archive, and why it cannot be read. */
export interface Unreadable {
  name: string;
  reason: string;
}

/** GET /exports, the newest first. */
export interface ToldList {
  data: Told[];
}

/** A report as it is answered. status queued, running, done or failed family what it is of: a family, events, or sql asked the request, as it was taken progress percent; null where it is not known, as for the figures of a family rows how many, where they are counted sizeBytes of the file, as far as it is written file the path of the file, once it is done expiresAt when it is removed reason why it failed */
export interface Told {
  id: string;
  status: "done" | "failed" | "queued" | "running";
  family: string;
  format: string;
  asked: Record<string, string | number | boolean | null>;
  fileName: string;
  createdAt: string;
  finishedAt: string | null;
  expiresAt: string | null;
  progress: number | null;
  rows: number | null;
  sizeBytes: number;
  file: string | null;
  reason: string | null;
}

/** A query of the dialect of /sql, without FORMAT; `family` may be left out. */
export interface SqlReport {
  family: "sql";
  sql: string;
  format?: "arrow" | "csv" | "json" | "ndjson";
}

/** Events of a period, as of GET /export/events. */
export interface EventsReport {
  family: "events";
  format?: "arrow" | "csv" | "json" | "ndjson" | "parquet";
  startDate?: string | null;
  endDate?: string | null;
  timezone?: string | null;
  eventType?: "experiment_conversion" | "experiment_view" | "marketplace_conversion" | "marketplace_search" | "marketplace_view" | "revenue_transaction" | "service_execution" | "user_session" | null;
  serviceId?: string | null;
  userId?: string | null;
}

export interface ServicesReport {
  family: "services";
  startDate?: string | null;
  endDate?: string | null;
  timezone?: string | null;
  granularity?: "day" | "hour" | "month" | "week" | null;
  compare?: "previous" | null;
  serviceId?: string | null;
  category?: string | null;
  limit?: number;
  /** a row's field, descending with - before it */
  sort?: string;
  /** add each row's executions by bucket */
  trend?: boolean;
  format?: "csv" | "json" | "ndjson";
}

export interface RevenueReport {
  family: "revenue";
  startDate?: string | null;
  endDate?: string | null;
  timezone?: string | null;
  granularity?: "day" | "hour" | "month" | "week" | null;
  compare?: "previous" | null;
  serviceId?: string | null;
  creatorId?: string | null;
  currency?: string | null;
  limit?: number;
  format?: "csv" | "json" | "ndjson";
}

export interface MarketplaceReport {
  family: "marketplace";
  startDate?: string | null;
  endDate?: string | null;
  timezone?: string | null;
  granularity?: "day" | "hour" | "month" | "week" | null;
  compare?: "previous" | null;
  category?: string | null;
  serviceId?: string | null;
  limit?: number;
  format?: "csv" | "json" | "ndjson";
}

export interface ExperimentsReport {
  family: "experiments";
  startDate?: string | null;
  endDate?: string | null;
  timezone?: string | null;
  granularity?: "day" | "hour" | "month" | "week" | null;
  compare?: "previous" | null;
  experimentId?: string | null;
  format?: "csv" | "json" | "ndjson";
}

export interface UsersReport {
  family: "users";
  startDate?: string | null;
  endDate?: string | null;
  timezone?: string | null;
  granularity?: "day" | "hour" | "month" | "week" | null;
  compare?: "previous" | null;
  cohorts?: "week" | null;
  format?: "csv" | "json" | "ndjson";
}

/** GET /health; the figures of the engine are there once it is. If there are keys, whoever has none that may read is told only the status. `failed`: no event is taken until a restart, questions are answered; `reason` says why. */
export interface Health {
  status: "failed" | "ok" | "recovering" | "stopping";
  version?: string;
  uptimeS?: number;
  stream?: StreamHealth;
  settings?: ToldSettings;
  reason?: string;
  eventsPerSecond?: number;
  events?: number;
  duplicates?: number;
  queue?: QueueHealth;
  journal?: JournalHealth;
  snapshot?: SnapshotHealth;
  overCap?: Record<string, number>;
  archive?: ArchiveHealth;
}

/** Subscribers of the live stream, and how many there may be. */
export interface StreamHealth {
  subscribers: number;
  limit: number;
}

/** The settings that are needed to show figures; no secret, and no path. */
export interface ToldSettings {
  timezone: string;
  reportingCurrency: string;
  keepHoursDays: number;
  loadRuns: boolean;
  keys: boolean;
}

/** Events that wait to be written; `inboxes` are the groups that wait for each shard. */
export interface QueueHealth {
  depth: number;
  limit: number;
  peak: number;
  bytes: number;
  inboxes: number[];
}

/** The journal; `failure` says why no event is taken until a restart. */
export interface JournalHealth {
  lastSeq: number;
  sizeBytes: number;
  groups: number;
  durability: string;
  failure: string | null;
}

/** The newest snapshot: what it covers, and how old it is; null where there is none. */
export interface SnapshotHealth {
  seq: number;
  ageS: number | null;
}

/** How the archive is doing; `lag` counts events that are on disk but not in it yet. state `running`, `starting` (again), `off`, or `failed` reason why it failed, or why its process ended, until it gets on again process its number, while there is one firstMs the instant of the earliest event of all; null where that is not known, because the archive is empty or has let go of some */
export interface ArchiveHealth {
  state: string;
  process: number | null;
  coveredSeq: number;
  lag: number;
  files: number;
  rows: number;
  sizeBytes: number;
  firstMs: number | null;
  restarts: number;
  reason: string | null;
}

/** GET /ready, where it is 200; `memoryBytes` says what each part of the state occupies. If there are keys, whoever has none that may read is told only that it is ready. */
export interface Ready {
  ready?: true;
  memoryBytes?: Record<string, number>;
}

/** POST /load/runs: a profile of the package, and what it leaves open. */
export interface NewRun {
  profile?: string;
  /** events a second */
  rate?: number;
  durationS?: number;
  target?: "live" | "scratch";
}

/** One run, with its seconds. */
export interface OneRun {
  data: Run;
}

/** One run. Rates are events a second, latencies ms from the intended instant. refused {status: requests}; unsent: requests for which there was no time latency {"p50": ms, ...}; empty before the first acknowledgement counts the engine's own counts against what it acknowledged, when it is over seconds second by second; absent in the list of runs reason why it failed */
export interface Run {
  id: string;
  status: "failed" | "finished" | "running" | "stopped";
  profile: string;
  rate: number;
  durationS: number;
  target: "live" | "scratch";
  startedAt: string;
  requests: number;
  events: number;
  refused: Record<string, number>;
  unsent: number;
  latency: Record<string, number>;
  counts: Row[];
  seconds?: Second[];
  reason?: string;
}

/** One figure. acknowledged what the acknowledged requests add up to unknown what those add up to whose outcome nobody knows: the server may have it or not counted by how much the server's figure has grown */
export interface Row {
  figure: string;
  acknowledged: number;
  unknown: number;
  counted: number;
  verdict: "exact" | "lost" | "others write too" | "too many" | "within";
}

/** One second of the run; latencies are of the requests acknowledged in it, in ms. offered events that are due in it by the course of the rate; None in a closed loop events acknowledged errors requests refused or lost reads_p99 of metric queries; frames: of the live stream, of all subscribers */
export interface Second {
  second: number;
  offered: number | null;
  events: number;
  errors: number;
  p50: number;
  p99: number;
  max: number;
  readsP99?: number | null;
  frames?: number | null;
}

/** GET /load/runs, the newest first. */
export interface Runs {
  data: Run[];
}

/** GET /dashboards: all of them, the oldest first. */
export interface DashboardList {
  data: Dashboard[];
}

/** A dashboard as it is answered; every widget has a layout. ETag is its version. */
export interface Dashboard {
  name: string;
  type?: "custom" | "experiments" | "marketplace" | "revenue" | "service_performance" | "users";
  isActive?: boolean;
  isLive?: boolean;
  refreshInterval?: number;
  description?: string;
  widgets?: Widget[];
  id: string;
  isShared: boolean;
  createdAt: string;
  updatedAt: string;
}

/** One figure, chart or table. metric the family it asks, and which figure of it filters {parameter of the family's route: value}; for sql the query, as sql range a period relative to now (24h, 7d, today), or two dates with .. between them, each also with a full hour (T09:00); null: the one that is looked at layout absent: below all others, half as wide as the page */
export interface Widget {
  kind: "barChart" | "counter" | "funnel" | "lineChart" | "table";
  title: string;
  /** a family of figures, and after a dot the one that is meant: services.p95 */
  metric: string;
  filters?: Record<string, string>;
  range?: string | null;
  layout?: Layout | null;
}

/** Where a widget stands: columns (of 12) and rows of the grid, from 0. */
export interface Layout {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** A dashboard as it is sent; other fields, such as its id and times, are ignored. refreshInterval in seconds; isLive: it follows the stream as well */
export interface Given {
  name: string;
  type?: "custom" | "experiments" | "marketplace" | "revenue" | "service_performance" | "users";
  isActive?: boolean;
  isLive?: boolean;
  refreshInterval?: number;
  description?: string;
  widgets?: Widget[];
}

/** One dashboard. */
export interface OneDashboard {
  data: Dashboard;
}

/** A dashboard to be carried to another Tallymark. */
export interface Exported {
  format: "tallymark.dashboard";
  version: 1;
  dashboard: Given;
}

/** POST /dashboards/{id}/share. */
export interface Shared {
  data: Share;
}

/** What opens a dashboard read-only, until sharing is ended. */
export interface Share {
  token: string;
  path: string;
}

/** Who asks. `keys` is false where the service asks for none; `expiresAt` is null for a key itself. */
export interface Session {
  role: "admin" | "read" | "write";
  keys: boolean;
  expiresAt: string | null;
}

/** What opens one GET /stream, as `?token=`. */
export interface StreamToken {
  token: string;
  expiresInS: number;
}

/** All that is named, by id. */
export interface NamedList {
  data: Named[];
}

/** What the catalog says about one id; variants of experiments alone. */
export interface Named {
  id: string;
  name: string;
  description: string;
  variants?: VariantGiven[];
  updatedAt: string;
}

/** The name of one variant. */
export interface VariantGiven {
  index: number;
  name: string;
}

/** One of them. */
export interface OneNamed {
  data: Named;
}

/** What PUT /catalog/services/{id} takes. */
export interface ServiceGiven {
  name: string;
  description?: string;
}

/** What PUT /catalog/experiments/{id} takes; a variant left out keeps the events' name. */
export interface ExperimentGiven {
  name: string;
  description?: string;
  variants?: VariantGiven[];
}

/** What GET /metrics/services takes. */
export interface ServicesParameters {
  /** ISO date (its whole day) or instant, or epoch milliseconds */
  startDate?: string;
  /** ISO date (included with its whole day) or instant (excluded) */
  endDate?: string;
  /** IANA zone; default: the reporting zone */
  timezone?: string;
  granularity?: "day" | "hour" | "month" | "week";
  compare?: "previous";
  serviceId?: string;
  category?: string;
  limit?: number;
  /** a row's field, descending with - before it */
  sort?: string;
  /** add each row's executions by bucket */
  trend?: boolean;
}

/** What GET /metrics/revenue takes. */
export interface RevenueParameters {
  /** ISO date (its whole day) or instant, or epoch milliseconds */
  startDate?: string;
  /** ISO date (included with its whole day) or instant (excluded) */
  endDate?: string;
  /** IANA zone; default: the reporting zone */
  timezone?: string;
  granularity?: "day" | "hour" | "month" | "week";
  compare?: "previous";
  serviceId?: string;
  creatorId?: string;
  currency?: string;
  limit?: number;
}

/** What GET /metrics/marketplace takes. */
export interface MarketplaceParameters {
  /** ISO date (its whole day) or instant, or epoch milliseconds */
  startDate?: string;
  /** ISO date (included with its whole day) or instant (excluded) */
  endDate?: string;
  /** IANA zone; default: the reporting zone */
  timezone?: string;
  granularity?: "day" | "hour" | "month" | "week";
  compare?: "previous";
  category?: string;
  serviceId?: string;
  limit?: number;
}

/** What GET /metrics/experiments takes. */
export interface ExperimentsParameters {
  /** ISO date (its whole day) or instant, or epoch milliseconds */
  startDate?: string;
  /** ISO date (included with its whole day) or instant (excluded) */
  endDate?: string;
  /** IANA zone; default: the reporting zone */
  timezone?: string;
  granularity?: "day" | "hour" | "month" | "week";
  compare?: "previous";
  experimentId?: string;
}

/** What GET /metrics/users takes. */
export interface UsersParameters {
  /** ISO date (its whole day) or instant, or epoch milliseconds */
  startDate?: string;
  /** ISO date (included with its whole day) or instant (excluded) */
  endDate?: string;
  /** IANA zone; default: the reporting zone */
  timezone?: string;
  granularity?: "day" | "hour" | "month" | "week";
  compare?: "previous";
  cohorts?: "week";
}
