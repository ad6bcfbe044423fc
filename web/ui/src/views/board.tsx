// One dashboard: its widgets in a grid, to look at, and in a mode of its own to change.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ask, useAnswer } from "../lib/api";
import { useHeaderTools, useHeading, type Heading } from "../lib/heading";
import { copy } from "../lib/toasts";
import type { Dashboard, Widget } from "../lib/types";
import { go, linkTo, setQuery } from "../lib/url";
import type { View } from "../lib/view";
import { Icon } from "../ui/icons";
import { Answered } from "../ui/panel";
import { Popover } from "../ui/popover";
import { DeleteDialog, addressOf, attempt } from "./dashboards";
import { BoardEditor } from "./boardeditor";
import { OWN, WidgetBox, isComparing, periodsOf, type Source } from "./widget";

const ROW_PX = 80;
const GAP_PX = 16;
const HEAD_PX = 62;

/** Of a widget's content, without its head. */
export const heightOf = ({ h }: Widget["layout"]): number => h * ROW_PX + (h - 1) * GAP_PX - HEAD_PX;

export function placeOf({ x, y, w, h }: Widget["layout"]): JSX.CSSProperties {
  return { gridColumn: `${x + 1} / span ${w}`, gridRow: `${y + 1} / span ${h}` };
}

export function Board({ view }: { view: View }): JSX.Element {
  const id = view.route.path[1] ?? "";
  const asked = useAnswer<{ data: Dashboard }>(addressOf(id));
  const isMissing = asked.problem?.status === 404;
  const board = isMissing ? undefined : asked.answer?.data;
  const isEditing = view.route.query["edit"] === "1" && board !== undefined;
  useHeading({
    title: board?.name ?? "Dashboard",
    crumb: { label: "Dashboards", path: ["dashboards"] },
    ...choicesFor(isMissing ? [] : board?.widgets),
  });
  if (isEditing) {
    const again = asked.retry;
    return <BoardEditor key={board.updatedAt} board={board} view={view} onSaved={again} onOutdated={again} />;
  }
  if (isMissing) return <Missing />;
  return (
    <Answered asked={asked} what="this dashboard" height={400}>
      {({ data }) => <Shown board={data} view={view} onChange={asked.retry} />}
    </Answered>
  );
}

/** What of the header changes anything in these; all of it, as long as they are not known. */
const choicesFor = (widgets: readonly Widget[] | undefined): Partial<Heading> =>
  widgets === undefined ? {} : { periods: periodsOf(widgets), isIncomparable: !widgets.some(isComparing) };

function Missing(): JSX.Element {
  return (
    <div class="panel state">
      <p>There is no such dashboard. It may have been deleted since the link to it was made.</p>
      <a class="button" href={linkTo(["dashboards"])}>
        All dashboards
      </a>
    </div>
  );
}

function Shown({ board, view, onChange }: {
  board: Dashboard;
  view: View;
  onChange: () => void;
}): JSX.Element {
  useHeaderTools(<BoardTools board={board} onChange={onChange} />, [board]);
  return <Widgets board={board} view={view} source={OWN} />;
}

export function Widgets({ board, view, source }: {
  board: Dashboard;
  view: View;
  source: Source;
}): JSX.Element {
  if (board.widgets.length === 0) {
    return (
      <div class="panel state">
        <p>This dashboard has no widgets yet.</p>
        {source.token === null && (
          <button type="button" class="button" onClick={() => setQuery({ edit: "1" })}>
            Add a widget
          </button>
        )}
      </div>
    );
  }
  return (
    <div class="board">
      {board.widgets.map((widget, at) => (
        <article key={at} class="panel" style={placeOf(widget.layout)} aria-label={widget.title}>
          <WidgetBox
            widget={widget}
            view={view}
            source={source}
            refreshMs={1000 * board.refreshInterval}
            height={heightOf(widget.layout)}
          />
        </article>
      ))}
    </div>
  );
}

interface Share {
  token: string;
  path: string;
}

function BoardTools({ board, onChange }: { board: Dashboard; onChange: () => void }): JSX.Element {
  const [isOpen, setOpen] = useState(false);
  const [isDeleting, setDeleting] = useState(false);
  const choose = (act: () => Promise<void>): void => {
    setOpen(false);
    void act();
  };
  const share = async (): Promise<void> => {
    let path = "";
    const post = async (): Promise<void> => {
      path = (await ask<{ data: Share }>(`${addressOf(board.id)}/share`, { method: "POST" })).data.path;
    };
    if (!(await attempt("share the dashboard", post))) return;
    await copy(location.origin + path, "Read-only link copied");
    onChange();
  };
  const unshare = async (): Promise<void> => {
    const act = (): Promise<unknown> => ask(`${addressOf(board.id)}/share`, { method: "DELETE" });
    if (await attempt("take the link back", act, "The link opens nothing any more")) onChange();
  };
  return (
    <>
      <Popover
        label="More"
        class="menu"
        isOpen={isOpen}
        onClose={() => setOpen(false)}
        button={
          <button type="button" class="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            Share
            <Icon name="down" size={12} />
          </button>
        }
      >
        <button type="button" class="menu-item" onClick={() => choose(() => copy(location.href, "Link copied"))}>
          Copy link
        </button>
        <button type="button" class="menu-item" onClick={() => choose(share)}>
          Copy read-only link
        </button>
        {board.isShared && (
          <button type="button" class="menu-item" onClick={() => choose(unshare)}>
            Take the read-only link back
          </button>
        )}
        <a class="menu-item" href={`${addressOf(board.id)}/export`} download>
          Export as JSON
        </a>
        <button type="button" class="menu-item" onClick={() => setQuery({ kiosk: "1" })}>
          Show without navigation
        </button>
        <button
          type="button"
          class="menu-item bad"
          onClick={() => {
            setOpen(false);
            setDeleting(true);
          }}
        >
          Delete …
        </button>
      </Popover>
      <button type="button" class="button" onClick={() => setQuery({ edit: "1" })}>
        <Icon name="edit" size={14} />
        Edit
      </button>
      {isDeleting && (
        <DeleteDialog
          board={board}
          onClose={(isDone) => {
            setDeleting(false);
            if (isDone) go(["dashboards"]);
          }}
        />
      )}
    </>
  );
}
