// Single keys: off while somebody types, and off altogether for those who wish so.

import { createStore } from "./store";
import { remember, remembered } from "./theme";

const STORED = "tallymark.keys";

export const areKeysOn = createStore(remembered(STORED) !== "off");

export function setKeysOn(isOn: boolean): void {
  areKeysOn.set(isOn);
  remember(STORED, isOn ? null : "off");
}

type Act = () => void;

const PAIR_MS = 1_200;
let pending = "";
let pendingMs = 0;

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

/** Keys are named as they are pressed: "d", "?", "g o". Returns how to stop listening. */
export function listenToKeys(acts: Readonly<Record<string, Act>>): () => void {
  const press = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (!areKeysOn.get() || isTyping(event.target)) return;
    const key = event.key.toLowerCase();
    const now = event.timeStamp; // when it was pressed, however late a busy page comes to hear of it
    const together = now - pendingMs < PAIR_MS && pending !== "" ? `${pending} ${key}` : key;
    [pending, pendingMs] = [key === "g" ? key : "", now];
    const act = acts[together] ?? (together === key ? undefined : acts[key]);
    if (act === undefined) return;
    event.preventDefault();
    act();
  };
  document.addEventListener("keydown", press);
  return () => document.removeEventListener("keydown", press);
}
