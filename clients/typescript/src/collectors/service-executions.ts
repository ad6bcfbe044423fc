// Calls of services.

import type { ServiceExecution } from "../api.js";
import { build, type Fields } from "./build.js";

/** One call of a service; latencyMs in milliseconds. */
export function trackServiceExecution(fields: Fields<ServiceExecution>): ServiceExecution {
  return build<ServiceExecution>("service_execution", fields);
}
