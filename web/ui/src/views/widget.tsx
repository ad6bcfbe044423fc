// One widget of a dashboard: it asks one question when it comes into sight, and again each interval.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useAnswer, url, type Question } from "../lib/api";
import { change } from "../lib/change";
import { count, percent, plain } from "../lib/format";
import type { Periods } from "../lib/heading";
import { live } from "../lib/live";
import { canShow, drawnAs, familyOf, fieldOf, metricOf, scalarOf, seriesOf, stepValue, type Family } from "../lib/metrics";
import { PER, granularityFor, periodOf } from "../lib/period";
import { known, timeAxis } from "../lib/series";
import { drawingOf } from "../lib/result";
import { useStore } from "../lib/store";
import type {
  CountersAnswer, ExperimentRow, ExperimentsAnswer, MarketplaceAnswer, RevenueAnswer, ServicesAnswer,
  SqlAnswer, UsersAnswer, VariantRow, Widget,
} from "../lib/types";
import { variantName } from "../lib/verdict";
import { areHoursKept, isComparable, lastDayOf, settings, type View } from "../lib/view";
import { ChartFrame, type Line } from "../ui/chart";
import { ChangeLine, FigureText } from "../ui/figure";
import { Answered, Nothing, PanelHead } from "../ui/panel";
import { WideSpark } from "../ui/spark";
import { DataTable } from "../ui/table";
import { ResultChart, ResultTable } from "./result";
import { mixedWords } from "./revenue";
import { FamilyTable } from "./widgettables";

/** Where a dashboard's figures come from: the service itself, or what a share link opens. */
export interface Source {
  base: string;
  token: string | null;
}

export const OWN: Source = { base: "", token: null };

interface Props {
  widget: Widget;
  view: View;
  source: Source;
  refreshMs: number;
  /** Height of the content in px, without the head. */
  height: number;
}

type Answer = ServicesAnswer | RevenueAnswer | MarketplaceAnswer | UsersAnswer | ExperimentsAnswer | SqlAnswer | CountersAnswer;

/** A chart brings the head of its frame along, which other widgets have before their answer. */
const FRAME_HEAD_PX = 46;

export function WidgetBox({ tools, ...props }: Props & { tools?: ComponentChildren }): JSX.Element {
  const { widget, view, source, height } = props;
  const box = useRef<HTMLDivElement>(null);
  const isSeen = useSeen(box);
  const own = widgetView(widget, view);
  const asked = useAnswer<Answer>(isSeen ? questionOf(widget, own, source) : null, props.refreshMs);
  const isUnwritten = familyOf(widget.metric) === "sql" && questionOf(widget, own, source) === null;
  // The page has the live counters already; a share link asks for its own.
  const isLive = familyOf(widget.metric) === "counters" && source.token === null;
  const isFramed = widget.kind === "lineChart" || widget.kind === "barChart";
  return (
    <div ref={box} class={`widget kind-${widget.kind}`}>
      {!isFramed && (
        <div class="panel-head">
          <h2 title={widget.title}>{widget.title}</h2>
          {periodsIn(widget) === "own" && <span class="unit">{own.period.label.toLowerCase()}</span>}
          {tools !== undefined && <div class="tools">{tools}</div>}
        </div>
      )}
      {isFramed && tools !== undefined && <div class="widget-tools">{tools}</div>}
      {isUnwritten && <Nothing height={height}>This widget has no query yet. Its form takes one.</Nothing>}
      {isLive && <LiveCounter widget={widget} />}
      {!isUnwritten && !isLive && (
        <Answered
          asked={asked}
          what={widget.title.toLowerCase() || "this widget"}
          height={isFramed ? height + FRAME_HEAD_PX : height}
        >
          {(answer) => <Content {...props} view={own} answer={answer} isEmbedded={source.token !== null} />}
        </Answered>
      )}
    </div>
  );
}

function useSeen(box: { current: HTMLElement | null }): boolean {
  const [isSeen, setSeen] = useState(false);
  useEffect(() => {
    const element = box.current;
    if (element === null || isSeen) return undefined;
    const observer = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) setSeen(true);
    }, { rootMargin: "200px" });
    observer.observe(element);
    return () => observer.disconnect();
  }, [isSeen]);
  return isSeen;
}

/** A query has its period in its text, and live counters are those of now. */
const TIMELESS: readonly Family[] = ["counters", "sql"];

/** Whose period a widget shows; an experiment without one of its own is shown since it began. */
function periodsIn({ metric, range }: Widget): Periods {
  const family = familyOf(metric);
  if (TIMELESS.includes(family)) return "none";
  if (range !== null) return "own";
  return family === "experiments" ? "none" : "page";
}

