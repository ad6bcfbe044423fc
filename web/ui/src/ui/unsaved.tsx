// Asks before changes are lost: by a dialog inside of the page, by the browser where the tab is closed.

import type { JSX } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";
import { holdBack, type Route } from "../lib/url";
import { Dialog } from "./dialog";

interface Props {
  /** What was changed, as it is called: “Revenue”. */
  name: string;
  /** Whether the changes outlive this step. */
  isKeptAt: (to: Route) => boolean;
}

/** To be there as long as there are changes, and no longer: whoever has saved is not asked. */
export function Unsaved({ name, isKeptAt }: Props): JSX.Element | null {
  const [leave, setLeave] = useState<(() => void) | null>(null);
  useLayoutEffect(() => holdBack({ isFree: isKeptAt, onHeld: (go) => setLeave(() => go) }), [isKeptAt]);
  if (leave === null) return null;
  const stay = (): void => setLeave(null);
  const go = (): void => {
    stay(); // what leads away may fail, as to sign out without a server
    leave();
  };
  return (
    <Dialog
      title="Leave without saving?"
      onClose={stay}
      opener={content}
      acts={
        <>
          <button type="button" class="button" onClick={stay}>
            Keep editing
          </button>
          <button type="button" class="button danger" onClick={go}>
            Leave
          </button>
        </>
      }
    >
      <p class="soft">What you have changed in “{name}” is lost then.</p>
    </Dialog>
  );
}

/** What led away may be gone by the time that one stays: a menu closes when focus leaves it. */
const content = (): HTMLElement | null => document.getElementById("content");
