// One service: how fast, how often does it fail, why, since when?

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { isAwaited, useAnswer, url, type Asked } from "../lib/api";
import { change } from "../lib/change";
import { NBSP, bound, count, counted, duration, durationTick, percent, plain, short } from "../lib/format";
import { useHeaderTools, useHeading } from "../lib/heading";
import { sumChange, usePrevious } from "../lib/previous";
import { PER, wordFor } from "../lib/period";
import { failuresSql } from "../lib/queries";
import { centred, known, timeAxis } from "../lib/series";
import { queryLink } from "../lib/sqltext";
import { addDays, clock, clockWithSeconds, isoDate, monthDay, zoneName } from "../lib/time";
import { troubleIn, type Trouble } from "../lib/trouble";
import type { CatalogEntry, ServiceFigures, ServiceStep, ServicesAnswer } from "../lib/types";
import { linkTo } from "../lib/url";
import { REFRESH_MS, type View } from "../lib/view";
import { WhereKept, useRows } from "../ui/archived";
import { ChartFrame, CsvLink, type Line } from "../ui/chart";
import { rangeSetter } from "../ui/charting";
import { ChangeLine } from "../ui/figure";
import { Answered, Notice, PanelHead } from "../ui/panel";
import { Segments } from "../ui/segments";
import { FullBar } from "../ui/spark";
import { Band, Stat } from "../ui/stat";
import { NameButton } from "./naming";
import { boundOf, intervalWords } from "./services";

const BOUND_SAID_FROM = 0.5;

export function OneService({ view }: { view: View }): JSX.Element {
  const id = view.route.path[1] ?? "";
  const asked = useAnswer<ServicesAnswer>(
    url("/metrics/services", {
      ...view.params,
      serviceId: id,
      granularity: view.granularity,
      compare: view.isCompared ? "previous" : null,
    }),
    view.refreshMs,
  );
  const recent = useAnswer<ServicesAnswer>(recentOf(view, id), REFRESH_MS);
  const row = asked.answer?.data[0];
  const last = row ?? recent.answer?.data[0];
  const isUnheardOf = last === undefined && !isAwaited(asked) && !isAwaited(recent);
  const catalog = useAnswer<{ data: CatalogEntry[] }>(isUnheardOf ? "/catalog/services" : null);
  const name = last?.serviceName ?? catalog.answer?.data.find((entry) => entry.id === id)?.name ?? id;
  useHeading({
    title: name,
    crumb: { label: "Services", path: ["services"] },
    id,
    ...(last?.category == null ? {} : { chip: last.category }),
  });
  const again = (): void => {
    for (const { retry } of [asked, recent, catalog]) retry();
  };
  useHeaderTools(
    <NameButton what={{ kind: "services", id, name }} onDone={again} />,
    [id, name, isUnheardOf, view],
  );
  return (
    <div class="grid">
      <TroubleNotice view={view} id={id} recent={recent} />
      <Figures view={view} asked={asked} id={id} />
      <section class="panel span-8" aria-label="Latency and executions">
        <Answered asked={asked} what="this service" height={511} empty={(answer) => emptyWords(view, answer)}>
          {(answer) => <Charts view={view} answer={answer} id={id} />}
        </Answered>
      </section>
      <section class="panel span-4" aria-label="Errors">
        <Codes view={view} asked={asked} id={id} />
        <Failures view={view} id={id} />
      </section>
    </div>
  );
}

const emptyWords = (view: View, answer: ServicesAnswer): string | null =>
  answer.total.executions === 0
    ? `No executions of this service in this period (${view.period.dates}). Choose an earlier or longer one.`
    : null;

/** The last week hour by hour, whatever the period of the page: what is usual, and how the service was called then. */
function recentOf({ nowMs, reportingZone }: View, id: string): string {
  const today = isoDate(nowMs, reportingZone);
  return url("/metrics/services", {
    serviceId: id, startDate: addDays(today, -6), endDate: today, granularity: "hour",
  });
}

function TroubleNotice({ view, id, recent }: {
  view: View;
  id: string;
  recent: Asked<ServicesAnswer>;
}): JSX.Element | null {
  const trouble = troubleIn(recent.answer?.series ?? [], view.nowMs);
  const since = useAnswer<ServicesAnswer>(
    trouble === null
      ? null
      : url("/metrics/services", {
          serviceId: id,
          startDate: new Date(trouble.startMs).toISOString(),
          endDate: new Date(trouble.endMs).toISOString(),
        }),
  );
  if (trouble === null) return null;
  return (
    <div class="span-12">
      <Notice tone="bad" act={<a href={troubleLink(trouble, view, id)}>{`Show ${hoursOf(trouble, view)}`}</a>}>
        <span class="strong">
          Error rate rose to {plain(percent(trouble.rate, 1))} at {whenOf(trouble, view)}
        </span>{" "}
        ({plain(percent(trouble.usual, 1))} is usual). {causeOf(since.answer?.total.errors ?? {})}
      </Notice>
    </div>
  );
}

