// Why there is no answer: what may pass by itself, and what is said about it.

import { TallymarkError } from "@tallymark/client";

/** Whether the same may well be answered later, whoever asks. */
export function isPassing(error: unknown): boolean {
  const status = error instanceof TallymarkError ? error.status : 0;
  return status === 0 || status === 408 || status === 429 || status >= 500;
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof TallymarkError)) return String(error);
  if (error.status === 0) return "There was no answer: the service is away, or does not let this site read.";
  return error.problem?.detail ?? `The answer was ${error.status}.`;
}
