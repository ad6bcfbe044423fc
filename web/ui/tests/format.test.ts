import { expect, test } from "vitest";
import {
  bound, bytes, count, duration, many, money, moneyTick, pValue, percent, plain, points, short, signedPercent,
} from "../src/lib/format";

const shown = (text: string): string => text.replaceAll("\u00a0", "_");

test("counts are grouped from a thousand on, and unknown ones are a dash", () => {
  expect([0, 999, 1000, 1_284_377].map(count)).toEqual(["0", "999", "1,000", "1,284,377"]);
  expect(count(null)).toBe("–");
});

test("axes are short", () => {
  expect([0, 950, 9000, 1_200_000, 4500, 3e15].map(short).map(shown)).toEqual([
    "0", "950", "9_k", "1.2_M", "4.5_k", "3,000_T",
  ]);
});

test("durations change their unit and their places as they grow", () => {
  const times = [0, 0.0004, 8.4, 9.96, 842, 999.6, 1240, 9994, 30_000, 59_940, 59_960, 192_000, 120_000, 7_500_000];
  expect(times.map((ms) => shown(plain(duration(ms))))).toEqual([
    "0_ms", "<_0.1_ms", "8.4_ms", "10_ms", "842_ms", "1.00_s", "1.24_s", "9.99_s", "30.0_s", "59.9_s", "1_min",
    "3_min_12_s", "2_min", "2_h_5_min",
  ]);
});

test("percent says zero only where nothing was counted", () => {
  expect([0, 0.004, 0.42, 3.837].map((rate) => shown(plain(percent(rate, 2))))).toEqual([
    "0_%", "<_0.01_%", "0.42_%", "3.84_%",
  ]);
  expect(plain(percent(null, 2))).toBe("–");
});

test("minus is a minus, and none stands before a zero", () => {
  expect(shown(signedPercent(-6.3, 1))).toBe("−6.3_%");
  expect(count(-1200)).toBe("−1,200");
  expect(count(-0.2)).toBe("0");
  expect(plain(money(-12.5, "USD"))).toBe("−$12.50");
  expect([-0, -0.001].map((sum) => plain(money(sum, "USD")))).toEqual(["$0.00", "$0.00"]);
});

test("money has the places of its currency, and its cents can be drawn apart", () => {
  expect(plain(money(12_480.5, "USD"))).toBe("$12,480.50");
  expect(plain(money(12_480.5, "JPY"))).toBe("¥12,481");
  expect(shown(plain(money(1.2345, "BHD")))).toBe("BHD_1.235");
  expect(money(12_480.5, "USD").map(({ role }) => role)).toEqual(["main", "minor"]);
});

test("money on an axis has no cents, and its sign on every tick", () => {
  expect([0, 400, 12_000, -3000, 2_500_000].map((value) => shown(moneyTick(value, "USD")))).toEqual([
    "$0", "$400", "$12_k", "−$3_k", "$2.5_M",
  ]);
});

test("p has two digits down to a ten-thousandth", () => {
  expect([0.31, 0.00055, 0.00001].map((p) => shown(pValue(p)))).toEqual(["0.31", "0.00055", "<_0.0001"]);
});

test("differences of rates are points, bounds carry both signs, sizes their unit", () => {
  expect(shown(points(-2.61))).toBe("2.6_pts");
  expect(shown(bound(0.8))).toBe("±0.8_%");
  expect([0, 999, 129_400_000].map((size) => shown(plain(bytes(size))))).toEqual(["0_B", "999_B", "129_MB"]);
});

test("one is one, and all else is many", () => {
  expect([many(1, "event", "events"), many(0, "event", "events")].map(shown)).toEqual(["1_event", "0_events"]);
});
