// The entry of the admin's navigation that leads to the view.

import { Link } from "@payloadcms/ui/elements/Link";
import type { ServerProps } from "payload";
import { formatAdminURL } from "payload/shared";
import type { ReactElement } from "react";
import { VIEW_PATH } from "../paths.js";

export function AnalyticsLink({ payload }: ServerProps): ReactElement {
  const { routes, serverURL } = payload.config;
  return (
    <Link className="nav__link" href={formatAdminURL({ adminRoute: routes.admin, path: VIEW_PATH, serverURL })} prefetch={false}>
      <span className="nav__link-label">Analytics</span>
    </Link>
  );
}
