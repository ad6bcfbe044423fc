// The queries that the page itself asks or fills in: columns as docs/api.md names them.

import type { Period } from "./period";

/** A text as SQL quotes it. */
export const quoted = (text: string): string =>
  `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;

export const RECENT_ERRORS_SQL = `-- Which codes and services failed in the last hour
SELECT blob8 AS code, blob2 AS service, count() AS failures,
       max(timestamp) AS last_seen
FROM events
WHERE blob1 = 'service_execution' AND blob6 = 'error'
  AND timestamp > now() - INTERVAL '60' MINUTE
GROUP BY code, service ORDER BY failures DESC LIMIT 7`;

/** An instant as a column of time is compared with one. */
const instantText = (ms: number): string => quoted(new Date(ms).toISOString().slice(0, 19).replace("T", " "));

export interface Failures {
  service: string;
  /** null takes every code, '' those without one. */
  code: string | null;
  /** null takes those of all times. */
  period: Pick<Period, "startMs" | "endMs" | "isRunning"> | null;
  limit?: number;
}

/** The latest failures of a service. */
export function failuresSql({ service, code, period, limit = 100 }: Failures): string {
  const onlyCode = code === null ? "" : ` AND blob8 = ${quoted(code)}`;
  const since = period === null ? "" : `\n  AND timestamp >= ${instantText(period.startMs)}`;
  const until = period === null || period.isRunning ? "" : ` AND timestamp < ${instantText(period.endMs)}`;
  return `-- The latest failures of one service
SELECT timestamp, blob8 AS code, double1 AS latency_ms, blob3 AS user
FROM events
WHERE blob1 = 'service_execution' AND blob6 = 'error'
  AND blob2 = ${quoted(service)}${onlyCode}${since}${until}
ORDER BY timestamp DESC LIMIT ${limit}`;
}

export function searchesSql(term: string): string {
  return `-- Who searched for this, and what they did next, is one query away
SELECT toStartOfInterval(timestamp, INTERVAL '1' DAY) AS day,
       count() AS searches
FROM events
WHERE blob1 = 'marketplace_search' AND blob9 = ${quoted(term)}
GROUP BY day ORDER BY day DESC LIMIT 30`;
}

export function cohortSql(firstDay: string, lastDay: string): string {
  return `-- The people who were first seen in this week
SELECT blob3 AS user, min(timestamp) AS first_seen, max(timestamp) AS last_seen,
       count() AS events
FROM events
WHERE blob3 != ''
GROUP BY user
HAVING first_seen >= ${quoted(`${firstDay} 00:00:00`)} AND first_seen <= ${quoted(`${lastDay} 23:59:59`)}
ORDER BY events DESC LIMIT 200`;
}

export interface Example {
  title: string;
  sql: string;
}

export const EXAMPLES: readonly Example[] = [
  {
    title: "Failing services",
    sql: `-- Which services fail most, and with what?
SELECT blob2 AS service, blob8 AS code,
       count() AS failures,
       quantileExactWeighted(0.5)(double1, _sample_interval) AS p50_ms,
       max(timestamp) AS last_seen
FROM events
WHERE blob1 = 'service_execution' AND blob6 = 'error'
  AND timestamp > now() - INTERVAL '7' DAY
GROUP BY service, code ORDER BY failures DESC LIMIT 50`,
  },
  {
    title: "p95 by hour",
    sql: `-- How slow was it, hour by hour?
SELECT toStartOfInterval(timestamp, INTERVAL '1' HOUR) AS hour,
       quantileExactWeighted(0.95)(double1, _sample_interval) AS p95_ms,
       count() AS executions
FROM events
WHERE blob1 = 'service_execution'
  AND timestamp > now() - INTERVAL '2' DAY
GROUP BY hour ORDER BY hour LIMIT 48`,
  },
  {
    title: "Top searches without results",
    sql: `-- What do people look for in vain?
SELECT searchQuery AS term, count() AS searches
FROM events
WHERE eventType = 'marketplace_search' AND resultCount = 0
  AND timestamp > now() - INTERVAL '28' DAY
GROUP BY term ORDER BY searches DESC LIMIT 25`,
  },
  {
    title: "Revenue by currency",
    sql: `-- What was sold, in which currency?
SELECT blob7 AS currency, sum(double2) AS amount, count() AS sales
FROM events
WHERE blob1 = 'revenue_transaction'
  AND timestamp > now() - INTERVAL '28' DAY
GROUP BY currency ORDER BY amount DESC LIMIT 20`,
  },
  {
    title: "One user's last events",
    sql: `-- What did one person do last? Put the id between the quotes
SELECT timestamp, blob1 AS event, blob2 AS service, blob6 AS status, double1 AS latency_ms
FROM events
WHERE blob3 = 'user-1'
ORDER BY timestamp DESC LIMIT 50`,
  },
];
