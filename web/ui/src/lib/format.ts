// Numbers as people read them: counts, money, durations, rates; with no-break spaces and U+2212.

export const NBSP = "\u00a0";
export const UNKNOWN = "–";

/** A figure in pieces, so that units and cents can be drawn smaller than the rest. */
export interface Piece {
  text: string;
  role: "main" | "unit" | "minor";
}

export type Figure = Piece[];

const main = (text: string): Piece => ({ text, role: "main" });
const unit = (text: string): Piece => ({ text, role: "unit" });

/** Widths in ems of what figures are made of, a little above those of the widest font of the page. */
const DIGIT_EMS = 0.66;
const MARK_EMS = 0.32;
const LETTER_EMS = 0.75;
const SMALL = 0.64;
const GAP_EMS = 0.25;

/** How wide a figure is at most, in ems of its main part: a cell that is narrower draws it smaller. */
export function widthEms(figure: Figure): number {
  const ems = figure.map(({ text, role }, at) => {
    const letters = [...text].map((letter) =>
      /[\d$+\u2212]/.test(letter) ? DIGIT_EMS : /[\s.,'\u2019]/.test(letter) ? MARK_EMS : LETTER_EMS,
    );
    const width = letters.reduce((sum, letter) => sum + letter, 0);
    return (role === "main" ? width : SMALL * width) + (at > 0 && role !== "minor" ? GAP_EMS : 0);
  });
  return ems.reduce((sum, width) => sum + width, 0);
}

export function plain(figure: Figure): string {
  let text = "";
  for (const [at, piece] of figure.entries()) {
    const before = figure[at - 1];
    const apart = before !== undefined && (piece.role === "unit" || before.role === "unit");
    text += (apart ? NBSP : "") + piece.text;
  }
  return text;
}

const formats = new Map<string, Intl.NumberFormat>();

function numberFormat(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = JSON.stringify(options);
  let format = formats.get(key);
  if (format === undefined) {
    format = new Intl.NumberFormat(undefined, options);
    formats.set(key, format);
  }
  return format;
}

function decimal(value: number, places: number): string {
  const text = numberFormat({
    minimumFractionDigits: places,
    maximumFractionDigits: places,
  }).format(value);
  return minus(text);
}

/** With a true minus sign, and none before a figure that is shown as zero. */
function minus(text: string): string {
  if (/^[-\u2212][0.,\s\u00a0]*$/.test(text)) return text.slice(1);
  return text.replace("-", "\u2212");
}

export function count(value: number | null | undefined): string {
  return value == null ? UNKNOWN : decimal(value, 0);
}

const SHORT_UNITS = [
  { from: 1e12, sign: "T" },
  { from: 1e9, sign: "B" },
  { from: 1e6, sign: "M" },
  { from: 1e3, sign: "k" },
];

/** For axes and embeds: 9 k, 1.2 M. */
export function short(value: number): string {
  const found = SHORT_UNITS.find(({ from }) => Math.abs(value) >= from);
  if (found === undefined) return minus(numberFormat({ maximumFractionDigits: 2 }).format(value));
  const scaled = value / found.from;
  return minus(numberFormat({ maximumFractionDigits: 2 }).format(scaled)) + NBSP + found.sign;
}

/** Milliseconds: 8.4 ms, 842 ms, 1.24 s, 30.0 s, 3 min 12 s, 2 h 5 min. */
export function duration(ms: number | null | undefined): Figure {
  if (ms == null) return [main(UNKNOWN)];
  if (ms > 0 && ms < 0.05) return [main(`<${NBSP}${decimal(0.1, 1)}`), unit("ms")];
  if (ms < 9.95) return [main(decimal(ms, ms === 0 ? 0 : 1)), unit("ms")];
  if (ms < 999.5) return [main(decimal(ms, 0)), unit("ms")];
  if (ms < 9_995) return [main(decimal(ms / 1000, 2)), unit("s")];
  if (ms < 59_950) return [main(decimal(ms / 1000, 1)), unit("s")];
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return pair(Math.floor(seconds / 60), "min", seconds % 60, "s");
  return pair(Math.floor(seconds / 3600), "h", Math.floor((seconds % 3600) / 60), "min");
}

/** On an axis, where ticks are round: 0, 250 ms, 1.5 s, 90 s, 2 min, 90 min, 2 h. */
export function durationTick(ms: number): string {
  if (ms === 0) return "0";
  const hours = ms / 3_600_000;
  const [inUnit, sign] =
    ms < 1000 ? [ms, "ms"]
    : ms < 60_000 ? [ms / 1000, "s"]
    : Number.isInteger(hours) || hours >= 3 ? [hours, "h"]
    : Number.isInteger(ms / 60_000) || hours > 1 ? [ms / 60_000, "min"]
    : [ms / 1000, "s"];
  return numberFormat({ maximumFractionDigits: 4 }).format(inUnit) + NBSP + sign;
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): Figure {
  const figure = [main(decimal(large, 0)), unit(largeUnit)];
  return small === 0 ? figure : [...figure, main(decimal(small, 0)), unit(smallUnit)];
}

/** Percent with two places for rates of errors and experiments, one elsewhere. */
export function percent(value: number | null | undefined, places: 0 | 1 | 2): Figure {
  if (value == null) return [main(UNKNOWN)];
  if (value === 0) return [main("0"), unit("%")];
  const least = 10 ** -places;
  if (value > 0 && value < least / 2) return [main(`<${NBSP}${decimal(least, places)}`), unit("%")];
  return [main(decimal(value, places)), unit("%")];
}

/** A difference of two rates: "2.6 pts". */
export function points(value: number): string {
  return `${decimal(Math.abs(value), 1)}${NBSP}pts`;
}

/** A sign always, as lifts carry it: "+17.9 %". */
export function signedPercent(value: number | null | undefined, places: 0 | 1): string {
  if (value == null) return UNKNOWN;
  const text = decimal(Math.abs(value), places);
  return (value < 0 ? "\u2212" : "+") + text + NBSP + "%";
}

/** Two significant digits; "< 0.0001" below that. */
export function pValue(value: number | null | undefined): string {
  if (value == null) return UNKNOWN;
  if (value < 0.0001) return `<${NBSP}${decimal(0.0001, 4)}`;
  return minus(numberFormat({ maximumSignificantDigits: 2 }).format(value));
}

/** Money with its cents apart: they are drawn smaller. */
export function money(value: number | null | undefined, currency: string): Figure {
  if (value == null) return [main(UNKNOWN)];
  const pieces: Figure = [];
  const parts = numberFormat({ style: "currency", currency }).formatToParts(value);
  const isZero = parts.every(({ type, value: text }) => (type !== "integer" && type !== "fraction") || /^0*$/.test(text));
  for (const part of parts) {
    if (isZero && part.type === "minusSign") continue;
    const role = part.type === "decimal" || part.type === "fraction" ? "minor" : "main";
    const text = part.type === "minusSign" ? "\u2212" : part.value;
    const last = pieces.at(-1);
    if (last?.role === role) last.text += text;
    else pieces.push({ text, role });
  }
  return pieces;
}

/** Money on an axis: no cents, short from a thousand on, the sign on every tick: "$9 k". */
export function moneyTick(value: number, currency: string): string {
  const unitOf = SHORT_UNITS.find(({ from }) => Math.abs(value) >= from);
  const scaled = value / (unitOf?.from ?? 1);
  const parts = numberFormat({
    style: "currency",
    currency,
    minimumFractionDigits: 0,
    maximumFractionDigits: 2,
  }).formatToParts(scaled);
  const last = parts.findLastIndex(({ type }) => type === "integer" || type === "fraction");
  const sign = unitOf === undefined ? "" : NBSP + unitOf.sign;
  return minus(parts.map((part, at) => part.value + (at === last ? sign : "")).join(""));
}

/** The bound of an estimate: "±0.8 %". */
export function bound(relativePercent: number): string {
  const places = relativePercent < 0.1 ? 2 : 1;
  return `±${decimal(relativePercent, places)}${NBSP}%`;
}

export function bytes(value: number | null | undefined): Figure {
  if (value == null) return [main(UNKNOWN)];
  const units = ["B", "KB", "MB", "GB", "TB"];
  let scaled = value;
  let at = 0;
  while (scaled >= 999.5 && at < units.length - 1) {
    scaled /= 1000;
    at += 1;
  }
  const places = at === 0 || scaled >= 99.5 ? 0 : 1;
  return [main(decimal(scaled, places)), unit(units[at] ?? "B")];
}

/** A number as SQL answered it: grouped, with `places` behind the point, so that a column lines up. */
export function sqlNumber(value: number, places: number): string {
  return minus(
    numberFormat({ minimumFractionDigits: places, maximumFractionDigits: places }).format(value),
  );
}

export const counted = (value: number | null | undefined): Figure => [main(count(value))];

/** "1 event", "2 events". */
export function many(value: number, one: string, more: string): string {
  return `${count(value)}${NBSP}${value === 1 ? one : more}`;
}
