import { afterEach, expect, test, vi } from "vitest";
import { newId } from "../src/id.js";

afterEach(() => vi.unstubAllGlobals());

test("ids are UUIDs on pages without a secure context too", () => {
  const real = globalThis.crypto;
  vi.stubGlobal("crypto", { getRandomValues: (bytes: Uint8Array<ArrayBuffer>) => real.getRandomValues(bytes) });
  expect(newId()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(newId()).not.toBe(newId());
});
