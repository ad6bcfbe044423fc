// A site of Payload on SQLite, in this process: its local API, and its REST API as requests.

import { sqliteAdapter } from "@payloadcms/db-sqlite";
import { mkdtemp } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { buildConfig, getPayload, handleEndpoints, type CollectionConfig, type Payload, type Plugin } from "payload";

export interface Site {
  folder: string;
  payload: Payload;
  /** A request to the REST API, as the user of this token or as nobody. */
  ask: (path: string, init?: RequestInit & { token?: string }) => Promise<Response>;
  /** The token of a new user. */
  signIn: (email: string) => Promise<string>;
  close: () => Promise<void>;
}

let sites = 0;

/** On the database in this folder, a new one if none is given. */
export async function startSite(collections: CollectionConfig[], plugins: Plugin[], folder?: string): Promise<Site> {
  folder ??= await mkdtemp(path.join(tmpdir(), "tallymark-site-"));
  const key = `site ${++sites}`;
  const config = buildConfig({
    secret: "of the tests",
    telemetry: false,
    db: sqliteAdapter({ client: { url: `file:${folder}/site.db` } }),
    collections: [{ slug: "users", auth: true, fields: [] }, ...collections],
    plugins,
    logger: { options: { level: "silent" } },
    typescript: { autoGenerate: false },
  });
  const payload = await getPayload({ config, key });
  const ask: Site["ask"] = (path, { token, headers, ...init } = {}) => {
    const own = { ...(headers as Record<string, string>), ...(token && { Authorization: `JWT ${token}` }) };
    const request = new Request(`http://site.example/api${path}`, { ...init, headers: own });
    return handleEndpoints({ config, request, payloadInstanceCacheKey: key });
  };
  const signIn = async (email: string) => {
    const data = { email, password: "of the tests" };
    await payload.create({ collection: "users", data });
    const { token } = await payload.login({ collection: "users", data });
    return String(token);
  };
  return { folder, payload, ask, signIn, close: () => payload.destroy() };
}

/** A server on a free port that does what it is told. */
export async function listen(listener: RequestListener, port = 0): Promise<{ url: string; server: Server }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

export async function track(serviceUrl: string, ...events: Record<string, unknown>[]): Promise<void> {
  const response = await fetch(`${serviceUrl}/track/batch`, { method: "POST", body: JSON.stringify(events) });
  if (!response.ok) throw new Error(await response.text());
}

/** Wait until something holds; an answer on the way to a real server takes its time. */
export async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  let [resolve, reject] = [() => {}, (_: Error) => {}];
  const promise = new Promise<void>((yes, no) => ([resolve, reject] = [yes, no]));
  const give = setTimeout(() => reject(new Error(`never: ${holds}`)), 30_000);
  const look = async (): Promise<void> => {
    if (await holds()) resolve();
    else setTimeout(() => void look().catch(reject), 20);
  };
  look().catch(reject);
  return promise.finally(() => clearTimeout(give));
}
