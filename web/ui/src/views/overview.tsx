// Overview: is it alive, is today normal, what changed, what is broken?

import type { JSX } from "preact";
import { useAnswer, url, type Asked } from "../lib/api";
import { NBSP, count, money, moneyTick, plain, short } from "../lib/format";
import { previousLine, sumChange, usePrevious } from "../lib/previous";
import { PER } from "../lib/period";
import { known, timeAxis } from "../lib/series";
import { clockWithSeconds } from "../lib/time";
import type {
  RevenueAnswer, RevenueFigures, RevenueStep, ServiceRow, ServiceStep, ServicesAnswer, SqlAnswer,
} from "../lib/types";
import { linkTo } from "../lib/url";
import type { View } from "../lib/view";
import { RECENT_ERRORS_SQL, failuresSql } from "../lib/queries";
import { queryLink } from "../lib/sqltext";
import { WhereKept, useRows } from "../ui/archived";
import { ChartFrame, CsvLink, type Line } from "../ui/chart";
import { FigureOver, previousOf, rangeSetter, stepOpener } from "../ui/charting";
import { CountBar, ErrorRate, Latency, P95Change, ServiceName, cut, thinned } from "../ui/cells";
import { Answered, Panel } from "../ui/panel";
import { Spark } from "../ui/spark";
import { DataTable } from "../ui/table";
import { mixedWords } from "./revenue";
import { TodayBand } from "./today";

const TOP = 7;
const CHART_HEIGHT = 196;

export function Overview({ view }: { view: View }): JSX.Element {
  const services = useAnswer<ServicesAnswer>(
    url("/metrics/services", {
      ...view.params,
      granularity: view.granularity,
      limit: TOP,
      sort: "-executions",
      trend: true,
      compare: view.isCompared ? "previous" : null,
    }),
    view.refreshMs,
  );
  return (
    <div class="grid">
      <TodayBand view={view} />
      <ExecutionsChart view={view} services={services} />
      <RevenueChart view={view} />
      <TopServices view={view} services={services} />
      <RecentErrors view={view} />
    </div>
  );
}

function ExecutionsChart({ view, services }: { view: View; services: Asked<ServicesAnswer> }): JSX.Element {
  const previous = usePrevious<ServicesAnswer, ServiceStep>(
    view, "/metrics/services", (answer) => answer.series, { limit: 1 },
  );
  return (
    <section class="panel span-6" aria-label="Executions">
      <Answered asked={services} what="executions" title="Executions" height={304}>
        {(answer) => {
          const rows = answer.series ?? [];
          const axis = timeAxis(rows.map(({ start }) => start), view, view.granularity);
          const before = previousLine(axis, previous, (row) => row.executions, "mean");
          const lines: Line[] = [
            { label: "Executions", color: "--s1", hasArea: true, values: known(axis, rows, (row) => row.executions) },
            { label: "Errors", color: "--bad", values: known(axis, rows, (row) => row.errors) },
          ];
          if (before !== null) lines.push(previousOf(view, before, previous.isCoarser ? "mean" : null));
          return (
            <ChartFrame
              title={<a href={linkTo(["services"])}>Executions</a>}
              name="Executions"
              unit={PER[view.granularity]}
              figure={
                <FigureOver
                  figure={count(answer.total.executions)}
                  sum={sumChange(view, rows, previous, (row) => row.executions, "up")}
                  format={count}
                />
              }
              csv={url("/export/services", { ...view.params, granularity: view.granularity, format: "csv" })}
              {...axis}
              lines={lines}
              yTick={short}
              format={count}
              scaled="counts"
              syncKey="overview"
              height={CHART_HEIGHT}
              onRange={rangeSetter(axis, view.zone)}
              onPoint={stepOpener(axis, view.zone)}
            />
          );
        }}
      </Answered>
    </section>
  );
}

function RevenueChart({ view }: { view: View }): JSX.Element {
  const revenue = useAnswer<RevenueAnswer>(
    url("/metrics/revenue", { ...view.params, granularity: view.granularity, limit: 1 }),
    view.refreshMs,
  );
  const previous = usePrevious<RevenueAnswer, RevenueStep>(
    view, "/metrics/revenue", (answer) => answer.data.series, { limit: 1 },
  );
  return (
    <section class="panel span-6" aria-label="Revenue">
      <Answered asked={revenue} what="revenue" title="Revenue (GMV)" height={304} empty={({ data }) => (data.gmv === null ? <Mixed data={data} /> : null)}>
        {({ data }) => {
          const rows = data.series ?? [];
          const axis = timeAxis(rows.map(({ start }) => start), view, view.granularity);
          const before = previousLine(axis, previous, (row) => row.gmv, "mean");
          const cash = (value: number): string => plain(money(value, data.currency));
          const lines: Line[] = [
            { label: "GMV", color: "--s3", hasArea: true, values: known(axis, rows, (row) => row.gmv) },
          ];
          if (before !== null) lines.push(previousOf(view, before, previous.isCoarser ? "mean" : null));
          return (
            <ChartFrame
              title={<a href={linkTo(["revenue"])}>Revenue (GMV)</a>}
              name="Revenue (GMV)"
              unit={`${PER[view.granularity]}, less refunds`}
              figure={
                <FigureOver
                  figure={plain(money(data.gmv, data.currency))}
                  sum={sumChange(view, rows, previous, (row) => row.gmv, "up")}
                  format={cash}
                />
              }
              csv={url("/export/revenue", { ...view.params, granularity: view.granularity, format: "csv" })}
              {...axis}
              lines={lines}
              hasLegend
              yTick={(value) => moneyTick(value, data.currency)}
              format={cash}
              syncKey="overview"
              height={CHART_HEIGHT}
              onRange={rangeSetter(axis, view.zone)}
              onPoint={stepOpener(axis, view.zone)}
            />
          );
        }}
      </Answered>
    </section>
  );
}

