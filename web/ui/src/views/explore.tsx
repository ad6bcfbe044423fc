// Explore: my own question, in SQL, with its answer as a table and as a chart.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem, ask } from "../lib/api";
import { NBSP, count, many } from "../lib/format";
import { useHeaderTools } from "../lib/heading";
import { formatted } from "../lib/highlight";
import { EXAMPLES } from "../lib/queries";
import { addressOf, sqlOf } from "../lib/sqltext";
import { copy } from "../lib/toasts";
import type { SqlAnswer } from "../lib/types";
import { setQuery } from "../lib/url";
import type { View } from "../lib/view";
import { SqlEditor } from "../ui/editor";
import { Icon } from "../ui/icons";
import { Blocks } from "../ui/panel";
import { Popover } from "../ui/popover";
import { ExportButton } from "./exporting";
import { Result } from "./result";

const COLUMNS: readonly (readonly [string, string])[] = [
  ["timestamp", "DateTime"],
  ["index1", "sampling key"],
  ["blob1", "eventType"],
  ["blob2", "serviceId, experimentId"],
  ["blob3", "userId"],
  ["blob4", "sessionId"],
  ["blob5", "category"],
  ["blob6", "success, error"],
  ["blob7", "currency"],
  ["blob8", "errorCode"],
  ["blob9", "searchQuery"],
  ["blob10", "conversion"],
  ["double1", "latencyMs"],
  ["double2", "amount"],
  ["double3", "variantIndex"],
  ["_sample_interval", "rows it stands for"],
  ["orderId", "by its own name"],
  ["duration", "by its own name, ms"],
  ["takeRate", "by its own name"],
];

const FIRST = EXAMPLES[0]?.sql ?? "";

interface Run {
  answer: SqlAnswer | null;
  complaint: string | null;
  tookMs: number;
  isRunning: boolean;
}

const IDLE: Run = { answer: null, complaint: null, tookMs: 0, isRunning: false };

export function Explore({ view }: { view: View }): JSX.Element {
  const [sql, setSql] = useState(() => textAtOnce(view.route.query));
  const [run, setRun] = useState<Run>(IDLE);
  /** What was run last; null before the first. */
  const begun = useRef<string | null>(null);
  const start = (text: string): void => {
    begun.current = text;
    setRun((now) => ({ ...now, isRunning: true }));
    void asked(text).then(setRun);
    void addressOf(text).then((query) => setQuery(query, { replace: true }));
  };
  const { q, z, saved } = view.route.query;
  useEffect(() => {
    const { query } = view.route;
    void sqlOf(query).then((found) => {
      const text = found ?? FIRST;
      // The address follows what is run, and by then somebody may have typed on.
      if (text === begun.current) return;
      const isShown = begun.current === null && text === textAtOnce(query);
      if (!isShown) setSql(text);
      start(text);
    });
  }, [q, z, saved]);
  const choose = (text: string): void => {
    setSql(text);
    start(text);
  };
  useHeaderTools(<Tools onExample={choose} />, []);
  return (
    <div class="grid explore">
      <Columns onInsert={(name) => setSql(inserted(sql, name))} />
      <div class="stack span-9">
        <section class="panel editor-panel" aria-label="Query">
          <SqlEditor value={sql} errorLine={lineOf(run.complaint)} onInput={setSql} onRun={() => start(sql)} />
          <div class="editor-foot">
            <button type="button" class="button primary" disabled={run.isRunning} onClick={() => start(sql)}>
              <Icon name="play" size={14} />
              Run <span class="key-hint">Ctrl ↵</span>
            </button>
            <button type="button" class="button plain" onClick={() => setSql(formatted(sql))}>
              Format
            </button>
            <ExportButton sql={sql} />
            <span class="dim hint">Tab indents; Esc, then Tab leaves</span>
            <span class="dim took" role="status">
              {took(run)}
            </span>
          </div>
          {run.complaint !== null && (
            <p class="complaint" role="alert">
              {run.complaint}
            </p>
          )}
        </section>
        {run.answer === null && run.isRunning && (
          <section class="panel" aria-label="Result">
            <Blocks height={360} />
          </section>
        )}
        {run.answer !== null && <Result answer={run.answer} sql={sql} isOld={run.isRunning || run.complaint !== null} />}
      </div>
    </div>
  );
}

/** What the address says without unpacking, so that the editor has its height from the first moment. */
const textAtOnce = ({ q, z, saved }: Readonly<Record<string, string>>): string =>
  q ?? (z === undefined && saved === undefined ? FIRST : "");

async function asked(sql: string): Promise<Run> {
  const begunMs = performance.now();
  try {
    const answer = await ask<SqlAnswer>("/sql", { method: "POST", body: sql, type: "text/plain" });
    return { answer, complaint: null, tookMs: performance.now() - begunMs, isRunning: false };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const complaint = error.status === 422 ? error.message : `Could not run the query. ${error.message}`;
    return { ...IDLE, complaint };
  }
}

function took({ answer, tookMs, isRunning }: Run): string {
  if (isRunning) return "Running …";
  if (answer === null) return "";
  return `${many(answer.data.length, "row", "rows")} · ${count(Math.max(1, tookMs))}${NBSP}ms`;
}

/** The line that a complaint names; 0 where it names none. */
const lineOf = (complaint: string | null): number => Number(/\bline (\d+)/i.exec(complaint ?? "")?.[1] ?? 0);

const inserted = (sql: string, name: string): string => {
  const area = document.querySelector<HTMLTextAreaElement>(".editor textarea");
  const at = area?.selectionStart ?? sql.length;
  area?.focus();
  return sql.slice(0, at) + name + sql.slice(area?.selectionEnd ?? at);
};

function Tools({ onExample }: { onExample: (sql: string) => void }): JSX.Element {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Popover
        label="Examples"
        class="menu"
        isOpen={isOpen}
        onClose={() => setOpen(false)}
        button={
          <button type="button" class="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            Examples
            <Icon name="down" size={12} />
          </button>
        }
      >
        {EXAMPLES.map(({ title, sql }) => (
          <button
            key={title}
            type="button"
            class="menu-item"
            onClick={() => {
              setOpen(false);
              onExample(sql);
            }}
          >
            {title}
          </button>
        ))}
      </Popover>
      <button type="button" class="button" onClick={() => void copy(location.href, "Link copied")}>
        <Icon name="link" size={14} />
        Copy link
      </button>
    </>
  );
}

function Columns({ onInsert }: { onInsert: (name: string) => void }): JSX.Element {
  return (
    <details class="panel span-3 columns" aria-label="Columns" open={!matchMedia("(max-width: 720px)").matches}>
      <summary class="panel-head">
        <span class="strong">events</span>
        <span class="unit">columns</span>
        <Icon name="down" size={12} />
      </summary>
      <ul>
        {COLUMNS.map(([name, meaning]) => (
          <li key={name}>
            <button type="button" class="menu-item" title={`Insert ${name}`} onClick={() => onInsert(name)}>
              <span class="mono">{name}</span>
              <span class="dim">{meaning}</span>
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
}
