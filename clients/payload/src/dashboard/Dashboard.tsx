// <Dashboard>: takes a document of analytics-dashboards, in a page of the server or of the browser.

import type { ReactElement } from "react";
import { given } from "../env.js";
import type { DashboardConfig } from "../types.js";
import { Board, type BoardProps } from "./Board.js";

export interface DashboardProps extends Omit<BoardProps, "dashboardConfig" | "apiUrl"> {
  /** The document; without one there is a sentence that says how to make it. */
  dashboardConfig: DashboardConfig | null | undefined;
  /**
   * Where the browser asks. Default: NEXT_PUBLIC_ANALYTICS_API_URL, else the route that the
   * plugin adds to the site, /api/tallymark.
   */
  apiUrl?: string;
}

const OWN_ROUTE = "/api/tallymark";

export function Dashboard({ dashboardConfig, apiUrl, ...rest }: DashboardProps): ReactElement {
  const url = apiUrl ?? (addressNow() || OWN_ROUTE);
  return <Board {...rest} dashboardConfig={dashboardConfig ? shownOf(dashboardConfig) : null} apiUrl={url} />;
}

/** What is drawn of a document: nothing else that it may hold goes to the browser. */
function shownOf({ name, description, refreshInterval, timezone, widgets }: DashboardConfig): DashboardConfig {
  return { name, description, refreshInterval, timezone, widgets };
}

/** On the server as the variable is now, in the browser as it was when the site was built. */
function addressNow(): string | undefined {
  const now = typeof window === "undefined" ? given("NEXT_PUBLIC_ANALYTICS_API_URL") : undefined;
  return now ?? process.env.NEXT_PUBLIC_ANALYTICS_API_URL;
}
