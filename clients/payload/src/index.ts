// Tallymark in Payload, the half that a configuration imports: no React, no styles.

export { Catalog } from "./catalog.js";
export type { CatalogOptions, CatalogTarget, ExperimentSource, ServiceSource, SyncCounts, Told, Variant } from "./catalog.js";
export { AnalyticsDashboards, analyticsDashboards } from "./collection.js";
export type { DashboardsOptions } from "./collection.js";
export { METRICS } from "./metrics.js";
export type { Family, FilterName, Metric, WidgetKind } from "./metrics.js";
export { DASHBOARDS_SLUG } from "./paths.js";
export { tallymark } from "./plugin.js";
export type { TallymarkOptions } from "./plugin.js";
export type { RangeName } from "./ranges.js";
export type { DashboardConfig, WidgetConfig } from "./types.js";
