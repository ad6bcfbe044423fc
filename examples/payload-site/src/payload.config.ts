import { sqliteAdapter } from "@payloadcms/db-sqlite";
import { tallymark } from "@tallymark/payload";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { buildConfig } from "payload";
import sharp from "sharp";
import { AnalyticsDashboards } from "./collections/AnalyticsDashboards";
import { Experiments } from "./collections/Experiments";
import { Services } from "./collections/Services";
import { Users } from "./collections/Users";

const here = path.dirname(fileURLToPath(import.meta.url));

export default buildConfig({
  secret: process.env.PAYLOAD_SECRET || "",
  db: sqliteAdapter({ client: { url: process.env.DATABASE_URL || "file:./site.db" } }),
  sharp,
  telemetry: false,
  // Pictures of Gravatar would tell another host of each visit.
  admin: { user: Users.slug, avatar: "default", importMap: { baseDir: here } },
  typescript: { outputFile: path.resolve(here, "payload-types.ts") },
  collections: [
    Users,
    Services,
    Experiments,
    AnalyticsDashboards,
  ],
  plugins: [
    tallymark({
      catalog: {
        services: [{ collection: "services", id: "serviceId", description: "summary" }],
        experiments: [
          {
            collection: "experiments",
            id: "experimentId",
            variants: (doc) => (doc.variants as { name: string }[]).map(({ name }, index) => ({ index, name })),
          },
        ],
      },
    }),
  ],
});
