// Payments, refunds, and payments that failed.

import type { RevenueTransaction } from "../api.js";
import { build, type Fields } from "./build.js";

/** A payment; takeRate in percent, a refund carries the positive amount. */
export function trackRevenueTransaction(fields: Fields<RevenueTransaction>): RevenueTransaction {
  return build<RevenueTransaction>("revenue_transaction", fields);
}
