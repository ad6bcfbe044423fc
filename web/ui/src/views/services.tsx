// Services: which are used, slow, failing, getting worse?

import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { useAnswer, url } from "../lib/api";
import { NBSP, bound, count, duration, durationTick, many, percent, plain } from "../lib/format";
import { timeAxis } from "../lib/series";
import type { LatencyAccuracy, ServiceRow, ServicesAnswer } from "../lib/types";
import { setQuery } from "../lib/url";
import { useKnown, type View } from "../lib/view";
import { CountBar, ErrorRate, Latency, P95Change, ServiceName, thinned } from "../ui/cells";
import { Icon } from "../ui/icons";
import { Answered } from "../ui/panel";
import { LogStrip, Spark, decades, stripFor, stripX, type Strip } from "../ui/spark";
import { DataTable, type Column } from "../ui/table";

const ROWS_MAX = 1000;
const PAGED_FROM = 200;
const PAGE_ROWS = 50;
const DEFAULT_SORT = "-executions";
const SORTS = [
  "executions", "errorRate", "successRate", "p50", "p95", "p99", "avg", "max", "serviceId", "serviceName", "category",
];
const isSort = (word: string): boolean => SORTS.includes(word.replace(/^-/, ""));

export function Services({ view }: { view: View }): JSX.Element {
  const { query } = view.route;
  const sort = useKnown(view.route, "sort", isSort, "The busiest come first.") ?? DEFAULT_SORT;
  const category = query["category"] ?? "";
  const all = useAnswer<ServicesAnswer>(question(view, { sort, category: "" }), view.refreshMs);
  const some = useAnswer<ServicesAnswer>(
    category === "" ? null : question(view, { sort, category }), view.refreshMs,
  );
  const asked = category === "" ? all : some;
  const categories = useMemo(() => categoriesOf(all.answer?.data ?? []), [all.answer]);
  return (
    <>
      <Filters view={view} categories={categories} answer={asked.answer} />
      <section class="panel" aria-label="Services">
        <Answered
          asked={asked}
          what="services"
          height={360}
          empty={({ data }) => (data.length === 0 ? emptyWords(view, category) : null)}
        >
          {(answer) => <Table view={view} answer={answer} sort={sort} />}
        </Answered>
      </section>
      {asked.answer !== undefined && <Foot answer={asked.answer} />}
    </>
  );
}

const emptyWords = (view: View, category: string): string =>
  category === ""
    ? `No executions in this period (${view.period.dates}). Choose an earlier or longer one.`
    : `No executions in the category “${category}” in this period (${view.period.dates}).`;

function question(view: View, { sort, category }: { sort: string; category: string }): string {
  return url("/metrics/services", {
    ...view.params,
    granularity: view.granularity,
    limit: ROWS_MAX,
    sort,
    trend: true,
    category: category === "" ? null : category,
    compare: view.isCompared ? "previous" : null,
  });
}

function categoriesOf(rows: readonly ServiceRow[]): string[] {
  return [...new Set(rows.flatMap((row) => (row.category === null ? [] : [row.category])))].sort();
}

const hasErrors = (row: ServiceRow): boolean => (row.errorRate ?? 0) > 0;

function matching(rows: readonly ServiceRow[], query: Readonly<Record<string, string>>): ServiceRow[] {
  const text = (query["find"] ?? "").trim().toLowerCase();
  const onlyErrors = query["errors"] === "1";
  return rows.filter(
    (row) =>
      (!onlyErrors || hasErrors(row)) &&
      (text === "" ||
        row.serviceName.toLowerCase().includes(text) ||
        row.serviceId.toLowerCase().includes(text)),
  );
}

