// Where things lie in a site.

/** The view, below the admin. */
export const VIEW_PATH = "/analytics";

/** The site's own way to the figures, below the API. */
export const PROXY_PATH = "/tallymark";

export const DASHBOARDS_SLUG = "analytics-dashboards";
