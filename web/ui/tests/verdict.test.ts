import { expect, test } from "vitest";
import type { ExperimentRow, VariantRow } from "../src/lib/types";
import { inOrder, verdictOf } from "../src/lib/verdict";

const variant = (index: number, units: number, rate: number, name: string): VariantRow => ({
  index, name, views: units, conversions: 0, conversionRate: rate, units,
  convertedUnits: Math.round((units * rate) / 100), unitRate: rate, interval: [rate - 1, rate + 1],
  lift: index === 0 ? null : 10, liftInterval: null, chanceToWin: 50,
});

const row = (changed: Partial<ExperimentRow>): ExperimentRow => ({
  experimentId: "e", experimentName: "Test", startedAt: "2026-11-10T00:00:00Z", unitKind: "user",
  variants: [variant(0, 6204, 12.8, "Current page"), variant(1, 6188, 15.09, "Three tiers")],
  winner: null, confidence: 60, pValue: 0.4, alwaysValidP: 1,
  srm: { p: 0.9, expected: [6196, 6196], observed: [6204, 6188] }, multipleExposures: 0,
  unitsNeeded: 17_400, daysNeeded: 12, sampleRate: 1, period: "", ...changed,
});

const sentence = (one: ExperimentRow): string =>
  verdictOf(one).sentence.map(({ text }) => text).join("").replaceAll("\u00a0", " ");

test("a winner is named with both rates and with how rare such a gap would be", () => {
  const won = row({ winner: 1, pValue: 0.00055 });
  expect(verdictOf(won)).toMatchObject({ state: "decided", chip: "Variant B wins", tone: "ok" });
  expect(sentence(won)).toBe(
    "Three tiers converts better than Current page: 15.09 % against 12.80 %. " +
      "If there were no difference, a gap this large would appear in about 1 of 1,800 tests.",
  );
});

test("a first variant that wins is held against the best of the others", () => {
  expect(sentence(row({ winner: 0, pValue: 0.01 }))).toContain("Current page converts better than Three tiers");
});

test("without a difference it says how many more people and days a decision needs", () => {
  expect(verdictOf(row({}))).toMatchObject({ state: "running", chip: "Too early to call" });
  expect(sentence(row({}))).toBe(
    "No reliable difference yet. To detect a lift of 10 % you need about 17,400 people per variant, " +
      "11,200 more than now; at the present pace that is 12 more days.",
  );
});

test("a test that is large enough and finds nothing is decided", () => {
  expect(verdictOf(row({ unitsNeeded: 5000 }))).toMatchObject({ state: "decided", chip: "No difference found" });
});

const three = (changed: Partial<ExperimentRow>): ExperimentRow => row({
  variants: [variant(0, 6204, 12.8, "A"), variant(1, 6188, 12.9, "B"), variant(2, 6190, 9, "C")],
  srm: { p: 0.9, expected: [6194, 6194, 6194], observed: [6204, 6188, 6190] }, pValue: 1e-9, ...changed,
});

test("of three that are not alike and of which none is the best it says both", () => {
  expect(verdictOf(three({})).chip).toBe("Too early to call");
  expect(sentence(three({}))).toContain("Not all seem to convert alike, and none is proven to be the best yet. To detect");
  expect(verdictOf(three({ unitsNeeded: 5000 })).chip).toBe("No single best");
  expect(sentence(three({ unitsNeeded: 5000 }))).toContain("if one is the best, it leads by less.");
  expect(sentence(three({ pValue: 0.4 }))).toContain("No reliable difference yet.");
});

test("a wait of years is told in years", () => {
  const wait = (daysNeeded: number): string => sentence(row({ daysNeeded }));
  expect(wait(1)).toContain("that is 1 more day.");
  expect(wait(700)).toContain("that is 700 more days.");
  expect(wait(1825)).toContain("that is more than 5 years.");
});

test("the p-value of three variants is told of all their differences", () => {
  expect(sentence(three({ winner: 1, pValue: 0.01 }))).toContain("differences this large would appear in about 1 of 100 tests");
});

test("without a number of people that would do it says why", () => {
  const of = (rate: number): string =>
    sentence(row({ unitsNeeded: null, variants: [variant(0, 50, rate, "A"), variant(1, 50, 90, "B")] }));
  expect(of(0)).toContain("Nobody has converted with A so far");
  expect(of(100)).toContain("Of A so many convert that a lift of 10 % has no room.");
});

test("experiments that are counted together have no verdict", () => {
  const both = row({ experimentId: "__other__", unitsNeeded: null, srm: { p: null, expected: [], observed: [] } });
  expect(verdictOf(both)).toMatchObject({ state: "running", chip: "No comparison" });
});

test("a mismatch forbids the result, whatever the rates", () => {
  const broken = row({ winner: 1, srm: { p: 1e-9, expected: [9155, 9155], observed: [9870, 8441] } });
  const verdict = verdictOf(broken);
  expect(verdict).toMatchObject({ state: "problem", chip: "Do not use this result", tone: "bad" });
  expect(verdict.warning?.text.replaceAll("\u00a0", " ")).toContain("Expected 50 : 50, got 53.9 : 46.1 (p < 0.0001)");
});

test("events without ids are told to be too sure of themselves", () => {
  expect(verdictOf(row({ unitKind: "event" })).warning?.text).toContain("too sure of themselves");
});

test("problems come first, then decisions, then the older ones", () => {
  const running = row({ experimentId: "running" });
  const older = row({ experimentId: "older", startedAt: "2026-01-01T00:00:00Z" });
  const won = row({ experimentId: "won", winner: 1, pValue: 0.01 });
  const broken = row({ experimentId: "broken", srm: { p: 0, expected: [1, 1], observed: [9, 1] } });
  const order = inOrder([running, older, won, broken]).map(({ experimentId }) => experimentId);
  expect(order).toEqual(["broken", "won", "older", "running"]);
});
