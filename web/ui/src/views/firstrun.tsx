// First run: no event ever came. How to send one, and watch it arrive.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useAnswer, url } from "../lib/api";
import { NBSP, count, duration, many, plain } from "../lib/format";
import { tokensOf } from "../lib/highlight";
import { useStore } from "../lib/store";
import { copy } from "../lib/toasts";
import type { Health, ServicesAnswer } from "../lib/types";
import { settings } from "../lib/view";
import { Icon } from "../ui/icons";

type Language = "curl" | "JavaScript" | "Python";

const LANGUAGES: readonly Language[] = ["curl", "JavaScript", "Python"];

function snippet(language: Language, origin: string, hasKeys: boolean): string {
  switch (language) {
    case "curl":
      return `curl ${origin}/track \\${hasKeys ? "\n  -H 'authorization: Bearer WRITE_KEY' \\" : ""}
  -H 'content-type: application/json' \\
  -d '{"eventType": "service_execution",
       "serviceId": "hello-world",
       "latencyMs": 42, "success": true}'`;
    case "JavaScript":
      return `await fetch('${origin}/track', {
  method: 'POST',
  headers: { ${hasKeys ? "authorization: 'Bearer WRITE_KEY', " : ""}'content-type': 'application/json' },
  body: JSON.stringify({
    eventType: 'service_execution',
    serviceId: 'hello-world',
    latencyMs: 42, success: true,
  }),
});`;
    case "Python":
      return `import json, urllib.request

event = {'eventType': 'service_execution', 'serviceId': 'hello-world',
         'latencyMs': 42, 'success': True}
urllib.request.urlopen(urllib.request.Request(
    '${origin}/track', json.dumps(event).encode(),
    {${hasKeys ? "'authorization': 'Bearer WRITE_KEY', " : ""}'content-type': 'application/json'}))`;
  }
}

const DEMO_ORIGIN = "http://127.0.0.1:8080";

/** What fills this service; the command sends to its own default unless told. */
const demoCommand = (origin: string): string =>
  origin === DEMO_ORIGIN ? "tallymark demo" : `tallymark demo --url ${origin}`;

interface Props {
  health: Health | undefined;
  onDone: () => void;
}

export function FirstRun({ health, onDone }: Props): JSX.Element {
  const events = health?.events ?? 0;
  return (
    <div class="first-run">
      <h2>Send the first event</h2>
      <p class="soft">Tallymark is running and the journal is open. {events === 0 && "Nothing has been counted yet."}</p>
      <ol class="panel first-steps">
        <Step number={1} title="Run this in a terminal" isDone={events > 0}>
          <Snippets />
        </Step>
        <Step number={2} title="Watch it arrive" isDone={events > 0}>
          <Arrival events={events} onDone={onDone} />
        </Step>
        <Step number={3} title="Connect your service" isDone={false}>
          <p class="soft">
            Every event is one POST; several go together to <span class="mono">/track/batch</span>. An{" "}
            <span class="mono">eventId</span> makes sure that none counts twice.{" "}
            <a class="link medium" href="/docs">
              Read the reference
            </a>
          </p>
        </Step>
      </ol>
      <p class="soft only-looking">
        Only looking? <span class="chip mono">{demoCommand(location.origin)}</span> sends 30 days of made-up
        events; who removes the data folder is rid of them.
      </p>
    </div>
  );
}

function Step({ number, title, isDone, children }: {
  number: number;
  title: string;
  isDone: boolean;
  children: JSX.Element;
}): JSX.Element {
  return (
    <li class="first-step">
      <span class={`step-number${number === 1 ? " first" : ""}`} aria-hidden="true">
        {isDone ? <Icon name="check" size={12} /> : number}
      </span>
      <div class="grow">
        <h3>{title}</h3>
        {children}
      </div>
    </li>
  );
}

function Snippets(): JSX.Element {
  const [language, setLanguage] = useState<Language>("curl");
  const hasKeys = useStore(settings, ({ keys }) => keys === true);
  const text = snippet(language, location.origin, hasKeys);
  return (
    <>
      <div class="tabs">
        {LANGUAGES.map((name) => (
          <button key={name} type="button" aria-pressed={name === language} onClick={() => setLanguage(name)}>
            {name}
          </button>
        ))}
        <button type="button" class="copy" onClick={() => void copy(text, "Command copied")}>
          <Icon name="copy" size={14} />
          Copy
        </button>
      </div>
      <pre class="snippet mono" tabIndex={0} aria-label={`Example, ${language}`}>
        {tokensOf(text).map(({ kind, text: piece }, at) =>
          kind === "string" ? (
            <span key={at} class="sql-string">
              {piece}
            </span>
          ) : (
            piece
          ),
        )}
      </pre>
      {hasKeys && (
        <p class="soft key-hint-below">
          In place of WRITE_KEY: what <span class="mono">tallymark keys add --role write</span> prints.
        </p>
      )}
    </>
  );
}

const AGE_MS = 1_000;

function Arrival({ events, onDone }: { events: number; onDone: () => void }): JSX.Element {
  const latest = useAnswer<ServicesAnswer>(
    events > 0 ? url("/metrics/services", { limit: 1, startDate: yesterday() }) : null,
  );
  const [arrivedMs, setArrived] = useState(0);
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (events > 0 && arrivedMs === 0) setArrived(Date.now());
    const timer = setInterval(() => setNow(Date.now()), AGE_MS);
    return () => clearInterval(timer);
  }, [events > 0]);
  if (events === 0) {
    return (
      <div class="arrival">
        <span class="dot" aria-hidden="true" />
        <span>
          Listening on <span class="mono">POST /track</span>
        </span>
        <span class="dim tail">{`0${NBSP}events`}</span>
      </div>
    );
  }
  const row = latest.answer?.data[0];
  const ageS = Math.round(Math.max(0, now - arrivedMs) / 1000);
  return (
    <>
      <div class="arrival arrived">
        <span class="dot live-dot" aria-hidden="true" />
        <span class="medium">{row?.serviceName ?? "Your event"}</span>
        <span class="soft">
          {row !== undefined && `${plain(duration(row.latency.max))} · `}
          {ageS < 3 ? "just now" : `${count(ageS)}${NBSP}s ago`}
        </span>
        <span class="dim tail">{many(events, "event", "events")}</span>
      </div>
      <p class="unseen" role="status">
        First event received
      </p>
      <button type="button" class="button primary" onClick={onDone}>
        Go to the overview
      </button>
    </>
  );
}

/** A clock a little off must not hide the first event. */
const yesterday = (): string => new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
