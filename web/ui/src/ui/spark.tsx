// Small drawings that stand in table cells: the trend, the bar, the strip of latencies.

import type { JSX } from "preact";
import { decadesOf } from "../lib/axis";

const WIDTH = 88;
const HEIGHT = 22;

/** A line from zero, without axes; the figures beside it say how much. */
export function Spark({ values }: { values: readonly number[] }): JSX.Element {
  const most = Math.max(1, ...values);
  const step = values.length > 1 ? WIDTH / (values.length - 1) : WIDTH;
  const points = values.map((value, at) => {
    const y = HEIGHT - 1 - ((HEIGHT - 2.5) * value) / most;
    return `${(at * step).toFixed(1)},${y.toFixed(1)}`;
  });
  if (points.length < 2) return <span class="dim">–</span>;
  return (
    <svg class="spark" width={WIDTH} height={HEIGHT} aria-hidden="true">
      <path class="area" d={`M0,${HEIGHT}L${points.join("L")}L${WIDTH},${HEIGHT}Z`} />
      <path class="line" d={`M${points.join("L")}`} />
    </svg>
  );
}

const WIDE = 100;
const TALL = 40;

/** A line over the whole width of its box; what is not known is a gap. */
export function WideSpark({ values, isMoney = false }: {
  values: readonly (number | null)[];
  isMoney?: boolean;
}): JSX.Element | null {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return null;
  const [least, most] = [Math.min(0, ...known), Math.max(1e-9, ...known)];
  const x = (at: number): string => ((WIDE * at) / (values.length - 1)).toFixed(2);
  const y = (value: number): string => (TALL - 1 - ((TALL - 3) * (value - least)) / (most - least)).toFixed(2);
  const runs = runsOf(values);
  const line = runs.map((run) => `M${run.map(({ at, value }) => `${x(at)},${y(value)}`).join("L")}`).join("");
  const area = runs
    .map((run) => `M${x(run[0]?.at ?? 0)},${TALL}${run.map(({ at, value }) => `L${x(at)},${y(value)}`).join("")}L${x(run.at(-1)?.at ?? 0)},${TALL}Z`)
    .join("");
  return (
    <svg class={`wide-spark${isMoney ? " money" : ""}`} viewBox={`0 0 ${WIDE} ${TALL}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="area" d={area} />
      <path class="line" d={line} />
    </svg>
  );
}

interface Known {
  at: number;
  value: number;
}

/** Stretches of known values. */
function runsOf(values: readonly (number | null)[]): Known[][] {
  const runs: Known[][] = [];
  values.forEach((value, at) => {
    if (value === null) return;
    if (at === 0 || values[at - 1] === null) runs.push([]);
    runs.at(-1)?.push({ at, value });
  });
  return runs;
}

/** A bar at the right of a number, relative to the largest of its column. */
export function InlineBar({ value, most }: { value: number; most: number }): JSX.Element {
  const width = most > 0 && value > 0 ? Math.max(1.5, (52 * value) / most) : 0;
  return (
    <svg class="inline-bar" width="52" height="4" aria-hidden="true">
      <rect class="track" width="52" height="4" rx="2" />
      <rect class="fill" width={width} height="4" rx="2" />
    </svg>
  );
}

/** A bar over the whole width of its line: `start` and `share` of 1. */
export function FullBar({ share, start = 0, kind = "" }: {
  share: number;
  start?: number;
  kind?: "" | "errors" | "minus" | "kept";
}): JSX.Element {
  return (
    <svg class="full-bar" height="4" aria-hidden="true">
      <rect class="track" width="100%" height="4" rx="2" />
      <rect
        class={`fill ${kind}`}
        x={`${100 * start}%`}
        width={`${(100 * Math.max(share, share > 0 ? 0.004 : 0)).toFixed(2)}%`}
        height="4"
        rx="2"
      />
    </svg>
  );
}

export const STRIP_WIDTH = 168;
const STRIP_HEIGHT = 36;

/** One logarithmic scale for all rows of a table, in ms, from whole decades. */
export interface Strip {
  fromMs: number;
  toMs: number;
}

/** What is faster is drawn at the edge; its figure says "< 0.1 ms". */
const STRIP_LEAST_MS = 0.1;
const STRIP_LABELS_MAX = 5;

export function stripFor(rows: readonly { p50: number | null; p99: number | null }[]): Strip {
  const lows = rows.map(({ p50 }) => p50 ?? 0).filter((ms) => ms > 0);
  const highs = rows.map(({ p99 }) => p99 ?? 0).filter((ms) => ms > 0);
  if (lows.length === 0) return { fromMs: 10, toMs: 10_000 };
  const leastMs = Math.max(STRIP_LEAST_MS, Math.min(...lows));
  const all = decadesOf(leastMs, Math.max(...highs, 50 * leastMs), "durations");
  return { fromMs: all[0] ?? leastMs, toMs: all.at(-1) ?? leastMs };
}

/** Each decade; of many each second or third, so that what they are called has room. */
export function decades({ fromMs, toMs }: Strip): number[] {
  const all = decadesOf(fromMs, toMs, "durations");
  const every = Math.ceil((all.length - 1) / (STRIP_LABELS_MAX - 1));
  return all.filter((_, at) => at % every === 0);
}

export function stripX({ fromMs, toMs }: Strip, ms: number): number {
  const inset = 14;
  const share = Math.log(ms / fromMs) / Math.log(toMs / fromMs);
  return inset + Math.min(1, Math.max(0, share)) * (STRIP_WIDTH - 2 * inset);
}

interface StripProps {
  strip: Strip;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

/** p50 to p95 and p95 to p99: at a glance which service is slow, and which has a tail. */
export function LogStrip({ strip, p50, p95, p99 }: StripProps): JSX.Element {
  const middle = STRIP_HEIGHT / 2;
  const marks = [p50, p95, p99].map((ms) => (ms === null || ms <= 0 ? null : stripX(strip, ms)));
  const [x50, x95, x99] = marks;
  return (
    <svg class="strip" width={STRIP_WIDTH} height={STRIP_HEIGHT} aria-hidden="true">
      {decades(strip).map((ms) => {
        const x = Math.round(stripX(strip, ms)) + 0.5;
        return <line key={ms} class="decade" x1={x} x2={x} y1="0" y2={STRIP_HEIGHT} />;
      })}
      {x50 != null && x95 != null && (
        <rect class="band-mid" x={x50} width={Math.max(0.5, x95 - x50)} y={middle - 3} height="6" />
      )}
      {x95 != null && x99 != null && (
        <rect class="band-tail" x={x95} width={Math.max(0.5, x99 - x95)} y={middle - 3} height="6" />
      )}
      {marks.map((x, at) =>
        x === null ? null : (
          <rect
            key={at}
            class="tick"
            x={x - 0.75}
            width="1.5"
            y={middle - (at === 0 ? 5.5 : 4)}
            height={at === 0 ? 11 : 8}
          />
        ),
      )}
    </svg>
  );
}
