// The period of the page: a button that shows it, and a popover to choose another.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { PRESETS, periodOf, stepsOf } from "../lib/period";
import { createStore, useStore } from "../lib/store";
import { haveSameHours, isoDate, zoneName, zones } from "../lib/time";
import { toast } from "../lib/toasts";
import { setQuery } from "../lib/url";
import { zoneReason, type View } from "../lib/view";
import { wayBack, zoomOut } from "../lib/zoom";
import { Icon } from "./icons";
import { Popover } from "./popover";
import { Segments } from "./segments";

export const isRangeOpen = createStore(false);

interface Props {
  view: View;
  /** The range that the view has without a choice: it is not written into the address. */
  defaultRange: string;
  hasGranularity: boolean;
  /** Nothing here goes by the period of the page: there is none to choose. */
  isOverruled: boolean;
}

export function RangeButton({ view, defaultRange, hasGranularity, isOverruled }: Props): JSX.Element {
  const isOpen = useStore(isRangeOpen, (value) => value);
  const { period } = view;
  const choose = (word: string): void => {
    setQuery({ range: word === defaultRange ? null : word });
    isRangeOpen.set(false);
  };
  return (
    <Popover
      label="Period"
      class="range-popover"
      isOpen={isOpen}
      onClose={() => isRangeOpen.set(false)}
      button={
        <button
          type="button"
          class="button"
          aria-expanded={isOpen}
          aria-haspopup="dialog"
          title={isOverruled ? view.zone : `${period.dates}, ${view.zone}`}
          onClick={() => isRangeOpen.set(!isOpen)}
        >
          <Icon name="calendar" size={14} />
          {isOverruled ? "Own periods" : period.label}
          {!isOverruled && <span class="dim range-dates">{period.dates}</span>}
          <Icon name="down" size={12} />
        </button>
      }
    >
      {isOverruled ? (
        <p class="overruled">Each widget here has a period of its own. Edit one to let it follow the page.</p>
      ) : (
        <Presets chosen={period.word} onChoose={choose} />
      )}
      <div class="custom">
        {!isOverruled && <CustomDates view={view} onChoose={choose} />}
        {hasGranularity && (
          <div class="only-narrow">
            <span class="label">Granularity</span>
            <Granularities view={view} />
          </div>
        )}
        <ZoneSearch view={view} />
      </div>
    </Popover>
  );
}

function Presets({ chosen, onChoose }: { chosen: string; onChoose: (word: string) => void }): JSX.Element {
  return (
    <div class="presets">
      {PRESETS.map(({ word, label }) => (
        <button key={word} type="button" class="menu-item" aria-pressed={word === chosen} onClick={() => onChoose(word)}>
          {label}
          {word === chosen && (
            <span class="tail">
              <Icon name="check" size={14} />
            </span>
          )}
        </button>
      ))}
    </div>
  );
}

function CustomDates({ view, onChoose }: { view: View; onChoose: (word: string) => void }): JSX.Element {
  const { zone, period } = view;
  const [first, setFirst] = useState(isoDate(period.startMs, zone));
  const [last, setLast] = useState(isoDate(period.endMs - 1, zone));
  const word = `${first}..${last}`;
  const isGood = periodOf(word, zone, view.nowMs) !== null;
  const submit = (event: Event): void => {
    event.preventDefault();
    if (isGood) onChoose(word);
  };
  return (
    <form class="dates" onSubmit={submit}>
      <label>
        <span class="label">From</span>
        <input
          type="date"
          class="field"
          value={first}
          onInput={(event) => setFirst(event.currentTarget.value)}
        />
      </label>
      <label>
        <span class="label">To, included</span>
        <input
          type="date"
          class="field"
          value={last}
          onInput={(event) => setLast(event.currentTarget.value)}
        />
      </label>
      {!isGood && <p class="bad">The period ends before it begins.</p>}
      <button type="submit" class="button" disabled={!isGood}>
        Show these dates
      </button>
    </form>
  );
}

