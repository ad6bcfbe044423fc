import { expect, test } from "vitest";
import { canShow, METRICS } from "../src/lib/metrics";
import type { RevenueAnswer, ServicesAnswer } from "../src/lib/types";

const NOTHING = { data: { series: [] } } as unknown as RevenueAnswer;
const SOLD = {
  data: { grossGmv: 5, gmv: 4, series: [{ start: "2026-11-01T00:00:00+00:00", gmv: 4, grossGmv: 5 }] },
} as unknown as RevenueAnswer;

test("each metric can be shown by each of its kinds, whatever the answer", () => {
  for (const { name, kinds } of METRICS) {
    for (const kind of kinds) expect([name, kind, canShow(kind, name, NOTHING)]).toEqual([name, kind, true]);
  }
});

test("what is not listed is shown where the answer has it, and only there", () => {
  for (const kind of ["counter", "lineChart", "barChart"] as const) {
    expect([kind, canShow(kind, "revenue.grossGmv", SOLD)]).toEqual([kind, true]);
    expect([kind, canShow(kind, "revenue.nope", SOLD)]).toEqual([kind, false]);
    expect([kind, canShow(kind, "revenue", SOLD)]).toEqual([kind, false]);
  }
  expect(canShow("table", "revenue.gmv", SOLD)).toBe(false);
  expect(canShow("table", "services", NOTHING as unknown as ServicesAnswer)).toBe(false);
});
