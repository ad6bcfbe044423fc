// What an experiment says, in words that a product manager reads; no figure is made here.

import { NBSP, count, pValue, percent, plain } from "./format";
import type { ExperimentRow, VariantRow } from "./types";

export type State = "problem" | "decided" | "running";

/** Pieces of a sentence; strong ones carry the figures. */
export interface Words {
  text: string;
  isStrong: boolean;
}

export interface Verdict {
  state: State;
  chip: string;
  tone: "ok" | "bad" | "warn" | "";
  sentence: Words[];
  /** A warning with a head of its own; null without. */
  warning: { head: string; text: string } | null;
}

const MISMATCH_BELOW = 0.001;

const say = (text: string): Words => ({ text, isStrong: false });
const strong = (text: string): Words => ({ text, isStrong: true });

export const letterOf = (index: number): string =>
  index < 26 ? String.fromCharCode(65 + index) : String(index + 1);

/** "A · Current page"; a variant without a name of its own is its letter alone. */
export function variantName({ index, name }: VariantRow): string {
  const letter = letterOf(index);
  return name === `Variant ${letter}` ? name : `${letter} · ${name}`;
}

export const isMismatch = ({ srm }: ExperimentRow): boolean =>
  srm.p !== null && srm.p < MISMATCH_BELOW;

/** What is counted: people where ids are known, else sessions or events. */
export function unitsWord(row: ExperimentRow): string {
  return { user: "people", session: "sessions", mixed: "people", event: "events" }[row.unitKind];
}

export function verdictOf(row: ExperimentRow): Verdict {
  if (row.experimentId === TOGETHER) return together();
  if (isMismatch(row)) return mismatch(row);
  const found = row.variants.length < 2 ? alone() : (won(row) ?? undecided(row));
  return row.unitKind === "event" ? withoutIds(found) : found;
}

function mismatch(row: ExperimentRow): Verdict {
  const { expected, observed, p } = row.srm;
  const word = unitsWord(row);
  return {
    state: "problem",
    chip: "Do not use this result",
    tone: "bad",
    sentence: [say(`The ${word} are not split as they should be, so the rates below cannot be compared.`)],
    warning: {
      head: "Sample-ratio mismatch.",
      text:
        `Expected ${shares(expected)}, got ${shares(observed)} (p ${comparison(p)}). ` +
        `Usual causes: redirects that lose people in one variant, bots, or exposure sent ` +
        `after the page has loaded.`,
    },
  };
}

/** "50 : 50", "53.9 : 46.1" */
function shares(values: readonly number[]): string {
  const all = values.reduce((sum, value) => sum + value, 0);
  if (all === 0) return "–";
  return values
    .map((value) => Number(((100 * value) / all).toFixed(1)).toLocaleString())
    .join(`${NBSP}:${NBSP}`);
}

/** "= 0.031", "< 0.0001" */
export function comparison(p: number | null): string {
  const text = pValue(p);
  return text.startsWith("<") ? text : `=${NBSP}${text}`;
}

/** What the service calls the experiments that came after as many as it tells apart. */
const TOGETHER = "__other__";

function together(): Verdict {
  return {
    state: "running",
    chip: "No comparison",
    tone: "",
    sentence: [say("Several experiments counted together, because there are more than are told apart. Their variants cannot be compared.")],
    warning: null,
  };
}

function alone(): Verdict {
  return {
    state: "running",
    chip: "One variant",
    tone: "",
    sentence: [say("Only one variant has been seen so far. A comparison needs two.")],
    warning: null,
  };
}

function won(row: ExperimentRow): Verdict | null {
  const winner = row.variants.find(({ index }) => index === row.winner);
  const against = row.variants
    .filter(({ index }) => index !== row.winner)
    .sort((one, other) => (other.unitRate ?? 0) - (one.unitRate ?? 0));
  const first = row.variants[0];
  // The winner is held against the first variant, and the first against the best of the others.
  const beaten = winner === first ? against[0] : first;
  if (winner === undefined || beaten === undefined) return null;
  return {
    state: "decided",
    chip: `Variant ${letterOf(winner.index)} wins`,
    tone: "ok",
    sentence: [
      strong(winner.name),
      say(` converts better than ${beaten.name}: `),
      strong(plain(percent(winner.unitRate, 2))),
      say(" against "),
      strong(plain(percent(beaten.unitRate, 2))),
      say(`. ${rarity(row)}`),
    ],
    warning: null,
  };
}

