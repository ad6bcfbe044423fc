// Questions to the service: each asked once however many want it, kept for a moment, told plainly.

import { useEffect, useRef, useState } from "preact/hooks";
import { createStore } from "./store";
import type { ProblemBody } from "./types";

/** What went wrong, in words that stand behind "Could not load revenue." */
export class Problem extends Error {
  /** HTTP status; 0 where no answer came at all. */
  readonly status: number;

  constructor(status: number, sentence: string) {
    super(sentence);
    this.status = status;
  }

  /** Whether the same question may be answered later. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** Set as soon as the service asks for a key; the page then shows where to enter it. */
export const keyAsked = createStore(false);

const STATUS_WORDS: Record<number, string> = {
  404: "not there",
  429: "too many questions at once",
  503: "overloaded",
};

async function problemOf(response: Response): Promise<Problem> {
  let body: ProblemBody = {};
  try {
    body = (await response.json()) as ProblemBody;
  } catch {
    // Not every answer on the way to us is ours: a proxy may answer with a page.
  }
  if (response.status === 401) keyAsked.set(true);
  if (body.detail !== undefined && response.status === 422) return new Problem(422, body.detail);
  const word = body.title?.toLowerCase() ?? STATUS_WORDS[response.status];
  const why = word === undefined ? "" : ` (${word})`;
  const detail = body.detail === undefined ? "" : ` ${body.detail}`;
  return new Problem(response.status, `The server answered ${response.status}${why}.${detail}`);
}

export interface Sent {
  method?: string;
  body?: string;
  type?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Ask and take the answer as JSON. Throws Problem; an abort stays an AbortError. */
export async function ask<T>(url: string, sent: Sent = {}): Promise<T> {
  const response = await send(url, sent);
  return response.status === 204 ? (undefined as T) : bodyOf<T>(response);
}

/** Throws Problem where that is no JSON, as the page of a proxy is none. */
export async function bodyOf<T>(response: Response): Promise<T> {
  try {
    return (await response.json()) as T;
  } catch {
    throw new Problem(response.status, "The server's answer could not be read.");
  }
}

export async function send(url: string, sent: Sent = {}): Promise<Response> {
  const headers: Record<string, string> = { ...sent.headers };
  if (sent.body !== undefined) headers["Content-Type"] = sent.type ?? "application/json";
  let response: Response;
  try {
    response = await fetch(url, {
      method: sent.method ?? "GET",
      headers,
      credentials: "same-origin",
      ...(sent.body === undefined ? {} : { body: sent.body }),
      ...(sent.signal === undefined ? {} : { signal: sent.signal }),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "The server does not answer.");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** The address of a question; parameters without a value are left out. */
export function url(path: string, query: Record<string, string | number | boolean | null | undefined> = {}): string {
  const pairs = Object.entries(query).filter(([, value]) => value != null && value !== false);
  const text = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])).toString();
  return text === "" ? path : `${path}?${text}`;
}

interface Entry {
  question: Question;
  answer?: unknown;
  problem?: Problem;
  askedMs: number;
  watchers: Set<() => void>;
  running: AbortController | null;
  /** What is running was forgotten meanwhile: its answer may be of before, and it is asked again. */
  isOvertaken: boolean;
  /** Settled, never rejected, when what is running has come to its end. */
  ended: Promise<void>;
  failures: number;
  timer: number;
  retryAtMs: number;
}

const FRESH_MS = 2_000;
const ENTRIES_MAX = 200;
const RETRY_S = [4, 8, 15, 30];

const entries = new Map<string, Entry>();

/** A question: its address, and for SQL the text that is posted. */
export interface Question {
  url: string;
  body?: string;
}

const keyOf = (question: Question): string => `${question.url}\n${question.body ?? ""}`;

function entryOf(question: Question): Entry {
  const key = keyOf(question);
  let entry = entries.get(key);
  if (entry === undefined) {
    entry = {
      question,
      askedMs: 0,
      watchers: new Set(),
      running: null,
      isOvertaken: false,
      ended: Promise.resolve(),
      failures: 0,
      timer: 0,
      retryAtMs: 0,
    };
    entries.set(key, entry);
    forgetOldest();
  }
  return entry;
}

function forgetOldest(): void {
  for (const [key, entry] of entries) {
    if (entries.size <= ENTRIES_MAX) return;
    if (entry.watchers.size === 0) entries.delete(key);
  }
}

function load(entry: Entry): Promise<void> {
  if (entry.running === null) entry.ended = answered(entry);
  return entry.ended;
}

async function answered(entry: Entry): Promise<void> {
  const controller = new AbortController();
  entry.running = controller;
  try {
    do {
      entry.isOvertaken = false;
      await answeredOnce(entry, controller.signal);
    } while (entry.isOvertaken && !controller.signal.aborted);
  } finally {
    if (entry.running === controller) entry.running = null;
    for (const watcher of entry.watchers) watcher();
  }
}

async function answeredOnce(entry: Entry, signal: AbortSignal): Promise<void> {
  const { question } = entry;
  entry.askedMs = Date.now();
  clearTimeout(entry.timer);
  try {
    entry.answer = await ask<unknown>(question.url, {
      signal,
      ...(question.body === undefined
        ? {}
        : { method: "POST", body: question.body, type: "text/plain" }),
    });
    // Fresh from now on: on a slow way the answer may be seconds younger than the question.
    entry.askedMs = Date.now();
    delete entry.problem;
    entry.failures = 0;
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Problem)) throw error;
    entry.problem = error;
    entry.failures += 1;
    if (error.isPassing) retryLater(entry);
  }
}

