import { expect, test } from "vitest";
import * as tallymark from "../src/index.js";

const COLLECTORS = {
  trackServiceExecution: ["service_execution", { serviceId: "s", latencyMs: 1, success: true }],
  trackRevenueTransaction: ["revenue_transaction", { orderId: "o", amount: 1, currency: "USD", serviceId: "s" }],
  trackMarketplaceSearch: ["marketplace_search", { searchQuery: "" }],
  trackMarketplaceView: ["marketplace_view", { serviceId: "s" }],
  trackMarketplaceConversion: ["marketplace_conversion", { serviceId: "s" }],
  trackExperimentView: ["experiment_view", { experimentId: "e", variantIndex: 0 }],
  trackExperimentConversion: ["experiment_conversion", { experimentId: "e", variantIndex: 1 }],
  trackUserSession: ["user_session", { sessionId: "x", duration: 1 }],
} as const;

test.each(Object.entries(COLLECTORS))("%s returns the event and does nothing else", (name, [eventType, fields]) => {
  const collect = tallymark[name as keyof typeof COLLECTORS] as (given: object) => object;
  const given = Object.freeze({ ...fields });
  expect(collect(given)).toEqual({ eventType, ...fields });
});
