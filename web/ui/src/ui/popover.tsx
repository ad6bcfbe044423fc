// What opens below a button: focus goes into it and comes back; Escape and whatever else closes it.

import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { useFocusInside } from "../lib/focus";

interface Props {
  label: string;
  class?: string;
  isOpen: boolean;
  onClose: () => void;
  button: JSX.Element;
  children: ComponentChildren;
}

export function Popover({ label, class: name = "", isOpen, onClose, button, children }: Props): JSX.Element {
  const anchor = useRef<HTMLDivElement>(null);
  return (
    <div class="anchor" ref={anchor}>
      {button}
      {isOpen && (
        <Float label={label} class={`popover ${name}`} anchor={anchor} onClose={onClose}>
          {children}
        </Float>
      )}
    </div>
  );
}

interface FloatProps {
  label: string;
  class: string;
  /** What may be pressed without closing it, and has the button that opened it. */
  anchor?: { current: HTMLElement | null };
  /** For buttons elsewhere that open and close it: their `aria-controls`. */
  id?: string;
  onClose: () => void;
  children: ComponentChildren;
}

export function Float({ label, class: name, anchor, id, onClose, children }: FloatProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const close = useRef(onClose);
  close.current = onClose;
  useFocusInside(box, () => anchor?.current?.querySelector("button") ?? null);
  useLayoutEffect(() => {
    const isOutside = (target: EventTarget | null): boolean =>
      target instanceof Element &&
      [box, anchor].every((one) => one?.current?.contains(target) !== true) &&
      (id === undefined || target.closest("[aria-controls]")?.getAttribute("aria-controls") !== id);
    const press = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close.current();
    };
    const leave = (event: Event): void => {
      if (isOutside(event.target)) close.current();
    };
    document.addEventListener("keydown", press, true);
    document.addEventListener("pointerdown", leave);
    document.addEventListener("focusin", leave);
    return () => {
      document.removeEventListener("keydown", press, true);
      document.removeEventListener("pointerdown", leave);
      document.removeEventListener("focusin", leave);
    };
  }, []);
  return (
    <div ref={box} id={id} class={`float ${name}`} role="dialog" aria-label={label} tabIndex={-1}>
      {children}
    </div>
  );
}
