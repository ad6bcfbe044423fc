// Single events, which SQL asks for: where none are kept, that is said instead of asked.

import type { ComponentChildren, JSX } from "preact";
import { useAnswer, type Asked } from "../lib/api";
import { useStore } from "../lib/store";
import type { SqlAnswer } from "../lib/types";
import { hasArchive } from "../lib/view";
import { Nothing } from "./panel";

export const NO_ARCHIVE = "Single events are not kept: the archive is off (archive = false).";

export function useRows(sql: string, refreshMs: number): Asked<SqlAnswer> {
  const isKept = useStore(hasArchive, (value) => value);
  return useAnswer<SqlAnswer>(isKept ? { url: "/sql", body: sql } : null, refreshMs);
}

export function WhereKept({ height, children }: { height: number; children: ComponentChildren }): JSX.Element {
  const isKept = useStore(hasArchive, (value) => value);
  return isKept ? <>{children}</> : <Nothing height={height}>{NO_ARCHIVE}</Nothing>;
}
