// Where the keyboard is: it goes into what opens, and back to what opened it when that closes.

import { useLayoutEffect } from "preact/hooks";

const FOCUSABLE = "button:not(:disabled), [href], input, select, textarea, [tabindex='0']";

/** What the Tab key reaches inside of an element, in its order. */
export function focusableIn(box: HTMLElement | null): HTMLElement[] {
  return [...(box?.querySelectorAll<HTMLElement>(FOCUSABLE) ?? [])].filter(isShown);
}

const isShown = (element: HTMLElement): boolean => element.getClientRects().length > 0;

/**
 * Focus what is chosen inside of a box, else its first control; give focus back when it closes.
 *
 * opener  what to give it back to where that which had it before is gone
 *
 * Whoever has gone on to something else meanwhile stays there. It is there before the box is drawn:
 * the next key, however soon, is for what is in it.
 */
export function useFocusInside(
  box: { current: HTMLElement | null },
  opener: () => HTMLElement | null = () => null,
): void {
  useLayoutEffect(() => {
    const element = box.current;
    const before = document.activeElement;
    const chosen = element?.querySelector<HTMLElement>("[aria-pressed='true']:not(:disabled)");
    (chosen ?? focusableIn(element)[0] ?? element)?.focus();
    return () => {
      const now = document.activeElement;
      const isLost = now === null || now === document.body || element?.contains(now) === true;
      if (!isLost) return;
      const isThere = before instanceof HTMLElement && before !== document.body && before.isConnected;
      (isThere ? before : opener())?.focus();
    };
  }, []);
}
