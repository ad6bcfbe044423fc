// What is searched, looked at and bought.

import type { MarketplaceSearch, MarketplaceView, MarketplaceConversion } from "../api.js";
import { build, type Fields } from "./build.js";

/** A search, with how much it found. */
export function trackMarketplaceSearch(fields: Fields<MarketplaceSearch>): MarketplaceSearch {
  return build<MarketplaceSearch>("marketplace_search", fields);
}

/** The page of a service was looked at. */
export function trackMarketplaceView(fields: Fields<MarketplaceView>): MarketplaceView {
  return build<MarketplaceView>("marketplace_view", fields);
}

/** A service was bought. */
export function trackMarketplaceConversion(fields: Fields<MarketplaceConversion>): MarketplaceConversion {
  return build<MarketplaceConversion>("marketplace_conversion", fields);
}
