// Marketplace: what do people look for, what do they open, what do they buy?

import type { JSX } from "preact";
import { useAnswer, url, type Asked } from "../lib/api";
import { count, percent, plain } from "../lib/format";
import { previousLine, sumChange, usePrevious, type Previous } from "../lib/previous";
import { searchesSql } from "../lib/queries";
import { known, timeAxis } from "../lib/series";
import { queryLink } from "../lib/sqltext";
import type { MarketplaceAnswer, MarketplaceFigures, MarketplaceStep } from "../lib/types";
import { linkTo } from "../lib/url";
import type { View } from "../lib/view";
import { ChartFrame, CsvLink, type Line } from "../ui/chart";
import { PER } from "../lib/period";
import { previousOf, rangeSetter } from "../ui/charting";
import { NameLink, NothingFound } from "../ui/cells";
import { ChangeText } from "../ui/figure";
import { Answered, Panel } from "../ui/panel";
import { InlineBar } from "../ui/spark";
import { DataTable, type Column } from "../ui/table";

const TOP = 8;

export function Marketplace({ view }: { view: View }): JSX.Element {
  const asked = useAnswer<MarketplaceAnswer>(
    url("/metrics/marketplace", {
      ...view.params,
      granularity: view.granularity,
      limit: TOP,
      compare: view.isCompared ? "previous" : null,
    }),
    view.refreshMs,
  );
  const previous = usePrevious<MarketplaceAnswer, MarketplaceStep>(
    view, "/metrics/marketplace", ({ data }) => data.series, { limit: 1 },
  );
  return (
    <div class="grid">
      <FunnelPanel view={view} asked={asked} previous={previous} />
      <RateChart view={view} asked={asked} previous={previous} />
      <TopServices view={view} asked={asked} />
      <TopCategories view={view} asked={asked} />
      <TopSearches view={view} asked={asked} />
    </div>
  );
}

interface PanelProps {
  view: View;
  asked: Asked<MarketplaceAnswer>;
}

type WithPrevious = PanelProps & { previous: Previous<MarketplaceStep> };

function FunnelPanel({ view, asked, previous }: WithPrevious): JSX.Element {
  const csv = url("/export/marketplace", { ...view.params, format: "csv" });
  return (
    <Panel span={5} title="From search to conversion" unit="events" tools={<CsvLink href={csv} name="Funnel" />}>
      <Answered
        asked={asked}
        what="the funnel"
        height={260}
        empty={({ data }) =>
          data.searches + data.views + data.conversions === 0
            ? `No searches, views or conversions in this period (${view.period.dates}).`
            : null
        }
      >
        {({ data }) => <Funnel view={view} data={data} previous={previous} />}
      </Answered>
    </Panel>
  );
}

interface FunnelProps {
  view: View;
  data: MarketplaceFigures;
  previous: Previous<MarketplaceStep>;
}

function Funnel({ view, data, previous }: FunnelProps): JSX.Element {
  const rows = data.series ?? [];
  const steps = [
    { label: "Searches", value: data.searches, pick: (row: MarketplaceStep) => row.searches, good: "neutral" },
    { label: "Views", value: data.views, pick: (row: MarketplaceStep) => row.views, good: "up" },
    { label: "Conversions", value: data.conversions, pick: (row: MarketplaceStep) => row.conversions, good: "up" },
  ] as const;
  const most = Math.max(...steps.map(({ value }) => value), 1);
  const between = [
    data.searches === 0
      ? "views without a search"
      : `${(data.views / data.searches).toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 })} views per search`,
    data.conversionRate === null ? "no views" : `${plain(percent(data.conversionRate, 2))} of views convert`,
  ];
  return (
    <ol class="funnel">
      {steps.map(({ label, value, pick, good }, at) => {
        const sum = sumChange(view, rows, previous, pick, good);
        return (
          <li key={label}>
            <span class="funnel-line">
              <span class="soft">{label}</span>
              <span class="strong funnel-value">{count(value)}</span>
              {sum !== null && <ChangeText change={sum.change} />}
            </span>
            <svg class="funnel-bar" height="28" width="100%" aria-hidden="true">
              <rect class="track" width="100%" height="28" rx="4" />
              <rect class={`fill step${at}`} width={`${(100 * value) / most}%`} height="28" rx="4" />
            </svg>
            {at < 2 && <span class="dim funnel-between">{between[at]}</span>}
          </li>
        );
      })}
    </ol>
  );
}

const rateOf = ({ views, conversions }: MarketplaceStep): number | null =>
  views === 0 ? null : (100 * conversions) / views;

