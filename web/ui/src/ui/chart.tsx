// The frame of every chart: title, figure, legend, plot, tooltip, and its data as a table.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Scaled } from "../lib/axis";
import { drawPlot, optionsFor, redraw, shapeOf, type Plot, type PlotSpec, type XTick } from "../lib/plot";
import { useStore } from "../lib/store";
import { theme } from "../lib/theme";
import { route } from "../lib/url";
import { wayBack, zoomOut } from "../lib/zoom";
import { Legend, Readout, Tooltip, Twin, captionOf } from "./chartparts";
import { Icon } from "./icons";
import "uplot/dist/uPlot.min.css";

export interface Line {
  label: string;
  color: string;
  values: readonly (number | null)[];
  kind?: "line" | "bars";
  isDashed?: boolean;
  /** Level from step to step: one value holds for several. */
  isStepped?: boolean;
  hasArea?: boolean;
  /** The figure of the range, shown in the legend. */
  value?: string;
  /** How the line is called at a point, where that differs: the date it is compared with. */
  labelAt?: (index: number) => string;
  format?: (value: number) => string;
}

export interface ChartProps {
  title: ComponentChildren;
  /** The title as text, for the caption and the table. */
  name: string;
  unit?: ComponentChildren;
  figure?: ComponentChildren;
  choice?: ComponentChildren;
  csv?: string;
  xs: readonly number[];
  lines: readonly Line[];
  from?: number;
  to?: number;
  xTicks: (room: number) => readonly XTick[];
  areTicksAtStart?: boolean;
  yTick: (value: number) => string;
  format: (value: number) => string;
  /** What a point is called: "Wed Nov 18, 10:00 – 11:00 UTC". */
  nameAt: (index: number) => string;
  xName: string;
  footAt?: (index: number) => ComponentChildren;
  scaled?: Scaled;
  isLog?: boolean;
  running?: number;
  limit?: number | null;
  syncKey?: string;
  /** Of charts that stand below each other, so that one instant is at one place in all of them. */
  gutterPx?: number;
  height?: number;
  hasLegend?: boolean;
  /** A drag chooses a range; a double click goes back out of it. */
  onRange?: (from: number, to: number) => void;
  onPoint?: (index: number) => void;
}

export function ChartFrame(props: ChartProps): JSX.Element {
  const [isTable, setTable] = useState(false);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const twin = useId();
  const { title, unit, figure, choice, csv, lines, height = 212 } = props;
  const hasLegend = props.hasLegend ?? lines.length > 1;
  return (
    <figure class="chart" aria-label={props.name}>
      <div class="panel-head">
        <h2>{title}</h2>
        {unit !== undefined && <span class="unit">{unit}</span>}
        <div class="tools">
          {choice}
          <button
            type="button"
            class="icon-button"
            aria-expanded={isTable}
            aria-controls={twin}
            aria-label={`${props.name} as a table`}
            title="Show as a table"
            onClick={() => setTable(!isTable)}
          >
            <Icon name="table" />
          </button>
          {csv !== undefined && <CsvLink href={csv} name={props.name} />}
        </div>
      </div>
      {figure !== undefined && <div class="chart-figure">{figure}</div>}
      {hasLegend && <Legend lines={lines} hidden={hidden} onHide={setHidden} />}
      {!isTable && <PlotBox {...props} hidden={hidden} height={height} />}
      <Twin id={twin} {...props} isShown={isTable} height={height} />
      <figcaption class="unseen">{captionOf(props)}</figcaption>
    </figure>
  );
}

export function CsvLink({ href, name }: { href: string; name: string }): JSX.Element {
  return (
    <a class="icon-button" href={href} download aria-label={`${name} as CSV`} title="Download as CSV">
      <Icon name="download" />
    </a>
  );
}

export type BoxProps = ChartProps & { hidden: ReadonlySet<string>; height: number };

function specOf(props: BoxProps): PlotSpec {
  const { xs, lines, hidden } = props;
  return {
    xs,
    lines: lines.map((line) => ({
      label: line.label,
      color: line.color,
      values: line.values,
      kind: line.kind ?? "line",
      isDashed: line.isDashed ?? false,
      isStepped: line.isStepped ?? false,
      hasArea: line.hasArea ?? false,
      isHidden: hidden.has(line.label),
    })),
    from: props.from ?? xs[0] ?? 0,
    to: props.to ?? xs.at(-1) ?? 1,
    xTicks: props.xTicks,
    areTicksAtStart: props.areTicksAtStart ?? false,
    yTick: props.yTick,
    scaled: props.scaled ?? "others",
    isLog: props.isLog ?? false,
    running: props.running ?? -1,
    limit: props.limit ?? null,
    syncKey: props.syncKey ?? null,
    gutterPx: props.gutterPx ?? 36,
  };
}

interface Cursor {
  index: number;
  left: number;
}

