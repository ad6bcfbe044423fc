// The site's own way to the figures: it asks with the read key, which never leaves the server.

import type { Endpoint, PayloadRequest } from "payload";
import { PROXY_PATH } from "./paths.js";

/** What may be asked through it: what <Dashboard> shows, and no SQL, no exports, no writing. */
const ROUTES = [
  "/metrics/services",
  "/metrics/revenue",
  "/metrics/marketplace",
  "/metrics/experiments",
  "/metrics/users",
  "/counters",
  "/stream",
] as const;

const ANSWER_WITHIN_MS = 15_000;

export interface ProxyOptions {
  /** Where Tallymark listens, as the server of the site sees it. */
  url: () => string;
  readKey: () => string | undefined;
  /** Who may see figures. */
  access: (args: { req: PayloadRequest }) => boolean | Promise<boolean>;
}

/** An endpoint for each route; whatever else is asked, Payload answers with 404. */
export function proxyEndpoints(options: ProxyOptions): Endpoint[] {
  return ROUTES.map((route) => ({
    path: `${PROXY_PATH}${route}`,
    method: "get",
    handler: (req) => answer(route, req, options),
  }));
}

async function answer(route: string, req: PayloadRequest, options: ProxyOptions): Promise<Response> {
  if (!(await options.access({ req }))) {
    return req.user
      ? problem(403, "This user may not see the figures.")
      : problem(401, "Sign in to see the figures.");
  }
  const asked = new URLSearchParams(req.searchParams);
  for (const secret of ["key", "token"]) asked.delete(secret);
  const target = `${options.url().replace(/\/+$/, "")}${route}?${asked}`;
  const key = options.readKey();
  const headers = {
    Accept: route === "/stream" ? "text/event-stream" : "application/json",
    ...(key && { Authorization: `Bearer ${key}` }),
  };
  const silence = new AbortController();
  const clock = setTimeout(() => silence.abort(), ANSWER_WITHIN_MS);
  // Whoever leaves lets go of the stream behind the proxy too.
  const signal = AbortSignal.any([silence.signal, ...(req.signal ? [req.signal] : [])]);
  try {
    // Not following: a redirection elsewhere would be given the key.
    const init: RequestInit = { headers, signal, cache: "no-store", redirect: "manual" };
    return passedOn(route, await fetch(target, init), req);
  } catch (error) {
    if (!req.signal?.aborted) req.payload.logger.error({ err: error, msg: "Tallymark does not answer" });
    return problem(502, "The site cannot reach Tallymark at the moment.");
  } finally {
    clearTimeout(clock);
  }
}

function passedOn(route: string, found: Response, req: PayloadRequest): Response {
  const { status, body } = found;
  if (status === 401 || status === 403 || (status >= 300 && status < 400)) {
    void body?.cancel();
    req.payload.logger.error(`Tallymark answered ${status} to ${route}: the key of the site is not taken there`);
    return problem(502, `Tallymark refuses the key of this site (${status}).`);
  }
  const headers = new Headers({
    // no-transform: a stream that is compressed on its way arrives in lumps, or not at all.
    "Cache-Control": route === "/stream" ? "no-cache, no-transform" : "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Accel-Buffering": "no",
  });
  for (const name of ["Content-Type", "Retry-After"]) {
    const value = found.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  return new Response(body, { status, headers });
}

function problem(status: number, detail: string): Response {
  const titles: Record<number, string> = { 401: "Unauthorized", 403: "Forbidden", 502: "Bad Gateway" };
  return Response.json(
    { type: "about:blank", title: titles[status], status, detail, success: false },
    { status, headers: { "Content-Type": "application/problem+json", "Cache-Control": "no-store" } },
  );
}
