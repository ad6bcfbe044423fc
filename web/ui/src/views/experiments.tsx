// Experiments: which variant wins, can I trust it, how long yet?

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useAnswer } from "../lib/api";
import { NBSP, UNKNOWN, count, percent, plain, signedPercent } from "../lib/format";
import { DAY_MS } from "../lib/time";
import type { ExperimentRow, ExperimentsAnswer, VariantRow } from "../lib/types";
import {
  comparison, inOrder, isMismatch, letterOf, unitsWord, variantName, verdictOf, type State,
} from "../lib/verdict";
import { REFRESH_MS, type View } from "../lib/view";
import { Icon } from "../ui/icons";
import { IntervalHead, IntervalPlot, rateScale, type RateScale } from "../ui/intervals";
import { Answered, Notice } from "../ui/panel";
import { Segments } from "../ui/segments";
import { NameButton, type Nameable } from "./naming";

type Shown = "all" | State;

const LABELS: readonly (readonly [Shown, string])[] = [
  ["all", "All"],
  ["decided", "Decided"],
  ["running", "Running"],
  ["problem", "Problem"],
];

export function Experiments({ view }: { view: View }): JSX.Element {
  const asked = useAnswer<ExperimentsAnswer>("/metrics/experiments", REFRESH_MS);
  const [shown, setShown] = useState<Shown>("all");
  return (
    <Answered
      asked={asked}
      what="experiments"
      height={480}
      empty={({ data }) =>
        data.length === 0
          ? "No experiment has been seen yet. It appears with its first experiment_view event."
          : null
      }
    >
      {({ data }) => {
        const states = data.map((row) => verdictOf(row).state);
        const countOf = (state: Shown): number =>
          state === "all" ? data.length : states.filter((one) => one === state).length;
        const rows = inOrder(data).filter((row) => shown === "all" || verdictOf(row).state === shown);
        return (
          <>
            <div class="filter-row">
              <Segments<Shown>
                label="Which experiments"
                value={shown}
                choices={LABELS.map(([value, label]) => ({ value, label: `${label} ${countOf(value)}` }))}
                onChoose={setShown}
              />
              <span class="totals">
                Counted by person (userId, else sessionId), first variant seen, since each one’s start
              </span>
            </div>
            <div class="stack">
              {rows.map((row) => (
                <Experiment key={row.experimentId} row={row} nowMs={view.nowMs} onNamed={asked.retry} />
              ))}
              {rows.length === 0 && <p class="state">No experiment is in this state.</p>}
            </div>
          </>
        );
      }}
    </Answered>
  );
}

const nameable = ({ experimentId, experimentName, variants }: ExperimentRow): Nameable => ({
  kind: "experiments", id: experimentId, name: experimentName, variants,
});

function Experiment({ row, nowMs, onNamed }: {
  row: ExperimentRow;
  nowMs: number;
  onNamed: () => void;
}): JSX.Element {
  const verdict = verdictOf(row);
  return (
    <article class="panel experiment" aria-label={row.experimentName}>
      <div class="panel-head">
        <h2>{row.experimentName}</h2>
        {row.experimentId !== row.experimentName && <span class="mono dim">{row.experimentId}</span>}
        <NameButton what={nameable(row)} onDone={onNamed} />
        <span class="experiment-facts">{factsOf(row, nowMs)}</span>
        <span class={`chip verdict ${verdict.tone}`}>{verdict.chip}</span>
      </div>
      <p class="sentence">
        {verdict.sentence.map(({ text, isStrong }, at) => (isStrong ? <strong key={at}>{text}</strong> : text))}
      </p>
      {verdict.warning !== null && (
        <div class="experiment-warning">
          <Notice tone={verdict.state === "problem" ? "bad" : "warn"}>
            <span class="strong">{verdict.warning.head}</span> {verdict.warning.text}
          </Notice>
        </div>
      )}
      <Variants row={row} />
    </article>
  );
}

function factsOf(row: ExperimentRow, nowMs: number): string {
  const days = Math.max(1, Math.ceil((nowMs - Date.parse(row.startedAt)) / DAY_MS));
  const facts = [days === 1 ? "1 day" : `${count(days)} days`];
  if (isMismatch(row)) {
    if (row.multipleExposures > 0) {
      facts.push(`${count(row.multipleExposures)} ${unitsWord(row)} seen in both variants, left out`);
    }
    return facts.join(" · ");
  }
  if (row.pValue !== null) facts.push(`p ${comparison(row.pValue)}`);
  if (row.alwaysValidP !== null) facts.push(`always-valid p ${comparison(row.alwaysValidP)}`);
  if (row.sampleRate < 1) facts.push(`a sample of ${plain(percent(100 * row.sampleRate, 1))}`);
  return facts.join(" · ");
}

