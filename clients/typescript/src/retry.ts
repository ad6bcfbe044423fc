// When to send again: full jitter below an exponential ceiling, and what Retry-After asks.

const FIRST_CEILING_MS = 250;
const CEILING_MAX_MS = 30_000;
/** A longer Retry-After is cut to this: a mistaken header must not silence a client for good. */
const RETRY_AFTER_MAX_MS = 300_000;
/** Of the wait that is ours to choose, what somebody who flushes or closes still waits. */
const HURRIED_MS = 1000;

/** Whether the same request may be answered better later; 0 stands for no answer at all. */
export function isPassing(status: number): boolean {
  return status === 0 || status === 408 || status === 429 || status >= 500;
}

/**
 * How long to wait after so many failures in a row, at least one. What the server asked for is
 * waited in any case; the jitter comes on top, so that clients which failed together do not
 * come back together.
 */
export function delayMs(failures: number, retryAfterMs: number): number {
  const ceiling = Math.min(CEILING_MAX_MS, FIRST_CEILING_MS * 2 ** Math.min(failures - 1, 10));
  return Math.random() * ceiling + Math.min(retryAfterMs, RETRY_AFTER_MAX_MS);
}

/** How much of `waitMs` is waited even where somebody flushes: all that was asked for. */
export function hurriedMs(waitMs: number, retryAfterMs: number): number {
  const asked = Math.min(retryAfterMs, RETRY_AFTER_MAX_MS);
  return asked + Math.min(waitMs - asked, HURRIED_MS);
}

/** The milliseconds that a Retry-After asks for, given as seconds or as a date; 0 without sense. */
export function retryAfterMs(value: string | null, nowMs: number): number {
  const text = value?.trim() ?? "";
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? 0 : Math.max(0, at - nowMs);
}
