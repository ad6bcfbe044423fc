// The sheet of keys, and the switch that turns them off.

import type { JSX } from "preact";
import { areKeysOn, setKeysOn } from "../lib/keys";
import { useStore } from "../lib/store";
import { VIEWS } from "../views/registry";
import { Dialog } from "./dialog";

const KEYS: readonly [string[], string][] = [
  [["/"], "Find in the table"],
  [["D"], "Choose the period"],
  [["C"], "Compare with the period before"],
  [["[", "]"], "Earlier, later"],
  [["L"], "Pause the live figures"],
  [["T"], "Light or dark"],
  [["?"], "This sheet"],
];

export function KeySheet({ onClose }: { onClose: () => void }): JSX.Element {
  const isOn = useStore(areKeysOn, (value) => value);
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl class="keys">
        {KEYS.map(([keys, act]) => (
          <>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{act}</dd>
          </>
        ))}
        {VIEWS.map(({ key, title }) => (
          <>
            <dt>
              <kbd>G</kbd>
              <kbd>{key.toUpperCase()}</kbd>
            </dt>
            <dd>{title}</dd>
          </>
        ))}
      </dl>
      <div class="acts">
        <label>
          <input
            type="checkbox"
            checked={isOn}
            onChange={(event) => setKeysOn(event.currentTarget.checked)}
          />
          Single keys are on
        </label>
        <button type="button" class="button" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}
