"use client";
// Lines or bars over time, as SVG: the theme's colours, a cursor for mouse and keys, a table in their place.

import { scaleLinear } from "d3-scale";
import { line as lineShape } from "d3-shape";
import { useEffect, useId, useRef, useState, type KeyboardEvent, type PointerEvent, type ReactElement } from "react";
import { stepName, stepTick, type Shown } from "./format.js";
import type { Series } from "./question.js";

interface ChartProps {
  series: Series;
  step: "hour" | "day";
  kind: "lines" | "bars";
  title: string;
  shown: Shown;
  timezone: string;
  /** When it was asked: the last step may not be over. */
  atMs: number;
}

const HEIGHT = 220;
const TOP = 8;
const BOTTOM = 24;
const RIGHT = 8;
const WIDTH_FIRST = 560;
const LABEL_WIDTH = 72;
const CHAR_WIDTH = 6.6;

export function Chart(props: ChartProps): ReactElement {
  const { series, title } = props;
  const [isTable, setTable] = useState(false);
  const twin = useId();
  return (
    <figure className="tallymark-chart">
      <div className="tallymark-legend">
        {series.lines.length > 1 &&
          series.lines.map(({ label }, at) => (
            <span key={label}>
              <i className={`tallymark-sample tallymark-s${at + 1}`} aria-hidden="true" />
              {label}
            </span>
          ))}
        <button type="button" aria-expanded={isTable} aria-controls={twin} onClick={() => setTable(!isTable)}>
          {isTable ? "Chart" : "Table"}
          <span className="tallymark-unseen"> of {title}</span>
        </button>
      </div>
      {!isTable && <Plot {...props} />}
      <Twin {...props} id={twin} isShown={isTable} />
      <figcaption className="tallymark-unseen">{captionOf(props)}</figcaption>
    </figure>
  );
}

function captionOf({ series, title, step, timezone, shown }: ChartProps): string {
  const { starts, lines } = series;
  const name = (at: number) => stepName(starts[at] ?? "", step, timezone);
  const said = lines.map(({ label, values }) => {
    const known = values.filter((value) => value !== null);
    return `${label} from ${shown.text(Math.min(...known))} to ${shown.text(Math.max(...known))}, last ${shown.text(known.at(-1))}`;
  });
  return `${title} per ${step}, ${name(0)} to ${name(starts.length - 1)}. ${said.join("; ")}.`;
}

/** Where everything lies in a drawing of this width. */
function layoutOf({ series, kind, shown, step, timezone }: ChartProps, width: number) {
  const { starts, lines } = series;
  const values = lines.flatMap((one) => one.values).filter((value) => value !== null);
  const y = scaleLinear().domain([Math.min(0, ...values), Math.max(0, ...values)]).range([HEIGHT - BOTTOM, TOP]).nice(4);
  const yTicks = y.ticks(4).map((value) => ({ value, label: shown.tick(value) }));
  const left = Math.ceil(Math.max(...yTicks.map(({ label }) => label.length)) * CHAR_WIDTH) + 10;
  const room = Math.max(1, width - left - RIGHT);
  // Bars have a slot each; a line goes from the first edge to the last.
  const slots = kind === "bars" ? starts.length : Math.max(1, starts.length - 1);
  const slot = room / slots;
  const x = (at: number) => left + (kind === "bars" ? (at + 0.5) * slot : at * slot);
  return { x, y, left, slot, xTicks: xTicksOf(starts, step, timezone, room / LABEL_WIDTH), yTicks };
}

/** Steps that carry a label, as many as there is room for; of hours over several days, midnights. */
function xTicksOf(starts: readonly string[], step: "hour" | "day", zone: string, labelsMax: number) {
  const isOneDay = starts.length <= 25;
  const all = starts.map((start, at) => ({ at, label: stepTick(start, step, zone, isOneDay) }));
  const distinct = step === "hour" && !isOneDay ? all.filter(({ label, at }) => label !== all[at - 1]?.label) : all;
  const every = Math.max(1, Math.ceil(distinct.length / labelsMax));
  return distinct.filter((_, at) => at % every === 0);
}

