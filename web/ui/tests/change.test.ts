import { expect, test } from "vitest";
import { change } from "../src/lib/change";

test("a small change stays grey, a large one says whether it is good", () => {
  expect(change(101, 100, "amount", "up").tone).toBe("plain");
  expect(change(106, 100, "amount", "up").tone).toBe("good");
  expect(change(106, 100, "amount", "down").tone).toBe("bad");
  expect(change(150, 100, "amount", "neutral").tone).toBe("plain");
});

test("latency takes five percent to be coloured, a rate three tenths of a point", () => {
  expect(change(104, 100, "latency", "down").tone).toBe("plain");
  expect(change(106, 100, "latency", "down").tone).toBe("bad");
  expect(change(1.2, 1, "rate", "down").tone).toBe("plain");
  expect(change(1.4, 1, "rate", "down").tone).toBe("bad");
});

test("a rate changes in points, never in percent of percent", () => {
  const { arrow, text } = change(3.84, 1.24, "rate", "down");
  expect(`${arrow} ${text}`).toBe("↑ 2.6\u00a0pts");
});

test("nothing earlier is new, nothing at all is a dash, and both have no arrow", () => {
  expect(change(5, null, "amount", "up")).toMatchObject({ arrow: "", text: "new" });
  expect(change(5, 0, "amount", "up")).toMatchObject({ arrow: "", text: "new" });
  expect(change(0, 0, "amount", "up")).toMatchObject({ arrow: "", text: "–" });
  expect(change(null, 5, "amount", "up")).toMatchObject({ arrow: "", text: "–" });
});

test("what rounds to no change points nowhere", () => {
  expect(change(1000.1, 1000, "amount", "up")).toMatchObject({ arrow: "", text: "0.0\u00a0%" });
});

test("a change beyond all measure is told as such", () => {
  expect(change(5000, 1, "amount", "up").text).toBe(">\u00a0999\u00a0%");
});

test("a loss that shrinks points up", () => {
  expect(change(-50, -100, "amount", "up")).toMatchObject({ arrow: "↑", tone: "good" });
});
