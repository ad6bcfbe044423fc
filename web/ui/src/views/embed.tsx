// A shared dashboard: what a token opens, to be looked at in a frame or a tab of its own.

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { useAnswer, url } from "../lib/api";
import type { Dashboard } from "../lib/types";
import { REFRESH_MS, useView } from "../lib/view";
import { Logo } from "../ui/icons";
import { Answered } from "../ui/panel";
import { Widgets } from "./board";
import { periodsOf } from "./widget";

export interface Shared {
  id: string;
  token: string;
}

/** What the address of the page shares; null where it is the page itself. */
export function sharedIn({ pathname, search }: { pathname: string; search: string }): Shared | null {
  const id = /^\/embed\/([^/]+)\/?$/.exec(pathname)?.[1];
  const token = new URLSearchParams(search).get("token");
  return id === undefined || token === null ? null : { id: decodeURIComponent(id), token };
}

export function Embed({ shared }: { shared: Shared }): JSX.Element {
  const view = useView({ range: "7d", finest: "hour" });
  const base = `/embed/${encodeURIComponent(shared.id)}`;
  // Asked again, so that a page on a wall follows what is changed and ends when the link is taken back.
  const asked = useAnswer<{ data: Dashboard }>(url(`${base}/dashboard`, { token: shared.token }), REFRESH_MS);
  const board = asked.answer?.data;
  const name = board?.name ?? "Dashboard";
  useEffect(() => {
    document.title = `${name} · Tallymark`;
  }, [name]);
  return (
    <div class="embed">
      <header class="embed-head">
        <Logo />
        <h1>{name}</h1>
        <span class="dim">
          {board !== undefined && periodsOf(board.widgets) === "page" && `${view.period.dates}, `}
          {view.zone}
        </span>
      </header>
      <main>
        <Answered asked={asked} what="this dashboard" height={400}>
          {({ data }) => <Widgets board={data} view={view} source={{ base, token: shared.token }} />}
        </Answered>
      </main>
    </div>
  );
}
