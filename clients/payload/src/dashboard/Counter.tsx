"use client";
// One figure, and how it has changed.

import type { ReactElement } from "react";
import { counterKeyOf, familyOf, type Metric } from "../metrics.js";
import { changeOf, type Shown } from "./format.js";
import { useLiveValue, type Live } from "./live.js";
import type { Scalar } from "./question.js";

interface CounterProps {
  metric: Metric;
  scalar: Scalar;
  shown: Shown;
  /** What the period before is called. */
  previous: string;
  live: Live | null;
}

export function Counter({ metric, scalar, shown, previous, live }: CounterProps): ReactElement {
  const key = familyOf(metric.name) === "counters" ? counterKeyOf(metric.name) : "";
  // A counter of the stream is newer than what was asked.
  const streamed = useLiveValue(live, ({ counters }) => (key === "" ? undefined : counters[key]));
  const now = streamed === undefined ? scalar.now : streamed;
  const change = now === null || scalar.before === null ? null : changeOf(metric.format, scalar.before, now);
  return (
    <div className="tallymark-figure">
      <p className="tallymark-value">{shown.text(now)}</p>
      {now === null && scalar.reason && <p className="tallymark-note">{scalar.reason}</p>}
      {change && (
        <p className="tallymark-change" data-good={goodness(metric, change.direction)}>
          <span aria-hidden="true">{ARROWS[change.direction]}</span>
          <span className="tallymark-unseen">{WORDS[change.direction]}</span> {change.text}{" "}
          <span className="tallymark-unit">against {previous}</span>
        </p>
      )}
    </div>
  );
}

const ARROWS = { up: "▲", down: "▼", same: "=" } as const;
const WORDS = { up: "up by", down: "down by", same: "the same:" } as const;

function goodness({ good }: Metric, direction: keyof typeof ARROWS): "yes" | "no" | undefined {
  if (good === "neutral" || direction === "same") return undefined;
  return good === direction ? "yes" : "no";
}
