// Revenue: how much, from what, what is left?

import type { JSX } from "preact";
import { isAwaited, useAnswer, url, type Asked } from "../lib/api";
import { change, type Good } from "../lib/change";
import { UNKNOWN, count, counted, money, moneyTick, percent, plain, type Figure } from "../lib/format";
import { previousLine, sumChange, usePrevious, type Previous } from "../lib/previous";
import { PER } from "../lib/period";
import { known, timeAxis } from "../lib/series";
import type { InCurrency, RevenueAnswer, RevenueFigures, RevenueStep } from "../lib/types";
import { linkTo, setQuery } from "../lib/url";
import { lastDayOf, useKnown, type View } from "../lib/view";
import { ChartFrame, CsvLink, type Line } from "../ui/chart";
import { FigureOver, previousOf, rangeSetter, stepOpener } from "../ui/charting";
import { NameLink } from "../ui/cells";
import { ChangeLine } from "../ui/figure";
import { Answered, Notice, Panel } from "../ui/panel";
import { Segments } from "../ui/segments";
import { FullBar, InlineBar } from "../ui/spark";
import { Band, Stat } from "../ui/stat";
import { DataTable } from "../ui/table";

const TOP = 8;

export function Revenue({ view }: { view: View }): JSX.Element {
  const currency = useKnown(view.route, "currency", isCode, "It shows all that there are.");
  const asked = useAnswer<RevenueAnswer>(
    url("/metrics/revenue", {
      ...view.params,
      currency,
      granularity: view.granularity,
      limit: TOP,
      compare: view.isCompared ? "previous" : null,
    }),
    view.refreshMs,
  );
  // What there is to choose from does not narrow with the choice.
  const all = useAnswer<RevenueAnswer>(
    currency === null ? null : url("/metrics/revenue", { ...view.params, limit: 1 }),
    view.refreshMs,
  );
  const isMixed = asked.answer?.data.gmv === null;
  const unfiltered = currency === null ? asked : all;
  return (
    <div class="grid">
      <Choice chosen={currency} codes={Object.keys(unfiltered.answer?.data.byCurrency ?? {})} />
      {isMixed && (
        <div class="span-12">
          <Notice tone="warn">{mixedWords(asked.answer?.data)} Choose one, or set currency_rates.</Notice>
        </div>
      )}
      <Figures view={view} asked={asked} />
      {!isMixed && <GmvChart view={view} asked={asked} />}
      {!isMixed && <FromGross asked={asked} />}
      <TopSellers view={view} asked={asked} />
      <Currencies view={view} asked={unfiltered} />
    </div>
  );
}

const isCode = (word: string): boolean => /^[A-Z]{3}$/.test(word);

/** The one currency that is looked at; null for all together. */
function currencyIn(view: View): string | null {
  const code = view.route.query["currency"] ?? "";
  return isCode(code) ? code : null;
}

function Choice({ chosen, codes }: { chosen: string | null; codes: readonly string[] }): JSX.Element | null {
  if (codes.length < 2 && chosen === null) return null;
  const shown = [...new Set(chosen === null ? codes : [...codes, chosen])].sort();
  return (
    <div class="span-12">
      <Segments
        label="Currency"
        value={chosen ?? ""}
        choices={[{ value: "", label: "All" }, ...shown.map((code) => ({ value: code, label: code }))]}
        onChoose={(code) => setQuery({ currency: code === "" ? null : code })}
      />
    </div>
  );
}

/** Why amounts have no sum, for whoever can choose one currency of them. */
export function mixedWords(data: RevenueFigures | undefined): string {
  const codes = Object.keys(data?.byCurrency ?? {});
  const listed = new Intl.ListFormat("en", { type: "conjunction" }).format(codes);
  return `Amounts came in ${listed}, and no rate tells what they are together.`;
}

function useRevenueBefore(view: View): Previous<RevenueStep> {
  return usePrevious<RevenueAnswer, RevenueStep>(
    view, "/metrics/revenue", ({ data }) => data.series, { limit: 1, currency: currencyIn(view) ?? undefined },
  );
}

