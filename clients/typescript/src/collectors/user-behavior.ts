// Finished sessions of users.

import type { UserSession } from "../api.js";
import { build, type Fields } from "./build.js";

/** A session has ended; duration in milliseconds, cohort such as the month of sign-up. */
export function trackUserSession(fields: Fields<UserSession>): UserSession {
  return build<UserSession>("user_session", fields);
}