const hoursOf = ({ startMs, endMs }: Trouble, { zone }: View): string =>
  `${clock(startMs, zone)} – ${clock(endMs, zone)}`;

function whenOf({ startMs }: Trouble, { zone, nowMs }: View): string {
  const day = isoDate(startMs, zone) === isoDate(nowMs, zone) ? "today" : "yesterday";
  return `${clock(startMs, zone)} ${zoneName(zone)} ${day}`;
}

const troubleLink = ({ startMs, endMs }: Trouble, { zone }: View, id: string): string =>
  linkTo(["services", id], { range: wordFor(startMs, endMs, zone), granularity: null });

/** "82 % of the errors then are UPSTREAM_TIMEOUT or UPSTREAM_5XX." */
function causeOf(errors: Record<string, number>): string {
  const all = Object.values(errors).reduce((sum, n) => sum + n, 0);
  const most = Object.entries(errors).sort(([, a], [, b]) => b - a).slice(0, 2);
  if (all === 0 || most.length === 0) return "";
  const share = (100 * most.reduce((sum, [, n]) => sum + n, 0)) / all;
  const names = most.map(([code]) => codeName(code)).join(" or ");
  return `${plain(percent(Math.round(share), 0))} of the errors then are ${names}.`;
}

const codeName = (code: string): string => (code === "(none)" ? "without a code" : code);

function Figures({ view, asked, id }: {
  view: View;
  asked: Asked<ServicesAnswer>;
  id: string;
}): JSX.Element {
  const previous = usePrevious<ServicesAnswer, ServiceStep>(
    view, "/metrics/services", (answer) => answer.series, { serviceId: id },
  );
  const now = asked.answer?.total;
  const before = view.isCompared ? asked.answer?.previous : undefined;
  const executions = sumChange(view, asked.answer?.series ?? [], previous, (row) => row.executions, "up");
  const latency = (key: "p50" | "p95" | "p99"): JSX.Element => {
    const half = now === undefined ? null : boundOf(now.accuracy, key);
    const ms = now?.latency[key];
    return (
      <Stat
        label={key}
        figure={duration(ms)}
        isAbout={half !== null}
        bound={half !== null && half >= BOUND_SAID_FROM ? bound(half) : null}
        title={now === undefined ? "" : intervalWords(now.accuracy, key)}
        line={before && <ChangeLine change={change(ms, before.latency[key], "latency", "down")} than="previous" />}
      />
    );
  };
  return (
    <Band label="Figures of this service" isLoading={isAwaited(asked)}>
      <Stat
        label="Executions"
        figure={counted(now?.executions)}
        line={executions !== null && <ChangeLine change={executions.change} than="previous" />}
        title="Compared with the same full steps of the period before"
      />
      <Stat
        label="Error rate"
        figure={percent(now?.errorRate, 2)}
        line={before && <ChangeLine change={change(now?.errorRate, before.errorRate, "rate", "down")} than="previous" />}
      />
      {latency("p50")}
      {latency("p95")}
      {latency("p99")}
      <Stat label="Slowest" figure={duration(now?.latency.max)} line={now?.latency.max != null && "one execution, exact"} />
    </Band>
  );
}

type Scale = "linear" | "log";

const GUTTER_PX = 52;

function Charts({ view, answer, id }: { view: View; answer: ServicesAnswer; id: string }): JSX.Element {
  const [scale, setScale] = useState<Scale>("linear");
  const rows = answer.series ?? [];
  const axis = centred(timeAxis(rows.map(({ start }) => start), view, view.granularity), view);
  const csv = url("/export/services", {
    ...view.params, serviceId: id, granularity: view.granularity, format: "csv",
  });
  const common = { ...axis, unit: PER[view.granularity], csv, syncKey: "service", gutterPx: GUTTER_PX, onRange: rangeSetter(axis, view.zone) };
  const about = answer.total.accuracy.exact ? "" : `≈${NBSP}`;
  const time = (ms: number): string => about + plain(duration(ms));
  const line = (key: "p99" | "p95" | "p50", color: string): Line => ({
    label: key, color, values: known(axis, rows, (row) => row[key]), value: timeOf(answer.total, key, about),
  });
  const failed = rows.reduce((sum, row) => sum + row.errors, 0);
  return (
    <>
      <ChartFrame
        {...common}
        title="Latency"
        name="Latency"
        choice={
          <Segments<Scale>
            label="Scale"
            isSmall
            value={scale}
            choices={[{ value: "linear", label: "Linear" }, { value: "log", label: "Log" }]}
            onChoose={setScale}
          />
        }
        lines={[line("p99", "--s4"), line("p95", "--s2"), line("p50", "--s1")]}
        isLog={scale === "log"}
        scaled="durations"
        yTick={durationTick}
        format={time}
        footAt={(at) => {
          const row = rows[at];
          return row === undefined ? null : `${count(row.executions)} executions${boundWords(answer.total)}`;
        }}
        height={206}
      />
      <div class="divider" />
      <ChartFrame
        {...common}
        title="Executions"
        name="Executions"
        lines={[
          {
            label: "All", color: "--s1", kind: "bars", value: count(answer.total.executions),
            values: known(axis, rows, (row) => row.executions),
          },
          {
            label: "Failed", color: "--bad", kind: "bars", value: count(failed),
            values: known(axis, rows, (row) => row.errors),
          },
        ]}
        yTick={short}
        format={count}
        scaled="counts"
        height={144}
      />
    </>
  );
}