function Figures({ view, asked }: { view: View; asked: Asked<RevenueAnswer> }): JSX.Element {
  const now = asked.answer?.data;
  const before = view.isCompared ? asked.answer?.previous : undefined;
  const steps = useRevenueBefore(view);
  const rows = now?.series ?? [];
  const gmv = sumChange(view, rows, steps, (row) => row.gmv, "up");
  const orders = sumChange(view, rows, steps, (row) => row.transactionCount, "up");
  const cash = (value: number | null | undefined): Figure => money(value, now?.currency ?? "USD");
  const line = (
    pick: (figures: RevenueFigures) => number | null,
    measure: "amount" | "rate",
    good: Good,
  ): JSX.Element | undefined =>
    now && before && <ChangeLine change={change(pick(now), pick(before), measure, good)} than="previous" />;
  return (
    <Band label="Revenue" isLoading={isAwaited(asked)}>
      <Stat
        label="GMV"
        figure={cash(now?.gmv)}
        title="Sales less refunds; compared by full steps of the period"
        line={gmv !== null && <ChangeLine change={gmv.change} than="previous" />}
      />
      <Stat
        label="MRR"
        figure={cash(now?.mrr)}
        title="Payments that recur, per month"
        line={now?.mrr === null && now.gmv !== null ? "in another currency" : `on ${lastDayOf(view)}`}
      />
      <Stat
        label="Take rate"
        figure={percent(now?.takeRate, 1)}
        line={line(({ takeRate }) => takeRate, "rate", "neutral")}
      />
      <Stat
        label="Creator earnings"
        figure={cash(now?.creatorEarnings)}
        line={now?.gmv ? `${plain(percent((100 * (now.creatorEarnings ?? 0)) / now.gmv, 1))} of GMV` : null}
      />
      <Stat
        label="Orders"
        figure={counted(now?.transactionCount)}
        line={orders !== null && <ChangeLine change={orders.change} than="previous" />}
      />
      <Stat
        label="Average order"
        figure={cash(now?.avgOrderValue)}
        line={line(({ avgOrderValue }) => avgOrderValue, "amount", "up")}
      />
    </Band>
  );
}

function GmvChart({ view, asked }: { view: View; asked: Asked<RevenueAnswer> }): JSX.Element {
  const previous = useRevenueBefore(view);
  return (
    <section class="panel span-8" aria-label="GMV">
      <Answered
        asked={asked}
        what="revenue"
        title="GMV"
        height={320}
        empty={({ data }) =>
          data.transactionCount === 0 && (data.refunds ?? 0) === 0
            ? `No sales in this period (${view.period.dates}).`
            : null
        }
      >
        {({ data }) => {
          const rows = data.series ?? [];
          const axis = timeAxis(rows.map(({ start }) => start), view, view.granularity);
          const before = previousLine(axis, previous, (row) => row.gmv, "mean");
          const cash = (value: number): string => plain(money(value, data.currency));
          const line: Line = {
            label: "GMV", color: "--s3", hasArea: true, values: known(axis, rows, (row) => row.gmv),
          };
          return (
            <ChartFrame
              title="GMV"
              name="GMV"
              unit={`${PER[view.granularity]}, less refunds`}
              figure={
                <FigureOver
                  figure={cash(data.gmv ?? 0)}
                  sum={sumChange(view, rows, previous, (row) => row.gmv, "up")}
                  format={cash}
                />
              }
              csv={url("/export/revenue", { ...view.params, currency: currencyIn(view), granularity: view.granularity, format: "csv" })}
              {...axis}
              lines={before === null ? [line] : [line, previousOf(view, before, previous.isCoarser ? "mean" : null)]}
              hasLegend
              yTick={(value) => moneyTick(value, data.currency)}
              format={cash}
              footAt={(at) => `${count(rows[at]?.transactionCount)} orders`}
              onRange={rangeSetter(axis, view.zone)}
              onPoint={stepOpener(axis, view.zone)}
            />
          );
        }}
      </Answered>
    </section>
  );
}

interface Step {
  label: string;
  value: number | null;
  kind: "" | "minus" | "kept";
  isSum: boolean;
  start: number;
}

/** Gross − refunds = GMV − fees = creator earnings: each bar begins where the one before ends. */
function stepsOf(data: InCurrency): Step[] {
  const { grossGmv, refunds, gmv, fees, creatorEarnings } = data;
  return [
    { label: "Gross sales", value: grossGmv, kind: "", isSum: false, start: 0 },
    { label: "Refunds", value: refunds === null ? null : -refunds, kind: "minus", isSum: false, start: gmv ?? 0 },
    { label: "GMV", value: gmv, kind: "", isSum: true, start: 0 },
    { label: "Fees", value: fees === null ? null : -fees, kind: "minus", isSum: false, start: creatorEarnings ?? 0 },
    { label: "Creator earnings", value: creatorEarnings, kind: "kept", isSum: true, start: 0 },
  ];
}

const noSales = ({ refunds, currency }: InCurrency & { currency: string }): string =>
  refunds === null || refunds === 0
    ? "No sales in this period."
    : `No sales in this period, and ${plain(money(refunds, currency))} of earlier ones refunded.`;

