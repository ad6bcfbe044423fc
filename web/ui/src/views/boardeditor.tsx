// The editor of a dashboard: move and resize by pointer or keys, a form for what a widget shows.

import type { JSX } from "preact";
import { useCallback, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Problem } from "../lib/api";
import { useHeaderTools } from "../lib/heading";
import { COLUMNS, inFreeHalf, lowered, raised, settled } from "../lib/layout";
import { metricOf } from "../lib/metrics";
import type { Dashboard, DashboardBody, Layout, Widget } from "../lib/types";
import { setQuery, type Route } from "../lib/url";
import type { View } from "../lib/view";
import { Icon } from "../ui/icons";
import { Unsaved } from "../ui/unsaved";
import { heightOf, placeOf } from "./board";
import { attempt, bodyOf, keep, keptOf } from "./dashboards";
import { BoardForm, WidgetForm } from "./widgetform";
import { OWN, WidgetBox } from "./widget";

const ROW_PX = 96;
const QUIET_MS = 0;

const FIRST: Omit<Widget, "layout"> = {
  kind: "lineChart", title: "Executions", metric: "services.executions", filters: {}, range: null,
};

interface Props {
  board: Dashboard;
  view: View;
  onSaved: () => void;
  /** What is kept is no longer what was shown, and nothing has been changed here yet. */
  onOutdated: () => void;
}

export function BoardEditor({ board, view, onSaved, onOutdated }: Props): JSX.Element {
  const [body, setBody] = useState<DashboardBody>(bodyOf(board));
  const [saved, setSaved] = useState(body);
  const [chosen, setChosen] = useState<number | null>(null);
  const isChanged = JSON.stringify(body) !== JSON.stringify(saved);
  const etag = useEtag(board, () => isChanged || onOutdated());
  const widgets = body.widgets;
  const put = (next: Widget[]): void => setBody({ ...body, widgets: next });
  const layouts = widgets.map(({ layout }) => layout);
  const layOut = (next: Layout[]): void =>
    put(widgets.map((widget, at) => ({ ...widget, layout: next[at] ?? widget.layout })));
  const place = (at: number, layout: Layout): void =>
    layOut(settled(layouts.map((own, other) => (other === at ? layout : own)), at));
  const add = (): void => {
    put([...widgets, { ...FIRST, layout: inFreeHalf(layouts) }]);
    setChosen(widgets.length);
  };
  const remove = (at: number): void => {
    put(widgets.filter((_, other) => other !== at));
    setChosen(null);
  };
  const save = async (): Promise<void> => {
    const act = async (): Promise<unknown> => {
      if (body.name.trim() === "") throw new Problem(0, "It needs a name.");
      return keep(board.id, body, await etag());
    };
    if (!(await attempt("save the dashboard", act, "Dashboard saved"))) return;
    setSaved(body);
    onSaved();
    setQuery({ edit: null });
  };
  useHeaderTools(
    <>
      <button type="button" class="button" onClick={add}>
        <Icon name="plus" size={14} />
        Add widget
      </button>
      <button type="button" class="button" onClick={() => setQuery({ edit: null })}>
        Cancel
      </button>
      <button type="button" class="button primary" onClick={() => void save()}>
        Save
      </button>
    </>,
    [body],
  );
  const isKeptAt = useCallback(({ path, query }: Route): boolean => {
    return path[0] === "dashboards" && path[1] === board.id && query["edit"] === "1";
  }, [board.id]);
  const widget = chosen === null ? undefined : widgets[chosen];
  return (
    <div class="editing">
      {isChanged && <Unsaved name={board.name} isKeptAt={isKeptAt} />}
      <div class="board is-editing">
        {widgets.map((one, at) => (
          <Editable
            key={at}
            widget={one}
            view={view}
            isChosen={at === chosen}
            onChoose={() => setChosen(at)}
            onLayout={(layout) => place(at, layout)}
            onStep={(step) => layOut(step === 1 ? lowered(layouts, at) : raised(layouts, at))}
          />
        ))}
        {widgets.length === 0 && (
          <div class="panel state board-empty">
            <p>No widgets yet. “Add widget” makes one, and shows its form.</p>
          </div>
        )}
        <p id="editing-keys" class="unseen">
          Arrow keys move the widget, with Shift they resize it, Enter opens its form.
        </p>
      </div>
      <aside class={`panel board-form${widget === undefined ? "" : " of-widget"}`} aria-label="Settings">
        {widget === undefined || chosen === null ? (
          <BoardForm body={body} onChange={setBody} />
        ) : (
          <WidgetForm
            key={chosen}
            widget={widget}
            onChange={(next) => put(widgets.map((one, at) => (at === chosen ? next : one)))}
            onClose={() => setChosen(null)}
            onRemove={() => remove(chosen)}
          />
        )}
      </aside>
    </div>
  );
}

