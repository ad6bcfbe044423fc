// SQL in an address: a short query as it stands, a long one packed, a very long one by its name.

import { remember, remembered } from "./theme";
import { linkTo, type Query } from "./url";

const PLAIN_CHARS_MAX = 600;
const PACKED_BYTES_MAX = 6_000;
const STORED = "tallymark.sql.";

/** A link to Explore with a short query filled in. */
export function queryLink(sql: string): string {
  return linkTo(["explore"], { q: sql });
}

/** The parameters that stand for a query; all of them, so that older ones are taken out. */
export async function addressOf(sql: string): Promise<Query> {
  if (sql.length <= PLAIN_CHARS_MAX) return { q: sql, z: null, saved: null };
  const packed = await pack(sql);
  if (packed.length <= PACKED_BYTES_MAX) return { q: null, z: packed, saved: null };
  const name = `${sql.length}-${hashOf(sql)}`;
  remember(STORED + name, sql);
  return { q: null, z: null, saved: name };
}

/** The query of an address; null where it holds none, or one that cannot be read. */
export async function sqlOf(query: Readonly<Record<string, string>>): Promise<string | null> {
  const { q, z, saved } = query;
  if (q !== undefined) return q;
  if (saved !== undefined) return remembered(STORED + saved);
  if (z === undefined) return null;
  try {
    return await unpack(z);
  } catch {
    return null;
  }
}

async function pack(text: string): Promise<string> {
  const packed = await through(new TextEncoder().encode(text), new CompressionStream("deflate-raw"));
  const binary = Array.from(packed, (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function unpack(text: string): Promise<string> {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
  return new TextDecoder().decode(await through(bytes, new DecompressionStream("deflate-raw")));
}

async function through(
  bytes: Uint8Array<ArrayBuffer>,
  stream: CompressionStream | DecompressionStream,
): Promise<Uint8Array> {
  const piped = new Blob([bytes]).stream().pipeThrough(stream);
  return new Uint8Array(await new Response(piped).arrayBuffer());
}

/** A short name for a text: two texts of one length that share it are not met in practice. */
function hashOf(text: string): string {
  let hash = 2166136261;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16777619);
  return (hash >>> 0).toString(36);
}
