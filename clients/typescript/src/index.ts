// Events to Tallymark and questions to it, from browsers, Node and edge runtimes.

export type * from "./api.js";
export { createClient } from "./client.js";
export type { Client, ClientOptions, Drop, DropReason, Stats } from "./client.js";
export type { TallymarkEvent } from "./collectors/events.js";
export { trackExperimentConversion, trackExperimentView } from "./collectors/experiments.js";
export {
  trackMarketplaceConversion,
  trackMarketplaceSearch,
  trackMarketplaceView,
} from "./collectors/marketplace-activity.js";
export { trackRevenueTransaction } from "./collectors/revenue.js";
export { trackServiceExecution } from "./collectors/service-executions.js";
export { trackUserSession } from "./collectors/user-behavior.js";
export { TallymarkError } from "./http.js";
export type { Queries, SqlAnswer, SqlOptions } from "./queries.js";
export type { Store } from "./queue.js";
export type { LiveStream, StreamMessage, StreamOptions } from "./stream.js";
