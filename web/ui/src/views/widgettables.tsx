// The tables that widgets show: of services, of what sells, of what is looked for.

import type { ComponentChildren, JSX } from "preact";
import { NBSP, count, duration, money, plain } from "../lib/format";
import type { MarketplaceAnswer, RevenueAnswer, ServiceRow, ServicesAnswer, Widget } from "../lib/types";
import { linkTo } from "../lib/url";
import { ErrorRate, Latency, NameLink, NothingFound } from "../ui/cells";
import { DataTable, type Column } from "../ui/table";

type Answer = ServicesAnswer | RevenueAnswer | MarketplaceAnswer;

interface TableProps {
  widget: Widget;
  answer: Answer;
  /** In a shared dashboard there is nothing to go to. */
  isEmbedded: boolean;
}

interface NamedRow {
  key: string;
  name: string;
  href: string | null;
  cells: ComponentChildren[];
}

export function FamilyTable({ widget, answer, isEmbedded }: TableProps): JSX.Element {
  if (widget.metric === "services.services") return <ServicesTable rows={(answer as ServicesAnswer).data} isEmbedded={isEmbedded} />;
  const { heads, rows } = tableOf(widget.metric, answer);
  const columns: Column<NamedRow>[] = heads.map((head, at) => ({
    key: head,
    head,
    isNumber: at > 0,
    class: at === 0 ? "name-cell" : "",
    cell: (row) =>
      at > 0 ? row.cells[at - 1] : row.href === null || isEmbedded ? row.name : (
        <NameLink name={row.name} href={row.href} />
      ),
  }));
  return (
    <div class="widget-table" tabIndex={0} role="group" aria-label={widget.title}>
      {rows.length === 0 ? (
        <p class="state">Nothing in this period.</p>
      ) : (
        <DataTable<NamedRow> label={widget.title} rows={rows} rowKey={(row) => row.key} columns={columns} hasLinks={!isEmbedded} />
      )}
    </div>
  );
}

function tableOf(metric: string, answer: Answer): { heads: string[]; rows: NamedRow[] } {
  const service = (id: string): string => linkTo(["services", id]);
  if (metric === "revenue.topServices") {
    const { data } = answer as RevenueAnswer;
    return {
      heads: ["Service", "Orders", "GMV"],
      rows: data.topServices.map(({ id, name, gmv, transactionCount }) => ({
        key: id, name, href: service(id), cells: [count(transactionCount), plain(money(gmv, data.currency))],
      })),
    };
  }
  if (metric === "revenue.byCurrency") {
    const { data } = answer as RevenueAnswer;
    return {
      heads: ["Currency", "Orders", "GMV", "MRR"],
      rows: Object.entries(data.byCurrency).map(([code, row]) => ({
        key: code, name: code, href: null,
        cells: [count(row.transactionCount), plain(money(row.gmv, code)), plain(money(row.mrr, code))],
      })),
    };
  }
  const { data } = answer as MarketplaceAnswer;
  if (metric === "marketplace.topSearches") {
    return {
      heads: ["Term", "Searches", "Nothing found"],
      rows: data.topSearches.map((row) => ({
        key: row.query, name: row.query === "" ? "empty" : row.query, href: null, cells: [count(row.searches), <NothingFound row={row} />],
      })),
    };
  }
  if (metric === "marketplace.topCategories") {
    return {
      heads: ["Category", "Views"],
      rows: data.topCategories.map(({ category, views }) => ({
        key: category, name: category, href: linkTo(["services"], { category }), cells: [count(views)],
      })),
    };
  }
  return {
    heads: ["Service", "Views"],
    rows: (data.topServices ?? []).map(({ id, name, views }) => ({ key: id, name, href: service(id), cells: [count(views)] })),
  };
}

function ServicesTable({ rows, isEmbedded }: { rows: readonly ServiceRow[]; isEmbedded: boolean }): JSX.Element {
  return (
    <div class="widget-table" tabIndex={0} role="group" aria-label="Services">
      <DataTable<ServiceRow>
        label="Services"
        rows={rows}
        rowKey={(row) => row.serviceId}
        hasLinks={!isEmbedded}
        columns={[
          {
            key: "name", head: "Service", class: "name-cell",
            cell: (row) => isEmbedded ? row.serviceName : (
              <NameLink name={row.serviceName} href={linkTo(["services", row.serviceId])} />
            ),
          },
          { key: "executions", head: "Executions", isNumber: true, cell: (row) => count(row.executions) },
          { key: "p50", head: `≈${NBSP}p50`, isNumber: true, class: "phone-not", cell: (row) => <Latency ms={row.latency.p50} /> },
          { key: "p95", head: `≈${NBSP}p95`, isNumber: true, cell: (row) => <Latency ms={row.latency.p95} /> },
          { key: "p99", head: `≈${NBSP}p99`, isNumber: true, class: "phone-not", cell: (row) => plain(duration(row.latency.p99)) },
          { key: "errors", head: "Errors", isNumber: true, cell: (row) => <ErrorRate rate={row.errorRate} /> },
        ]}
      />
    </div>
  );
}
