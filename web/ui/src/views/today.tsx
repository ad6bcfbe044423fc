// The band of today: live figures, each compared with the same full hours of yesterday.

import type { JSX } from "preact";
import { useAnswer, url } from "../lib/api";
import { change, type Good } from "../lib/change";
import { NBSP, bound, count, counted, money, plain, type Figure } from "../lib/format";
import { live } from "../lib/live";
import { useStore } from "../lib/store";
import { addDays, isoDate, local, zoneName } from "../lib/time";
import type { MarketplaceAnswer, RevenueAnswer, ServicesAnswer, UsersAnswer } from "../lib/types";
import { linkTo } from "../lib/url";
import { REFRESH_MS, type View } from "../lib/view";
import { ChangeLine } from "../ui/figure";
import { UpdatedAgo } from "../ui/livestate";
import { Band, HourBars, Stat } from "../ui/stat";

interface Row {
  start: string;
}

interface Hours {
  now: (number | null)[];
  before: (number | null)[];
}

/** The two days, hour by hour of the clock. */
function hoursOf<R extends Row>(
  rows: readonly R[] | undefined,
  today: string,
  zone: string,
  pick: (row: R) => number | null,
): Hours {
  const now: (number | null)[] = Array<number | null>(24).fill(null);
  const before: (number | null)[] = Array<number | null>(24).fill(null);
  for (const row of rows ?? []) {
    const ms = Date.parse(row.start);
    const days = isoDate(ms, zone) === today ? now : before;
    days[local(ms, zone).hour] = pick(row);
  }
  return { now, before };
}

const upTo = (values: readonly (number | null)[], hour: number): number | null => {
  const full = values.slice(0, hour);
  return full.some((value) => value !== null) ? full.reduce<number>((sum, n) => sum + (n ?? 0), 0) : null;
};

export function TodayBand({ view }: { view: View }): JSX.Element {
  // Counters are by days of the reporting zone, whatever zone the rest of the page is in.
  const zone = view.reportingZone;
  const today = isoDate(view.nowMs, zone);
  const hour = local(view.nowMs, zone).hour;
  const days = { startDate: addDays(today, -1), endDate: today, granularity: "hour", limit: 1 };
  const services = useAnswer<ServicesAnswer>(url("/metrics/services", days), REFRESH_MS).answer;
  const revenue = useAnswer<RevenueAnswer>(url("/metrics/revenue", days), REFRESH_MS).answer;
  const market = useAnswer<MarketplaceAnswer>(url("/metrics/marketplace", days), REFRESH_MS).answer;
  const users = useAnswer<UsersAnswer>(
    url("/metrics/users", { startDate: today, endDate: today }), REFRESH_MS,
  ).answer;
  const { counters, state } = useStore(live, (value) => value);
  const currency = revenue?.data.currency ?? "USD";
  const cell = (
    name: string, hours: Hours, good: Good, path: string, figure?: Figure, line?: string,
  ): JSX.Element => (
    <Stat
      label={name}
      figure={figure ?? counted(counters?.[`${name.toLowerCase()}:today`])}
      line={line ?? <Against hours={hours} hour={hour} good={good} />}
      href={linkTo([path], { range: "today" })}
      bars={<HourBars {...hours} running={hour} isErrors={name === "Errors"} />}
      isLive
    />
  );
  const ofServices = (pick: (row: NonNullable<ServicesAnswer["series"]>[number]) => number): Hours =>
    hoursOf(services?.series, today, zone, pick);
  const cash = counters?.["revenue:today"];
  return (
    <Band label="Today" head={<BandHead zone={zone} />} isStale={state === "stale"} isLoading={counters === null}>
      {cell("Executions", ofServices((row) => row.executions), "up", "services")}
      {cell(
        "Revenue",
        hoursOf(revenue?.data.series, today, zone, (row) => row.gmv),
        "up", "revenue", money(cash, currency),
        cash === null && revenue?.data.reason != null ? "in several currencies" : undefined,
      )}
      {cell("Errors", ofServices((row) => row.errors), "down", "services")}
      <Stat
        label="Active users"
        figure={counted(counters?.["activeUsers:5m"])}
        line={`in the last 5${NBSP}min`}
        href={linkTo(["users"])}
        bars={<PeopleToday users={users} />}
        isLive
      />
      {cell(
        "Searches", hoursOf(market?.data.series, today, zone, (row) => row.searches),
        "neutral", "marketplace",
      )}
      {cell(
        "Conversions", hoursOf(market?.data.series, today, zone, (row) => row.conversions),
        "up", "marketplace",
      )}
    </Band>
  );
}

function BandHead({ zone }: { zone: string }): JSX.Element {
  return (
    <>
      <h2>Today</h2>
      <span class="dim">since 00:00 {zoneName(zone)}</span>
      <div class="band-key">
        <span class="key">
          <span class="sample" />
          today, by hour
        </span>
        <span class="key">
          <span class="sample ghost" />
          yesterday
        </span>
        <UpdatedAgo zone={zone} />
      </div>
    </>
  );
}

/** Full hours only: the running one against a whole one would look like a loss. */
function Against({ hours, hour, good }: { hours: Hours; hour: number; good: Good }): JSX.Element {
  if (hour === 0) return <span>the first hour is running</span>;
  const [now, before] = [upTo(hours.now, hour), upTo(hours.before, hour)];
  if (now === null) return <>{NBSP}</>;
  const title = `To the last full hour: ${count(now)}, yesterday ${count(before)}`;
  return (
    <span title={title}>
      <ChangeLine change={change(now, before, "amount", good)} than="yesterday" />
    </span>
  );
}

/** Users are counted by days: there are no hours of them to draw. */
function PeopleToday({ users }: { users: UsersAnswer | undefined }): JSX.Element {
  if (users === undefined) return <div class="stat-note" />;
  const { dau, accuracy } = users.data;
  const about = accuracy.dau.exact ? "" : `≈${NBSP}`;
  const within = accuracy.dau.exact ? "" : ` ${bound(100 * accuracy.dau.relativeError)}`;
  return (
    <div class="stat-note">
      <span class="medium soft">
        {about}
        {plain(counted(dau))}
        {within}
      </span>{" "}
      since midnight
    </div>
  );
}
