// The rows of tables and ranked bars, as text and figures.

import type { Format } from "../metrics.js";
import { shownAs } from "./format.js";
import type { Answer } from "./question.js";

export interface Row {
  key: string;
  name: string;
  cells: string[];
  /** What the bar of a ranking is as long as. */
  value: number | null;
}

export interface Rows {
  /** The first of the name, the others of numbers. */
  heads: string[];
  rows: Row[];
  format: Format;
}

const count = shownAs("count", "").text;
const percent = shownAs("percent", "").text;
const ms = shownAs("duration", "").text;

export function rowsOf(found: Answer, field: string, limit: number): Rows {
  switch (found.family) {
    case "services":
      return services(found.answer.data);
    case "revenue":
      return field === "byCurrency" ? byCurrency(found.answer.data) : bySales(found.answer.data);
    case "marketplace":
      return cut(marketplace(found.answer.data, field), limit);
    case "experiments":
      return cut(variants(found.answer.data), limit);
    default:
      return { heads: [], rows: [], format: "count" };
  }
}

const cut = (found: Rows, limit: number): Rows => ({ ...found, rows: found.rows.slice(0, limit) });

type Data<F extends Answer["family"]> = Extract<Answer, { family: F }>["answer"]["data"];

const services = (data: Data<"services">): Rows => ({
  heads: ["Service", "Executions", "p50", "p95", "Error rate"],
  format: "count",
  rows: data.map(({ serviceId = "", serviceName, executions, latency, errorRate }) => ({
    key: serviceId,
    name: serviceName ?? serviceId,
    cells: [count(executions), ms(latency.p50), ms(latency.p95), percent(errorRate)],
    value: executions,
  })),
});

const bySales = ({ topServices, currency }: Data<"revenue">): Rows => ({
  heads: ["Service", "Orders", "GMV"],
  format: "money",
  rows: topServices.map(({ id, name, gmv, transactionCount }) => ({
    key: id,
    name,
    cells: [count(transactionCount), shownAs("money", currency).text(gmv)],
    value: gmv,
  })),
});

const byCurrency = ({ byCurrency: found }: Data<"revenue">): Rows => ({
  heads: ["Currency", "Orders", "GMV", "MRR"],
  format: "money",
  rows: Object.entries(found).map(([code, { gmv, mrr, transactionCount }]) => {
    const money = shownAs("money", code).text;
    return { key: code, name: code, cells: [count(transactionCount), money(gmv), money(mrr)], value: gmv };
  }),
});

function marketplace(data: Data<"marketplace">, field: string): Rows {
  if (field === "topSearches") {
    return {
      heads: ["Search term", "Searches", "Nothing found"],
      format: "count",
      rows: data.topSearches.map(({ query, searches, withoutResult }) => ({
        key: query,
        name: query === "" ? "(empty)" : query,
        cells: [count(searches), count(withoutResult)],
        value: searches,
      })),
    };
  }
  const viewed =
    field === "topCategories"
      ? data.topCategories.map(({ category, views }) => ({ key: category, name: category, views }))
      : data.topServices.map(({ id, name, views }) => ({ key: id, name, views }));
  return {
    heads: [field === "topCategories" ? "Category" : "Service", "Views"],
    format: "count",
    rows: viewed.map(({ key, name, views }) => ({ key, name, cells: [count(views)], value: views })),
  };
}

const variants = (data: Data<"experiments">): Rows => ({
  heads: ["Variant", "People", "Converted", "Rate", "Result"],
  format: "percent",
  rows: data.flatMap(({ experimentId, experimentName, winner, variants: all }) =>
    all.map(({ index, name, units, convertedUnits, unitRate }) => ({
      key: `${experimentId} ${index}`,
      name: `${experimentName}: ${name}`,
      cells: [count(units), count(convertedUnits), percent(unitRate), winner === index ? "wins" : ""],
      value: unitRate,
    })),
  ),
});
