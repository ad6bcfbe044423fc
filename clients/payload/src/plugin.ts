// The plugin: the collection, the view in the admin, the way to the figures, the catalog.

import type { Config, Endpoint, PayloadRequest, Plugin } from "payload";
import { Catalog, type CatalogOptions } from "./catalog.js";
import { analyticsDashboards, type DashboardsOptions } from "./collection.js";
import { given } from "./env.js";
import { DASHBOARDS_SLUG, VIEW_PATH } from "./paths.js";
import { proxyEndpoints } from "./proxy.js";

export interface TallymarkOptions {
  /**
   * Where Tallymark listens, as the server of the site sees it. Default: the variable TALLYMARK_URL,
   * else NEXT_PUBLIC_ANALYTICS_API_URL where that is a whole address, else http://127.0.0.1:8080.
   */
  url?: string;
  /** A read key, for figures. Default: the variable TALLYMARK_READ_KEY. */
  readKey?: string;
  /** An admin key, for the catalog. Default: the variable TALLYMARK_ADMIN_KEY. */
  adminKey?: string;
  /** Who may see figures; default: every user who has signed in. */
  access?: (args: { req: PayloadRequest }) => boolean | Promise<boolean>;
  /** Of the collection, where the configuration does not have it already. */
  dashboards?: DashboardsOptions;
  /** Collections whose names the catalog takes over. */
  catalog?: CatalogOptions;
  /** Bring the catalog up to date when the site starts; default true. */
  syncOnStart?: boolean;
  /** The collection stays, so that the database keeps its shape, and all else is left out. */
  disabled?: boolean;
}

/** Tallymark for a site of Payload. */
export function tallymark(options: TallymarkOptions = {}): Plugin {
  return (config) => {
    const withCollection = { ...config, collections: collectionsOf(config, options) };
    return options.disabled ? withCollection : extended(withCollection, options);
  };
}

function collectionsOf(config: Config, options: TallymarkOptions): NonNullable<Config["collections"]> {
  const collections = config.collections ?? [];
  const isThere = collections.some(({ slug }) => slug === DASHBOARDS_SLUG);
  return isThere ? collections : [...collections, analyticsDashboards(options.dashboards)];
}

function extended(config: Config, options: TallymarkOptions): Config {
  const url = () => serviceUrl(options);
  const access = options.access ?? (({ req }) => Boolean(req.user));
  const readKey = () => options.readKey ?? given("TALLYMARK_READ_KEY");
  const adminKey = () => options.adminKey ?? given("TALLYMARK_ADMIN_KEY");
  const endpoints: Endpoint[] = proxyEndpoints({ url, readKey, access });
  const catalog = new Catalog(options.catalog ?? {}, { url, adminKey });
  for (const slug of catalog.slugs) {
    if (!config.collections?.some((one) => one.slug === slug)) {
      throw new Error(`tallymark(): the catalog is to be taken from "${slug}", and no collection has this slug.`);
    }
  }
  const components = config.admin?.components;
  return {
    ...config,
    collections: config.collections?.map((one) => catalog.watch(one)),
    endpoints: [...(config.endpoints ?? []), ...endpoints],
    admin: {
      ...config.admin,
      components: {
        ...components,
        afterNavLinks: [...(components?.afterNavLinks ?? []), "@tallymark/payload/admin#AnalyticsLink"],
        views: {
          ...components?.views,
          tallymark: {
            Component: "@tallymark/payload/admin#AnalyticsView",
            path: VIEW_PATH,
            exact: true,
            meta: { title: "Analytics" },
          },
        },
      },
    },
    onInit: async (payload) => {
      await config.onInit?.(payload);
      if (catalog.slugs.length === 0 || options.syncOnStart === false || isBuilding()) return;
      // Nobody waits for it: a site starts also while the service is away.
      catalog.sync(payload).then(
        ({ written, failed }) => payload.logger.info(`Tallymark's catalog: ${written} written, ${failed} refused`),
        (err: unknown) => payload.logger.error({ err, msg: "Tallymark's catalog could not be brought up to date" }),
      );
    },
  };
}

function serviceUrl({ url }: TallymarkOptions): string {
  const fallback = given("NEXT_PUBLIC_ANALYTICS_API_URL");
  const absolute = fallback !== undefined && /^https?:/.test(fallback) ? fallback : undefined;
  return url ?? given("TALLYMARK_URL") ?? absolute ?? "http://127.0.0.1:8080";
}

const isBuilding = (): boolean => given("NEXT_PHASE") === "phase-production-build";