function PlotBox(props: BoxProps): JSX.Element {
  const { height, xs } = props;
  const outer = useRef<HTMLDivElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const clicks = useRef<Clicks>({ waiting: 0, wasZoomed: false });
  useEffect(() => () => clearTimeout(clicks.current.waiting), []);
  const [cursor, setCursor] = useState<Cursor | null>(null);
  const [pointed, setPointed] = useState<"mouse" | "keys" | null>(null);
  const [width, setWidth] = useState(0);
  const dark = useStore(theme, (value) => value);
  const spec = specOf(props);
  const shape = shapeOf(spec);

  useLayoutEffect(() => {
    const element = outer.current;
    if (element === null) return undefined;
    // The content's width, so that a padding can never push the plot out of its panel.
    const observer = new ResizeObserver(([entry]) => {
      if (entry !== undefined) setWidth(Math.floor(entry.contentRect.width));
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null || width === 0) return undefined;
    const events = {
      onCursor: (index: number | null, left: number) =>
        setCursor(index === null || left < 0 ? null : { index, left }),
      onSelect: (from: number, to: number) => latest.current.onRange?.(from, to),
    };
    const drawn = drawPlot(spec, optionsFor(spec, events, { width, height }), element);
    plot.current = drawn;
    drawn.root.setAttribute("aria-hidden", "true");
    heedClicks(drawn, latest, clicks.current);
    if (props.onPoint !== undefined) drawn.over.style.cursor = "pointer";
    return () => {
      drawn.destroy();
      plot.current = null;
    };
  }, [shape, width, height, dark]);

  useEffect(() => {
    if (plot.current !== null) redraw(plot.current, specOf(latest.current));
  }, [JSON.stringify(spec.xs), JSON.stringify(spec.lines.map(({ values }) => values))]);

  const moveTo = (index: number): void => {
    const at = Math.max(0, Math.min(xs.length - 1, index));
    const drawn = plot.current;
    const x = xs[at];
    if (drawn === null || x === undefined) return;
    setPointed("keys");
    drawn.setCursor({ left: drawn.valToPos(x, "x"), top: 4 });
  };
  const press = (event: KeyboardEvent): void => {
    const at = cursor?.index ?? lastKnown(props) + 1;
    const target = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: lastKnown(props) }[event.key];
    if (event.key === "Enter" && cursor !== null) props.onPoint?.(cursor.index);
    if (target === undefined) return;
    event.preventDefault();
    moveTo(target);
  };
  const leave = (): void => {
    setPointed(null);
    plot.current?.setCursor({ left: -10, top: -10 });
  };
  const left = (plot.current?.over.offsetLeft ?? 0) + (cursor?.left ?? 0);
  return (
    <div
      ref={outer}
      class="plot"
      style={{ height: `${height}px` }}
      tabIndex={0}
      role="group"
      aria-label={`${props.name}: arrow keys read the values`}
      onKeyDown={press}
      onBlur={leave}
      onPointerEnter={(event) => setPointed(event.pointerType === "mouse" ? "mouse" : "keys")}
      onPointerDown={(event) => setPointed(event.pointerType === "mouse" ? "mouse" : "keys")}
      onPointerLeave={() => setPointed(null)}
    >
      <div ref={box} class="plot-box" />
      {cursor !== null && pointed === "mouse" && (
        <Tooltip {...props} at={cursor.index} left={left} width={width} />
      )}
      <div class="readout" aria-live="polite">
        {cursor !== null && pointed === "keys" && <Readout {...props} at={cursor.index} />}
      </div>
    </div>
  );
}

/** Within it a second click makes a double one. */
const DOUBLE_CLICK_MS = 300;

interface Clicks {
  waiting: number;
  /** Whether there was a way back at the first click of two. */
  wasZoomed: boolean;
}

/** A click opens a point, a double click goes back out. */
function heedClicks({ over, cursor }: Plot, latest: { current: BoxProps }, clicks: Clicks): void {
  over.addEventListener("click", ({ detail }) => {
    const { onPoint } = latest.current;
    const at = cursor.idx;
    if (detail > 1) return;
    clicks.wasZoomed = wayBack(route.get()) !== undefined;
    if (at == null || onPoint === undefined) return;
    // Where there is a way back it is not known yet which of the two this will be.
    if (clicks.wasZoomed) clicks.waiting = window.setTimeout(() => onPoint(at), DOUBLE_CLICK_MS);
    else onPoint(at);
  });
  over.addEventListener("dblclick", () => {
    clearTimeout(clicks.waiting);
    if (clicks.wasZoomed && latest.current.onRange !== undefined) zoomOut();
  });
}

/** What lies ahead has no values: the keyboard begins where there are some. */
const lastKnown = ({ lines, xs }: ChartProps): number =>
  lines[0]?.values.findLastIndex((value) => value !== null) ?? xs.length - 1;