function RateChart({ view, asked, previous }: WithPrevious): JSX.Element {
  return (
    <section class="panel span-7" aria-label="Conversion rate">
      <Answered
        asked={asked}
        what="the conversion rate"
        title="Conversion rate"
        height={300}
        empty={({ data }) => (data.views === 0 ? "No views in this period: nothing could convert." : null)}
      >
        {({ data, previous: before }) => {
          const rows = data.series ?? [];
          const axis = timeAxis(rows.map(({ start }) => start), view, view.granularity);
          const earlier = previousLine(axis, previous, rateOf, "same");
          const line: Line = {
            label: "Conversion rate", color: "--s1", hasArea: true, values: known(axis, rows, rateOf),
          };
          return (
            <ChartFrame
              title="Conversion rate"
              name="Conversion rate"
              unit={`${PER[view.granularity]}, conversions per view`}
              figure={
                <>
                  {plain(percent(data.conversionRate, 2))}
                  {view.isCompared && before !== undefined && (
                    <span class="from">
                      {before.conversionRate === null ? "" : `${plain(percent(before.conversionRate, 2))} before`}
                    </span>
                  )}
                </>
              }
              csv={url("/export/marketplace", { ...view.params, granularity: view.granularity, format: "csv" })}
              {...axis}
              lines={earlier === null ? [line] : [line, previousOf(view, earlier, previous.isCoarser ? "same" : null)]}
              hasLegend
              yTick={(value) => plain(percent(value, 0))}
              format={(value) => plain(percent(value, 2))}
              footAt={(at) => `${count(rows[at]?.views)} views, ${count(rows[at]?.conversions)} conversions`}
              onRange={rangeSetter(axis, view.zone)}
              height={192}
            />
          );
        }}
      </Answered>
    </section>
  );
}

function barColumn<R>(key: string, head: string, most: number, pick: (row: R) => number): Column<R> {
  return {
    key, head, isNumber: true,
    cell: (row) => (
      <span class="with-bar">
        {count(pick(row))}
        <InlineBar value={pick(row)} most={most} />
      </span>
    ),
  };
}

type TopService = MarketplaceFigures["topServices"][number];
type TopCategory = MarketplaceFigures["topCategories"][number];
type TopSearch = MarketplaceFigures["topSearches"][number];

function TopServices({ asked }: PanelProps): JSX.Element {
  return (
    <Panel span={4} class="third" title="Top services" unit="by views">
      <Answered
        asked={asked}
        what="services"
        height={320}
        empty={({ data }) => (data.topServices.length === 0 ? "No service was viewed in this period." : null)}
      >
        {({ data }) => (
          <DataTable<TopService>
            label="Top services by views"
            rows={data.topServices}
            rowKey={(row) => row.id}
            hasLinks
            columns={[
              {
                key: "name", head: "Service", class: "name-cell",
                cell: (row) => <NameLink name={row.name} href={linkTo(["services", row.id])} />,
              },
              barColumn("views", "Views", data.topServices[0]?.views ?? 0, (row) => row.views),
            ]}
          />
        )}
      </Answered>
    </Panel>
  );
}

function TopCategories({ asked }: PanelProps): JSX.Element {
  return (
    <Panel span={4} class="third" title="Categories" unit="by views">
      <Answered
        asked={asked}
        what="categories"
        height={320}
        empty={({ data }) => (data.topCategories.length === 0 ? "No view carried a category in this period." : null)}
      >
        {({ data }) => (
          <DataTable<TopCategory>
            label="Categories by views"
            rows={data.topCategories}
            rowKey={(row) => row.category}
            hasLinks
            columns={[
              {
                key: "name", head: "Category", class: "name-cell",
                cell: (row) => <NameLink name={row.category} href={linkTo(["services"], { category: row.category })} />,
              },
              barColumn("views", "Views", data.topCategories[0]?.views ?? 0, (row) => row.views),
            ]}
          />
        )}
      </Answered>
    </Panel>
  );
}

function TopSearches({ asked }: PanelProps): JSX.Element {
  return (
    <Panel span={4} class="third" title="Search terms">
      <Answered
        asked={asked}
        what="search terms"
        height={320}
        empty={({ data }) => (data.topSearches.length === 0 ? "Nobody searched in this period." : null)}
      >
        {({ data }) => (
          <DataTable<TopSearch>
            label="Search terms"
            rows={data.topSearches}
            rowKey={(row) => row.query}
            hasLinks
            columns={[
              {
                key: "name", head: "Term", class: "name-cell",
                cell: ({ query }) => <NameLink name={query} href={queryLink(searchesSql(query))} />,
              },
              barColumn("searches", "Searches", data.topSearches[0]?.searches ?? 0, (row) => row.searches),
              {
                key: "nothing", head: "Nothing found", isNumber: true,
                cell: (row) => <NothingFound row={row} />,
              },
            ]}
          />
        )}
      </Answered>
    </Panel>
  );
}