function Variants({ row }: { row: ExperimentRow }): JSX.Element {
  const scale = rateScale(row.variants);
  const first = row.variants[0];
  const word = unitsWord(row);
  return (
    <table class="table variants" aria-label={`Variants of ${row.experimentName}`}>
      <thead>
        <tr>
          <th scope="col">Variant</th>
          <th scope="col" class="num phone-not">
            {word[0]?.toUpperCase()}
            {word.slice(1)}
          </th>
          <th scope="col" class="num phone-not">
            Converted
          </th>
          <th scope="col" class="num">
            Rate
          </th>
          <th scope="col" class="plot-cell">
            <IntervalHead scale={scale} />
          </th>
          <th scope="col" class="num lift">
            Lift over {letterOf(first?.index ?? 0)}
          </th>
          <th scope="col" class="num wide-only phone-not">
            95{NBSP}% interval of lift
          </th>
          <th scope="col" class="num phone-not">
            Chance to win
          </th>
        </tr>
      </thead>
      <tbody>
        <tr class="plot-row" aria-hidden="true">
          <td colSpan={8}>
            <IntervalHead scale={scale} />
          </td>
        </tr>
        {row.variants.map((variant) => (
          <VariantLines key={variant.index} row={row} variant={variant} scale={scale} />
        ))}
      </tbody>
    </table>
  );
}

function VariantLines({ row, variant, scale }: {
  row: ExperimentRow;
  variant: VariantRow;
  scale: RateScale;
}): JSX.Element {
  const first = row.variants[0];
  const isBaseline = variant === first;
  const isWinner = row.winner === variant.index;
  const isVoid = isMismatch(row);
  // Alone it is sure to win against nobody.
  const hasChance = !isVoid && row.variants.length > 1;
  const plot = (
    <IntervalPlot
      row={variant}
      scale={scale}
      baseline={first?.unitRate ?? null}
      isBaseline={isBaseline}
      isWinner={isWinner}
    />
  );
  return (
    <>
      <tr>
        <td class={isWinner ? "strong" : ""}>
          <span class="variant-name">
            {isWinner && (
              <span class="good" title="Wins">
                <Icon name="check" size={14} />
              </span>
            )}
            {variantName(variant)}
          </span>
          <span class="second">
            {count(variant.convertedUnits)} of {count(variant.units)} {unitsWord(row)}
            {!hasChance ? "" : `, ${plain(chanceOf(variant.chanceToWin))} chance to win`}
          </span>
        </td>
        <td class="num phone-not">{count(variant.units)}</td>
        <td class="num phone-not">{count(variant.convertedUnits)}</td>
        <td class="num medium">{plain(percent(variant.unitRate, 2))}</td>
        <td class="plot-cell">{plot}</td>
        <td class="num lift">
          {isBaseline ? <span class="dim">baseline</span> : <Lift variant={variant} isVoid={isVoid} isWinner={isWinner} />}
        </td>
        <td class="num soft wide-only phone-not">{isVoid || isBaseline ? UNKNOWN : liftInterval(variant)}</td>
        <td class="num phone-not">{!hasChance ? UNKNOWN : plain(chanceOf(variant.chanceToWin))}</td>
      </tr>
      <tr class="plot-row" aria-hidden="true">
        <td colSpan={8}>{plot}</td>
      </tr>
    </>
  );
}

/** A chance is never quite 0 or 100: what is told is where it cannot be told apart from them. */
function chanceOf(chance: number | null): ReturnType<typeof percent> {
  if (chance !== null && chance < 0.1) return [{ text: `<${NBSP}0.1`, role: "main" }, { text: "%", role: "unit" }];
  if (chance !== null && chance > 99.9) return [{ text: `>${NBSP}99.9`, role: "main" }, { text: "%", role: "unit" }];
  return percent(chance, 1);
}

function Lift({ variant, isVoid, isWinner }: {
  variant: VariantRow;
  isVoid: boolean;
  isWinner: boolean;
}): JSX.Element {
  if (isVoid) return <>{UNKNOWN}</>;
  return <span class={isWinner ? "good medium" : ""}>{signedPercent(variant.lift, 1)}</span>;
}

function liftInterval({ liftInterval: interval }: VariantRow): string {
  if (interval === null) return UNKNOWN;
  return `${signedPercent(interval[0], 1)} to ${signedPercent(interval[1], 1)}`;
}
