// Questions to the service: the five families, counters and SQL. They throw TallymarkError.

import type {
  CountersAnswer,
  ExperimentsAnswer,
  ExperimentsParameters,
  Health,
  MarketplaceAnswer,
  MarketplaceParameters,
  Problem,
  RevenueAnswer,
  RevenueParameters,
  ServicesAnswer,
  ServicesParameters,
  UsersAnswer,
  UsersParameters,
} from "./api.js";
import { exchange, TallymarkError } from "./http.js";

/** What FORMAT JSON answers, the default of SQL. */
export interface SqlAnswer<Row> {
  meta: { name: string; type: string }[];
  data: Row[];
  rows: number;
  rows_before_limit_at_least?: number;
}

export interface SqlOptions {
  /** Wait until every event acknowledged so far can be seen. */
  fresh?: boolean;
}

export interface Queries {
  services(asked?: ServicesParameters): Promise<ServicesAnswer>;
  revenue(asked?: RevenueParameters): Promise<RevenueAnswer>;
  marketplace(asked?: MarketplaceParameters): Promise<MarketplaceAnswer>;
  experiments(asked?: ExperimentsParameters): Promise<ExperimentsAnswer>;
  users(asked?: UsersParameters): Promise<UsersAnswer>;
  /** All live counters, or those that are named. */
  counters(keys?: readonly string[]): Promise<CountersAnswer>;
  health(): Promise<Health>;
  /** The rows of a query of SQL, without a FORMAT of its own. */
  sql<Row = Record<string, unknown>>(query: string, options?: SqlOptions): Promise<SqlAnswer<Row>>;
}

interface Target {
  url: string;
  key: string | undefined;
  fetch: typeof fetch;
  timeoutMs: number;
}

/** The questions, as functions that need no `this`. */
export function queriesOf(target: Target): Queries {
  const family =
    <Asked extends object, Answered>(name: string) =>
    (asked?: Asked) =>
      ask<Answered>(target, `/metrics/${name}${queryOf({ ...asked })}`);
  return {
    services: family<ServicesParameters, ServicesAnswer>("services"),
    revenue: family<RevenueParameters, RevenueAnswer>("revenue"),
    marketplace: family<MarketplaceParameters, MarketplaceAnswer>("marketplace"),
    experiments: family<ExperimentsParameters, ExperimentsAnswer>("experiments"),
    users: family<UsersParameters, UsersAnswer>("users"),
    counters: (keys) => ask(target, `/counters${queryOf({ keys: keys?.join(",") })}`),
    health: () => ask(target, "/health"),
    sql: (query, options) => {
      const sent = { method: "POST", body: query };
      return ask(target, `/sql${queryOf({ fresh: options?.fresh ? 1 : undefined })}`, sent);
    },
  };
}

/** `?a=1&b=2` of what is given; '' of nothing. */
export function queryOf(asked: Record<string, unknown>): string {
  const given = Object.entries(asked).filter(([, value]) => value !== undefined && value !== null);
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return given.length === 0 ? "" : `?${query}`;
}

async function ask<T>(target: Target, path: string, sent: RequestInit = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (target.key !== undefined) headers["Authorization"] = `Bearer ${target.key}`;
  const answer = await exchange(target.fetch, target.url + path, { ...sent, headers }, target.timeoutMs);
  if (answer.status === 200 && answer.body !== undefined) return answer.body as T;
  const said = answer.status === 0 ? "did not answer" : `answered ${answer.status}`;
  const problem = answer.body as Problem | undefined;
  throw new TallymarkError(answer.status, `Tallymark ${said}: ${answer.detail}`, problem);
}
