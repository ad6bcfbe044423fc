// Fills an empty site: someone who can sign in, and a first dashboard.

import config from "@payload-config";
import { getPayload } from "payload";

const payload = await getPayload({ config });

const users = await payload.count({ collection: "users" });
if (users.totalDocs === 0) {
  const email = process.env.SITE_EMAIL ?? "demo@example.com";
  const password = process.env.SITE_PASSWORD ?? "tallymark";
  await payload.create({ collection: "users", data: { email, password } });
}

const dashboards = await payload.count({ collection: "analytics-dashboards" });
if (dashboards.totalDocs === 0 && !process.env.SITE_EMPTY) {
  await payload.create({
    collection: "analytics-dashboards",
    data: {
      name: "Services Performance Dashboard",
      type: "service_performance",
      refreshInterval: 30,
      timezone: "UTC",
      isActive: true,
      widgets: [
        { blockType: "counter", title: "Service Executions", metric: "services.executions", range: "24h", live: true },
        { blockType: "counter", metric: "services.errorRate", range: "24h" },
        { blockType: "counter", metric: "counters.activeUsers.5m", live: true },
        { blockType: "lineChart", title: "Latency Trend", metric: "services.latency", range: "7d" },
        { blockType: "barChart", metric: "revenue.gmv", range: "28d" },
        { blockType: "table", title: "Top Services", metric: "services.services", range: "7d" },
        { blockType: "funnel", metric: "marketplace.funnel", range: "7d" },
      ],
    },
  });
}

process.exit(0);
