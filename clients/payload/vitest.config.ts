import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    globalSetup: "tests/service.ts",
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Several sites in one process: each pushes its schema, the same one too.
    env: { PAYLOAD_FORCE_DRIZZLE_PUSH: "true" },
    environmentOptions: { happyDOM: { settings: { fetch: { disableSameOriginPolicy: true } } } },
  },
});
