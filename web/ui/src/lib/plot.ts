// uPlot dressed in the page's tokens: axes, lines, bars, the cursor. The one home of the library.

import uPlot from "uplot";
import { logTicks, scaleFor, type Scaled } from "./axis";
import { columnsOf, hasTail } from "./columns";
import { faded, token } from "./theme";

export type LineKind = "line" | "bars";

export interface PlotLine {
  label: string;
  /** A token: "--s1". */
  color: string;
  values: readonly (number | null)[];
  kind: LineKind;
  isDashed: boolean;
  isStepped: boolean;
  hasArea: boolean;
  isHidden: boolean;
}

export interface XTick {
  x: number;
  label: string;
}

export interface PlotSpec {
  xs: readonly number[];
  lines: readonly PlotLine[];
  /** Ends of the x axis; bars need half a step beside the outermost. */
  from: number;
  to: number;
  xTicks: (room: number) => readonly XTick[];
  /** Labels begin at their tick instead of standing in its middle. */
  areTicksAtStart: boolean;
  yTick: (value: number) => string;
  scaled: Scaled;
  isLog: boolean;
  /** Index of the last step where it is not over; -1 where all are. */
  running: number;
  /** A limit to draw as a dashed line; null for none. */
  limit: number | null;
  syncKey: string | null;
  /** Room for the labels of the y axis at least; longer ones take what they need. */
  gutterPx: number;
}

export interface PlotEvents {
  onCursor: (index: number | null, left: number) => void;
  onSelect: ((from: number, to: number) => void) | null;
}

const AXIS_FONT_PX = 11;
const LABEL_PX = 58;

/** What of a spec cannot change without drawing anew. */
export function shapeOf(spec: PlotSpec): string {
  const lines = spec.lines.map(({ label, color, kind, isDashed, isStepped, hasArea, isHidden }) => [
    label, color, kind, isDashed, isStepped, hasArea, isHidden,
  ]);
  const { from, to, isLog, running, limit, syncKey } = spec;
  return JSON.stringify([lines, from, to, isLog, running, limit, syncKey]);
}

export function optionsFor(
  spec: PlotSpec,
  events: PlotEvents,
  size: { width: number; height: number },
): uPlot.Options {
  const yTicks = { now: [0, 1] };
  return {
    ...size,
    legend: { show: false },
    padding: [8, rightRoom(spec), 0, 0],
    scales: {
      x: { time: false, range: () => [spec.from, spec.to] },
      y: spec.isLog ? { distr: 3, range: (_, low, high) => logRange(spec, yTicks, low, high) } : { range: (_, low, high) => yRange(spec, yTicks, low, high) },
    },
    axes: [xAxis(spec), yAxis(spec, yTicks)],
    series: [{}, ...spec.lines.flatMap((line) => seriesOf(line, spec))],
    cursor: cursorFor(spec),
    hooks: {
      setCursor: [(plot) => events.onCursor(plot.cursor.idx ?? null, plot.cursor.left ?? -1)],
      setSelect: [(plot) => select(plot, events)],
      draw: [(plot) => drawLimit(plot, spec)],
    },
  };
}

/** A label in the middle of a tick at the right edge must not be cut; else the plot ends there. */
function rightRoom(spec: PlotSpec): number {
  const last = spec.xTicks(12).at(-1);
  const isAtEdge = last !== undefined && spec.to - last.x < 0.07 * (spec.to - spec.from);
  return isAtEdge && !spec.areTicksAtStart ? 18 : 2;
}

function cursorFor(spec: PlotSpec): uPlot.Cursor {
  return {
    y: false,
    points: { size: 7, width: 1.5, fill: () => token("--panel") },
    drag: { x: true, y: false, setScale: false },
    ...(spec.syncKey === null ? {} : { sync: { key: spec.syncKey, setSeries: false } }),
  };
}

function select(plot: uPlot, events: PlotEvents): void {
  const { left, width } = plot.select;
  if (width < 6) return;
  const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
  plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  events.onSelect?.(from, to);
}

/** The ticks of the y axis, made with its range: made again from that they would differ. */
interface Ticks {
  now: number[];
}

function yRange(
  spec: PlotSpec,
  made: Ticks,
  low: number | null,
  high: number | null,
): uPlot.Range.MinMax {
  const scale = scaleFor(low ?? 0, Math.max(high ?? 0, spec.limit ?? 0), spec.scaled);
  made.now = scale.ticks;
  return [scale.from, scale.to];
}

