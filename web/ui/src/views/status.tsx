// Status: how the service itself does; each figure with its limit.

import type { JSX } from "preact";
import { useAnswer } from "../lib/api";
import { NBSP, bytes, count, counted, duration, many, percent, plain, short } from "../lib/format";
import { healthLog, type HealthSample } from "../lib/healthlog";
import { useStore } from "../lib/store";
import { clock, clockWithSeconds, local, zoneName } from "../lib/time";
import type { Health } from "../lib/types";
import type { View } from "../lib/view";
import { ChartFrame } from "../ui/chart";
import { Failed, Notice } from "../ui/panel";
import { Band, Stat } from "../ui/stat";

const ASKED_MS = 2_000;
const FULL_FROM = 0.8;

export function Status({ view }: { view: View }): JSX.Element {
  const asked = useAnswer<Health>("/health", ASKED_MS);
  return (
    <div class="grid">
      {asked.problem !== undefined && (
        <div class="span-12 panel">
          <Failed asked={asked} what="the status" />
        </div>
      )}
      {asked.answer !== undefined && (
        <>
          <Warnings health={asked.answer} />
          <Figures health={asked.answer} />
          <Charts health={asked.answer} view={view} />
        </>
      )}
    </div>
  );
}

const STATES: Record<Health["status"], string> = {
  ok: "Taking events",
  recovering: "Recovering",
  stopping: "Stopping",
  failed: "Failed",
};

function warningsOf(health: Health): string[] {
  const found: string[] = [];
  if (health.status !== "ok") found.push(`${STATES[health.status]}. ${health.reason ?? ""}`);
  const { queue, stream, overCap, archive } = health;
  if (archive?.state === "failed") {
    found.push(`The archive takes no events: ${archive.reason ?? "its process has ended"}. SQL and exports end where it stopped.`);
  } else if (archive?.reason != null && archive.lag > 0) {
    found.push(`The archive is behind, and its process is started again and again: ${archive.reason}.`);
  }
  if (queue !== undefined && queue.depth > FULL_FROM * queue.limit) {
    found.push(
      `The queue is ${fullness(queue.depth, queue.limit)} full. When it is full, senders are told to wait.`,
    );
  }
  if (stream.subscribers > FULL_FROM * stream.limit) {
    found.push(
      `${fullness(stream.subscribers, stream.limit)} of the places for live streams are taken. ` +
        `Pages beyond them ask every 10${NBSP}s.`,
    );
  }
  for (const [kind, n] of Object.entries(overCap ?? {})) {
    found.push(
      `There are more ${kind} than have figures of their own: ${count(n)} events count together under __other__.`,
    );
  }
  return found;
}

const fullness = (part: number, whole: number): string => plain(percent((100 * part) / whole, 0));

function Warnings({ health }: { health: Health }): JSX.Element {
  return (
    <>
      {warningsOf(health).map((text) => (
        <div key={text} class="span-12">
          <Notice tone={health.status === "failed" ? "bad" : "warn"}>{text}</Notice>
        </div>
      ))}
    </>
  );
}

/** What an acknowledgement has waited for. */
const AWAITED: Record<string, string> = { fsync: "synced", write: "not synced", none: "not awaited" };

function Figures({ health }: { health: Health }): JSX.Element {
  const { queue, journal, snapshot, stream, archive } = health;
  return (
    <Band label="Status" head={<Head health={health} />}>
      <Stat
        label="Ingest"
        figure={[{ text: count(health.eventsPerSecond), role: "main" }, { text: "ev/s", role: "unit" }]}
        line={`mean of the last 10${NBSP}s`}
      />
      <Stat
        label="Queue"
        figure={counted(queue?.depth)}
        line={queue && `of ${count(queue.limit)} · peak ${count(queue.peak)}`}
      />
      <Stat
        label="Journal"
        figure={bytes(journal?.sizeBytes)}
        line={journal && `${AWAITED[journal.durability] ?? journal.durability} · ${many(journal.groups, "group", "groups")}`}
      />
      <Stat
        label="Snapshot"
        figure={snapshot?.ageS == null ? [{ text: "none", role: "main" }] : duration(snapshot.ageS * 1000)}
        line={snapshot?.ageS == null ? "none written yet" : `old · up to ${count(snapshot.seq)}`}
      />
      <Stat
        label="Archive"
        figure={archive === undefined ? [{ text: "off", role: "main" }] : bytes(archive.sizeBytes)}
        line={archive && archiveWords(archive)}
        title="Every event as a row, for SQL and exports"
      />
      <Stat
        label="Live streams"
        figure={counted(stream.subscribers)}
        line={`of ${count(stream.limit)} places`}
      />
    </Band>
  );
}

