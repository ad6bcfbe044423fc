// What the charts of all views share: the figure above, the unit, the line before, what a drag does.

import type { JSX } from "preact";
import type { OfDay, SumChange } from "../lib/previous";
import { wordFor } from "../lib/period";
import type { TimeAxis } from "../lib/series";
import type { View } from "../lib/view";
import { zoomTo } from "../lib/zoom";
import type { Line } from "./chart";
import { ChangeText } from "./figure";

/** Drag on a chart: the address takes the range, cut to the chart's own steps. */
export function rangeSetter(axis: TimeAxis, zone: string): (from: number, to: number) => void {
  return (from, to) => {
    const first = axis.startsMs.findLastIndex((ms) => ms <= from * 1000 + 1);
    const last = axis.endsMs.findIndex((ms) => ms >= to * 1000 - 1);
    const startMs = axis.startsMs[Math.max(0, first)];
    const endMs = axis.endsMs[last < 0 ? axis.endsMs.length - 1 : last];
    if (startMs === undefined || endMs === undefined || endMs <= startMs) return;
    zoomTo(wordFor(startMs, endMs, zone));
  };
}

/** A click on a point shows that step alone. */
export function stepOpener(axis: TimeAxis, zone: string): (at: number) => void {
  return (at) => {
    const [startMs, endMs] = [axis.startsMs[at], axis.endsMs[at]];
    if (startMs === undefined || endMs === undefined || axis.xs.length < 3) return;
    zoomTo(wordFor(startMs, endMs, zone));
  };
}

export function FigureOver({ figure, sum, format }: {
  figure: string;
  sum: SumChange | null;
  format: (value: number) => string;
}): JSX.Element {
  return (
    <>
      {figure}
      {sum !== null && (
        <span title="Compared with the same full steps of the period before">
          <ChangeText change={sum.change} />
          <span class="from">{against(sum, format)}</span>
        </span>
      )}
    </>
  );
}

/** "from 1,218,570"; not where a reader would hold that against a figure with a running day in it. */
function against({ before, fullSteps }: SumChange, format: (value: number) => string): string {
  if (fullSteps !== null) return `over full ${fullSteps}`;
  return before === null ? "" : `from ${format(before)}`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const OF_DAY: Record<OfDay, string> = { mean: "mean hour of each day", same: "by day" };

/** The line of the period before; `ofDay` where its hours are no longer kept. */
export function previousOf(view: View, values: (number | null)[], ofDay: OfDay | null = null): Line {
  const name = capital(view.period.previousLabel);
  return {
    label: ofDay === null ? name : `${name}, ${OF_DAY[ofDay]}`,
    color: "--prev",
    isDashed: true,
    isStepped: ofDay !== null,
    values,
  };
}
