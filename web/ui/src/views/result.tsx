// The answer to a query: as a table that sorts, or drawn.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { UNKNOWN, many, short, sqlNumber } from "../lib/format";
import { timeTicks } from "../lib/axis";
import {
  columnsOf, csvOf, drawingOf, placesOf, sorted, tabbed, timeOf, type Drawing, type ResultColumn, type Sorting,
} from "../lib/result";
import { fullDay, clock } from "../lib/time";
import { copy } from "../lib/toasts";
import type { SqlAnswer, SqlValue } from "../lib/types";
import { go } from "../lib/url";
import { ChartFrame, type Line } from "../ui/chart";
import { Icon } from "../ui/icons";
import { Segments } from "../ui/segments";
import { InlineBar } from "../ui/spark";
import { DataTable, type Column } from "../ui/table";

const ROWS_SHOWN = 500;
const COLORS = ["--s1", "--s2", "--s3", "--s4", "--s5", "--s6"];

type Shown = "table" | "chart";

interface Props {
  answer: SqlAnswer;
  sql: string;
  /** Another query is on its way, or has failed: these rows are not its answer. */
  isOld: boolean;
}

export function Result({ answer, sql, isOld }: Props): JSX.Element {
  const [wanted, setWanted] = useState<Shown>("table");
  const drawing = drawingOf(answer);
  const shown = drawing === null ? "table" : wanted;
  return (
    <section class={`panel result${isOld ? " is-old" : ""}`} aria-label="Result">
      <div class="result-head">
        <Segments<Shown>
          label="Show as"
          value={shown}
          choices={[
            { value: "table", label: "Table" },
            {
              value: "chart", label: "Chart",
              reason: drawing === null ? "A chart needs a text or a time, and a number." : null,
            },
          ]}
          onChoose={setWanted}
        />
        <span class="grow" />
        <button type="button" class="button plain" onClick={() => void copy(tabbed(answer), "Rows copied")}>
          <Icon name="copy" size={14} />
          Copy
        </button>
        <button type="button" class="button plain" onClick={() => download(csvOf(answer))}>
          <Icon name="download" size={14} />
          CSV
        </button>
        <button
          type="button"
          class="button plain"
          onClick={() => go(["dashboards"], { add: sql, kind: shown === "chart" ? "lineChart" : "table" })}
        >
          Add to dashboard
        </button>
      </div>
      {answer.data.length === 0 ? (
        <p class="state">The query found no rows.</p>
      ) : shown === "chart" && drawing !== null ? (
        <ResultChart answer={answer} drawing={drawing} />
      ) : (
        <ResultTable answer={answer} />
      )}
    </section>
  );
}

function download(text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = "tallymark.csv";
  link.click();
  URL.revokeObjectURL(address);
}

export function ResultTable({ answer }: { answer: SqlAnswer }): JSX.Element {
  const [sorting, setSorting] = useState<Sorting | null>(null);
  const columns = columnsOf(answer);
  const barred = columns.find(({ name, kind }) => kind === "number" && isCount(answer, name));
  const rows = sorted(answer, sorting);
  return (
    <>
      <div class="table-box scrolls" tabIndex={0} role="region" aria-label="Rows">
        <DataTable<Record<string, SqlValue>>
          label="Result"
          rows={rows.slice(0, ROWS_SHOWN)}
          rowKey={(_, at) => String(at)}
          columns={columns.map((column) => columnFor(answer, column, column === barred))}
          {...(sorting === null ? {} : { sort: (sorting.isDown ? "-" : "") + sorting.name })}
          onSort={(field) => setSorting({ name: field.replace(/^-/, ""), isDown: field.startsWith("-") })}
        />
      </div>
      {rows.length > ROWS_SHOWN && (
        <p class="dim panel-body">
          The first {many(ROWS_SHOWN, "row", "rows")} of {many(rows.length, "row", "rows")}; the CSV has them all.
        </p>
      )}
    </>
  );
}

