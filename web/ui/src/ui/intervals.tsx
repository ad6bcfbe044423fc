// The plot of an experiment: each variant's rate with its 95 % interval, all on one scale.

import type { JSX } from "preact";
import { percent, plain } from "../lib/format";
import type { VariantRow } from "../lib/types";

export interface RateScale {
  from: number;
  to: number;
  ticks: number[];
}

export const PLOT_WIDTH = 288;
const INSET = 16;
const HEIGHT = 36;
const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 25];

/** Round ticks, three to five steps, that hold every interval. */
export function rateScale(rows: readonly VariantRow[]): RateScale {
  const edges = rows.flatMap(({ interval }) => (interval === null ? [] : interval));
  const low = edges.length === 0 ? 0 : Math.min(...edges);
  const high = edges.length === 0 ? 100 : Math.max(...edges);
  const step = STEPS.find((size) => Math.ceil(high / size) - Math.floor(low / size) <= 5) ?? 25;
  const first = Math.floor(low / step);
  const last = Math.max(Math.ceil(high / step), first + 1);
  const ticks = Array.from({ length: last - first + 1 }, (_, at) => Number(((first + at) * step).toFixed(4)));
  return { from: first * step, to: last * step, ticks };
}

const xOf = ({ from, to }: RateScale, rate: number): number =>
  INSET + ((rate - from) / (to - from)) * (PLOT_WIDTH - 2 * INSET);

const places = (scale: RateScale): 0 | 1 | 2 =>
  scale.to - scale.from >= 3 ? 0 : scale.to - scale.from >= 0.3 ? 1 : 2;

export function IntervalHead({ scale }: { scale: RateScale }): JSX.Element {
  return (
    <svg class="interval-plot" viewBox={`0 0 ${PLOT_WIDTH} 32`} width={PLOT_WIDTH} height="32" role="img" aria-label="Rate with its 95 % interval">
      {scale.ticks.map((tick) => (
        <text key={tick} x={xOf(scale, tick)} y="20" text-anchor="middle">
          {plain(percent(tick, places(scale)))}
        </text>
      ))}
    </svg>
  );
}

interface Props {
  row: VariantRow;
  scale: RateScale;
  baseline: number | null;
  isBaseline: boolean;
  isWinner: boolean;
}

export function IntervalPlot({ row, scale, baseline, isBaseline, isWinner }: Props): JSX.Element {
  const middle = HEIGHT / 2;
  const { interval, unitRate } = row;
  const tone = isWinner ? "wins" : "";
  return (
    <svg class={`interval-plot ${tone}`} viewBox={`0 0 ${PLOT_WIDTH} ${HEIGHT}`} width={PLOT_WIDTH} height={HEIGHT} aria-hidden="true">
      {scale.ticks.map((tick) => (
        <line key={tick} class="grid-line" x1={xOf(scale, tick)} x2={xOf(scale, tick)} y1="0" y2={HEIGHT} />
      ))}
      {baseline !== null && (
        <line
          class="baseline"
          x1={xOf(scale, baseline)}
          x2={xOf(scale, baseline)}
          y1={isBaseline ? middle : 0}
          y2={HEIGHT}
        />
      )}
      {interval !== null && (
        <>
          <rect
            class="span-bar"
            x={xOf(scale, interval[0])}
            width={Math.max(1, xOf(scale, interval[1]) - xOf(scale, interval[0]))}
            y={middle - 3}
            height="6"
          />
          {interval.map((edge, at) => (
            <line key={at} class="edge" x1={xOf(scale, edge)} x2={xOf(scale, edge)} y1={middle - 5} y2={middle + 5} />
          ))}
        </>
      )}
      {unitRate !== null && <circle class="rate-dot" cx={xOf(scale, unitRate)} cy={middle} r="4.5" />}
    </svg>
  );
}
