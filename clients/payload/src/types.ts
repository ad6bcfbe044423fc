// A dashboard as Payload keeps it, and as the component takes it.

import type { FilterName, WidgetKind } from "./metrics.js";
import type { RangeName } from "./ranges.js";

/** One widget: a block of the field `widgets`. Payload writes null where nothing was entered. */
export interface WidgetConfig {
  blockType: WidgetKind;
  id?: string | null;
  blockName?: string | null;
  title?: string | null;
  metric: string;
  range?: RangeName | null;
  filters?: { [name in FilterName]?: string | null } | null;
  /** Follow the live stream: ask again as soon as something has happened. */
  live?: boolean | null;
  width?: "third" | "half" | "full" | null;
  /** Rows of tables and of ranked bars. */
  limit?: number | null;
}

/** What `<Dashboard>` needs of a document of analytics-dashboards. */
export interface DashboardConfig {
  name: string;
  description?: string | null;
  /** Seconds between two questions of a widget. */
  refreshInterval?: number | null;
  /** The zone in which days begin; what Tallymark calls its reporting zone. */
  timezone?: string | null;
  widgets?: WidgetConfig[] | null;
}
