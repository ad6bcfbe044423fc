// Naming from the page: a name of the catalog wins over those that events carry.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Problem, ask, forget } from "../lib/api";
import type { CatalogEntry } from "../lib/types";
import { letterOf } from "../lib/verdict";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { attempt } from "./dashboards";

export interface Nameable {
  kind: "services" | "experiments";
  id: string;
  /** How it is called now. */
  name: string;
  variants?: readonly { index: number; name: string }[];
}

/** The pencil beside a name. */
export function NameButton({ what, onDone }: { what: Nameable; onDone: () => void }): JSX.Element {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        class="icon-button"
        aria-label={`Name ${what.name}`}
        title="Give it another name"
        onClick={() => setOpen(true)}
      >
        <Icon name="edit" size={14} />
      </button>
      {isOpen && <Naming what={what} onClose={() => setOpen(false)} onDone={onDone} />}
    </>
  );
}

const NAME_MAX = 200;
const DESCRIPTION_MAX = 2000;

interface Draft {
  name: string;
  description: string;
  /** By index; empty leaves the name to the events. */
  variants: Record<number, string>;
}

function Naming({ what, onClose, onDone }: {
  what: Nameable;
  onClose: () => void;
  onDone: () => void;
}): JSX.Element {
  const address = `/catalog/${what.kind}/${encodeURIComponent(what.id)}`;
  /** What the catalog says; null where it says nothing, undefined until that is known. */
  const [entry, setEntry] = useState<CatalogEntry | null | undefined>(undefined);
  /** What was typed, be it before that: it stays. */
  const [typed, setTyped] = useState<Partial<Draft>>({});
  useEffect(() => void entryOf(what).then(setEntry), [address]);
  const known = draftOf(entry ?? { ...what, description: "", variants: [] });
  const draft: Draft = { ...known, ...typed, variants: { ...known.variants, ...typed.variants } };
  const finish = async (act: () => Promise<unknown>, done: string): Promise<void> => {
    if (!(await attempt("keep the name", act, done))) return;
    forget("/metrics");
    onClose();
    onDone();
  };
  const save = (event: Event): void => {
    event.preventDefault();
    const body = JSON.stringify(bodyOf(draft, what));
    void finish(() => ask(address, { method: "PUT", body }), "Name kept");
  };
  const drop = (): void => void finish(() => ask(address, { method: "DELETE" }), "The events name it again");
  return (
    <Dialog title={what.kind === "services" ? "Name this service" : "Name this experiment"} onClose={onClose}>
      <form class="naming" onSubmit={save}>
        <p class="soft">
          For every page and answer, whatever name the events of <span class="mono">{what.id}</span> carry.
        </p>
        <label>
          <span class="label">Name</span>
          <input
            class="field"
            maxLength={NAME_MAX}
            value={draft.name}
            onInput={(event) => setTyped({ ...typed, name: event.currentTarget.value })}
          />
        </label>
        <label>
          <span class="label">Description</span>
          <textarea
            class="field"
            rows={2}
            maxLength={DESCRIPTION_MAX}
            value={draft.description}
            onInput={(event) => setTyped({ ...typed, description: event.currentTarget.value })}
          />
        </label>
        {(what.variants ?? []).map(({ index, name }) => (
          <label key={index}>
            <span class="label">Variant {letterOf(index)}</span>
            <input
              class="field"
              maxLength={NAME_MAX}
              placeholder={name}
              value={draft.variants[index] ?? ""}
              onInput={(event) =>
                setTyped({ ...typed, variants: { ...typed.variants, [index]: event.currentTarget.value } })
              }
            />
          </label>
        ))}
        <div class="acts">
          {entry != null && (
            <button type="button" class="button first" onClick={drop}>
              Leave it to the events
            </button>
          )}
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button primary" disabled={entry === undefined || draft.name.trim() === ""}>
            Keep this name
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** What the catalog says already; null where it says nothing, which for one alone would be an error. */
async function entryOf({ kind, id }: Nameable): Promise<CatalogEntry | null> {
  try {
    const { data } = await ask<{ data: CatalogEntry[] }>(`/catalog/${kind}`);
    return data.find((entry) => entry.id === id) ?? null;
  } catch (error) {
    if (error instanceof Problem) return null;
    throw error;
  }
}

const draftOf = ({ name, description, variants = [] }: Omit<CatalogEntry, "id">): Draft => ({
  name,
  description,
  variants: Object.fromEntries(variants.map(({ index, name: own }) => [index, own])),
});

function bodyOf({ name, description, variants }: Draft, what: Nameable): object {
  const body = { name: name.trim(), description: description.trim() };
  if (what.kind === "services") return body;
  const named = Object.entries(variants).map(([index, text]) => ({ index: Number(index), name: text.trim() }));
  return { ...body, variants: named.filter((variant) => variant.name !== "") };
}