function logRange(
  spec: PlotSpec,
  made: Ticks,
  low: number | null,
  high: number | null,
): uPlot.Range.MinMax {
  made.now = logTicks(low ?? 1, high ?? 10, spec.scaled);
  return [made.now[0] ?? 1, made.now.at(-1) ?? 10];
}

const font = (): string => `${AXIS_FONT_PX}px ${token("--sans")}`;

function xAxis(spec: PlotSpec): uPlot.Axis {
  let labels = new Map<number, string>();
  return {
    font: font(),
    size: 26,
    gap: 4,
    align: spec.areTicksAtStart ? 1 : 0,
    stroke: () => token("--text3"),
    grid: { show: false },
    ticks: { show: true, size: 4, width: 1, stroke: () => token("--line2") },
    splits: (plot) => {
      const found = spec.xTicks(Math.max(2, Math.floor(plot.bbox.width / devicePixelRatio / LABEL_PX)));
      labels = new Map(found.map(({ x, label }) => [x, label]));
      return found.map(({ x }) => x);
    },
    values: (plot, splits) =>
      splits.map((x) => (fits(plot, x, spec) ? (labels.get(x) ?? "") : "")),
  } as uPlot.Axis;
}

/** A label that begins at its tick needs room to its right. */
function fits(plot: uPlot, x: number, spec: PlotSpec): boolean {
  if (!spec.areTicksAtStart) return true;
  return plot.valToPos(x, "x") + 40 <= plot.bbox.width / devicePixelRatio;
}

function yAxis(spec: PlotSpec, made: Ticks): uPlot.Axis {
  return {
    font: font(),
    gap: 8,
    size: (plot, values) => Math.max(spec.gutterPx, widest(plot, values) + 10),
    stroke: () => token("--text3"),
    grid: { show: true, width: 1, stroke: () => token("--grid") },
    ticks: { show: false },
    splits: () => made.now,
    // Its own for logarithms would leave only powers of ten their words.
    filter: (_, splits) => splits,
    values: (_, splits) => splits.map((value) => (value === null ? "" : spec.yTick(value))),
  };
}

function widest(plot: uPlot, values: readonly string[] | null): number {
  if (values === null) return 0;
  plot.ctx.font = font();
  return Math.max(...values.map((text) => plot.ctx.measureText(text).width));
}

const steps = uPlot.paths.stepped?.({ align: 1 });
const bars = uPlot.paths.bars?.({ size: [0.8, 48], gap: 1 });

function seriesOf(line: PlotLine, spec: PlotSpec): uPlot.Series[] {
  const stroke = (): string => token(line.color);
  const common = { label: line.label, show: !line.isHidden, stroke };
  if (line.kind === "bars") {
    return [{ ...common, width: 0, fill: stroke, points: { show: false }, paths: bars } as uPlot.Series];
  }
  const own: uPlot.Series = {
    ...common,
    width: line.isDashed ? 1.25 : 1.75,
    points: { show: !line.isDashed, size: 4, fill: stroke, filter: alone } as uPlot.Series.Points,
    ...(line.isDashed ? { dash: [3, 3] } : {}),
    ...(line.isStepped && steps !== undefined ? { paths: steps } : {}),
    ...(line.hasArea ? { fill: () => faded(line.color, areaAlpha(line.color)) } : {}),
  };
  if (!hasTail(line, spec)) return [own];
  const tail: uPlot.Series = {
    ...common,
    width: 1.75,
    dash: [2, 3],
    points: { show: true, size: 4, fill: stroke, filter: alone } as uPlot.Series.Points,
    ...(line.hasArea ? { fill: () => faded(line.color, areaAlpha(line.color) / 2) } : {}),
  };
  return [own, tail];
}

/** Points with nothing on either side: no line would show them. */
function alone(plot: uPlot, series: number): number[] {
  const values = plot.data[series] ?? [];
  const found: number[] = [];
  for (let at = 0; at < values.length; at += 1) {
    if (values[at] != null && values[at - 1] == null && values[at + 1] == null) found.push(at);
  }
  return found;
}

const areaAlpha = (color: string): number =>
  color === "--s3" ? 0.1 : parseFloat(token("--area")) / 100;

function drawLimit(plot: uPlot, spec: PlotSpec): void {
  if (spec.limit === null) return;
  const y = Math.round(plot.valToPos(spec.limit, "y", true));
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = token("--prev");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

export function drawPlot(spec: PlotSpec, options: uPlot.Options, box: HTMLElement): uPlot {
  return new uPlot(options, columnsOf(spec) as uPlot.AlignedData, box);
}

export function redraw(plot: uPlot, spec: PlotSpec): void {
  plot.setData(columnsOf(spec) as uPlot.AlignedData);
}

export type Plot = uPlot;