function isCount(answer: SqlAnswer, name: string): boolean {
  const values = answer.data.map((row) => row[name]);
  return values.every((value) => typeof value === "number" && Number.isInteger(value) && value >= 0);
}

function columnFor(answer: SqlAnswer, column: ResultColumn, hasBar: boolean): Column<Record<string, SqlValue>> {
  const { name, type, kind } = column;
  const places = placesOf(answer, name);
  const most = hasBar ? Math.max(...answer.data.map((row) => Number(row[name] ?? 0))) : 0;
  return {
    key: name,
    sort: name,
    isNumber: kind !== "text",
    class: kind === "time" ? "soft" : "",
    head: (
      <>
        {name} <span class="type">{kind === "time" ? `${type}, UTC` : type}</span>
      </>
    ),
    cell: (row) => {
      const value = row[name];
      if (hasBar && typeof value === "number") {
        return (
          <span class="with-bar">
            {sqlNumber(value, 0)}
            <InlineBar value={value} most={most} />
          </span>
        );
      }
      const shown = cellOf(value, places);
      return kind === "text" ? <span class="mono">{shown}</span> : shown;
    },
  };
}

function cellOf(value: SqlValue | undefined, places: number): JSX.Element | string {
  if (value == null) return <span class="dim">{UNKNOWN}</span>;
  if (value === "") return <span class="dim">empty</span>;
  if (typeof value === "number") return sqlNumber(value, places);
  return String(value);
}

const BARS_MAX = 60;

export function ResultChart({ answer, drawing, height = 260, title }: {
  answer: SqlAnswer;
  drawing: Drawing;
  height?: number;
  title?: string;
}): JSX.Element {
  const { x, series } = drawing;
  const isTime = x.kind === "time";
  const rows = isTime
    ? [...answer.data].sort((one, other) => timeOf(one[x.name] ?? null) - timeOf(other[x.name] ?? null))
    : answer.data.slice(0, BARS_MAX);
  const xs = rows.map((row, at) => (isTime ? timeOf(row[x.name] ?? null) / 1000 : at));
  const lines: Line[] = series.map(({ name }, at) => ({
    label: name,
    color: COLORS[at] ?? "--s6",
    kind: isTime ? "line" : "bars",
    values: rows.map((row) => (typeof row[name] === "number" ? row[name] : null)),
  }));
  const nameAt = (at: number): string => {
    const value = rows[at]?.[x.name] ?? null;
    if (!isTime) return value === "" ? "empty" : String(value);
    const ms = timeOf(value);
    return `${fullDay(ms, "UTC")}, ${clock(ms, "UTC")} UTC`;
  };
  const [from, to] = [xs[0] ?? 0, xs.at(-1) ?? 1];
  return (
    <ChartFrame
      title={title ?? series.map(({ name }) => name).join(", ")}
      name={title ?? "Result"}
      unit={`by ${x.name}`}
      xs={xs}
      lines={lines}
      hasLegend={lines.length > 1}
      from={isTime ? from : -0.6}
      to={isTime ? Math.max(to, from + 1) : rows.length - 0.4}
      xTicks={(room) =>
        isTime
          ? timeTicks(from * 1000, to * 1000, "UTC", room).map(({ ms, label }) => ({ x: ms / 1000, label }))
          : someOf(xs, room).map((at) => ({ x: at, label: shortened(nameAt(at)) }))
      }
      nameAt={nameAt}
      xName={x.name}
      yTick={short}
      format={(value) => sqlNumber(value, Number.isInteger(value) ? 0 : 2)}
      height={height}
    />
  );
}

/** As many as fit: names need more room than dates. */
function someOf(xs: readonly number[], room: number): number[] {
  const every = Math.max(1, Math.ceil(xs.length / Math.max(1, Math.floor(room / 1.6))));
  return xs.filter((_, at) => at % every === 0);
}

const NAME_CHARS = 14;
const shortened = (name: string): string => (name.length > NAME_CHARS ? `${name.slice(0, NAME_CHARS - 1)}…` : name);
