// Which views there are: their place in the navigation, their titles, and what their header offers.

import type { ComponentType } from "preact";
import type { View, ViewDefaults } from "../lib/view";
import type { IconName } from "../ui/icons";
import { Board } from "./board";
import { Dashboards } from "./dashboards";
import { Experiments } from "./experiments";
import { Explore } from "./explore";
import { Load } from "./load";
import { Marketplace } from "./marketplace";
import { OneService } from "./oneservice";
import { Overview } from "./overview";
import { Revenue } from "./revenue";
import { Services } from "./services";
import { Status } from "./status";
import { Users } from "./users";

export interface ViewDef {
  /** First part of the address; "" is the overview. */
  name: string;
  title: string;
  icon: IconName;
  group: "" | "Measure" | "Build" | "foot";
  key: string;
  defaults: ViewDefaults;
  hasRange: boolean;
  hasCompare: boolean;
  hasGranularity: boolean;
  component: ComponentType<{ view: View }>;
  /** Shown for an address of two parts. */
  detail?: ComponentType<{ view: View }>;
}

const week: ViewDefaults = { range: "7d", finest: "hour" };
const month: ViewDefaults = { range: "28d", finest: "hour" };

export const VIEWS: readonly ViewDef[] = [
  {
    name: "", title: "Overview", icon: "overview", group: "", key: "o", defaults: week,
    hasRange: true, hasCompare: true, hasGranularity: true, component: Overview,
  },
  {
    name: "services", title: "Services", icon: "services", group: "Measure", key: "s", defaults: week,
    hasRange: true, hasCompare: true, hasGranularity: false, component: Services, detail: OneService,
  },
  {
    name: "revenue", title: "Revenue", icon: "revenue", group: "Measure", key: "r", defaults: month,
    hasRange: true, hasCompare: true, hasGranularity: true, component: Revenue,
  },
  {
    name: "marketplace", title: "Marketplace", icon: "marketplace", group: "Measure", key: "m",
    defaults: week, hasRange: true, hasCompare: true, hasGranularity: true, component: Marketplace,
  },
  {
    name: "experiments", title: "Experiments", icon: "experiments", group: "Measure", key: "e",
    defaults: { range: "start", finest: "day" }, hasRange: false, hasCompare: false,
    hasGranularity: false, component: Experiments,
  },
  {
    name: "users", title: "Users", icon: "users", group: "Measure", key: "u",
    defaults: { range: "28d", finest: "day" }, hasRange: true, hasCompare: true,
    hasGranularity: false, component: Users,
  },
  {
    name: "dashboards", title: "Dashboards", icon: "dashboards", group: "Build", key: "d",
    defaults: week, hasRange: false, hasCompare: false, hasGranularity: false, component: Dashboards, detail: Board,
  },
  {
    name: "explore", title: "Explore", icon: "explore", group: "Build", key: "x", defaults: week,
    hasRange: false, hasCompare: false, hasGranularity: false, component: Explore,
  },
  {
    name: "load", title: "Load", icon: "load", group: "Build", key: "l", defaults: week,
    hasRange: false, hasCompare: false, hasGranularity: false, component: Load,
  },
  {
    name: "status", title: "Status", icon: "status", group: "foot", key: "t", defaults: week,
    hasRange: false, hasCompare: false, hasGranularity: false, component: Status,
  },
];
