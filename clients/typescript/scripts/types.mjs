// Writes the types of the HTTP interface from its own description.
//
//     node scripts/types.mjs openapi.json > src/api.ts
//
// Every schema becomes an interface of its name, every question under /metrics the type of its
// parameters (`ServicesParameters` for /metrics/services). What a JSON Schema says beyond types
// (lengths, ranges) is the service's to check.

import { readFileSync } from "node:fs";

const { components, paths } = JSON.parse(readFileSync(process.argv[2], "utf8"));

const quoted = (name) => (/^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name));
const capital = (name) => name[0].toUpperCase() + name.slice(1);

function typeOf(schema) {
  if (schema.$ref !== undefined) return schema.$ref.split("/").at(-1);
  if (schema.enum !== undefined) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(typeOf))].join(" | ");
  if (schema.type === "array") return arrayOf(schema);
  if (schema.type === "object") return objectOf(schema);
  const simple = { integer: "number", number: "number", string: "string", boolean: "boolean", null: "null" };
  return simple[schema.type] ?? "unknown";
}

function arrayOf({ items, prefixItems }) {
  if (prefixItems !== undefined) return `[${prefixItems.map(typeOf).join(", ")}]`;
  const of = typeOf(items ?? {});
  return /[ |]/.test(of) ? `(${of})[]` : `${of}[]`;
}

function objectOf({ properties, required = [], additionalProperties }) {
  if (properties === undefined) return `Record<string, ${typeOf(additionalProperties ?? {})}>`;
  const fields = Object.entries(properties).map(
    ([name, schema]) => `${quoted(name)}${required.includes(name) ? "" : "?"}: ${typeOf(schema)}`,
  );
  return `{ ${fields.join("; ")} }`;
}

function comment(text, indent = "") {
  const words = text?.replace(/\s+/g, " ").replaceAll("*/", "* /");
  return words ? `${indent}/** ${words} */\n` : "";
}

function declared(name, schema) {
  if (schema.properties === undefined) return `export type ${name} = ${typeOf(schema)};\n`;
  const { properties, required = [] } = schema;
  const fields = Object.entries(properties).map(([field, own]) => {
    const mark = required.includes(field) ? "" : "?";
    return `${comment(own.description, "  ")}  ${quoted(field)}${mark}: ${typeOf(own)};\n`;
  });
  return `export interface ${name} {\n${fields.join("")}}\n`;
}

function parametersOf(path) {
  const { parameters = [] } = paths[path].get;
  const properties = parameters.map(({ name, schema, description }) => [name, { ...schema, description }]);
  return {
    properties: Object.fromEntries(properties),
    required: parameters.filter((one) => one.required).map((one) => one.name),
  };
}

const parts = ["// Written by scripts/types.mjs from /openapi.json; not to be changed by hand.\n"];
for (const [name, schema] of Object.entries(components.schemas)) {
  parts.push(comment(schema.description) + declared(name, schema));
}
for (const path of Object.keys(paths).filter((one) => one.startsWith("/metrics/") && !one.endsWith("prometheus"))) {
  const name = `${capital(path.split("/").at(-1))}Parameters`;
  parts.push(comment(`What GET ${path} takes.`) + declared(name, parametersOf(path)));
}
process.stdout.write(parts.join("\n"));