/** What a period that is chosen for the page changes in these: something, or nothing as they have their own or none. */
export function periodsOf(widgets: readonly Widget[]): Periods {
  const found = widgets.map(periodsIn);
  if (found.includes("page")) return "page";
  return found.includes("own") ? "own" : "none";
}

/** A widget may have a period of its own. */
function widgetView(widget: Widget, view: View): View {
  const found = widget.range === null ? null : periodOf(widget.range, view.zone, view.nowMs);
  const period = found ?? view.period;
  const granularity = granularityFor(period, {
    wanted: view.route.query["granularity"] ?? null,
    finest: familyOf(widget.metric) === "users" ? "day" : "hour",
    areHoursKept: areHoursKept(period.startMs, view.nowMs),
  });
  return {
    ...view,
    period,
    granularity,
    isCompared: isComparable(view, period),
    params: { ...view.params, startDate: period.start, endDate: period.end },
  };
}

const COMPARED: readonly Family[] = ["services", "revenue", "marketplace", "users"];

/** Whether a widget tells its change, where the page compares. */
export const isComparing = ({ kind, metric }: Widget): boolean =>
  kind === "counter" && COMPARED.includes(familyOf(metric));

function questionOf(widget: Widget, view: View, source: Source): Question | null {
  const family = familyOf(widget.metric);
  const token = source.token;
  if (family === "counters") {
    return token === null ? null : { url: url(`${source.base}/counters`, { keys: fieldOf(widget.metric), token }) };
  }
  const { sql, query, ...filters } = widget.filters;
  if (family === "sql") {
    // A share link names the query that the service keeps, and never sends one.
    if (token !== null) return query === undefined ? null : { url: url(`${source.base}/queries/${query}`, { token }) };
    return sql === undefined || sql.trim() === "" ? null : { url: "/sql", body: sql };
  }
  const isTable = widget.kind === "table";
  const hasSeries = widget.kind === "lineChart" || widget.kind === "barChart" || hasTrend(widget);
  return {
    url: url(`${source.base}/metrics/${family}`, {
      ...(family === "experiments" && widget.range === null ? {} : view.params),
      ...filters,
      granularity: hasSeries && family !== "experiments" ? view.granularity : null,
      compare: view.isCompared && isComparing(widget) ? "previous" : null,
      limit: limitOf(family, isTable),
      token,
    }),
  };
}

/** Whether a figure can be told step by step as well, and so has its trend below it. */
const hasTrend = ({ kind, metric }: Widget): boolean =>
  kind === "counter" && metricOf(metric).kinds.includes("lineChart");

const TABLE_ROWS = 25;

const limitOf = (family: Family, isTable: boolean): number | null => {
  if (family === "experiments" || family === "users") return null;
  return isTable ? TABLE_ROWS : 1;
};

type ContentProps = Omit<Props, "source"> & { answer: Answer; isEmbedded: boolean };

function Content(props: ContentProps): JSX.Element | null {
  const { widget, answer } = props;
  const family = familyOf(widget.metric);
  if (family === "sql") return <SqlContent {...props} answer={answer as SqlAnswer} />;
  if (family === "experiments") return <Variants {...props} rows={(answer as ExperimentsAnswer).data} />;
  if (family === "counters") {
    return <Figure widget={widget} value={(answer as CountersAnswer).data[fieldOf(widget.metric)] ?? null} />;
  }
  if (!canShow(widget.kind, widget.metric, answer as ServicesAnswer)) {
    return (
      <>
        {(widget.kind === "lineChart" || widget.kind === "barChart") && <PanelHead title={widget.title} />}
        <Nothing height={props.height}>
          This kind of widget cannot show {widget.metric}. Its form has the figures that it can.
        </Nothing>
      </>
    );
  }
  switch (widget.kind) {
    case "counter":
      return <Counter {...props} />;
    case "table":
      return <FamilyTable {...props} answer={answer as ServicesAnswer} />;
    case "funnel":
      return <Funnel answer={answer as MarketplaceAnswer} />;
    default:
      return <Chart {...props} />;
  }
}

const currencyOf = (family: Family, answer: Answer): string =>
  family === "revenue" ? (answer as RevenueAnswer).data.currency : "USD";

/** Whether amounts came in several currencies that no rate brings together. */
const isMixed = (family: Family, answer: Answer): boolean =>
  family === "revenue" && (answer as RevenueAnswer).data.reason !== null;

const TREND_FROM_PX = 96;

/** Figures of the last day of a period, and not of the whole. */
const OF_LAST_DAY: readonly string[] = ["revenue.mrr", "users.dau", "users.mau"];

