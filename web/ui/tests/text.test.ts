import { expect, test } from "vitest";
import { formatted, tokensOf } from "../src/lib/highlight";
import { EXAMPLES, quoted } from "../src/lib/queries";
import { csvOf, drawingOf } from "../src/lib/result";
import type { SqlAnswer } from "../src/lib/types";

const NASTY = [
  "SELECT 'it''s -- no comment' AS a, count() -- a comment\nFROM events",
  "SELECT 'unfinished", "/* open", "", "SELECT 1.5e3, blob1 FROM events WHERE a='x\\'y'",
];

test("the coloured text is the text, whatever it is", () => {
  for (const sql of [...NASTY, ...EXAMPLES.map((example) => example.sql)]) {
    expect(tokensOf(sql).map(({ text }) => text).join("")).toBe(sql);
  }
});

test("words are recognised, and nothing within texts and comments", () => {
  const kinds = tokensOf("SELECT count() FROM t -- from").map(({ kind, text }) => `${kind}:${text}`);
  expect(kinds).toContain("keyword:SELECT");
  expect(kinds).toContain("function:count");
  expect(kinds).toContain("comment:-- from");
});

test("formatting changes white space and nothing else", () => {
  const squeezed = (text: string): string => text.replace(/\s+/g, "").toLowerCase();
  for (const { sql } of EXAMPLES) expect(squeezed(formatted(sql))).toBe(squeezed(sql));
});

test("a quoted text cannot end itself", () => {
  expect(quoted("it's")).toBe("'it''s'");
  expect(quoted("back\\slash")).toBe("'back\\\\slash'");
});

const ANSWER: SqlAnswer = {
  meta: [{ name: "code", type: "String" }, { name: "n", type: "UInt64" }, { name: "at", type: "DateTime" }],
  data: [{ code: 'a,"b"', n: 3, at: "2026-11-22 19:07:41" }],
  rows: 1,
};

test("CSV quotes what would break it", () => {
  expect(csvOf(ANSWER)).toBe('code,n,at\r\n"a,""b""",3,2026-11-22 19:07:41\r\n');
});

test("a time is drawn along, before a text, and numbers are the series", () => {
  expect(drawingOf(ANSWER)).toMatchObject({ x: { name: "at" }, series: [{ name: "n" }] });
  expect(drawingOf({ ...ANSWER, data: [] })).toBeNull();
});
