// Starts the service of this repository for all tests: `inject("serviceUrl")` is where it listens.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    serviceUrl: string;
  }
}

const ROOT = path.resolve(import.meta.dirname, "../../..");

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(path.join(tmpdir(), "tallymark-payload-"));
  const service = spawn(
    path.join(ROOT, ".venv/bin/python"),
    ["-m", "web.cli", "serve", "--data", path.join(folder, "data"), "--port", "0", "--no-archive", "--log-format", "json"],
    { cwd: folder, env: { ...process.env, PYTHONPATH: ROOT }, stdio: ["ignore", "ignore", "pipe"] },
  );
  const ended = new Promise((resolve) => service.once("exit", resolve));
  const said: string[] = [];
  let url: string | undefined;
  for await (const line of createInterface(service.stderr)) {
    said.push(line);
    const { event } = JSON.parse(line) as { event: string };
    if (event.startsWith("listening on ")) url = event.slice("listening on ".length);
    if (event === "ready") break;
  }
  if (url === undefined) throw new Error(`The service did not start:\n${said.join("\n")}`);
  service.stderr.resume();
  project.provide("serviceUrl", url);
  return async () => {
    service.kill("SIGTERM");
    await ended;
    await rm(folder, { recursive: true });
  };
}