function Counter({ widget, answer, view, height }: ContentProps): JSX.Element {
  const family = familyOf(widget.metric);
  const field = fieldOf(widget.metric);
  const figures = answer as ServicesAnswer;
  const { measure, good } = metricOf(widget.metric);
  const now = scalarOf(family, field, figures, "now");
  const before = scalarOf(family, field, figures, "previous");
  // A period that still runs is shorter than the one before: only rates may be compared then.
  const isFair = !view.period.isRunning || measure !== "amount";
  let line: ComponentChildren = OF_LAST_DAY.includes(widget.metric)
    ? `on ${lastDayOf(view)}`
    : widget.range === null && view.period.dates;
  if (isMixed(family, answer) && now === null) line = "in several currencies, and no rate is set";
  else if (view.isCompared && isFair && before !== null) {
    line = <ChangeLine change={change(now, before, measure, good)} than="previous" />;
  }
  return (
    <Figure
      widget={widget}
      value={now}
      currency={currencyOf(family, answer)}
      line={line}
      trend={height >= TREND_FROM_PX && hasTrend(widget) ? <Trend {...{ widget, answer, view }} /> : null}
    />
  );
}

/** The steps that are over, as a line without an axis: the figure above says how much. */
function Trend({ widget, answer, view }: Pick<ContentProps, "widget" | "answer" | "view">): JSX.Element {
  const family = familyOf(widget.metric);
  const rows = seriesOf(family, answer as ServicesAnswer);
  const axis = timeAxis(rows.map(({ start }) => start), view, view.granularity);
  const over = axis.running >= 0 ? axis.running : axis.ahead;
  const values = rows.slice(0, over).map((row) => stepValue(fieldOf(widget.metric), row));
  return <WideSpark values={values} isMoney={family === "revenue"} />;
}

function Figure({ widget, value, currency = "USD", line, trend }: {
  widget: Widget;
  value: number | null;
  currency?: string;
  line?: ComponentChildren;
  trend?: JSX.Element | null;
}): JSX.Element {
  return (
    <div class="widget-figure">
      <div class="stat-figure">
        <FigureText figure={drawnAs(metricOf(widget.metric), currency).figure(value)} />
      </div>
      <div class="change-line">{line}</div>
      {trend}
    </div>
  );
}

function LiveCounter({ widget }: { widget: Widget }): JSX.Element {
  const value = useStore(live, ({ counters }) => counters?.[fieldOf(widget.metric)] ?? null);
  const currency = useStore(settings, ({ reportingCurrency }) => reportingCurrency ?? "USD");
  return <Figure widget={widget} value={value} currency={currency} line="live" />;
}

const LATENCIES: readonly (readonly [string, string])[] = [
  ["p99", "--s4"],
  ["p95", "--s2"],
  ["p50", "--s1"],
];

function Chart({ widget, answer, view, height }: ContentProps): JSX.Element {
  const family = familyOf(widget.metric);
  const field = fieldOf(widget.metric);
  if (family === "users" && field === "curve") return <Curve {...{ widget, view, height }} answer={answer as UsersAnswer} />;
  const drawn = drawnAs(metricOf(widget.metric), currencyOf(family, answer));
  const rows = seriesOf(family, answer as ServicesAnswer);
  const axis = timeAxis(rows.map(({ start }) => start), view, view.granularity);
  const kind = widget.kind === "barChart" ? "bars" : "line";
  const color = family === "revenue" ? "--s3" : "--s1";
  const lines: Line[] =
    field === "latency"
      ? LATENCIES.map(([name, token]) => ({
          label: name, color: token, values: known(axis, rows, (row) => stepValue(name, row)),
        }))
      : [{
          label: widget.title || field, color, kind, hasArea: kind === "line",
          values: known(axis, rows, (row) => stepValue(field, row)),
        }];
  const half = halfStep(axis.xs);
  if (isMixed(family, answer) && lines.every(({ values }) => values.every((value) => value === null))) {
    return (
      <>
        <PanelHead title={widget.title} />
        <Nothing height={height}>{mixedWords((answer as RevenueAnswer).data)}</Nothing>
      </>
    );
  }
  return (
    <ChartFrame
      title={widget.title}
      name={widget.title || field}
      unit={PER[view.granularity]}
      {...axis}
      lines={lines}
      {...(kind === "bars" ? { from: (axis.xs[0] ?? 0) - half, to: (axis.xs.at(-1) ?? 1) + half } : {})}
      yTick={drawn.tick}
      format={drawn.text}
      scaled={drawn.scaled}
      height={height - (lines.length > 1 ? 34 : 12)}
    />
  );
}

/** With the period, where it is the widget's own and no axis of days shows it. */
const captionOf = (what: string, widget: Widget, { period }: View): string =>
  periodsIn(widget) === "own" ? `${what}, ${period.label.toLowerCase()}` : what;

