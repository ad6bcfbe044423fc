// The pieces of a SQL text that the editor colours; nothing is understood, only recognised.

export type Kind = "keyword" | "function" | "string" | "number" | "comment" | "plain";

export interface Token {
  kind: Kind;
  text: string;
}

const KEYWORDS = new Set(
  (
    "all and array as asc between by case cast cross desc distinct else end escape exists false " +
    "first for format from full group having ilike in inner interval is join last left like " +
    "limit not null nulls offset on or order outer over partition preceding following rows right " +
    "select show tables then true union unbounded using values when where window with " +
    "year quarter month week day hour minute second"
  ).split(" "),
);

const TOKENS =
  /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^'\\]|''|\\.)*(?:'|$))|(\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b)|([A-Za-z_]\w*)/gi;

export function tokensOf(sql: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  for (const match of sql.matchAll(TOKENS)) {
    const text = match[0];
    if (match.index > at) found.push({ kind: "plain", text: sql.slice(at, match.index) });
    at = match.index + text.length;
    found.push({ kind: kindOf(match, sql, at), text });
  }
  if (at < sql.length) found.push({ kind: "plain", text: sql.slice(at) });
  return found;
}

function kindOf(match: RegExpMatchArray, sql: string, end: number): Kind {
  if (match[1] !== undefined) return "comment";
  if (match[2] !== undefined) return "string";
  if (match[3] !== undefined) return "number";
  if (KEYWORDS.has(match[0].toLowerCase())) return "keyword";
  return /^\s*\(/.test(sql.slice(end, end + 8)) ? "function" : "plain";
}

const BREAK_BEFORE = /\s+\b(from|where|group by|having|order by|limit|format|and|or)\b/gi;

/** One clause a line: enough to read a query that was written on one. Strings are left alone. */
export function formatted(sql: string): string {
  const kept: string[] = [];
  const bare = sql.replace(/--[^\n]*\n?|\/\*[\s\S]*?\*\/|'(?:[^'\\]|''|\\.)*'/g, (text) => {
    kept.push(text);
    return `\u0000${kept.length - 1}\u0000`;
  });
  const laid = bare
    .replace(/[ \t]*\n[ \t]*/g, " ")
    .replace(BREAK_BEFORE, (_, word: string) => `\n${/^(and|or)$/i.test(word) ? "  " : ""}${word.toUpperCase()}`)
    .replace(/^\s*select\b/i, "SELECT")
    .replace(/(BETWEEN\s+\S+)\n\s+AND/gi, "$1 AND")
    .trim();
  return laid.replace(/\u0000(\d+)\u0000 ?/g, (_, at: string) => {
    const text = kept[Number(at)] ?? "";
    return text.startsWith("--") && !text.endsWith("\n") ? `${text}\n` : text + (text.startsWith("'") ? " " : "");
  }).replace(/' ([,)])/g, "'$1").replace(/[ \t]+$/gm, "");
}