const timeOf = (total: ServiceFigures, key: "p50" | "p95" | "p99", about: string): string =>
  about + plain(duration(total.latency[key]));

function boundWords(total: ServiceFigures): string {
  const half = boundOf(total.accuracy, "p95");
  return half === null ? "" : ` · p95 ${bound(half)}`;
}

function Codes({ view, asked, id }: {
  view: View;
  asked: Asked<ServicesAnswer>;
  id: string;
}): JSX.Element {
  const errors = asked.answer?.total.errors ?? {};
  const all = Object.values(errors).reduce((sum, n) => sum + n, 0);
  const csv = url("/export/services", { ...view.params, serviceId: id, format: "csv" });
  return (
    <>
      <PanelHead
        title="Errors by code"
        unit={asked.answer === undefined ? undefined : count(all)}
        tools={<CsvLink href={csv} name="Errors by code" />}
      />
      <Answered
        asked={asked}
        what="errors"
        height={200}
        empty={() => (all === 0 ? "No errors in this period." : null)}
      >
        {() => <CodeList errors={errors} all={all} id={id} view={view} />}
      </Answered>
      <div class="divider" />
    </>
  );
}

const CODES_SHOWN = 7;

function CodeList({ errors, all, id, view }: {
  errors: Record<string, number>;
  all: number;
  id: string;
  view: View;
}): JSX.Element {
  const sorted = Object.entries(errors).sort(([, a], [, b]) => b - a);
  const shown = sorted.slice(0, CODES_SHOWN);
  const rest = sorted.slice(CODES_SHOWN);
  const most = shown[0]?.[1] ?? 1;
  return (
    <ul class="share-list">
      {shown.map(([code, failures]) => (
        <li key={code}>
          <a class="line" href={queryLink(failuresSql({ service: id, code: code === "(none)" ? "" : code, period: view.period }))}>
            {code === "(none)" ? <span class="soft">No code given</span> : <span class="mono cut">{code}</span>}
            <span class="value">{count(failures)}</span>
            <span class="part">{plain(percent((100 * failures) / all, 1))}</span>
          </a>
          <FullBar share={failures / most} kind="errors" />
        </li>
      ))}
      {rest.length > 0 && (
        <li class="dim">
          {rest.length} more codes, {count(rest.reduce((sum, [, n]) => sum + n, 0))} errors
        </li>
      )}
    </ul>
  );
}

const FAILURES_SHOWN = 6;

function Failures({ view, id }: { view: View; id: string }): JSX.Element {
  const those = { service: id, code: null, period: view.period };
  const asked = useRows(failuresSql({ ...those, limit: FAILURES_SHOWN }), view.refreshMs);
  return (
    <>
      <PanelHead
        title="Recent failures"
        tools={
          <a class="panel-link" href={queryLink(failuresSql(those))}>
            Open in Explore
          </a>
        }
      />
      <WhereKept height={160}>
        <Answered
          asked={asked}
          what="recent failures"
          height={160}
          empty={({ data }) => (data.length === 0 ? "No failure of this service is kept from this period." : null)}
        >
          {({ data }) => (
            <ul class="failures">
              {data.map((row, at) => (
                <li key={at}>
                  <span class="dim">{failedAt(String(row["timestamp"]), view)}</span>
                  <span class="mono cut">{row["code"] === "" ? <span class="dim">(no code)</span> : row["code"]}</span>
                  <span class="soft">{plain(duration(Number(row["latency_ms"])))}</span>
                </li>
              ))}
            </ul>
          )}
        </Answered>
      </WhereKept>
    </>
  );
}

/** The time by the clock; with the date where that is not today. */
function failedAt(timestamp: string, { zone, nowMs }: View): string {
  const ms = Date.parse(`${timestamp.replace(" ", "T")}Z`);
  const isToday = isoDate(ms, zone) === isoDate(nowMs, zone);
  return isToday ? clockWithSeconds(ms, zone) : `${monthDay(ms, zone)}, ${clock(ms, zone)}`;
}
