// Short messages about what the user did; errors stay until they are closed.

import { createStore } from "./store";

export interface Toast {
  id: number;
  text: string;
  isError: boolean;
}

export const toasts = createStore<readonly Toast[]>([]);

const SHOWN_MS = 5_000;
let last = 0;

export function toast(text: string, options: { isError: boolean } = { isError: false }): void {
  last += 1;
  const id = last;
  toasts.set([...toasts.get(), { id, text, isError: options.isError }]);
  if (!options.isError) setTimeout(() => dismiss(id), SHOWN_MS);
}

export function dismiss(id: number): void {
  toasts.set(toasts.get().filter((one) => one.id !== id));
}

/** Copy a text; where the browser refuses, as it does without HTTPS, show what there was to copy. */
export async function copy(text: string, told: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast(told);
  } catch {
    toast(`The browser does not let this page copy. Take it from here: ${text}`, { isError: true });
  }
}
