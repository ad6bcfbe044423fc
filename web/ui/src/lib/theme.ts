// Light or dark: the system's choice until somebody makes their own.

import { createStore } from "./store";

export type Theme = "light" | "dark";

const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
const STORED = "tallymark.theme";

const shown = (): Theme => (root.dataset["theme"] === "dark" ? "dark" : "light");

export const theme = createStore<Theme>(shown());

function show(next: Theme): void {
  root.dataset["theme"] = next;
  theme.set(next);
}

export function toggleTheme(): void {
  const next = shown() === "dark" ? "light" : "dark";
  remember(STORED, next);
  show(next);
}

export function remembered(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

system.addEventListener("change", () => {
  if (remembered(STORED) === null) show(system.matches ? "dark" : "light");
});

// Paper is light: charts are drawn for it anew, and back when it is done.
let onScreen: Theme | null = null;
addEventListener("beforeprint", () => {
  onScreen = shown();
  show("light");
});
addEventListener("afterprint", () => {
  if (onScreen !== null) show(onScreen);
  onScreen = null;
});

/** What a token is worth now: canvases cannot read custom properties by themselves. */
export function token(name: string): string {
  return getComputedStyle(root).getPropertyValue(name).trim();
}

/** A colour of the tokens with an alpha of its own, 0 to 1. */
export function faded(name: string, alpha: number): string {
  const hex = token(name).replace("#", "");
  const channel = (at: number): number => parseInt(hex.slice(at, at + 2), 16);
  return `rgba(${channel(0)}, ${channel(2)}, ${channel(4)}, ${alpha})`;
}
