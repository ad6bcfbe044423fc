"use client";
// One widget: asks when it comes into sight, and again; says what it waits for, and what went wrong.

import type { Client } from "@tallymark/client";
import { useEffect, useId, useRef, useState, type ReactElement, type ReactNode, type RefObject } from "react";
import useSWR from "swr";
import { counterKeyOf, familyOf, fieldOf, type Metric } from "../metrics.js";
import { rangeOf } from "../ranges.js";
import type { WidgetConfig } from "../types.js";
import { Chart } from "./Chart.js";
import { Counter } from "./Counter.js";
import { isPassing, reasonOf } from "./failure.js";
import { Funnel } from "./Funnel.js";
import { clockTime, shownAs } from "./format.js";
import { pulseOf, useLiveValue, type Live } from "./live.js";
import { ask, currencyOf, isEmptySeries, isRanked, questionOf, scalarOf, seriesOf, type Answer, type Question } from "./question.js";
import { RankedBars, Table } from "./Table.js";
import { rowsOf } from "./rows.js";

export interface WidgetProps {
  widget: WidgetConfig;
  metric: Metric;
  client: Client;
  apiUrl: string;
  live: Live | null;
  refreshMs: number;
  timezone: string;
  headingLevel: 1 | 2 | 3;
}

export function Widget(props: WidgetProps): ReactElement {
  const { widget, metric, live, headingLevel } = props;
  const box = useRef<HTMLElement>(null);
  const isSeen = useSeen(box);
  const title = widget.title?.trim() || metric.label;
  const range = familyOf(metric.name) === "counters" ? null : rangeOf(widget.range).label;
  const question = questionOf(widget, props.timezone);
  const asked = useAnswer(isSeen ? question : null, props);
  useRefreshWhenLive(widget.live ? live : null, question, asked.again);
  return (
    <Panel box={box} widget={widget} title={title} unit={range} headingLevel={headingLevel}>
      <Answered {...asked} title={title}>
        {(answer, atMs) => <Content {...props} {...{ answer, atMs, title }} />}
      </Answered>
    </Panel>
  );
}

interface PanelProps {
  widget: WidgetConfig;
  title: string;
  headingLevel: 1 | 2 | 3;
  unit?: string | null;
  box?: RefObject<HTMLElement | null>;
  children: ReactNode;
}

/** The frame of a widget: an article, as many landmarks of equal names would lead nowhere. */
export function Panel({ widget, title, unit, headingLevel, box, children }: PanelProps): ReactElement {
  const name = useId();
  const Heading = `h${(headingLevel + 1) as 2 | 3 | 4}` as const;
  const { blockType: kind, width } = widget;
  return (
    <article
      ref={box}
      className={`tallymark-panel tallymark-${kind}`}
      data-width={width ?? (kind === "counter" ? "third" : "half")}
      aria-labelledby={name}
    >
      <div className="tallymark-title">
        <Heading id={name}>{title}</Heading>
        {unit && <span className="tallymark-unit">{unit}</span>}
      </div>
      {children}
    </article>
  );
}

/** Whether the element is in sight, or near it, or was once. */
function useSeen(box: RefObject<HTMLElement | null>): boolean {
  const [isSeen, setSeen] = useState(false);
  useEffect(() => {
    const element = box.current;
    if (element === null || isSeen) return undefined;
    if (typeof IntersectionObserver === "undefined") {
      setSeen(true);
      return undefined;
    }
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) setSeen(true);
      },
      { rootMargin: "200px" },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [box, isSeen]);
  return isSeen;
}

interface Found {
  answer: Answer;
  atMs: number;
}

interface Asked {
  found: Found | undefined;
  error: unknown;
  again: () => void;
}

/** So soon after an answer, a widget that comes into sight takes the same one. */
const SAME_WITHIN_MS = 2_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 30_000;

