// How a figure has changed, and whether that is good or bad news: colour only where it is both.

import { NBSP, UNKNOWN, count, points } from "./format";

/** Which way is good; `neutral` never takes a colour. */
export type Good = "up" | "down" | "neutral";

/** What the figure is: it decides from which change on a colour is deserved, and the unit. */
export type Measure = "amount" | "latency" | "rate";

export interface Change {
  arrow: "↑" | "↓" | "";
  text: string;
  tone: "good" | "bad" | "plain";
  /** There is nothing to compare: neither figure, or none that is anything. */
  isUnknown: boolean;
  /** There is nothing earlier to compare with. */
  isNew: boolean;
  /** In words, for those who do not see the arrow. */
  spoken: string;
}

const COLOUR_FROM: Record<Measure, number> = { amount: 2, latency: 5, rate: 0.3 };
const SHOWN_MAX = 999;
const NEW = "new";

const plainChange = (text: string, spoken: string): Change => ({
  arrow: "",
  text,
  tone: "plain",
  isUnknown: text === UNKNOWN,
  isNew: text === NEW,
  spoken,
});

export function change(
  now: number | null | undefined,
  before: number | null | undefined,
  measure: Measure,
  good: Good,
): Change {
  if (now == null) return plainChange(UNKNOWN, "not known");
  if (before == null) return plainChange(NEW, "nothing earlier to compare with");
  const difference = now - before;
  if (measure === "rate") return told(difference, points(difference), measure, good);
  if (before === 0) {
    return now === 0 ? plainChange(UNKNOWN, "nothing in both periods") : plainChange(NEW, "none before");
  }
  const relative = (100 * difference) / Math.abs(before);
  return told(relative, relativeText(relative), measure, good);
}

function relativeText(relative: number): string {
  const size = Math.abs(relative);
  if (size > SHOWN_MAX) return `>${NBSP}${count(SHOWN_MAX)}${NBSP}%`;
  const places = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
  return `${size.toLocaleString(undefined, places)}${NBSP}%`;
}

function told(size: number, text: string, measure: Measure, good: Good): Change {
  const rounded = Math.round(size * 10) / 10;
  if (rounded === 0) return plainChange(text, `unchanged`);
  const direction = size > 0 ? "up" : "down";
  let tone: Change["tone"] = "plain";
  if (good !== "neutral" && Math.abs(size) >= COLOUR_FROM[measure]) {
    tone = direction === good ? "good" : "bad";
  }
  return {
    arrow: direction === "up" ? "↑" : "↓",
    text,
    tone,
    isUnknown: false,
    isNew: false,
    spoken: `${direction === "up" ? "up" : "down"} ${text}`,
  };
}
