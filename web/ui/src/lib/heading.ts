// The title in the header: a view knows better than its address what it is called.

import type { ComponentChildren } from "preact";
import { useLayoutEffect } from "preact/hooks";
import { createStore } from "./store";

export type Periods = "page" | "own" | "none";

export interface Heading {
  title: string;
  crumb?: { label: string; path: readonly string[] };
  /** An id that a click copies. */
  id?: string;
  chip?: string;
  /** Whose periods are shown: the page's unless said, those of each part, or none at all. */
  periods?: Periods;
  /** Nothing that is shown is compared, whatever is chosen in the header. */
  isIncomparable?: boolean;
}

export const heading = createStore<Heading | null>(null);

/** A name that came with an answer takes the place of the view's own. */
export function useHeading(next: Heading): void {
  // Before the page is painted: a header that grows a moment later moves all that is below it.
  useLayoutEffect(() => {
    heading.set(next);
    return () => heading.set(null);
  }, [JSON.stringify(next)]);
}

/** What a view puts at the right of the header. */
export const headerTools = createStore<ComponentChildren>(null);

export function useHeaderTools(tools: ComponentChildren, deps: readonly unknown[]): void {
  useLayoutEffect(() => {
    headerTools.set(tools);
    return () => headerTools.set(null);
  }, deps);
}
