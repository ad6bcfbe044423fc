import { afterEach, expect, test, vi } from "vitest";
import { delayMs, isPassing, retryAfterMs } from "../src/retry.js";

afterEach(() => vi.restoreAllMocks());

test("a refusal for good is not retried, a passing one is", () => {
  expect([0, 408, 429, 500, 503, 507].every(isPassing)).toBe(true);
  expect([200, 301, 400, 401, 403, 413, 422].some(isPassing)).toBe(false);
});

test("jitter goes from nothing up to a ceiling that doubles up to 30 seconds", () => {
  vi.spyOn(Math, "random").mockReturnValue(1);
  expect([1, 2, 3, 7, 8, 1000].map((failures) => delayMs(failures, 0))).toEqual([
    250, 500, 1000, 16_000, 30_000, 30_000,
  ]);
  vi.spyOn(Math, "random").mockReturnValue(0);
  expect(delayMs(9, 0)).toBe(0);
});

test("what Retry-After asks is waited in any case, but not above five minutes", () => {
  vi.spyOn(Math, "random").mockReturnValue(0);
  expect(delayMs(1, 7000)).toBe(7000);
  expect(delayMs(1, 86_400_000)).toBe(300_000);
});

test("Retry-After is seconds or a date", () => {
  const now = Date.parse("2026-11-22T10:00:00Z");
  expect(retryAfterMs("12", now)).toBe(12_000);
  expect(retryAfterMs("Sun, 22 Nov 2026 10:00:30 GMT", now)).toBe(30_000);
  expect(retryAfterMs("Sun, 22 Nov 2026 09:00:00 GMT", now)).toBe(0);
  expect(retryAfterMs("soon", now)).toBe(0);
  expect(retryAfterMs(null, now)).toBe(0);
});
