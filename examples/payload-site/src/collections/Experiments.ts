import type { CollectionConfig } from "payload";

export const Experiments: CollectionConfig = {
  slug: "experiments",
  admin: { useAsTitle: "title" },
  fields: [
    { name: "title", type: "text", required: true },
    { name: "experimentId", type: "text", required: true, unique: true, index: true },
    {
      name: "variants",
      type: "array",
      fields: [{ name: "name", type: "text", required: true }],
    },
  ],
};
