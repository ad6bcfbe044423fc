// A panel with its head, and what it shows before, instead of and after its content.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Asked } from "../lib/api";
import { NBSP } from "../lib/format";
import { useStore } from "../lib/store";
import { zoneName } from "../lib/time";
import { route, setQuery } from "../lib/url";
import { reportingZone } from "../lib/view";
import { Icon } from "./icons";

interface PanelProps {
  span: 3 | 4 | 5 | 6 | 7 | 8 | 9 | 12;
  title: ComponentChildren;
  unit?: ComponentChildren;
  tools?: ComponentChildren;
  label?: string;
  class?: string;
  children: ComponentChildren;
}

export function Panel(props: PanelProps): JSX.Element {
  const { span, title, unit, tools, label, children } = props;
  return (
    <section
      class={`panel span-${span} ${props.class ?? ""}`}
      aria-label={label ?? (typeof title === "string" ? title : undefined)}
    >
      <PanelHead title={title} unit={unit} tools={tools} />
      {children}
    </section>
  );
}

const HEAD_PX = 42;

interface HeadProps {
  title: ComponentChildren;
  unit?: ComponentChildren;
  tools?: ComponentChildren;
}

export function PanelHead({ title, unit, tools }: HeadProps): JSX.Element {
  return (
    <div class="panel-head">
      <h2>{title}</h2>
      {unit !== undefined && <span class="unit">{unit}</span>}
      {tools !== undefined && <div class="tools">{tools}</div>}
    </div>
  );
}

interface BodyProps<T> {
  asked: Asked<T>;
  /** What it is, in the middle of a sentence: "revenue". */
  what: string;
  /** Height of the content in px, kept while there is none yet. */
  height: number;
  /** Stands above what is said instead of the content, where the content has a title of its own. */
  title?: string;
  /** The sentence for no content; null where there is some. */
  empty?: (answer: T) => ComponentChildren | null;
  children: (answer: T) => ComponentChildren;
}

/** The content of an answer, or a block of its size, a sentence why not, or one why there is none. */
export function Answered<T>({ asked, what, height, title, empty, children }: BodyProps<T>): JSX.Element {
  const { answer, problem } = asked;
  const failed = problem === undefined ? null : <Failed asked={asked} what={what} />;
  const head = title === undefined ? null : <PanelHead title={title} />;
  if (answer === undefined) return failed === null ? <Blocks height={height} /> : <>{head}{failed}</>;
  const nothing = empty?.(answer) ?? null;
  return (
    <>
      {failed}
      {nothing === null ? (
        <div class={asked.isOld || failed !== null ? "is-old" : ""}>{children(answer)}</div>
      ) : (
        <>
          {head}
          <Nothing height={head === null ? height : height - HEAD_PX}>{nothing}</Nothing>
        </>
      )}
    </>
  );
}

export function Blocks({ height }: { height: number }): JSX.Element {
  const rows = Math.max(1, Math.floor((height - 32) / 48));
  return (
    <div class="blocks" aria-busy="true" style={{ minHeight: `${height}px` }}>
      <span class="unseen">Loading</span>
      {Array.from({ length: rows }, (_, at) => (
        <div key={at} class="block" />
      ))}
    </div>
  );
}

export function Nothing({ height, children }: { height: number; children: ComponentChildren }): JSX.Element {
  return (
    <div class="state" style={{ minHeight: `${height}px` }}>
      <p>{children}</p>
    </div>
  );
}

/** "Could not load revenue. The server answered 503 (overloaded). Retrying in 4 s." */
export function Failed<T>({ asked, what }: { asked: Asked<T>; what: string }): JSX.Element | null {
  const { problem, retryAtMs, retry } = asked;
  if (problem === undefined) return null;
  if (problem.status === 422) {
    return (
      <div class="state error" role="status">
        <p>{problem.message}</p>
        <ZoneBack message={problem.message} />
      </div>
    );
  }
  return (
    <div class="state error" role="status">
      <p>
        Could not load {what}. {problem.message} {retryAtMs > 0 && <Countdown toMs={retryAtMs} />}
      </p>
      <button type="button" class="button" onClick={retry}>
        Retry
      </button>
    </div>
  );
}

/** The way out of a refusal that the zone of the address is the reason of; nothing for all others. */
function ZoneBack({ message }: { message: string }): JSX.Element | null {
  const { tz, range } = useStore(route, ({ query }) => query);
  const home = useStore(reportingZone, (zone) => zone);
  // Hours that are no longer kept are refused in every zone.
  const isOfHours = range?.includes("T") === true;
  if (tz === undefined || home === null || isOfHours) return null;
  if (!message.includes(`reporting zone ${home}`)) return null;
  return (
    <button type="button" class="button" onClick={() => setQuery({ tz: null })}>
      Back to {zoneName(home)}
    </button>
  );
}

function Countdown({ toMs }: { toMs: number }): JSX.Element {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const leftS = Math.max(0, Math.ceil((toMs - now) / 1000));
  return <>{leftS > 0 ? `Retrying in ${leftS}${NBSP}s.` : "Retrying now."}</>;
}

interface NoticeProps {
  tone: "bad" | "warn" | "info";
  act?: ComponentChildren;
  children: ComponentChildren;
}

export function Notice({ tone, act, children }: NoticeProps): JSX.Element {
  return (
    <div class={`notice ${tone}-notice`} role="note">
      {tone !== "info" && <Icon name="warning" />}
      <p class="grow">{children}</p>
      {act !== undefined && <span class="act">{act}</span>}
    </div>
  );
}