const RARE_MAX = 1_000_000;

/** The p-value, which is of all variants together, as a share of tests, in two digits. */
function rarity({ pValue: p, variants }: ExperimentRow): string {
  if (p === null) return "";
  const gap = variants.length > 2 ? "differences this large" : "a gap this large";
  const tests = p < 1 / RARE_MAX ? `fewer than 1 of ${count(RARE_MAX)}` : `about 1 of ${count(Number((1 / p).toPrecision(2)))}`;
  return `If there were no difference, ${gap} would appear in ${tests} tests.`;
}

const SIGNIFICANT_BELOW = 0.05;

/** With three variants and more: not all are alike, and yet none is proven to be the best. */
const isOpenAtTheTop = ({ pValue: p, variants, winner }: ExperimentRow): boolean =>
  winner === null && variants.length > 2 && p !== null && p < SIGNIFICANT_BELOW;

function undecided(row: ExperimentRow): Verdict {
  const { unitsNeeded, daysNeeded } = row;
  const least = Math.min(...row.variants.map(({ units }) => units));
  const word = unitsWord(row);
  const isOpen = isOpenAtTheTop(row);
  const nothingYet = isOpen ? "Not all seem to convert alike, and none is proven to be the best yet." : "No reliable difference yet.";
  if (unitsNeeded === null) return tooEarly([say(`${nothingYet} ${untold(row.variants[0])}`)]);
  if (least >= unitsNeeded) {
    return {
      state: "decided",
      chip: isOpen ? "No single best" : "No difference found",
      tone: "",
      sentence: [
        say(isOpen ? "Not all seem to convert alike, and none is proven to be the best. With " : "No reliable difference. With "),
        strong(`${count(least)} ${word} per variant`),
        say(
          ` a lift of 10${NBSP}% would most likely have been found: ` +
            (isOpen ? "if one is the best, it leads by less." : "if there is a difference, it is smaller."),
        ),
      ],
      warning: null,
    };
  }
  const pace = daysNeeded === null ? [] : [
    say("; at the present pace that is "),
    strong(more(daysNeeded)),
  ];
  return tooEarly([
    say(`${nothingYet} To detect a lift of 10${NBSP}% you need about `),
    strong(`${count(rounded(unitsNeeded))} ${word} per variant`),
    say(`, ${count(rounded(unitsNeeded - least))} more than now`),
    ...pace,
    say("."),
  ]);
}

/** Days, or years where nobody would count days. */
function more(days: number): string {
  if (days >= 2 * YEAR_DAYS) return `more than ${count(Math.floor(days / YEAR_DAYS))} years`;
  return days === 1 ? "1 more day" : `${count(days)} more days`;
}

const YEAR_DAYS = 365;

/** Why there is no number of units that would show a lift. */
function untold(first: VariantRow | undefined): string {
  if (first === undefined || first.convertedUnits === 0) {
    return `Nobody has converted with ${first?.name ?? "the first variant"} so far, so there is no telling how long it takes.`;
  }
  return `Of ${first.name} so many convert that a lift of 10${NBSP}% has no room.`;
}

const tooEarly = (sentence: Words[]): Verdict => ({
  state: "running", chip: "Too early to call", tone: "", sentence, warning: null,
});

/** Three digits: more would promise what an estimate cannot keep. */
const rounded = (value: number): number => Number(value.toPrecision(3));

function withoutIds(verdict: Verdict): Verdict {
  return {
    ...verdict,
    warning: {
      head: "Counted by events,",
      text:
        "because the events carry no userId or sessionId; the figures are too sure of themselves.",
    },
  };
}

const RANK: Record<State, number> = { problem: 0, decided: 1, running: 2 };

/** Problems and decisions first, then by age. */
export function inOrder(rows: readonly ExperimentRow[]): ExperimentRow[] {
  return [...rows].sort(
    (one, other) =>
      RANK[verdictOf(one).state] - RANK[verdictOf(other).state] ||
      one.startedAt.localeCompare(other.startedAt),
  );
}
