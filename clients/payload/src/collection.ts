// The collection analytics-dashboards: what an editor sets up, and <Dashboard> draws.

import type { Access, Block, CollectionConfig, Field, GroupField, Validate } from "payload";
import { familyOf, isFilterOf, metricsFor, type FilterName, type WidgetKind } from "./metrics.js";
import { DASHBOARDS_SLUG } from "./paths.js";
import { DEFAULT_RANGE, RANGES, isZone } from "./ranges.js";

const REFRESH_S = { default: 30, min: 1, max: 86_400 };
const ROWS = { default: 10, min: 1, max: 100 };

/** Whoever has signed in. */
const signedIn: Access = ({ req }) => Boolean(req.user);

export interface DashboardsOptions {
  /** Who may do what; by default every user may do everything, and nobody else anything. */
  access?: CollectionConfig["access"];
  /** Default of a new dashboard's zone; Tallymark's own default is UTC. */
  timezone?: string;
}

/** The collection, with other access or another zone. */
export function analyticsDashboards(options: DashboardsOptions = {}): CollectionConfig {
  return {
    slug: DASHBOARDS_SLUG,
    typescript: { interface: "AnalyticsDashboard" },
    labels: { singular: "Analytics Dashboard", plural: "Analytics Dashboards" },
    admin: {
      useAsTitle: "name",
      group: "Analytics",
      defaultColumns: ["name", "type", "isActive", "updatedAt"],
    },
    access: { read: signedIn, create: signedIn, update: signedIn, delete: signedIn, ...options.access },
    defaultSort: "createdAt",
    fields: [
      { name: "name", type: "text", required: true, maxLength: 200 },
      { name: "description", type: "textarea", maxLength: 2000 },
      {
        name: "type",
        type: "select",
        required: true,
        defaultValue: "custom",
        options: [
          { value: "service_performance", label: "Service performance" },
          { value: "revenue", label: "Revenue" },
          { value: "marketplace", label: "Marketplace" },
          { value: "experiments", label: "Experiments" },
          { value: "users", label: "Users" },
          { value: "custom", label: "Custom" },
        ],
      },
      {
        name: "widgets",
        type: "blocks",
        blocks: KINDS.map(widgetBlock),
      },
      {
        name: "refreshInterval",
        type: "number",
        required: true,
        defaultValue: REFRESH_S.default,
        min: REFRESH_S.min,
        max: REFRESH_S.max,
        admin: { position: "sidebar", description: "Seconds until widgets ask again." },
      },
      {
        name: "timezone",
        type: "text",
        required: true,
        defaultValue: options.timezone ?? "UTC",
        validate: zoneOnly,
        admin: { position: "sidebar", description: "Where days begin: the reporting zone of Tallymark, for example Europe/Berlin." },
      },
      {
        name: "isActive",
        type: "checkbox",
        defaultValue: true,
        admin: { position: "sidebar" },
      },
    ],
  };
}

const zoneOnly: Validate<string> = (value) =>
  (typeof value === "string" && isZone(value)) || "This is not the name of a time zone.";

interface Kind {
  kind: WidgetKind;
  singular: string;
  plural: string;
}

const KINDS: readonly Kind[] = [
  { kind: "counter", singular: "Counter", plural: "Counters" },
  { kind: "lineChart", singular: "Line Chart", plural: "Line Charts" },
  { kind: "barChart", singular: "Bar Chart", plural: "Bar Charts" },
  { kind: "table", singular: "Table", plural: "Tables" },
  { kind: "funnel", singular: "Funnel", plural: "Funnels" },
];

function widgetBlock({ kind, singular, plural }: Kind): Block {
  const metrics = metricsFor(kind);
  return {
    slug: kind,
    // Sites have blocks of such names themselves; types and GraphQL know these by a longer one.
    interfaceName: `Analytics${singular.replace(" ", "")}`,
    labels: { singular, plural },
    admin: { disableBlockName: true }, // a widget has a title
    fields: [
      {
        name: "title",
        type: "text",
        maxLength: 200,
        admin: { description: "Empty: the name of the metric." },
      },
      {
        type: "row",
        fields: [
          {
            name: "metric",
            type: "select",
            required: true,
            options: metrics.map(({ name, label }) => ({ value: name, label })),
            ...(metrics.length === 1 && { defaultValue: metrics[0]?.name }),
          },
          {
            name: "range",
            type: "select",
            defaultValue: kind === "counter" ? "24h" : DEFAULT_RANGE,
            options: RANGES.map(({ value, label }) => ({ value, label })),
            admin: { condition: (_, __, { blockData }) => !hasOwnPeriod(blockData?.["metric"]) },
          },
        ],
      },
      filterGroup(kind),
      {
        type: "row",
        fields: [
          ...(kind === "table" || kind === "barChart" ? [rowsField] : []),
          {
            name: "width",
            type: "select",
            defaultValue: kind === "counter" ? "third" : "half",
            options: [
              { value: "third", label: "A third of the page" },
              { value: "half", label: "Half of the page" },
              { value: "full", label: "The whole width" },
            ],
          },
        ],
      },
      {
        name: "live",
        type: "checkbox",
        defaultValue: false,
        admin: { description: "Follows the live stream: asks again as soon as something has happened." },
      },
    ],
  };
}

/** Counters say in their own name of which time they are. */
const hasOwnPeriod = (metric: unknown): boolean => typeof metric === "string" && familyOf(metric) === "counters";

const rowsField: Field = {
  name: "limit",
  type: "number",
  label: "Rows",
  defaultValue: ROWS.default,
  min: ROWS.min,
  max: ROWS.max,
};

const FILTER_LABELS: Readonly<Record<FilterName, string>> = {
  serviceId: "Service ID",
  category: "Category",
  creatorId: "Creator ID",
  currency: "Currency",
  experimentId: "Experiment ID",
};

/** Shown is what the route of the chosen metric takes. */
function filterGroup(kind: WidgetKind): GroupField {
  const taken = (Object.keys(FILTER_LABELS) as FilterName[]).filter((filter) =>
    metricsFor(kind).some(({ name }) => isFilterOf(name, filter)),
  );
  return {
    name: "filters",
    type: "group",
    admin: {
      condition: (_, __, { blockData }) => taken.some((filter) => isFilterOf(blockData?.["metric"], filter)),
    },
    fields: [
      {
        type: "row",
        fields: taken.map((filter) => ({
          name: filter,
          type: "text",
          label: FILTER_LABELS[filter],
          maxLength: 256,
          admin: { condition: (_, __, { blockData }) => isFilterOf(blockData?.["metric"], filter) },
        })),
      },
    ],
  };
}

/** The collection as it is without options. */
export const AnalyticsDashboards: CollectionConfig = analyticsDashboards();
