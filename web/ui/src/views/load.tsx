// Load: drive a flow of events through the service, and watch what it makes of it.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Problem, ask, forget, useAnswer } from "../lib/api";
import { NBSP, count, duration, durationTick, many, plain, short } from "../lib/format";
import { useStore } from "../lib/store";
import { clockWithSeconds } from "../lib/time";
import { toast } from "../lib/toasts";
import type { LoadRun, LoadSecond } from "../lib/types";
import { settings, type View } from "../lib/view";
import { ChartFrame } from "../ui/chart";
import { Answered, Notice, Panel } from "../ui/panel";
import { Segments } from "../ui/segments";
import { DataTable } from "../ui/table";

const PROFILES = ["steady", "burst", "mixed", "skewed", "ramp-to-saturation", "soak"];
const WATCH_MS = 1_000;
const LIST_MS = 3_000;

export function Load({ view }: { view: View }): JSX.Element {
  const isOff = useStore(settings, ({ loadRuns }) => loadRuns === false);
  return isOff ? <Off /> : <Runs view={view} />;
}

function Off(): JSX.Element {
  return (
    <div class="panel state">
      <p>
        Load runs are off. A server that is started with <span class="mono cut">--load-hooks</span> has them.
      </p>
    </div>
  );
}

function Runs({ view }: { view: View }): JSX.Element {
  const runs = useAnswer<{ data: LoadRun[] }>("/load/runs", LIST_MS);
  const [chosen, setChosen] = useState<string | null>(null);
  const newest = runs.answer?.data[0];
  const id = chosen ?? newest?.id ?? null;
  const isRunning = newest?.status === "running";
  return (
    <div class="grid">
      <Panel span={4} title="New run" class="as-high-as-needed">
        <RunForm
          isRunning={isRunning}
          onStarted={(run) => {
            setChosen(run.id);
            runs.retry();
          }}
        />
      </Panel>
      <section class="panel span-8" aria-label="Run">
        {id === null ? (
          <div class="state">
            <p>No run yet. “Start” begins one.</p>
          </div>
        ) : (
          <Watched key={id} id={id} onEnd={runs.retry} />
        )}
      </section>
      <Panel span={12} title="Runs" unit="the newest first">
        <Answered
          asked={runs}
          what="the runs"
          height={160}
          empty={({ data }) => (data.length === 0 ? "No run is remembered." : null)}
        >
          {({ data }) => (
            <div class="table-box scrolls" tabIndex={0} role="region" aria-label="Runs, rows">
              <DataTable<LoadRun>
                label="Runs"
                rows={data}
                rowKey={(run) => run.id}
                columns={[
                  {
                    key: "started", head: "Started", class: "name-cell",
                    cell: (run) => (
                      <button type="button" class="link" aria-pressed={run.id === id} onClick={() => setChosen(run.id)}>
                        {clockWithSeconds(Date.parse(run.startedAt), view.zone)}
                      </button>
                    ),
                  },
                  { key: "profile", head: "Profile", cell: (run) => run.profile },
                  { key: "target", head: "Target", class: "soft phone-not", cell: (run) => TARGETS[run.target] },
                  { key: "rate", head: "Rate", isNumber: true, class: "phone-not", cell: (run) => `${count(run.rate)}${NBSP}ev/s` },
                  { key: "events", head: "Acknowledged", isNumber: true, cell: (run) => count(run.events) },
                  {
                    key: "refused", head: "Refused", isNumber: true, class: "phone-not",
                    cell: (run) => count(refusedOf(run)),
                  },
                  { key: "p99", head: "p99", isNumber: true, cell: (run) => plain(duration(run.latency["p99"] ?? null)) },
                  { key: "status", head: "Status", isNumber: true, cell: (run) => <StatusChip run={run} /> },
                ]}
              />
            </div>
          )}
        </Answered>
      </Panel>
    </div>
  );
}

const TARGETS: Record<LoadRun["target"], string> = { scratch: "scratch engine", live: "this service" };

const refusedOf = ({ refused }: LoadRun): number => Object.values(refused).reduce((sum, n) => sum + n, 0);

function StatusChip({ run }: { run: LoadRun }): JSX.Element {
  const tone = { running: "", finished: "ok", stopped: "warn", failed: "bad" }[run.status];
  return (
    <span class={`chip ${tone}`} title={run.reason ?? ""}>
      {run.status}
    </span>
  );
}

type Target = LoadRun["target"];