function Filters({ view, categories, answer }: {
  view: View;
  categories: readonly string[];
  answer: ServicesAnswer | undefined;
}): JSX.Element {
  const { query } = view.route;
  const isOnlyErrors = query["errors"] === "1";
  const failing = answer?.data.filter(hasErrors).length ?? 0;
  const set = (name: string, value: string): void =>
    setQuery({ [name]: value === "" ? null : value, page: null }, { replace: true });
  return (
    <div class="filter-row" role="search">
      <div class="search-box">
        <Icon name="search" size={14} />
        <input
          type="search"
          class="field"
          placeholder="Find a service"
          aria-label="Find a service"
          data-search
          value={query["find"] ?? ""}
          onInput={(event) => set("find", event.currentTarget.value)}
        />
        <kbd>/</kbd>
      </div>
      <select
        class="button select"
        aria-label="Category"
        value={query["category"] ?? ""}
        onChange={(event) => set("category", event.currentTarget.value)}
      >
        <option value="">All categories</option>
        {categories.map((category) => (
          <option key={category} value={category}>
            {category}
          </option>
        ))}
      </select>
      <button
        type="button"
        class="button toggle"
        aria-pressed={isOnlyErrors}
        onClick={() => set("errors", isOnlyErrors ? "" : "1")}
      >
        With errors
        {answer !== undefined && <span class="chip">{count(failing)}</span>}
      </button>
      <span class="totals">{answer === undefined ? NBSP : totals(answer)}</span>
      <a class="button" download href={url("/export/services", { ...view.params, format: "csv" })}>
        <Icon name="download" size={14} />
        CSV
      </a>
    </div>
  );
}

const totals = ({ rows, total }: ServicesAnswer): string =>
  `${many(rows, "service", "services")} · ${many(total.executions, "execution", "executions")} · ` +
  `${plain(percent(total.errorRate, 2))} errors`;

function Table({ view, answer, sort }: { view: View; answer: ServicesAnswer; sort: string }): JSX.Element {
  const { query } = view.route;
  const rows = matching(answer.data, query);
  const [page, setPage] = useState(0);
  useEffect(() => setPage(0), [sort, query["find"], query["errors"], query["category"]]);
  const isPaged = rows.length > PAGED_FROM;
  const last = Math.ceil(rows.length / PAGE_ROWS) - 1;
  const first = isPaged ? Math.min(page, last) * PAGE_ROWS : 0;
  const shown = isPaged ? rows.slice(first, first + PAGE_ROWS) : rows;
  if (rows.length === 0) {
    return (
      <div class="state">
        <p>No service matches what is asked for above.</p>
        <button
          type="button"
          class="button"
          onClick={() => setQuery({ find: null, errors: null, category: null })}
        >
          Show all services
        </button>
      </div>
    );
  }
  return (
    <>
      <DataTable<ServiceRow>
        label="Services"
        rows={shown}
        rowKey={(row) => row.serviceId}
        columns={columnsOf(view, answer)}
        sort={sort}
        onSort={(next) => setQuery({ sort: next === DEFAULT_SORT ? null : next })}
        hasLinks
        isSticky
      />
      {isPaged && (
        <Pager first={first} shown={shown.length} of={rows.length} page={Math.min(page, last)} last={last} onPage={setPage} />
      )}
    </>
  );
}

function Pager({ first, shown, of, page, last, onPage }: {
  first: number;
  shown: number;
  of: number;
  page: number;
  last: number;
  onPage: (page: number) => void;
}): JSX.Element {
  const turn = (to: number): void => {
    if (to < 0 || to > last) return;
    onPage(to);
    scrollTo({ top: 0 });
  };
  // Not disabled at an end: a button that is has no focus any more, and the keyboard would start anew.
  return (
    <div class="pager panel-body">
      <button type="button" class="button" aria-disabled={page === 0} onClick={() => turn(page - 1)}>
        Earlier rows
      </button>
      <span class="dim" role="status">
        {count(first + 1)} – {count(first + shown)} of {count(of)}
      </span>
      <button type="button" class="button" aria-disabled={page === last} onClick={() => turn(page + 1)}>
        Further rows
      </button>
    </div>
  );
}

