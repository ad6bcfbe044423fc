// The page begins here: the live figures, the reporting zone, then the view of the address.

import { render, type JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { keyAsked } from "./lib/api";
import { askFirst, start } from "./lib/live";
import { useStore } from "./lib/store";
import { route } from "./lib/url";
import { findSettings, reportingZone } from "./lib/view";
import { Opening } from "./ui/opening";
import { Shell } from "./ui/shell";
import { Embed, sharedIn } from "./views/embed";
import { SignIn } from "./views/signin";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/parts.css";
import "./styles/views.css";

const RETRY_MS = 2_000;

const shared = sharedIn(location);

/** Not before it is known that no key is asked for, or that there is one. */
function begin(): void {
  if (shared === null) start();
}

function Page(): JSX.Element {
  const here = useStore(route, (value) => value);
  const zone = useStore(reportingZone, (value) => value);
  const isKeyAsked = useStore(keyAsked, (value) => value);
  const [isWaiting, setWaiting] = useState(false);
  useEffect(() => {
    const look = (): void => {
      findSettings().then(begin, () => {
        // What a share link opens needs no zone of the service: its answers tell theirs.
        if (shared !== null) {
          reportingZone.set("UTC");
          return;
        }
        if (keyAsked.get()) return;
        setWaiting(true);
        setTimeout(look, RETRY_MS);
      });
      const wasHere = reportingZone.get() !== null;
      if (wasHere && shared === null) askFirst();
    };
    look();
  }, []);
  if (isKeyAsked && shared === null) return <SignIn />;
  if (zone !== null && shared !== null) return <Embed shared={shared} />;
  if (zone !== null) return <Shell route={here} />;
  return isWaiting ? (
    <main class="waiting" role="status">
      <h1>Tallymark</h1>
      <p>The service does not answer questions yet. The page looks again every 2 seconds.</p>
    </main>
  ) : (
    <Opening />
  );
}

const box = document.getElementById("page");
if (box !== null) render(<Page />, box);
