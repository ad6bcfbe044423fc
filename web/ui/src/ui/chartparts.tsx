// The parts of a chart that are text: legend, tooltip, readout, caption, and the data as a table.

import type { JSX } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { BoxProps, ChartProps, Line } from "./chart";

function Sample({ line }: { line: Line }): JSX.Element {
  const color = `var(${line.color})`;
  if (line.kind === "bars") {
    return (
      <svg width="9" height="9" aria-hidden="true">
        <rect width="9" height="9" rx="2" fill={color} />
      </svg>
    );
  }
  return (
    <svg width="12" height="4" aria-hidden="true">
      <path d="M0 2h12" stroke={color} stroke-width="2" stroke-dasharray={line.isDashed === true ? "3 1.5" : "none"} />
    </svg>
  );
}

interface LegendProps {
  lines: readonly Line[];
  hidden: ReadonlySet<string>;
  onHide: (hidden: ReadonlySet<string>) => void;
}

/** A click hides a line, with Alt it leaves that one alone. */
export function Legend({ lines, hidden, onHide }: LegendProps): JSX.Element {
  const choose = (label: string, isAlone: boolean): void => {
    const next = new Set(hidden);
    if (isAlone) {
      const others = lines.map((line) => line.label).filter((other) => other !== label);
      const areAllHidden = others.every((other) => hidden.has(other));
      onHide(new Set(areAllHidden ? [] : others));
      return;
    }
    if (!next.delete(label)) next.add(label);
    onHide(next);
  };
  return (
    <div class="legend">
      {lines.map((line) => (
        <button
          key={line.label}
          type="button"
          aria-pressed={!hidden.has(line.label)}
          title="Click hides it, Alt-click shows it alone"
          onClick={(event) => choose(line.label, event.altKey)}
        >
          <Sample line={line} />
          {line.label}
          {line.value !== undefined && <span class="value">{line.value}</span>}
        </button>
      ))}
    </div>
  );
}

interface Row {
  line: Line;
  label: string;
  value: string;
}

function rowsAt({ lines, format, hidden }: BoxProps, at: number): Row[] {
  return lines.flatMap((line) => {
    const value = line.values[at];
    if (value == null || hidden.has(line.label)) return [];
    const label = line.labelAt?.(at) ?? line.label;
    return [{ line, label, value: (line.format ?? format)(value) }];
  });
}

/** Rows in the order in which the lines lie at this point, from above. */
export function Tooltip(props: BoxProps & { at: number; left: number; width: number }): JSX.Element {
  const { at, left, width, nameAt, footAt } = props;
  const box = useRef<HTMLDivElement>(null);
  const [own, setOwn] = useState(190);
  useLayoutEffect(() => {
    if (box.current !== null) setOwn(box.current.offsetWidth);
  });
  const rows = rowsAt(props, at).sort(
    (one, other) => (other.line.values[at] ?? 0) - (one.line.values[at] ?? 0),
  );
  const isFlipped = left + 14 + own > width;
  const x = isFlipped ? Math.max(-8, left - 14 - own) : left + 14;
  const foot = footAt?.(at);
  return (
    <div class="tooltip" ref={box} aria-hidden="true" style={{ left: `${x}px`, top: "6px" }}>
      <div class="when">{nameAt(at)}</div>
      {rows.map(({ line, label, value }) => (
        <div class="row" key={label}>
          <Sample line={line} />
          {label}
          <span class="value">{value}</span>
        </div>
      ))}
      {rows.length === 0 && <div class="row">Nothing known</div>}
      {foot != null && <div class="foot">{foot}</div>}
    </div>
  );
}

export function Readout(props: BoxProps & { at: number }): JSX.Element {
  return (
    <>
      <span class="dim">{props.nameAt(props.at)}</span>
      {rowsAt(props, props.at).map(({ label, value }) => (
        <span key={label}>
          {label} <span class="medium">{value}</span>
        </span>
      ))}
    </>
  );
}

/** Rows that a table has at most where it is printed. */
const PAPER_ROWS_MAX = 62;

export function Twin(props: ChartProps & { id: string; isShown: boolean; height: number }): JSX.Element {
  const { id, xs, lines, nameAt, xName, format, isShown, height } = props;
  const rows = useMemo(
    () => xs.map((x, at) => ({ x, name: nameAt(at), cells: lines.map((line) => line.values[at]) })),
    [xs, lines, nameAt],
  );
  return (
    <div
      id={id}
      class={`twin ${isShown ? "plot" : "unseen"}${xs.length > PAPER_ROWS_MAX ? " many" : ""}`}
      style={isShown ? { height: `${height}px` } : {}}
      {...(isShown ? { tabIndex: 0, role: "region", "aria-label": `${props.name}, table` } : {})}
    >
      <table aria-label={`${props.name}, values`}>
        <thead>
          <tr>
            <th scope="col">{xName}</th>
            {lines.map((line) => (
              <th key={line.label} scope="col">
                {line.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ x, name, cells }) => (
            <tr key={x}>
              <td>{name}</td>
              {cells.map((value, at) => (
                <td key={at}>{value == null ? "–" : (lines[at]?.format ?? format)(value)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What, in which range, the lowest, the highest, the last: for whoever does not see the plot. */
export function captionOf({ name, lines, format, nameAt, xs }: ChartProps): string {
  const values = lines[0]?.values ?? [];
  const known = values.flatMap((value, at) => (value === null ? [] : [{ value, at }]));
  const last = known.at(-1);
  if (last === undefined || xs.length === 0) return `${name}: no values.`;
  const low = known.reduce((least, one) => (one.value < least.value ? one : least));
  const high = known.reduce((most, one) => (one.value > most.value ? one : most));
  return (
    `${name}, ${nameAt(0)} to ${nameAt(xs.length - 1)}. Lowest ${format(low.value)} ` +
    `(${nameAt(low.at)}), highest ${format(high.value)} (${nameAt(high.at)}), ` +
    `last ${format(last.value)}.`
  );
}
