// Names from collections of Payload in Tallymark's catalog: a change there is a change here.

import type {
  CollectionAfterChangeHook,
  CollectionAfterDeleteHook,
  CollectionConfig,
  PaginatedDocs,
  Payload,
  PayloadRequest,
} from "payload";

type Doc = Record<string, unknown>;

/** The name of a field, or what makes it of a document. Undefined leaves the document out. */
export type Told<T> = string | ((doc: Doc) => T | undefined);

export interface ServiceSource {
  /** Slug of the collection that holds the services. */
  collection: string;
  /** What events call serviceId; default the field `id`. */
  id?: Told<string | number>;
  /** Default: what the admin uses as title, else the field `name`. */
  name?: Told<string>;
  description?: Told<string>;
}

export interface Variant {
  index: number;
  name: string;
}

export interface ExperimentSource extends ServiceSource {
  variants?: Told<Variant[]>;
}

export interface CatalogOptions {
  services?: ServiceSource[];
  experiments?: ExperimentSource[];
}

export interface CatalogTarget {
  url: () => string;
  /** A key that may change the catalog; none for a service without keys. */
  adminKey: () => string | undefined;
}

export interface SyncCounts {
  written: number;
  unchanged: number;
  failed: number;
}

interface Source extends ExperimentSource {
  kind: "services" | "experiments";
}

interface Entry {
  name: string;
  description: string;
  variants?: Variant[];
}

/** What the catalog takes. */
const NAME_CHARS_MAX = 200;
const DESCRIPTION_CHARS_MAX = 2000;
/** Whoever saves a document waits for it, but not for a service that does not answer. */
const ANSWER_WITHIN_MS = 5_000;

const PAGE_DOCS = 200;

export class Catalog {
  readonly #sources: readonly Source[];
  readonly #target: CatalogTarget;
  /** The last change of each entry: the next of the same one waits for it. */
  readonly #changing = new Map<string, Promise<unknown>>();