function Plot(props: ChartProps): ReactElement {
  const { series, kind, title, atMs } = props;
  const { starts, lines } = series;
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const [cursor, setCursor] = useState<number | null>(null);
  const layout = layoutOf(props, width);
  const { x, y, left, slot, xTicks, yTicks } = layout;
  const last = starts.length - 1;
  const point = (event: PointerEvent) => {
    const offset = event.clientX - (box.current?.getBoundingClientRect().left ?? 0) - left;
    setCursor(clamp(kind === "bars" ? Math.floor(offset / slot) : Math.round(offset / slot), last));
  };
  const press = (event: KeyboardEvent) => {
    const from = cursor ?? last + 1;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") setCursor(null);
    if (to === undefined) return;
    event.preventDefault();
    setCursor(clamp(to, last));
  };
  return (
    <div
      ref={box}
      className="tallymark-plot"
      tabIndex={0}
      role="group"
      aria-label={`${title}: arrow keys read the values`}
      onKeyDown={press}
      onPointerMove={point}
      onPointerLeave={() => setCursor(null)}
      onBlur={() => setCursor(null)}
    >
      <svg viewBox={`0 0 ${width} ${HEIGHT}`} height={HEIGHT} aria-hidden="true">
        {yTicks.map(({ value, label }) => (
          <g key={value}>
            <line className="tallymark-gridline" x1={left} x2={width - RIGHT} y1={y(value)} y2={y(value)} />
            <text x={left - 8} y={y(value)} dy="0.32em" textAnchor="end">
              {label}
            </text>
          </g>
        ))}
        {xTicks.map(({ at, label }) => (
          <text key={at} x={x(at)} y={HEIGHT - 6} textAnchor={kind === "lines" && at === 0 ? "start" : "middle"}>
            {label}
          </text>
        ))}
        {kind === "bars" ? <Bars {...{ layout, lines }} /> : <Lines {...{ layout, lines }} isRunning={isRunning(props, atMs)} />}
        {cursor !== null && <line className="tallymark-cursor" x1={x(cursor)} x2={x(cursor)} y1={TOP} y2={HEIGHT - BOTTOM} />}
      </svg>
      <div className="tallymark-readout" role="status">
        {cursor !== null && <Readout {...props} at={cursor} />}
      </div>
    </div>
  );
}

const clamp = (at: number, last: number): number => Math.max(0, Math.min(last, at));

const STEP_MS = { hour: 3_600_000, day: 86_400_000 } as const;

/** Whether the last step is not over: its figures still grow. */
const isRunning = ({ series, step }: ChartProps, atMs: number): boolean =>
  atMs < Date.parse(series.starts.at(-1) ?? "") + STEP_MS[step];

interface Drawn {
  layout: ReturnType<typeof layoutOf>;
  lines: Series["lines"];
}

function Bars({ layout: { x, y, slot }, lines }: Drawn): ReactElement {
  const width = Math.max(1, 0.8 * slot);
  return (
    <>
      {lines[0]?.values.map((value, at) => {
        if (value === null) return null;
        const [top, foot] = [Math.min(y(value), y(0)), Math.max(y(value), y(0))];
        return <rect key={at} className="tallymark-s1" x={x(at) - width / 2} y={top} width={width} height={foot - top} />;
      })}
    </>
  );
}

function Lines({ layout: { x, y }, lines, isRunning: hasTail }: Drawn & { isRunning: boolean }): ReactElement {
  const shape = lineShape<number | null>()
    .defined((value) => value !== null)
    .x((_, at) => x(at))
    .y((value) => y(value ?? 0));
  return (
    <>
      {lines.map(({ label, values }, at) => {
        const last = values.length - 1;
        const solid = hasTail && last > 0 ? values.slice(0, last) : values;
        const [from, to] = [values[last - 1] ?? null, values[last] ?? null];
        return (
          <g key={label} className={`tallymark-line tallymark-s${at + 1}`}>
            <path d={shape(solid) ?? ""} />
            {solid.length < values.length && from !== null && to !== null && (
              <path className="tallymark-tail" d={`M${x(last - 1)},${y(from)}L${x(last)},${y(to)}`} />
            )}
            {/* A value between two gaps is no line, and must be seen all the same. */}
            {values.map((value, index) =>
              value !== null && (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null ? (
                <circle key={index} cx={x(index)} cy={y(value)} r={2.5} />
              ) : null,
            )}
          </g>
        );
      })}
    </>
  );
}

function Readout({ series, step, timezone, shown, at }: ChartProps & { at: number }): ReactElement {
  return (
    <>
      <b>{stepName(series.starts[at] ?? "", step, timezone)}</b>
      {series.lines.map(({ label, values }) => (
        <span key={label}>
          {series.lines.length > 1 && `${label} `}
          {shown.text(values[at])}
        </span>
      ))}
    </>
  );
}

/** The same values as a table: always there for who cannot see the drawing, and for all who ask for it. */
function Twin({ id, series, step, timezone, shown, title, isShown }: ChartProps & { id: string; isShown: boolean }): ReactElement {
  return (
    <div
      id={id}
      className={isShown ? "tallymark-scroll" : "tallymark-unseen"}
      tabIndex={isShown ? 0 : -1}
      role="group"
      aria-label={`${title} as a table`}
    >
      <table>
        <thead>
          <tr>
            <th scope="col">{step === "hour" ? "Hour" : "Day"}</th>
            {series.lines.map(({ label }) => (
              <th key={label} scope="col">
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {series.starts.map((start, at) => (
            <tr key={start}>
              <th scope="row">{stepName(start, step, timezone)}</th>
              {series.lines.map(({ label, values }) => (
                <td key={label}>{shown.text(values[at])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function useWidth(box: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(WIDTH_FIRST);
  useEffect(() => {
    const element = box.current;
    if (element === null || typeof ResizeObserver === "undefined") return undefined;
    const observer = new ResizeObserver(([entry]) => {
      if (entry !== undefined && entry.contentRect.width > 0) setWidth(Math.floor(entry.contentRect.width));
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [box]);
  return width;
}
