import { expect, test } from "vitest";
import { columnsOf } from "../src/lib/columns";
import type { PlotSpec } from "../src/lib/plot";

function spec(values: (number | null)[], running: number): PlotSpec {
  return {
    xs: values.map((_, at) => at), from: 0, to: values.length, xTicks: () => [], areTicksAtStart: false,
    yTick: String, scaled: "others", isLog: false, running, limit: null, syncKey: null, gutterPx: 36,
    lines: [{
      label: "GMV", color: "--s3", values, kind: "line", isDashed: false, isStepped: false, hasArea: false,
      isHidden: false,
    }],
  };
}

test("a step that is not over is a dotted line of its own", () => {
  expect(columnsOf(spec([5, 7, 2], 2)).slice(1)).toEqual([[5, 7, null], [null, 7, 2]]);
});

test("refunds of a step that has only begun draw no fall below zero", () => {
  expect(columnsOf(spec([5, 7, -3], 2)).slice(1)).toEqual([[5, 7, null], [null, null, null]]);
  expect(columnsOf(spec([5, -7, 3], 2)).slice(1)).toEqual([[5, -7, null], [null, -7, 3]]);
});

test("a step that has only begun and has nothing yet leaves no dot behind", () => {
  expect(columnsOf(spec([5, 7, null], 2)).slice(1)).toEqual([[5, 7, null], [null, null, null]]);
});
