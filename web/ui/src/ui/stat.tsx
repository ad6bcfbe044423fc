// The band: up to six figures side by side, each with its change and, for today, its 24 hours.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Figure } from "../lib/format";
import { FigureText } from "./figure";

interface StatProps {
  label: string;
  figure: Figure;
  /** "±0.8 %", where it is estimated and the bound is worth saying. */
  bound?: string | null;
  isAbout?: boolean;
  line?: ComponentChildren;
  title?: string;
  href?: string;
  bars?: JSX.Element;
  /** A live figure lights up for a moment when it changes. */
  isLive?: boolean;
}

export function Stat(props: StatProps): JSX.Element {
  const { label, figure, bound, isAbout = false, line, title, href, bars } = props;
  const box = useFlash(props.isLive === true ? figure.map(({ text }) => text).join("") : null);
  const content = (
    <>
      <span class="stat-label">
        {label}
        {bound != null && <span class="dim">{bound}</span>}
      </span>
      <div class="stat-figure" ref={box}>
        <FigureText figure={figure} isAbout={isAbout} />
      </div>
      <div class="change-line">{line}</div>
      {bars}
    </>
  );
  if (href === undefined) {
    return (
      <div class="stat" title={title}>
        {content}
      </div>
    );
  }
  return (
    <a class="stat" href={href} title={title}>
      {content}
    </a>
  );
}

function useFlash(text: string | null): { current: HTMLDivElement | null } {
  const box = useRef<HTMLDivElement>(null);
  const before = useRef(text);
  useEffect(() => {
    const isFirst = before.current === null || before.current === text;
    before.current = text;
    const element = box.current;
    if (isFirst || element === null) return;
    element.classList.remove("flash");
    // Reading a size makes the browser forget the class, so that the animation runs again.
    void element.offsetWidth;
    element.classList.add("flash");
  }, [text]);
  return box;
}

interface BarsProps {
  now: readonly (number | null)[];
  before: readonly (number | null)[];
  /** Index of the hour that is not over. */
  running: number;
  isErrors?: boolean;
}

const SLOT = 4.17;
const BEFORE_WIDTH = 3.7;
const NOW_WIDTH = BEFORE_WIDTH / 2;
const BARS_HEIGHT = 28;

/** Today's hours in front of yesterday's; hours to come show yesterday alone. */
export function HourBars({ now, before, running, isErrors = false }: BarsProps): JSX.Element {
  const most = Math.max(1, ...now.map((n) => n ?? 0), ...before.map((n) => n ?? 0));
  const height = (value: number): number =>
    value <= 0 ? 0 : Math.max(1, (BARS_HEIGHT * value) / most);
  return (
    <svg
      class="stat-bars"
      viewBox={`0 0 ${(24 * SLOT).toFixed(2)} ${BARS_HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {before.map((value, hour) =>
        value == null ? null : (
          <rect
            key={`b${hour}`}
            class="bars-before"
            x={hour * SLOT}
            y={BARS_HEIGHT - height(value)}
            width={BEFORE_WIDTH}
            height={height(value)}
          />
        ),
      )}
      {now.map((value, hour) =>
        value == null || hour > running ? null : (
          <rect
            key={`n${hour}`}
            class={`bars-now${isErrors ? " errors" : ""}`}
            x={hour * SLOT + NOW_WIDTH / 2}
            y={BARS_HEIGHT - height(value)}
            width={NOW_WIDTH}
            height={height(value)}
            opacity={hour === running ? 0.5 : 1}
          />
        ),
      )}
    </svg>
  );
}

export function Band({ label, head, children, isStale = false, isLoading = false }: {
  label: string;
  head?: ComponentChildren;
  children: ComponentChildren;
  isStale?: boolean;
  isLoading?: boolean;
}): JSX.Element {
  const state = `${isStale ? " is-stale" : ""}${isLoading ? " is-loading" : ""}`;
  return (
    <section class={`panel span-12${state}`} aria-label={label} aria-busy={isLoading}>
      {head !== undefined && <div class="band-head">{head}</div>}
      <div class="stats">{children}</div>
    </section>
  );
}
