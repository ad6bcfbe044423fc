// What a chart draws, as columns of values: a step that is not over stands apart from those that are.

import type { PlotLine, PlotSpec } from "./plot";

type Values = (number | null)[];

/** The columns of uPlot: the last segment of a line whose step is not over is a line of its own. */
export function columnsOf(spec: PlotSpec): Values[] {
  const columns: Values[] = [];
  for (const line of spec.lines) {
    const values = spec.isLog ? line.values.map(positive) : [...line.values];
    if (!hasTail(line, spec)) {
      columns.push(values);
      continue;
    }
    columns.push(values.map((value, at) => (at === spec.running ? null : value)));
    const isTold = soFar(values[spec.running] ?? null) !== null;
    columns.push(values.map((value, at) => (isTold && Math.abs(at - spec.running + 0.5) < 1 ? value : null)));
  }
  return [[...spec.xs], ...columns];
}

/** A step that has only begun may have had its refunds alone: that is no fall to be drawn. */
const soFar = (value: number | null): number | null => (value !== null && value < 0 ? null : value);

const positive = (value: number | null): number | null =>
  value !== null && value > 0 ? value : null;

export const hasTail = (line: PlotLine, spec: PlotSpec): boolean =>
  line.kind === "line" && !line.isDashed && spec.running > 0;
