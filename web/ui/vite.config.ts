// How the page is built: into web/static, served below /ui/; in development the API is proxied.

import { loadEnv } from "vite";
import { defineConfig } from "vitest/config";

const SERVICE = loadEnv("", ".", "TALLYMARK_")["TALLYMARK_URL"] ?? "http://127.0.0.1:8080";

const API_ROUTES = [
  "/catalog",
  "/client",
  "/counters",
  "/dashboards",
  "/docs",
  "/export",
  "/health",
  "/load",
  "/metrics",
  "/openapi.json",
  "/ready",
  "/session",
  "/sql",
  "/stream",
  "/track",
];

const proxy = Object.fromEntries(
  API_ROUTES.map((route) => [route, { target: SERVICE, changeOrigin: true }]),
);

// What the service sends with the page; development is held to it, so that nothing breaks later.
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; " +
  "img-src 'self' data:; connect-src 'self'";

export default defineConfig({
  base: "/ui/",
  build: {
    outDir: "../static",
    emptyOutDir: true,
    target: "es2022",
    // An asset inlined as data: would be refused by the policy wherever it is no image.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy, strictPort: true },
  preview: { proxy, strictPort: true, headers: { "Content-Security-Policy": CSP } },
  test: { include: ["tests/**/*.test.ts"] },
});