/** No version has it: a save is refused. */
const OUTDATED = '"outdated"';

/**
 * The version that is being changed: a save over somebody else's is refused.
 *
 * Asked for as the editor opens, and anew by a save where that had no answer; without one nothing
 * is saved.
 */
function useEtag(board: Dashboard, onOutdated: () => void): () => Promise<string> {
  const etag = useRef<Promise<string> | null>(null);
  const tell = useRef(onOutdated);
  tell.current = onOutdated;
  const find = useCallback((): Promise<string> => {
    const current = async (): Promise<string> => {
      const { board: kept, tag } = await keptOf(board.id);
      // It may have been shown for hours, while somebody else changed it.
      if (kept.updatedAt === board.updatedAt) return tag;
      tell.current();
      return OUTDATED;
    };
    const asked = current();
    etag.current = asked;
    asked.catch(() => {
      if (etag.current === asked) etag.current = null;
    });
    return asked;
  }, [board.id, board.updatedAt]);
  useLayoutEffect(() => void find(), [find]);
  return () => etag.current ?? find();
}

interface EditableProps {
  widget: Widget;
  view: View;
  isChosen: boolean;
  onChoose: () => void;
  onLayout: (layout: Layout) => void;
  /** One place up (-1) or down (1). */
  onStep: (step: -1 | 1) => void;
}

const MOVES: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

function Editable({ widget, view, isChosen, onChoose, onLayout, onStep }: EditableProps): JSX.Element {
  const { layout } = widget;
  const box = useRef<HTMLElement>(null);
  useLayoutEffect(() => {
    // One that was just added stands far below, and on a phone the form covers half the page.
    if (isChosen) box.current?.scrollIntoView({ block: "nearest" });
  }, [isChosen]);
  const press = (event: KeyboardEvent): void => {
    if (event.target !== event.currentTarget) return;
    if (event.key === "Enter") onChoose();
    const step = MOVES[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const [dx, dy] = step;
    if (event.shiftKey) onLayout({ ...layout, w: layout.w + dx, h: layout.h + dy });
    else if (dx !== 0) onLayout({ ...layout, x: layout.x + dx });
    else onStep(dy === 1 ? 1 : -1);
  };
  const title = widget.title || metricOf(widget.metric).label;
  return (
    <article
      ref={box}
      class={`panel editable${isChosen ? " chosen" : ""}`}
      style={placeOf(layout)}
      tabIndex={0}
      aria-label={title}
      aria-describedby="editing-keys"
      onKeyDown={press}
      onClick={onChoose}
    >
      <div class="editable-content" inert>
        <WidgetBox widget={widget} view={view} source={OWN} refreshMs={QUIET_MS} height={heightOf(layout)} />
      </div>
      <Handle kind="move" layout={layout} onLayout={onLayout} />
      <Handle kind="resize" layout={layout} onLayout={onLayout} />
    </article>
  );
}

interface HandleProps {
  kind: "move" | "resize";
  layout: Layout;
  onLayout: (layout: Layout) => void;
}

/** Pointer only: the keyboard has the widget itself. */
function Handle({ kind, layout, onLayout }: HandleProps): JSX.Element {
  const begun = useRef<{ x: number; y: number; layout: Layout; columnPx: number } | null>(null);
  const grab = (event: PointerEvent): void => {
    if (!(event.currentTarget instanceof HTMLElement)) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const grid = event.currentTarget.closest(".board");
    begun.current = {
      x: event.clientX, y: event.clientY, layout, columnPx: (grid?.clientWidth ?? 1200) / COLUMNS,
    };
  };
  const drag = (event: PointerEvent): void => {
    const from = begun.current;
    if (from === null) return;
    const dx = Math.round((event.clientX - from.x) / from.columnPx);
    const dy = Math.round((event.clientY - from.y) / ROW_PX);
    const own = from.layout;
    const next =
      kind === "move" ? { ...own, x: own.x + dx, y: own.y + dy } : { ...own, w: own.w + dx, h: own.h + dy };
    if (JSON.stringify(next) !== JSON.stringify(layout)) onLayout(next);
  };
  return (
    <span
      class={`handle ${kind}`}
      aria-hidden="true"
      title={kind === "move" ? "Drag to move" : "Drag to resize"}
      onPointerDown={grab}
      onPointerMove={drag}
      onPointerUp={() => {
        begun.current = null;
      }}
    >
      <Icon name={kind} size={14} />
    </span>
  );
}