function retryLater(entry: Entry): void {
  const waitS = RETRY_S[Math.min(entry.failures, RETRY_S.length) - 1] ?? 30;
  entry.retryAtMs = Date.now() + waitS * 1000;
  entry.timer = window.setTimeout(() => {
    if (entry.watchers.size > 0) void load(entry);
  }, waitS * 1000);
}

/** The service is back: what failed meanwhile, and is still waited for, need not wait for its turn. */
export function retryNow(): void {
  for (const entry of entries.values()) {
    if (entry.problem?.isPassing !== true || entry.watchers.size === 0) continue;
    entry.failures = 0; // and where it fails again, that is the first time
    void load(entry);
  }
}

/**
 * The answer to a question from outside the parts of the page; those that ask the same share it.
 *
 * Throws Problem.
 */
export async function answerTo<T>(address: string): Promise<T> {
  const question = { url: address };
  const entry = entryOf(question);
  const waiting = (): void => undefined;
  entry.watchers.add(waiting);
  try {
    await load(entry);
  } finally {
    entry.watchers.delete(waiting);
  }
  if (entry.problem !== undefined) throw entry.problem;
  return entry.answer as T;
}

export interface Asked<T> {
  answer: T | undefined;
  problem: Problem | undefined;
  /** When it is asked again by itself; 0 where it is not. */
  retryAtMs: number;
  /** The answer shown belongs to an earlier question; the new one is on its way. */
  isOld: boolean;
  retry: () => void;
}

/** Whether nothing has come yet, neither an answer nor why there is none. */
export function isAwaited<T>({ answer, problem }: Asked<T>): boolean {
  return answer === undefined && problem === undefined;
}

/**
 * The answer to a question, asked again every `refreshMs`; null asks nothing.
 *
 * While another question is on its way the old answer stays, so that nothing jumps. A question
 * nobody waits for any more is given up.
 */
export function useAnswer<T>(question: Question | string | null, refreshMs = 0): Asked<T> {
  const asked = typeof question === "string" ? { url: question } : question;
  const key = asked === null ? null : keyOf(asked);
  const [, redraw] = useState(0);
  const last = useRef<T | undefined>(undefined);
  useEffect(() => {
    if (asked === null || key === null) return undefined;
    const entry = entryOf(asked);
    const watcher = (): void => redraw((turn) => turn + 1);
    entry.watchers.add(watcher);
    if (Date.now() - entry.askedMs > FRESH_MS) void load(entry);
    const timer =
      refreshMs === 0
        ? 0
        : window.setInterval(() => {
            if (!document.hidden) void load(entry);
          }, refreshMs);
    return () => {
      entry.watchers.delete(watcher);
      clearInterval(timer);
      if (entry.watchers.size > 0) return;
      clearTimeout(entry.timer);
      entry.running?.abort();
      entry.running = null;
      if (entry.answer === undefined) entries.delete(key);
    };
  }, [key, refreshMs]);

  const entry = key === null ? undefined : entries.get(key);
  const own = entry?.answer as T | undefined;
  if (own !== undefined) last.current = own;
  const problem = entry?.problem;
  return {
    answer: own ?? last.current,
    problem,
    retryAtMs: problem?.isPassing === true ? (entry?.retryAtMs ?? 0) : 0,
    isOld: key !== null && own === undefined && last.current !== undefined,
    retry: () => {
      // Of when it is pressed: the first time that this is drawn, nothing has been asked yet.
      const current = key === null ? undefined : entries.get(key);
      if (current !== undefined) void load(current);
    },
  };
}

/** Forget the answers of one route, after something there was changed. */
export function forget(path: string): void {
  for (const [key, entry] of entries) {
    if (!key.startsWith(path)) continue;
    entry.askedMs = 0;
    entry.isOvertaken = entry.running !== null;
    if (entry.watchers.size === 0) entries.delete(key);
  }
}
