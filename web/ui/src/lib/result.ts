// What a result of SQL is made of: which columns are times, numbers, texts, and what can be drawn.

import type { SqlAnswer, SqlValue } from "./types";

export type ColumnKind = "time" | "number" | "text";

export interface ResultColumn {
  name: string;
  type: string;
  kind: ColumnKind;
}

export function columnsOf({ meta }: SqlAnswer): ResultColumn[] {
  return meta.map(({ name, type }) => ({ name, type, kind: kindOf(type) }));
}

function kindOf(type: string): ColumnKind {
  if (/^(Nullable\()?(DateTime|Date)/.test(type)) return "time";
  if (/^(Nullable\()?(U?Int|Float|Decimal)/.test(type)) return "number";
  return "text";
}

/** Places behind the point that a column of numbers needs, at most three. */
export function placesOf(answer: SqlAnswer, name: string): number {
  const values = answer.data.map((row) => row[name]);
  const areWhole = values.every((value) => typeof value !== "number" || Number.isInteger(value));
  if (areWhole) return 0;
  const least = Math.min(...values.flatMap((value) => (typeof value === "number" && value !== 0 ? [Math.abs(value)] : [])));
  return least < 0.1 ? 3 : least < 10 ? 2 : 1;
}

export interface Sorting {
  name: string;
  isDown: boolean;
}

export function sorted(answer: SqlAnswer, sorting: Sorting | null): SqlAnswer["data"] {
  if (sorting === null) return answer.data;
  const turn = sorting.isDown ? -1 : 1;
  return [...answer.data].sort(
    (one, other) => turn * compare(one[sorting.name] ?? null, other[sorting.name] ?? null),
  );
}

function compare(one: SqlValue, other: SqlValue): number {
  if (one === null || other === null) return (one === null ? 0 : 1) - (other === null ? 0 : 1);
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other));
}

/** SQL tells times in UTC, without a mark. */
export const timeOf = (value: SqlValue): number =>
  Date.parse(`${String(value).replace(" ", "T")}${String(value).length > 10 ? "Z" : ""}`);

export interface Drawing {
  x: ResultColumn;
  series: ResultColumn[];
}

const SERIES_MAX = 6;

/** The first time or text column is x, numbers are the series; null where there is nothing to draw. */
export function drawingOf(answer: SqlAnswer): Drawing | null {
  const columns = columnsOf(answer);
  const x = columns.find(({ kind }) => kind === "time") ?? columns.find(({ kind }) => kind === "text");
  const series = columns.filter(({ kind }) => kind === "number").slice(0, SERIES_MAX);
  return x === undefined || series.length === 0 || answer.data.length === 0 ? null : { x, series };
}

function cell(value: SqlValue | undefined): string {
  const text = value == null ? "" : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function csvOf({ meta, data }: SqlAnswer): string {
  const lines = data.map((row) => meta.map(({ name }) => cell(row[name])).join(","));
  return [meta.map(({ name }) => cell(name)).join(","), ...lines].join("\r\n") + "\r\n";
}

export function tabbed({ meta, data }: SqlAnswer): string {
  const lines = data.map((row) => meta.map(({ name }) => String(row[name] ?? "")).join("\t"));
  return [meta.map(({ name }) => name).join("\t"), ...lines].join("\n");
}
