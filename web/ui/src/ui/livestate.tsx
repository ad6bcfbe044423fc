// Whether the figures on the page are of now: a word and a shape, never a colour alone.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { NBSP, count, duration, plain } from "../lib/format";
import { live, reconnect, togglePause, type Live } from "../lib/live";
import { useStore } from "../lib/store";
import { clockWithSeconds } from "../lib/time";
import { Popover } from "./popover";

const DOTS: Record<Live["state"], string> = {
  connecting: "connecting",
  live: "live-dot",
  reconnecting: "reconnecting",
  stale: "stale",
  paused: "paused",
  polling: "polling",
};

export function liveWords({ state, receivedMs }: Live, zone: string): string {
  switch (state) {
    case "connecting":
      return "Connecting …";
    case "live":
      return "Live";
    case "reconnecting":
      return "Reconnecting …";
    case "stale":
      return `Stale, last update ${clockWithSeconds(receivedMs, zone)}`;
    case "paused":
      return "Paused";
    case "polling":
      return `Every 10${NBSP}s`;
  }
}

export function LiveState({ zone, isListening, isOver }: {
  zone: string;
  /** No event ever came: nothing can be live yet. */
  isListening: boolean;
  /** The range ended before today: the page stands still, whatever the stream does. */
  isOver: boolean;
}): JSX.Element {
  const now = useStore(live, (value) => value);
  const [isOpen, setOpen] = useState(false);
  const isWell = now.state === "live" || now.state === "polling";
  const words = isListening && isWell ? "Listening" : isOver && isWell ? "Paused" : liveWords(now, zone);
  const dot = isListening && isWell ? "" : isOver && isWell ? "paused" : DOTS[now.state];
  return (
    <>
    <span class="unseen" role="status">
      {words}
    </span>
    <Popover
      label="Live state"
      class="menu"
      isOpen={isOpen}
      onClose={() => setOpen(false)}
      button={
        <button type="button" class="live" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          <span class={`dot ${dot}`} aria-hidden="true" />
          {words}
        </button>
      }
    >
      <LiveDetails now={now} zone={zone} isOver={isOver} />
    </Popover>
    </>
  );
}

function LiveDetails({ now, zone, isOver }: { now: Live; zone: string; isOver: boolean }): JSX.Element {
  const { receivedMs, latencyMs, state } = now;
  return (
    <>
      <div class="menu-item">
        Last figures
        <span class="tail">{receivedMs === 0 ? "none yet" : clockWithSeconds(receivedMs, zone)}</span>
      </div>
      {latencyMs !== null && (
        <div class="menu-item">
          Under way<span class="tail">{plain(duration(latencyMs))}</span>
        </div>
      )}
      {isOver && <div class="menu-item dim">The period shown is over.</div>}
      <button type="button" class="menu-item" onClick={reconnect}>
        Reconnect now
      </button>
      <button type="button" class="menu-item" onClick={togglePause}>
        {state === "paused" ? "Go on" : "Pause"}
        <span class="tail">
          <kbd>L</kbd>
        </span>
      </button>
    </>
  );
}

/** "updated 1 s ago", and from a minute on the time by the clock. */
export function UpdatedAgo({ zone }: { zone: string }): JSX.Element | null {
  const receivedMs = useStore(live, (value) => value.receivedMs);
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  if (receivedMs === 0) return null;
  const seconds = Math.max(0, Math.round((now - receivedMs) / 1000));
  if (seconds > 59) return <span>updated {clockWithSeconds(receivedMs, zone)}</span>;
  return (
    <span>
      updated {seconds}
      {NBSP}s ago
    </span>
  );
}

/** One hidden sentence a minute for those who listen to the page; the figures themselves are still. */
export function SpokenHeadline(): JSX.Element {
  const [text, setText] = useState("");
  useEffect(() => {
    const timer = setInterval(() => {
      const counters = live.get().counters;
      if (counters === null) return;
      setText(
        `${count(counters["executions:today"])} executions and ` +
          `${count(counters["errors:today"])} errors today.`,
      );
    }, 60_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <div class="unseen" aria-live="polite">
      {text}
    </div>
  );
}