function Mixed({ data }: { data: RevenueFigures }): JSX.Element {
  return (
    <>
      {mixedWords(data)}{" "}
      <a class="link medium" href={linkTo(["revenue"])}>
        Choose one
      </a>
    </>
  );
}

function TopServices({ view, services }: { view: View; services: Asked<ServicesAnswer> }): JSX.Element {
  const rows = services.answer?.rows;
  const tools = (
    <>
      <a class="panel-link" href={linkTo(["services"])}>
        {rows === undefined || rows <= TOP ? "All services" : `All ${count(rows)} services`}
      </a>
      <CsvLink href={url("/export/services", { ...view.params, format: "csv" })} name="Services" />
    </>
  );
  return (
    <Panel span={8} title="Top services" unit="by executions" tools={tools}>
      <Answered
        asked={services}
        what="services"
        height={284}
        empty={({ data }) => (data.length === 0 ? `No executions in this period (${view.period.dates}).` : null)}
      >
        {(answer) => <TopTable view={view} answer={answer} />}
      </Answered>
    </Panel>
  );
}

function TopTable({ view, answer }: { view: View; answer: ServicesAnswer }): JSX.Element {
  const most = Math.max(...answer.data.map((row) => row.executions));
  const axis = timeAxis((answer.series ?? []).map(({ start }) => start), view, view.granularity);
  const over = axis.running >= 0 ? axis.running : axis.ahead;
  const isAbout = answer.data.some((row) => !row.accuracy.exact);
  return (
    <DataTable<ServiceRow>
      label="Top services"
      rows={answer.data}
      rowKey={(row) => row.serviceId}
      hasLinks
      isTall
      columns={[
        { key: "name", head: "Service", class: "name-cell", cell: (row) => <ServiceName row={row} /> },
        {
          key: "executions", head: "Executions", isNumber: true,
          cell: (row) => <CountBar value={row.executions} most={most} />,
        },
        {
          key: "trend", head: "Trend", isNumber: true, class: "phone-not",
          cell: (row) => <Spark values={thinned((row.trend ?? []).slice(0, over), 42)} />,
        },
        {
          key: "p95", head: isAbout ? "≈ p95" : "p95", isNumber: true, class: "phone-not",
          cell: (row) => <Latency ms={row.latency.p95} />,
        },
        ...(view.isCompared
          ? [{
              key: "change", head: "vs previous", isNumber: true, class: "phone-not",
              cell: (row: ServiceRow) => <P95Change row={row} />,
            }]
          : []),
        { key: "errors", head: "Errors", isNumber: true, cell: (row) => <ErrorRate rate={row.errorRate} /> },
      ]}
    />
  );
}

const RECENT_MS = 15_000;

interface Failure {
  code: string;
  service: string;
  failures: number;
  lastMs: number;
}

function failuresOf(answer: SqlAnswer): Failure[] {
  return answer.data.map((row) => ({
    code: String(row["code"] ?? ""),
    service: String(row["service"] ?? ""),
    failures: Number(row["failures"]),
    lastMs: Date.parse(`${String(row["last_seen"]).replace(" ", "T")}Z`),
  }));
}

function RecentErrors({ view }: { view: View }): JSX.Element {
  const asked = useRows(RECENT_ERRORS_SQL, RECENT_MS);
  const names = useAnswer<ServicesAnswer>(url("/metrics/services", { limit: 200 }));
  const named = (id: string): string =>
    names.answer?.data.find((row) => row.serviceId === id)?.serviceName ?? id;
  return (
    <Panel
      span={4}
      title="Recent errors"
      unit={`last 60${NBSP}min`}
      tools={
        <a class="panel-link" href={queryLink(RECENT_ERRORS_SQL)}>
          Open in Explore
        </a>
      }
    >
      <WhereKept height={284}>
        <Answered
          asked={asked}
          what="recent errors"
          height={284}
          empty={({ data }) => (data.length === 0 ? "No errors in the last 60 minutes." : null)}
        >
          {(answer) => (
            <DataTable<Failure>
              label="Recent errors"
              rows={failuresOf(answer)}
              rowKey={(row) => `${row.code} ${row.service}`}
              hasLinks
              isTwoLine
              columns={[
                {
                  key: "code", head: "Code and service", class: "code-cell",
                  cell: (row) => (
                    <>
                      <a class={`row-link mono${row.code === "" ? " dim" : ""}`} href={queryLink(failuresSql({ service: row.service, code: row.code, period: null }))}>
                        {row.code === "" ? "(no code)" : row.code}
                      </a>
                      <span {...cut(named(row.service), "second")}>{named(row.service)}</span>
                    </>
                  ),
                },
                { key: "count", head: "Count", isNumber: true, cell: (row) => count(row.failures) },
                {
                  key: "last", head: "Last seen", isNumber: true, class: "soft",
                  cell: (row) => clockWithSeconds(row.lastMs, view.zone),
                },
              ]}
            />
          )}
        </Answered>
      </WhereKept>
    </Panel>
  );
}
