// Dashboards: the list of them, and what can be done with one from outside.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Problem, ask, forget, bodyOf as read, send, useAnswer } from "../lib/api";
import { count, many, NBSP } from "../lib/format";
import { useHeaderTools } from "../lib/heading";
import { inFreeHalf } from "../lib/layout";
import { monthDay } from "../lib/time";
import { toast } from "../lib/toasts";
import type { Dashboard, DashboardBody, DashboardType, Widget, WidgetKind } from "../lib/types";
import { go, linkTo, setQuery } from "../lib/url";
import type { View } from "../lib/view";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { Answered, Notice } from "../ui/panel";
import { DataTable, type Column } from "../ui/table";

export const TYPES: Record<DashboardType, string> = {
  service_performance: "Services",
  revenue: "Revenue",
  marketplace: "Marketplace",
  experiments: "Experiments",
  users: "Users",
  custom: "Custom",
};

const EMPTY: Omit<DashboardBody, "name"> = {
  type: "custom", isActive: true, isLive: false, refreshInterval: 30, description: "", widgets: [],
};

/** Do something with the dashboards and say how it went; true where it did. */
export async function attempt(what: string, act: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await act();
    forget("/dashboards");
    if (done !== undefined) toast(done);
    return true;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    toast(`Could not ${what}. ${error.message}`, { isError: true });
    return false;
  }
}

export function Dashboards({ view }: { view: View }): JSX.Element {
  const asked = useAnswer<{ data: Dashboard[] }>("/dashboards");
  const [isNaming, setNaming] = useState(false);
  const [leaving, setLeaving] = useState<Dashboard | null>(null);
  const { add, kind } = view.route.query;
  const retry = asked.retry;
  useHeaderTools(
    <>
      <ImportButton onDone={retry} />
      <button type="button" class="button primary" onClick={() => setNaming(true)}>
        <Icon name="plus" size={14} />
        New dashboard
      </button>
    </>,
    [asked.answer],
  );
  return (
    <div class="stack">
      {add !== undefined && (
        <Notice tone="info" act={<button type="button" class="under" onClick={() => setQuery({ add: null, kind: null })}>Leave it</button>}>
          <span class="strong">A query waits to be added.</span> Choose the dashboard that it goes to, or make a new one.
        </Notice>
      )}
      <section class="panel boards" aria-label="Dashboards">
        <Answered
          asked={asked}
          what="the dashboards"
          height={240}
          empty={({ data }) => (data.length === 0 ? "There is no dashboard yet. “New dashboard” makes one." : null)}
        >
          {({ data }) => (
            <DataTable<Dashboard>
              label="Dashboards"
              rows={data}
              rowKey={(row) => row.id}
              columns={columnsFor({ zone: view.zone, add, kind, onDelete: setLeaving })}
            />
          )}
        </Answered>
      </section>
      {isNaming && <NameDialog onClose={() => setNaming(false)} />}
      {leaving !== null && (
        <DeleteDialog
          board={leaving}
          onClose={(isDone) => {
            setLeaving(null);
            if (isDone) retry();
          }}
        />
      )}
    </div>
  );
}

interface ListActs {
  zone: string;
  add: string | undefined;
  kind: string | undefined;
  onDelete: (board: Dashboard) => void;
}

function columnsFor({ zone, add, kind, onDelete }: ListActs): Column<Dashboard>[] {
  return [
    {
      key: "name", head: "Dashboard", class: "name-cell",
      cell: (row) => (
        <>
          <a class="board-link" href={linkTo(["dashboards", row.id])}>
            {row.name}
          </a>
          {row.description !== "" && <span class="board-note">{row.description}</span>}
        </>
      ),
    },
    { key: "type", head: "Type", class: "soft phone-not", cell: (row) => TYPES[row.type] },
    { key: "widgets", head: "Widgets", isNumber: true, class: "phone-not", cell: (row) => count(row.widgets.length) },
    {
      key: "refresh", head: "Refresh", isNumber: true, class: "soft wide-only phone-not",
      cell: (row) => (row.isLive ? "live" : `every ${row.refreshInterval}${NBSP}s`),
    },
    {
      key: "shared", head: "Shared", class: "soft shared wide-only phone-not",
      cell: (row) => (row.isShared ? "by link" : <span class="dim">–</span>),
    },
    {
      key: "changed", head: "Changed", isNumber: true, class: "soft wide-only phone-not",
      cell: (row) => monthDay(Date.parse(row.updatedAt), zone),
    },
    {
      key: "acts", head: <span class="unseen">Acts</span>, isNumber: true,
      cell: (row) =>
        add === undefined ? (
          <span class="row-acts">
            <a class="icon-button" href={linkTo(["dashboards", row.id], { edit: "1" })} aria-label={`Edit ${row.name}`} title="Edit">
              <Icon name="edit" />
            </a>
            <a class="icon-button" href={`/dashboards/${encodeURIComponent(row.id)}/export`} download aria-label={`Export ${row.name}`} title="Export as JSON">
              <Icon name="download" />
            </a>
            <button type="button" class="icon-button" aria-label={`Delete ${row.name}`} title="Delete" onClick={() => onDelete(row)}>
              <Icon name="trash" />
            </button>
          </span>
        ) : (
          <button type="button" class="button" onClick={() => void addQuery(row.id, add, kind)}>
            Add here
          </button>
        ),
    },
  ];
}

