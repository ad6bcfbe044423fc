// Requests to the service: one that never throws, for events, and one that does, for questions.

import type { Problem } from "./api.js";

/** What came back; status 0 means that nothing did, and detail says why. */
export interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: unknown;
  readonly detail: string;
}

/** A refusal of the service, or no answer from it: then status is 0. */
export class TallymarkError extends Error {
  readonly status: number;
  readonly problem: Problem | undefined;

  constructor(status: number, message: string, problem?: Problem) {
    super(message);
    this.name = "TallymarkError";
    this.status = status;
    this.problem = problem;
  }
}

/** A timer that keeps no process alive. */
export function timer(run: () => void, ms: number): ReturnType<typeof setTimeout> {
  const made = setTimeout(run, ms);
  (made as { unref?: () => void }).unref?.();
  return made;
}

/** Send a request that may take so long; never throws. */
export async function exchange(
  fetcher: typeof fetch,
  url: string,
  init: RequestInit,
  timeoutMs: number,
): Promise<Answer> {
  const abort = new AbortController();
  const clock = timer(() => abort.abort(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
  try {
    const response = await fetcher(url, { ...init, signal: abort.signal });
    const body = await parsed(response);
    const detail = (body as Problem | undefined)?.detail ?? response.statusText;
    return { status: response.status, retryAfter: response.headers.get("Retry-After"), body, detail };
  } catch (error) {
    return { status: 0, retryAfter: null, body: undefined, detail: String(error) };
  } finally {
    clearTimeout(clock);
  }
}

async function parsed(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not every answer on the way is the service's own
  }
}
