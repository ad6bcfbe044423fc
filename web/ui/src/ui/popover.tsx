// What opens below a button: closed by Escape, by a click elsewhere, and by its own choice.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

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
  useEffect(() => {
    if (!isOpen) return undefined;
    const press = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      onClose();
      anchor.current?.querySelector("button")?.focus();
    };
    const point = (event: PointerEvent): void => {
      if (!(event.target instanceof Node) || anchor.current?.contains(event.target) !== true) onClose();
    };
    document.addEventListener("keydown", press, true);
    document.addEventListener("pointerdown", point);
    return () => {
      document.removeEventListener("keydown", press, true);
      document.removeEventListener("pointerdown", point);
    };
  }, [isOpen]);
  return (
    <div class="anchor" ref={anchor}>
      {button}
      {isOpen && (
        <div class={`float popover ${name}`} role="dialog" aria-label={label}>
          {children}
        </div>
      )}
    </div>
  );
}
