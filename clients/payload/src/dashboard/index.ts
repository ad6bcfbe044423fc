// Tallymark in Payload, the half for pages: the component and what it takes.

export { Dashboard } from "./Dashboard.js";
export type { DashboardProps } from "./Dashboard.js";
export type { DashboardConfig, WidgetConfig } from "../types.js";