function useAnswer(question: Question | null, { client, apiUrl, refreshMs }: WidgetProps): Asked {
  const key = question && (["tallymark", apiUrl, JSON.stringify(question)] as const);
  const { data, error, mutate } = useSWR(
    key,
    async ([, , text]): Promise<Found> => {
      const atMs = Date.now();
      return { answer: await ask(client, JSON.parse(text) as Question, atMs), atMs };
    },
    {
      refreshInterval: refreshMs,
      dedupingInterval: Math.min(SAME_WITHIN_MS, refreshMs / 2),
      keepPreviousData: true,
      // Refusals stand until the question, or who asks it, is another.
      onErrorRetry: (failure, _key, _config, revalidate, { retryCount }) => {
        if (!isPassing(failure)) return;
        const ceilingMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (retryCount - 1));
        setTimeout(() => void revalidate({ retryCount }), ceilingMs * (0.5 + Math.random() / 2));
      },
    },
  );
  return { found: data, error, again: () => void mutate() };
}

/** However much happens, a widget asks no more often. */
const LIVE_EVERY_MS = 2_000;

/** Ask again when the stream says that something has happened. */
function useRefreshWhenLive(live: Live | null, { family }: Question, again: () => void): void {
  const pulse = useLiveValue(live, (now) => (family === "counters" ? "" : pulseOf(family, now)));
  const last = useRef({ pulse, atMs: 0, again });
  last.current.again = again;
  useEffect(() => {
    const { current } = last;
    if (pulse === current.pulse) return undefined;
    current.pulse = pulse;
    const clock = setTimeout(() => {
      current.atMs = Date.now();
      current.again();
    }, Math.max(0, current.atMs + LIVE_EVERY_MS - Date.now()));
    return () => clearTimeout(clock);
  }, [pulse]);
}

interface AnsweredProps extends Asked {
  title: string;
  children: (answer: Answer, atMs: number) => ReactNode;
}

/** What is known; while nothing is, why; and what is known from before, with a word of warning. */
function Answered({ found, error, again, title, children }: AnsweredProps): ReactNode {
  if (found === undefined && error === undefined) {
    return (
      <div className="tallymark-loading" role="status">
        <span className="tallymark-unseen">Loading {title} …</span>
      </div>
    );
  }
  return (
    <>
      {error !== undefined && (
        <div className="tallymark-error" role="status">
          <p>
            {found === undefined
              ? `Could not load this. ${reasonOf(error)}`
              : `As of ${clockTime(found.atMs)}, and not newer: ${reasonOf(error)}`}
          </p>
          <button type="button" onClick={again} aria-label={`Try again: ${title}`}>
            Try again
          </button>
        </div>
      )}
      {found !== undefined && children(found.answer, found.atMs)}
    </>
  );
}

interface ContentProps extends WidgetProps {
  answer: Answer;
  atMs: number;
  title: string;
}

const EMPTY = <p className="tallymark-state">Nothing in this period.</p>;

function Content({ widget, metric, answer, atMs, title, timezone, live }: ContentProps): ReactElement {
  const isCounter = answer.family === "counters";
  const field = isCounter ? counterKeyOf(metric.name) : fieldOf(metric.name);
  const shown = shownAs(metric.format, currencyOf(answer));
  if (widget.blockType === "counter") {
    const previous = rangeOf(widget.range).previous;
    return <Counter {...{ metric, shown, previous }} scalar={scalarOf(answer, field)} live={widget.live ? live : null} />;
  }
  if (widget.blockType === "funnel") return answer.family === "marketplace" ? <Funnel figures={answer.answer.data} title={title} /> : EMPTY;
  if (isRanked(widget)) {
    const found = rowsOf(answer, field, questionOf(widget, timezone).limit);
    if (found.rows.length === 0) return EMPTY;
    return widget.blockType === "table" ? <Table {...found} title={title} /> : <RankedBars {...found} title={title} shown={shown} />;
  }
  const series = seriesOf(answer, field, title, atMs);
  if (isEmptySeries(series)) return EMPTY;
  const step = questionOf(widget, timezone).granularity ?? "day";
  const kind = widget.blockType === "barChart" ? "bars" : "lines";
  return <Chart {...{ series, step, kind, title, shown, timezone, atMs }} />;
}