function archiveWords({ rows, lag, state }: NonNullable<Health["archive"]>): string {
  if (state !== "running") return state;
  return lag === 0 ? many(rows, "row", "rows") : `${count(lag)} events behind`;
}

function Head({ health }: { health: Health }): JSX.Element {
  return (
    <>
      <h2>{STATES[health.status]}</h2>
      <div class="band-key">
        <span class="key">
          Tallymark {health.version}, running for {plain(duration(health.uptimeS * 1000))}
        </span>
        {health.events !== undefined && <span>{many(health.events, "event", "events")} taken</span>}
        {health.duplicates !== undefined && (
          <span class="key">{many(health.duplicates, "duplicate", "duplicates")} dropped</span>
        )}
      </div>
    </>
  );
}

interface Chart {
  title: string;
  unit: string;
  pick: (sample: HealthSample) => number | null;
  limit: number | null;
}

const WINDOW_MS = 15 * 60_000;

/** Room after the newest sample, as a share of the axis: a lone first one is a dot. */
const EDGE = 0.02;

function Charts({ health, view }: { health: Health; view: View }): JSX.Element {
  const samples = useStore(healthLog, (value) => value);
  const { zone } = view;
  const toMs = samples.at(-1)?.atMs ?? Date.now();
  const fromMs = Math.min(samples[0]?.atMs ?? toMs, toMs - WINDOW_MS / 15);
  const charts: Chart[] = [
    { title: "Ingest", unit: "events a second", pick: (sample) => sample.eventsPerSecond, limit: null },
    {
      title: "Queue", unit: "events that wait", pick: (sample) => sample.queueDepth,
      limit: nearLimit(samples.map((sample) => sample.queueDepth), health.queue?.limit),
    },
    {
      title: "Live streams", unit: "subscribers", pick: (sample) => sample.subscribers,
      limit: nearLimit(samples.map((sample) => sample.subscribers), health.stream.limit),
    },
  ];
  return (
    <>
      {charts.map(({ title, unit, pick, limit }) => (
        <section key={title} class="panel span-4" aria-label={title}>
          <ChartFrame
            title={title}
            name={title}
            unit={limit === null ? unit : `${unit}, limit ${count(limit)}`}
            xs={samples.map((sample) => sample.atMs / 1000)}
            lines={[{ label: title, color: "--s1", hasArea: true, values: samples.map(pick) }]}
            from={fromMs / 1000}
            to={toMs / 1000 + EDGE * (toMs - fromMs) / 1000}
            xTicks={() => minuteTicks(fromMs, toMs).map((ms) => ({ x: ms / 1000, label: clock(ms, zone) }))}
            nameAt={(at) => `${clockWithSeconds(samples[at]?.atMs ?? 0, zone)} ${zoneName(zone)}`}
            xName="Time"
            yTick={short}
            format={count}
            scaled="counts"
            limit={limit}
            syncKey="status"
            height={156}
          />
          <p class="dim chart-note">since this page was opened, at most 15 minutes</p>
        </section>
      ))}
    </>
  );
}

/** A limit far above all values would press them flat: it is drawn from a tenth of it on. */
function nearLimit(values: readonly (number | null)[], limit: number | undefined): number | null {
  const most = Math.max(0, ...values.map((value) => value ?? 0));
  return limit !== undefined && most > limit / 10 ? limit : null;
}

function minuteTicks(fromMs: number, toMs: number): number[] {
  const every = toMs - fromMs > 6 * 60_000 ? 5 : 1;
  const found: number[] = [];
  for (let ms = Math.ceil(fromMs / 60_000) * 60_000; ms <= toMs; ms += 60_000) {
    if (local(ms, "UTC").minute % every === 0) found.push(ms);
  }
  return found;
}
