// The messages at the bottom of the page.

import type { JSX } from "preact";
import { useStore } from "../lib/store";
import { dismiss, toasts } from "../lib/toasts";
import { Icon } from "./icons";

export function Toasts(): JSX.Element {
  const shown = useStore(toasts, (value) => value);
  return (
    <div class="toasts" role="status">
      {shown.map(({ id, text, isError }) => (
        <div key={id} class="toast">
          {isError && (
            <span class="bad">
              <Icon name="warning" />
            </span>
          )}
          <p class="grow">{text}</p>
          <button type="button" class="icon-button" aria-label="Close" title="Close" onClick={() => dismiss(id)}>
            <Icon name="close" size={14} />
          </button>
        </div>
      ))}
    </div>
  );
}
