export { AnalyticsDashboards } from "@tallymark/payload";
