"use client";
// A dashboard in the browser: its head, and its widgets in a grid.

import { createClient, type Client } from "@tallymark/client";
import { useMemo, type ReactElement } from "react";
import { metricOf } from "../metrics.js";
import type { DashboardConfig } from "../types.js";
import { useLive, useLiveValue, type Live } from "./live.js";
import { Panel, Widget } from "./Widget.js";
import "./styles.css";

export interface BoardProps {
  dashboardConfig: DashboardConfig | null;
  apiUrl: string;
  /** `auto` follows data-theme above it, else what the reader prefers. */
  theme?: "auto" | "light" | "dark";
  /** Level of the heading with the name; widgets have the next one. */
  headingLevel?: 1 | 2 | 3;
}

const REFRESH_S_DEFAULT = 30;

export function Board({ dashboardConfig, apiUrl, theme = "auto", headingLevel = 2 }: BoardProps): ReactElement {
  const client = clientFor(apiUrl);
  const widgets = useMemo(() => dashboardConfig?.widgets ?? [], [dashboardConfig]);
  const live = useLive(client, widgets);
  const refreshMs = 1000 * (dashboardConfig?.refreshInterval ?? REFRESH_S_DEFAULT);
  const Heading = `h${headingLevel}` as const;
  if (dashboardConfig === null) {
    return (
      <section className="tallymark" data-theme={theme === "auto" ? undefined : theme} aria-label="Dashboard">
        <p className="tallymark-state">
          There is no active dashboard. Make one in the admin, under Analytics Dashboards.
        </p>
      </section>
    );
  }
  const { name, description, timezone } = dashboardConfig;
  return (
    <section className="tallymark" data-theme={theme === "auto" ? undefined : theme} aria-label={name}>
      <header className="tallymark-head">
        <div>
          <Heading className="tallymark-name">{name}</Heading>
          {description && <p className="tallymark-note">{description}</p>}
        </div>
        <LiveState live={live} refreshMs={refreshMs} />
      </header>
      {widgets.length === 0 && <p className="tallymark-state">This dashboard has no widgets yet.</p>}
      <div className="tallymark-grid">
        {widgets.map((widget, at) => (
          <AnyWidget
            key={widget.id ?? at}
            {...{ widget, client, apiUrl, live, refreshMs, headingLevel }}
            timezone={timezone ?? "UTC"}
          />
        ))}
      </div>
    </section>
  );
}

type AnyWidgetProps = Omit<Parameters<typeof Widget>[0], "metric">;

/** A document may be older or newer than this package. */
function AnyWidget(props: AnyWidgetProps): ReactElement {
  const { widget, headingLevel } = props;
  const metric = metricOf(widget.metric);
  if (metric?.kinds.includes(widget.blockType)) return <Widget {...props} metric={metric} />;
  return (
    <Panel widget={widget} title={widget.title || "Unknown widget"} headingLevel={headingLevel}>
      <p className="tallymark-state">
        A {widget.blockType} of {widget.metric} is not known here. Choose another metric in the admin.
      </p>
    </Panel>
  );
}

const STATES = {
  off: "",
  connecting: "Connecting …",
  live: "Live",
  interrupted: "Reconnecting …",
} as const;

function LiveState({ live, refreshMs }: { live: Live | null; refreshMs: number }): ReactElement {
  const status = useLiveValue(live, (now) => now.status);
  const reason = useLiveValue(live, (now) => now.reason);
  return (
    <p className="tallymark-live" data-status={live === null ? "off" : status} role="status">
      <span className="tallymark-dot" aria-hidden="true" />
      {live === null ? `Every ${refreshMs / 1000} s` : status === "refused" ? reason : STATES[status] || STATES.connecting}
    </p>
  );
}

const clients = new Map<string, Client>();

/** One for each address, for good: it watches the page it lives in. */
function clientFor(apiUrl: string): Client {
  const client = clients.get(apiUrl) ?? createClient({ url: apiUrl });
  clients.set(apiUrl, client);
  return client;
}
