// The view of the admin: the active dashboards that this user may read, one of them shown.

import { DefaultTemplate } from "@payloadcms/next/templates";
import { Gutter } from "@payloadcms/ui/elements/Gutter";
import { Link } from "@payloadcms/ui/elements/Link";
import { notFound, redirect } from "next/navigation.js";
import type { AdminViewServerProps, PayloadRequest } from "payload";
import { formatAdminURL } from "payload/shared";
import type { ReactElement } from "react";
import { Dashboard } from "../dashboard/Dashboard.js";
import { DASHBOARDS_SLUG, PROXY_PATH, VIEW_PATH } from "../paths.js";
import type { DashboardConfig } from "../types.js";
import "./styles.css";

const LISTED_MAX = 100;

export async function AnalyticsView({ initPageResult, params, searchParams }: AdminViewServerProps): Promise<ReactElement> {
  const { req, permissions, locale, visibleEntities } = initPageResult;
  const { routes, admin } = req.payload.config;
  const pathTo = (path: `/${string}`) => formatAdminURL({ adminRoute: routes.admin, path, relative: true });
  // Payload lets everybody see the views of plugins.
  if (!req.user) redirect(`${pathTo(admin.routes.login)}?redirect=${encodeURIComponent(pathTo(VIEW_PATH))}`);
  if (!permissions.collections?.[DASHBOARDS_SLUG]?.read) notFound();
  const dashboards = await dashboardsFor(req);
  const asked = searchParams?.["dashboard"];
  const chosen = dashboards.find(({ id }) => String(id) === asked) ?? dashboards[0];
  return (
    <DefaultTemplate
      {...{ params, permissions, searchParams, visibleEntities, req }}
      i18n={req.i18n}
      locale={locale}
      payload={req.payload}
      user={req.user}
    >
      <Gutter className="tallymark-view">
        <h1>Analytics</h1>
        <nav aria-label="Dashboards">
          {dashboards.map(({ id, name }) => (
            <Link
              key={id}
              href={`${pathTo(VIEW_PATH)}?dashboard=${id}`}
              prefetch={false}
              aria-current={id === chosen?.id ? "page" : undefined}
            >
              {name}
            </Link>
          ))}
          {chosen && (
            <Link className="tallymark-edit" href={pathTo(`/collections/${DASHBOARDS_SLUG}/${chosen.id}`)} prefetch={false}>
              Edit
            </Link>
          )}
          <Link href={pathTo(`/collections/${DASHBOARDS_SLUG}/create`)} prefetch={false}>
            New dashboard
          </Link>
        </nav>
        <Dashboard
          key={chosen?.id}
          dashboardConfig={chosen}
          apiUrl={formatAdminURL({ apiRoute: routes.api, path: PROXY_PATH, relative: true, includeBasePath: true })}
        />
      </Gutter>
    </DefaultTemplate>
  );
}

async function dashboardsFor(req: PayloadRequest): Promise<(DashboardConfig & { id: number | string })[]> {
  const { docs } = await req.payload.find({
    collection: DASHBOARDS_SLUG,
    where: { isActive: { equals: true } },
    limit: LISTED_MAX,
    depth: 0,
    overrideAccess: false,
    user: req.user,
    req,
  });
  return docs as unknown as (DashboardConfig & { id: number | string })[];
}