function FromGross({ asked }: { asked: Asked<RevenueAnswer> }): JSX.Element {
  return (
    <Panel span={4} title="From gross to earnings">
      <Answered
        asked={asked}
        what="revenue"
        height={280}
        empty={({ data }) => (data.grossGmv === 0 ? noSales(data) : null)}
      >
        {({ data }) => {
          const most = Math.max(1, data.grossGmv ?? 0);
          return (
            <ul class="share-list steps">
              {stepsOf(data).map(({ label, value, kind, isSum, start }) => (
                <li key={label}>
                  <span class="line">
                    <span class={isSum ? "strong" : "soft"}>{label}</span>
                    <span class={`value${isSum ? " strong" : ""}`}>{plain(money(value, data.currency))}</span>
                    <span class="part">{plain(percent((100 * (kind === "minus" ? -1 : 1) * (value ?? 0)) / most, 1))}</span>
                  </span>
                  <FullBar
                    share={Math.max(0, Math.min(1, ((kind === "minus" ? -1 : 1) * (value ?? 0)) / most))}
                    start={Math.max(0, Math.min(1, start / most))}
                    kind={kind}
                  />
                </li>
              ))}
            </ul>
          );
        }}
      </Answered>
    </Panel>
  );
}

type Seller = RevenueFigures["topServices"][number];

function TopSellers({ view, asked }: { view: View; asked: Asked<RevenueAnswer> }): JSX.Element {
  const csv = url("/export/revenue", { ...view.params, currency: currencyIn(view), format: "csv" });
  return (
    <Panel span={6} title="Top services" unit="by GMV" tools={<CsvLink href={csv} name="Top services" />}>
      <Answered
        asked={asked}
        what="services"
        height={320}
        empty={({ data }) => (data.topServices.length === 0 ? "No service sold anything in this period." : null)}
      >
        {({ data }) => {
          const most = Math.max(...data.topServices.map(({ gmv }) => gmv ?? 0));
          return (
            <DataTable<Seller>
              label="Top services by GMV"
              rows={data.topServices}
              rowKey={(row) => row.id}
              hasLinks
              columns={[
                {
                  key: "name", head: "Service", class: "name-cell",
                  cell: (row) => <NameLink name={row.name} href={linkTo(["services", row.id])} />,
                },
                { key: "orders", head: "Orders", isNumber: true, cell: (row) => count(row.transactionCount) },
                {
                  key: "gmv", head: "GMV", isNumber: true,
                  cell: (row) =>
                    row.gmv === null ? (
                      UNKNOWN
                    ) : (
                      <span class="with-bar">
                        {plain(money(row.gmv, data.currency))}
                        <InlineBar value={row.gmv} most={most} />
                      </span>
                    ),
                },
              ]}
            />
          );
        }}
      </Answered>
    </Panel>
  );
}

type CurrencyRow = InCurrency & { code: string };

function Currencies({ view, asked }: { view: View; asked: Asked<RevenueAnswer> }): JSX.Element {
  const csv = url("/export/revenue", { ...view.params, format: "csv" });
  const cash = (row: CurrencyRow, value: number | null): string => plain(money(value, row.code));
  return (
    <Panel span={6} class="as-high-as-needed currencies" title="By currency" tools={<CsvLink href={csv} name="By currency" />}>
      <Answered
        asked={asked}
        what="currencies"
        height={160}
        empty={({ data }) => (Object.keys(data.byCurrency).length === 0 ? "No sales in this period." : null)}
      >
        {({ data }) => (
          <div class="table-box scrolls" tabIndex={0} role="region" aria-label="Currencies, rows">
            <DataTable<CurrencyRow>
              label="By currency"
              rows={Object.entries(data.byCurrency).map(([code, row]) => ({ code, ...row }))}
              rowKey={(row) => row.code}
              hasLinks
              columns={[
                {
                  key: "code", head: "Currency", class: "medium",
                  cell: (row) => (
                    <a class="row-link" href={linkTo(["revenue"], { currency: row.code })}>
                      {row.code}
                    </a>
                  ),
                },
                { key: "gmv", head: "GMV", isNumber: true, cell: (row) => cash(row, row.gmv) },
                { key: "orders", head: "Orders", isNumber: true, cell: (row) => count(row.transactionCount) },
                {
                  key: "average", head: "Average order", isNumber: true, class: "narrow-not",
                  cell: (row) => cash(row, row.avgOrderValue),
                },
                {
                  key: "take", head: "Take rate", isNumber: true, class: "narrow-not",
                  cell: (row) => plain(percent(row.takeRate, 1)),
                },
                { key: "mrr", head: "MRR", isNumber: true, cell: (row) => cash(row, row.mrr) },
              ]}
            />
          </div>
        )}
      </Answered>
    </Panel>
  );
}