  constructor(options: CatalogOptions, target: CatalogTarget) {
    this.#sources = [
      ...(options.services ?? []).map((one) => ({ ...one, kind: "services" as const })),
      ...(options.experiments ?? []).map((one) => ({ ...one, kind: "experiments" as const })),
    ];
    this.#target = target;
  }

  get slugs(): readonly string[] {
    return [...new Set(this.#sources.map(({ collection }) => collection))];
  }

  /** The collection with hooks that tell the catalog, if it is one of the sources. */
  watch(collection: CollectionConfig): CollectionConfig {
    const sources = this.#sources.filter((one) => one.collection === collection.slug);
    if (sources.length === 0) return collection;
    const changed: CollectionAfterChangeHook = async ({ doc, previousDoc, req }) => {
      await Promise.all(sources.map((source) => this.#changed(source, doc as Doc, previousDoc as Doc | undefined, req)));
    };
    const deleted: CollectionAfterDeleteHook = async ({ doc, req }) => {
      await Promise.all(sources.map((source) => this.#forget(source, idOf(source, doc as Doc), req.payload)));
    };
    return {
      ...collection,
      hooks: {
        ...collection.hooks,
        afterChange: [...(collection.hooks?.afterChange ?? []), changed],
        afterDelete: [...(collection.hooks?.afterDelete ?? []), deleted],
      },
    };
  }

  /** Bring the whole catalog up to date: what was there before, or changed while the service was down. */
  async sync(payload: Payload): Promise<SyncCounts> {
    const counts = { written: 0, unchanged: 0, failed: 0 };
    for (const source of this.#sources) {
      const known = await this.#known(source.kind);
      for await (const doc of docsOf(payload, source.collection)) {
        const [id, entry] = [idOf(source, doc), entryOf(source, doc, payload)];
        if (id === undefined || entry === undefined) continue;
        if (known.get(id) === JSON.stringify(entry)) counts.unchanged++;
        else if (await this.#tell(source, id, entry, payload)) counts.written++;
        else counts.failed++;
      }
    }
    return counts;
  }

  async #changed(source: Source, doc: Doc, before: Doc | undefined, req: PayloadRequest): Promise<void> {
    const { localization } = req.payload.config;
    if (doc["_status"] === "draft") return;
    if (localization && req.locale && req.locale !== localization.defaultLocale) return;
    const [id, was] = [idOf(source, doc), before && idOf(source, before)];
    if (was !== id) await this.#forget(source, was, req.payload);
    const entry = entryOf(source, doc, req.payload);
    if (id !== undefined && entry !== undefined) await this.#tell(source, id, entry, req.payload);
  }

  async #forget(source: Source, id: string | undefined, payload: Payload): Promise<void> {
    if (id !== undefined) await this.#tell(source, id, null, payload);
  }

  /** Write an entry, or delete it; whether it arrived. A document is saved in either case. */
  #tell({ kind }: Source, id: string, entry: Entry | null, payload: Payload): Promise<boolean> {
    const key = `${kind}/${encodeURIComponent(id)}`;
    const before = this.#changing.get(key) ?? Promise.resolve();
    const told = before.then(async () => {
      try {
        const response = await this.#ask(key, entry === null ? "DELETE" : "PUT", entry);
        if (response.ok || (entry === null && response.status === 404)) return true;
        payload.logger.error(`Tallymark's catalog did not take ${key}: ${response.status} ${await response.text()}`);
      } catch (err) {
        payload.logger.error({ err, msg: `Tallymark's catalog could not be told of ${key}` });
      }
      return false;
    });
    this.#changing.set(key, told);
    void told.then(() => {
      if (this.#changing.get(key) === told) this.#changing.delete(key);
    });
    return told;
  }

  async #known(kind: Source["kind"]): Promise<Map<string, string>> {
    const response = await this.#ask(kind, "GET", null);
    if (!response.ok) throw new Error(`Tallymark's catalog answered ${response.status}: ${await response.text()}`);
    const { data } = (await response.json()) as { data: (Entry & { id: string })[] };
    return new Map(
      data.map(({ id, name, description, variants }) => {
        const entry = kind === "services" ? { name, description } : { name, description, variants: variants ?? [] };
        return [id, JSON.stringify(entry)];
      }),
    );
  }

  #ask(path: string, method: string, body: Entry | null): Promise<Response> {
    const key = this.#target.adminKey();
    return fetch(`${this.#target.url().replace(/\/+$/, "")}/catalog/${path}`, {
      method,
      redirect: "manual",
      cache: "no-store",
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      headers: { ...(body && { "Content-Type": "application/json" }), ...(key && { Authorization: `Bearer ${key}` }) },
      ...(body && { body: JSON.stringify(body) }),
    });
  }
}

async function* docsOf(payload: Payload, collection: string): AsyncGenerator<Doc> {
  const { localization } = payload.config;
  for (let page: number | null | undefined = 1; page; ) {
    const found: PaginatedDocs = await payload.find({
      collection,
      depth: 0,
      limit: PAGE_DOCS,
      page,
      sort: "id",
      ...(localization && { locale: localization.defaultLocale }),
    });
    for (const doc of found.docs as unknown as Doc[]) {
      if (doc["_status"] !== "draft") yield doc;
    }
    page = found.nextPage;
  }
}

function told<T>(from: Told<T> | undefined, doc: Doc): T | undefined {
  if (from === undefined) return undefined;
  const value = typeof from === "function" ? from(doc) : (doc[from] as T | null | undefined);
  return value ?? undefined;
}

function idOf(source: Source, doc: Doc): string | undefined {
  const id = told(source.id ?? "id", doc);
  return id === undefined || id === "" ? undefined : String(id);
}

function entryOf(source: Source, doc: Doc, payload: Payload): Entry | undefined {
  const title = payload.config.collections.find(({ slug }) => slug === source.collection)?.admin.useAsTitle;
  // Where nobody says what a title is, Payload takes the id.
  const name = told(source.name ?? (title === undefined || title === "id" ? "name" : title), doc);
  if (name === undefined || String(name) === "") return undefined;
  const entry: Entry = {
    name: cut(String(name), NAME_CHARS_MAX),
    description: cut(told(source.description, doc) ?? "", DESCRIPTION_CHARS_MAX),
  };
  if (source.kind === "experiments") {
    const variants = told(source.variants, doc) ?? [];
    entry.variants = variants.map(({ index, name }) => ({ index, name: cut(name, NAME_CHARS_MAX) }));
  }
  return entry;
}

/** By characters as the service counts them: half of a pair of surrogates is none. */
const cut = (text: string, charsMax: number): string => [...text].slice(0, charsMax).join("");