/** The whole of a dashboard that a PUT carries; filters without a value, of before they were refused, are left out. */
export function bodyOf(board: Dashboard): DashboardBody {
  const { name, type, isActive, isLive, refreshInterval, description } = board;
  const widgets = board.widgets.map((widget) => {
    const given = Object.entries(widget.filters).filter(([, value]) => value !== "");
    return { ...widget, filters: Object.fromEntries(given) };
  });
  return { name, type, isActive, isLive, refreshInterval, description, widgets };
}

/** A dashboard as it is kept now, and its version. */
export async function keptOf(id: string): Promise<{ board: Dashboard; tag: string }> {
  const response = await send(addressOf(id));
  const { data } = await read<{ data: Dashboard }>(response);
  const tag = response.headers.get("ETag");
  // Without it a save could overwrite what somebody else has saved meanwhile.
  if (tag === null) throw new Problem(0, "The answer came without its ETag, which a proxy on the way may have taken.");
  return { board: data, tag };
}

/** Keep a dashboard in place of that version; refused where somebody else has changed it since. */
export function keep(id: string, body: DashboardBody, tag: string): Promise<unknown> {
  return send(addressOf(id), { method: "PUT", body: JSON.stringify(body), headers: { "If-Match": tag } });
}

async function addQuery(id: string, sql: string, kind: string | undefined): Promise<void> {
  const add = async (): Promise<unknown> => {
    const { board, tag } = await keptOf(id); // the list may have been shown for hours
    const widget: Widget = {
      kind: (kind ?? "table") as WidgetKind,
      title: /^--\s*(.+)/.exec(sql)?.[1]?.slice(0, 80) ?? "Query",
      metric: "sql",
      filters: { sql },
      range: null,
      layout: inFreeHalf(board.widgets.map(({ layout }) => layout)),
    };
    return keep(id, { ...bodyOf(board), widgets: [...board.widgets, widget] }, tag);
  };
  if (await attempt("add the query", add, "Query added")) go(["dashboards", id]);
}

export const addressOf = (id: string): string => `/dashboards/${encodeURIComponent(id)}`;

function NameDialog({ onClose }: { onClose: () => void }): JSX.Element {
  const [name, setName] = useState("");
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    let id = "";
    const post = async (): Promise<void> => {
      const made = await ask<{ data: Dashboard }>("/dashboards", {
        method: "POST", body: JSON.stringify({ ...EMPTY, name: name.trim() }),
      });
      id = made.data.id;
    };
    if (!(await attempt("save the dashboard", post))) return;
    onClose();
    go(["dashboards", id], { edit: "1" });
  };
  return (
    <Dialog title="New dashboard" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <label>
          <span class="label">Name</span>
          <input class="field" value={name} maxLength={200} onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <div class="acts">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button primary" disabled={name.trim() === ""}>
            Create dashboard
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export function DeleteDialog({ board, onClose }: {
  board: Dashboard;
  onClose: (isDone: boolean) => void;
}): JSX.Element {
  const remove = async (): Promise<void> => {
    const act = (): Promise<unknown> => ask(addressOf(board.id), { method: "DELETE" });
    onClose(await attempt("delete the dashboard", act, "Dashboard deleted"));
  };
  return (
    <Dialog
      title={`Delete “${board.name}”?`}
      onClose={() => onClose(false)}
      acts={
        <>
          <button type="button" class="button" onClick={() => onClose(false)}>
            Keep it
          </button>
          <button type="button" class="button danger" onClick={() => void remove()}>
            Delete dashboard
          </button>
        </>
      }
    >
      <p class="soft">
        {`Its ${goingWith(board)} with it. The figures stay.`}
      </p>
    </Dialog>
  );
}

function goingWith({ widgets, isShared }: Dashboard): string {
  const what = many(widgets.length, "widget", "widgets");
  if (isShared) return `${what} and its read-only link go`;
  return widgets.length === 1 ? `${what} goes` : `${what} go`;
}

const MADE_BY = "“Export as JSON” of a dashboard makes one.";

/** Throws Problem, in words that name the file: the server's would name what is in the request. */
function checkExported(text: string, name: string): void {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Problem(0, `“${name}” is not a JSON file. ${MADE_BY}`);
  }
  const { format } = (value ?? {}) as { format?: unknown };
  if (format !== "tallymark.dashboard") {
    throw new Problem(0, `“${name}” is not a dashboard exported by Tallymark. ${MADE_BY}`);
  }
}

function ImportButton({ onDone }: { onDone: () => void }): JSX.Element {
  const take = async (file: File | undefined): Promise<void> => {
    if (file === undefined) return;
    const post = async (): Promise<unknown> => {
      const body = await file.text();
      checkExported(body, file.name);
      return ask("/dashboards/import", { method: "POST", body });
    };
    if (await attempt("import the dashboard", post, "Dashboard imported")) onDone();
  };
  return (
    <label class="button file-button">
      Import
      <input
        type="file"
        accept="application/json,.json"
        class="unseen"
        onChange={(event) => {
          void take(event.currentTarget.files?.[0]);
          event.currentTarget.value = "";
        }}
      />
    </label>
  );
}
