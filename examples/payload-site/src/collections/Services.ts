import type { CollectionConfig } from "payload";

/** What the marketplace offers; the names here are those of the dashboards. */
export const Services: CollectionConfig = {
  slug: "services",
  admin: { useAsTitle: "title" },
  fields: [
    { name: "title", type: "text", required: true },
    { name: "serviceId", type: "text", required: true, unique: true, index: true },
    { name: "summary", type: "textarea" },
  ],
};