function RunForm({ isRunning, onStarted }: {
  isRunning: boolean;
  onStarted: (run: LoadRun) => void;
}): JSX.Element {
  const [profile, setProfile] = useState("steady");
  const [rate, setRate] = useState(1000);
  const [durationS, setDuration] = useState(10);
  const [target, setTarget] = useState<Target>("scratch");
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      const body = JSON.stringify({ profile, rate, durationS, target });
      const { data } = await ask<{ data: LoadRun }>("/load/runs", { method: "POST", body });
      forget("/load/runs");
      onStarted(data);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      toast(`Could not start the run. ${error.message}`, { isError: true });
    }
  };
  return (
    <form class="form" onSubmit={(event) => void submit(event)}>
      <label>
        <span class="label">Profile</span>
        <select class="field select" value={profile} onChange={(event) => setProfile(event.currentTarget.value)}>
          {PROFILES.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <NumberField label="Events a second" value={rate} onChange={setRate} />
      <NumberField label="Seconds" value={durationS} onChange={setDuration} />
      <div>
        <span class="label">Target</span>
        <Segments<Target>
          label="Target"
          value={target}
          choices={[{ value: "scratch", label: "Scratch engine" }, { value: "live", label: "This service" }]}
          onChoose={setTarget}
        />
      </div>
      {target === "live" && (
        <Notice tone="warn">The events of this run stay in the figures, under the label load-run.</Notice>
      )}
      <button type="submit" class="button primary" disabled={isRunning}>
        {isRunning ? "A run is under way" : "Start"}
      </button>
    </form>
  );
}

function NumberField({ label, value, onChange }: {
  label: string;
  value: number;
  onChange: (value: number) => void;
}): JSX.Element {
  return (
    <label>
      <span class="label">{label}</span>
      <input
        class="field"
        type="number"
        min={1}
        value={value}
        onInput={(event) => onChange(Math.max(1, event.currentTarget.valueAsNumber || 1))}
      />
    </label>
  );
}

function Watched({ id, onEnd }: { id: string; onEnd: () => void }): JSX.Element {
  const [isOver, setOver] = useState(false);
  const asked = useAnswer<{ data: LoadRun }>(`/load/runs/${id}`, isOver ? 0 : WATCH_MS);
  const run = asked.answer?.data;
  const hasEnded = run !== undefined && run.status !== "running";
  useEffect(() => {
    if (!hasEnded) return;
    setOver(true);
    onEnd();
  }, [hasEnded]);
  const stop = async (): Promise<void> => {
    try {
      await ask(`/load/runs/${id}`, { method: "DELETE" });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      toast(`Could not stop the run. ${error.message}`, { isError: true });
    }
    asked.retry();
  };
  return (
    <Answered asked={asked} what="this run" height={420}>
      {({ data }) => (
        <>
          <RunCharts run={data} />
          <div class="run-foot">
            <span class="soft">{outcomeOf(data)}</span>
            {data.status === "running" && (
              <button type="button" class="button" onClick={() => void stop()}>
                Stop
              </button>
            )}
          </div>
        </>
      )}
    </Answered>
  );
}

function outcomeOf(run: LoadRun): string {
  const wrong = run.counts.filter(({ verdict }) => verdict === "lost" || verdict === "too many");
  const counts =
    run.counts.length === 0
      ? ""
      : wrong.length === 0
        ? " Every figure counts what was acknowledged."
        : ` ${wrong.map(({ figure }) => figure).join(", ")} differ from what was acknowledged.`;
  const reason = run.reason === undefined ? "" : ` ${run.reason}`;
  return `${many(run.events, "event", "events")} acknowledged, ${count(refusedOf(run))} requests refused.${counts}${reason}`;
}

const GUTTER_PX = 56;

function RunCharts({ run }: { run: LoadRun }): JSX.Element {
  const rows: readonly LoadSecond[] = run.seconds ?? [];
  const xs = rows.map(({ second }) => second);
  const common = {
    xs,
    from: 0,
    to: Math.max(run.durationS, xs.at(-1) ?? 0, 1),
    xTicks: (room: number) => secondTicks(run.durationS, room),
    nameAt: (at: number) => `Second ${rows[at]?.second ?? ""}`,
    xName: "Second",
    syncKey: "load",
    gutterPx: GUTTER_PX,
  };
  return (
    <>
      <ChartFrame
        {...common}
        title="Events"
        name="Events"
        unit={`a second, ${run.profile}`}
        lines={[
          { label: "Sent", color: "--prev", isDashed: true, values: rows.map((row) => row.offered) },
          { label: "Acknowledged", color: "--s1", hasArea: true, values: rows.map((row) => row.events), value: count(run.events) },
          { label: "Errors", color: "--bad", values: rows.map((row) => row.errors), value: count(refusedOf(run)) },
        ]}
        yTick={short}
        format={count}
        height={156}
      />
      <div class="divider" />
      <ChartFrame
        {...common}
        title="Latency"
        name="Latency of acknowledgements"
        unit="from the intended instant"
        lines={[
          { label: "p99", color: "--s4", values: rows.map((row) => row.p99), value: plain(duration(run.latency["p99"] ?? null)) },
          { label: "p50", color: "--s1", values: rows.map((row) => row.p50), value: plain(duration(run.latency["p50"] ?? null)) },
        ]}
        scaled="durations"
        yTick={durationTick}
        format={(ms) => plain(duration(ms))}
        height={156}
      />
    </>
  );
}

function secondTicks(durationS: number, room: number): { x: number; label: string }[] {
  const every = [1, 2, 5, 10, 30, 60, 300, 600].find((step) => durationS / step <= room) ?? 1800;
  return Array.from({ length: Math.floor(durationS / every) + 1 }, (_, at) => ({
    x: at * every,
    label: `${at * every}${NBSP}s`,
  }));
}