const halfStep = (xs: readonly number[]): number => ((xs[1] ?? 1) - (xs[0] ?? 0)) / 2;

function Curve({ widget, view, answer, height }: Pick<ContentProps, "widget" | "view" | "height"> & { answer: UsersAnswer }): JSX.Element {
  const { curve } = answer.data;
  return (
    <ChartFrame
      title={widget.title}
      name={widget.title || "Retention"}
      unit={captionOf("active on day N", widget, view)}
      xs={curve.map(({ day }) => day)}
      xTicks={() => [1, 7, 14, 21, 30].map((day) => ({ x: day, label: `Day ${day}` }))}
      nameAt={(at) => `Day ${curve[at]?.day ?? ""}`}
      xName="Day"
      lines={[{ label: "Retention", color: "--s1", hasArea: true, values: curve.map((point) => point.percent) }]}
      yTick={(value) => plain(percent(value, 0))}
      format={(value) => plain(percent(value, 1))}
      height={height - 12}
    />
  );
}

function Funnel({ answer }: { answer: MarketplaceAnswer }): JSX.Element {
  const { searches, views, conversions } = answer.data;
  const most = Math.max(searches, views, conversions, 1);
  return (
    <ol class="funnel">
      {([["Searches", searches], ["Views", views], ["Conversions", conversions]] as const).map(([label, value], at) => (
        <li key={label}>
          <span class="funnel-line">
            <span class="soft">{label}</span>
            <span class="strong funnel-value">{count(value)}</span>
          </span>
          <svg class="funnel-bar" height="20" width="100%" aria-hidden="true">
            <rect class="track" width="100%" height="20" rx="4" />
            <rect class={`fill step${at}`} width={`${(100 * value) / most}%`} height="20" rx="4" />
          </svg>
        </li>
      ))}
    </ol>
  );
}

interface OneVariant {
  row: ExperimentRow;
  variant: VariantRow;
}

function Variants({ widget, view, rows, height }: ContentProps & { rows: readonly ExperimentRow[] }): JSX.Element {
  const all: OneVariant[] = rows.flatMap((row) => row.variants.map((variant) => ({ row, variant })));
  if (widget.kind === "table") {
    return (
      <div class="widget-table" tabIndex={0} role="group" aria-label={widget.title}>
        <DataTable<OneVariant>
          label={widget.title}
          rows={all}
          rowKey={({ row, variant }) => `${row.experimentId} ${variant.index}`}
          columns={[
            { key: "name", head: "Experiment", class: "name-cell", cell: ({ row }) => row.experimentName },
            { key: "variant", head: "Variant", cell: ({ variant }) => variantName(variant) },
            { key: "units", head: "People", isNumber: true, cell: ({ variant }) => count(variant.units) },
            { key: "rate", head: "Rate", isNumber: true, cell: ({ variant }) => plain(percent(variant.unitRate, 2)) },
            {
              key: "state", head: "Result", isNumber: true,
              cell: ({ row, variant }) => (row.winner === variant.index ? <span class="chip ok">wins</span> : ""),
            },
          ]}
        />
      </div>
    );
  }
  const nameAt = (at: number): string => {
    const one = all[at];
    return one === undefined ? "" : `${one.row.experimentName}, ${variantName(one.variant)}`;
  };
  return (
    <ChartFrame
      title={widget.title}
      name={widget.title}
      unit={captionOf("converted, of people", widget, view)}
      xs={all.map((_, at) => at)}
      from={-0.6}
      to={all.length - 0.4}
      xTicks={() => all.map(({ variant }, at) => ({ x: at, label: variant.name }))}
      nameAt={nameAt}
      xName="Variant"
      lines={[{ label: "Rate", color: "--s1", kind: "bars", values: all.map(({ variant }) => variant.unitRate) }]}
      yTick={(value) => plain(percent(value, 0))}
      format={(value) => plain(percent(value, 2))}
      height={height - 12}
    />
  );
}

function SqlContent({ widget, answer, height }: ContentProps & { answer: SqlAnswer }): JSX.Element {
  const drawing = drawingOf(answer);
  if (widget.kind === "counter") {
    const first = Object.values(answer.data[0] ?? {}).find((value) => typeof value === "number");
    return <Figure widget={widget} value={typeof first === "number" ? first : null} />;
  }
  if (widget.kind !== "table" && drawing !== null) {
    return <ResultChart answer={answer} drawing={drawing} height={height - 12} title={widget.title} />;
  }
  return (
    <div class="widget-table" tabIndex={0} role="group" aria-label={widget.title}>
      <ResultTable answer={answer} />
    </div>
  );
}
