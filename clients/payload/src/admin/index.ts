// Tallymark in Payload, the half for the admin: its view, and the way there.

export { AnalyticsLink } from "./AnalyticsLink.js";
export { AnalyticsView } from "./AnalyticsView.js";
