// Any of the eight kinds of events.

import type {
  ExperimentConversion,
  ExperimentView,
  MarketplaceConversion,
  MarketplaceSearch,
  MarketplaceView,
  RevenueTransaction,
  ServiceExecution,
  UserSession,
} from "../api.js";

export type TallymarkEvent =
  | ServiceExecution
  | RevenueTransaction
  | MarketplaceSearch
  | MarketplaceView
  | MarketplaceConversion
  | ExperimentView
  | ExperimentConversion
  | UserSession;