function columnsOf(view: View, answer: ServicesAnswer): Column<ServiceRow>[] {
  const most = Math.max(0, ...answer.data.map((row) => row.executions));
  const strip = stripFor(answer.data.map((row) => row.latency));
  const axis = timeAxis((answer.series ?? []).map(({ start }) => start), view, view.granularity);
  const over = axis.running >= 0 ? axis.running : axis.ahead;
  const about = answer.total.accuracy.exact ? "" : `≈${NBSP}`;
  const latency = (key: "p50" | "p95" | "p99", only = ""): Column<ServiceRow> => ({
    key, head: about + key, sort: key, isNumber: true, class: `phone-not ${only}`,
    cell: (row) => (
      <span title={intervalWords(row.accuracy, key)}>
        <Latency ms={row.latency[key]} />
      </span>
    ),
  });
  const columns: Column<ServiceRow>[] = [
    {
      key: "name", head: "Service", sort: "serviceName", class: "name-cell",
      cell: (row) => <ServiceName row={row} hasId />,
    },
    {
      key: "category", head: "Category", sort: "category", class: "soft short-cell category-cell wide-only phone-not",
      cell: (row) => row.category ?? <span class="dim">–</span>,
    },
    {
      key: "executions", head: "Executions", sort: "executions", isNumber: true,
      cell: (row) => <CountBar value={row.executions} most={most} />,
    },
    {
      key: "trend", head: "Trend", isNumber: true, class: "trend-cell phone-not",
      cell: (row) => <Spark values={thinned((row.trend ?? []).slice(0, over), 42)} />,
    },
    latency("p50"),
    latency("p95"),
    latency("p99"),
    {
      key: "strip", head: <StripHead strip={strip} />, class: "strip-cell wide-only phone-not",
      cell: (row) => <LogStrip strip={strip} {...row.latency} />,
    },
  ];
  if (view.isCompared) {
    columns.push({
      key: "change", head: "p95 change", isNumber: true, class: "phone-not",
      cell: (row) => <P95Change row={row} />,
    });
  }
  columns.push({
    key: "errors", head: "Errors", sort: "errorRate", isNumber: true,
    cell: (row) => <ErrorRate rate={row.errorRate} />,
  });
  return columns;
}

function StripHead({ strip }: { strip: Strip }): JSX.Element {
  return (
    <span class="strip-head">
      <span class="unseen">p50 to p99 on one scale</span>
      {decades(strip).map((ms) => (
        <span key={ms} aria-hidden="true" style={{ left: `${stripX(strip, ms)}px` }}>
          {ms >= 1000 || ms === strip.fromMs ? durationTick(ms) : ms}
        </span>
      ))}
    </span>
  );
}

type Percentile = "p50" | "p95" | "p99";

/** "between 840 and 848 ms, certain" */
export function intervalWords(accuracy: LatencyAccuracy, key: Percentile): string {
  const interval = accuracy[key];
  if (interval === null) return "";
  if (accuracy.exact) return "exact";
  const [low, high] = interval.map((ms) => plain(duration(ms)));
  return `between ${low} and ${high}, certain`;
}

/** Half of the interval in percent of the figure; null where it is exact. */
export function boundOf(accuracy: LatencyAccuracy, key: Percentile): number | null {
  const interval = accuracy[key];
  if (interval === null || accuracy.exact) return null;
  const [low, high] = interval;
  return low + high === 0 ? null : (100 * (high - low)) / (high + low);
}

function Foot({ answer }: { answer: ServicesAnswer }): JSX.Element {
  const { accuracy } = answer.total;
  const bounds = (["p50", "p95", "p99"] as const).flatMap((key) => {
    const half = boundOf(accuracy, key);
    return half === null ? [] : [`${key}${key === "p50" ? " within" : ""} ${bound(half)}`];
  });
  return (
    <div class="table-foot">
      <span>
        {answer.rows > answer.data.length &&
          `The first ${count(answer.data.length)} of ${count(answer.rows)} services in this order; CSV has all.`}
      </span>
      <span>
        {bounds.length === 0
          ? "All figures are exact."
          : `≈ estimated: ${bounds.join(", ")} · exact up to 256 executions`}
      </span>
    </div>
  );
}