const ZONES_SHOWN = 30;

function ZoneSearch({ view }: { view: View }): JSX.Element {
  const [text, setText] = useState("");
  const [all, setAll] = useState<string[]>([]);
  useEffect(() => setAll(zones()), []);
  const wanted = text.trim().toLowerCase().replaceAll(" ", "_");
  const found = wanted === "" ? [] : all.filter((zone) => zone.toLowerCase().includes(wanted));
  const isFit = (zone: string): boolean => haveSameHours(zone, view.reportingZone, view.nowMs);
  const choose = (zone: string): void => {
    setQuery({ tz: zone === view.reportingZone ? null : zone });
    setText("");
  };
  return (
    <div>
      <label>
        <span class="label">Time zone: {view.zone}</span>
        <input
          type="search"
          class="field"
          placeholder="Find a zone"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      {view.zone !== view.reportingZone && (
        <button type="button" class="menu-item" onClick={() => choose(view.reportingZone)}>
          Back to {zoneName(view.reportingZone)}
        </button>
      )}
      {wanted !== "" && (
        <div class="zone-list">
          {found.slice(0, ZONES_SHOWN).map((zone) => (
            <button
              key={zone}
              type="button"
              class="menu-item"
              aria-disabled={!isFit(zone)}
              title={isFit(zone) ? undefined : zoneReason(zone, view.reportingZone)}
              onClick={() => (isFit(zone) ? choose(zone) : toast(zoneReason(zone, view.reportingZone)))}
            >
              {zone.replaceAll("_", " ")}
            </button>
          ))}
          {found.length === 0 && <p class="dim">No zone of that name.</p>}
        </div>
      )}
    </div>
  );
}

/** Out of a part of the period, or of dates of one's own. */
export function BackButton({ view, defaultRange }: { view: View; defaultRange: string }): JSX.Element | null {
  const word = wayBack(view.route);
  if (word === undefined) return null;
  const period = periodOf(word ?? defaultRange, view.zone, view.nowMs) ?? view.period;
  const preset = PRESETS.find((one) => one.word === period.word);
  const where = preset?.label.toLowerCase() ?? period.dates;
  return (
    <button
      type="button"
      class="button"
      aria-label={`Back to ${where}`}
      title={`Back to ${where}; a double click on a chart does the same`}
      onClick={zoomOut}
    >
      <Icon name="back" size={14} />
      <span class="back-word">Back</span>
    </button>
  );
}

/** Compare or not; where that cannot be, say why. */
export function toggleCompare({ isCompared, compareReason }: View): void {
  if (compareReason === null) setQuery({ compare: isCompared ? "off" : null });
  else toast(compareReason);
}

export function CompareButton({ view, isOverruled }: { view: View; isOverruled: boolean }): JSX.Element {
  const { isCompared, compareReason, period } = view;
  return (
    <button
      type="button"
      class="button"
      aria-pressed={isCompared}
      aria-disabled={compareReason !== null}
      title={compareReason ?? (isCompared ? "Stop comparing" : "Compare with the period before")}
      onClick={() => toggleCompare(view)}
    >
      <Icon name="compare" size={14} />
      {isCompared ? (
        <span>
          vs<span class="unseen"> </span> {isOverruled ? "previous" : period.previousLabel}
        </span>
      ) : (
        "Compare"
      )}
    </button>
  );
}

export function Granularities({ view }: { view: View }): JSX.Element {
  const steps = stepsOf(view.period);
  // Months would only ever be grey on a week: they appear with the ranges that have them.
  const shown = steps.filter(({ granularity, reason }) => granularity !== "month" || reason === null);
  return (
    <Segments
      label="Granularity"
      value={view.granularity}
      choices={shown.map(({ granularity, label, reason }) => ({ value: granularity, label, reason }))}
      onChoose={(granularity) => setQuery({ granularity })}
    />
  );
}
