import type { JSX } from "preact";
import type { Health } from "../lib/types";
export function FirstRun({ health, onDone }: { health: Health | undefined; onDone: () => void }): JSX.Element { return <button onClick={onDone}>{health?.events}</button>; }
