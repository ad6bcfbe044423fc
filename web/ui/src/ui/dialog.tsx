// A question over the page: focus stays in it, Escape closes it.

import type { ComponentChildren, JSX } from "preact";
import { useRef } from "preact/hooks";
import { focusableIn, useFocusInside } from "../lib/focus";

interface Props {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  acts?: ComponentChildren;
  /** What gets focus where that which had it before is gone. */
  opener?: () => HTMLElement | null;
}

export function Dialog({ title, onClose, children, acts, opener }: Props): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  useFocusInside(box, opener);
  const press = (event: KeyboardEvent): void => {
    if (event.key === "Escape") {
      event.stopPropagation();
      onClose();
    }
    if (event.key !== "Tab") return;
    const found = focusableIn(box.current);
    const [first, last] = [found[0], found.at(-1)];
    const edge = event.shiftKey ? first : last;
    if (document.activeElement !== edge) return;
    event.preventDefault();
    (event.shiftKey ? last : first)?.focus();
  };
  return (
    <div class="veil" onPointerDown={(event) => event.target === event.currentTarget && onClose()}>
      <div ref={box} class="dialog" role="dialog" aria-modal="true" aria-label={title} onKeyDown={press}>
        <h2>{title}</h2>
        {children}
        {acts !== undefined && <div class="acts">{acts}</div>}
      </div>
    </div>
  );
}
