"""The dashboards that a new data folder begins with: one for each family."""

from typing import Any, Final

from msgspec import convert, json

from persistence.control import Sketch
from web.dashboards import Given


def _widget(
    kind: str, title: str, metric: str, at: tuple[int, int, int, int], range_: str | None = None
) -> dict[str, Any]:
    x, y, w, h = at
    layout = {"x": x, "y": y, "w": w, "h": h}
    return {
        "kind": kind,
        "title": title,
        "metric": metric,
        "range": range_,
        "layout": layout,
    }


_FIRST: Final[dict[str, tuple[str, str, str, list[dict[str, Any]]]]] = {
    "services": (
        "Service performance",
        "service_performance",
        "How much the services do, how fast, and how often they fail.",
        [
            _widget("counter", "Executions", "services.executions", (0, 0, 3, 2), "24h"),
            _widget("counter", "Error rate", "services.errorRate", (3, 0, 3, 2), "24h"),
            _widget("counter", "p95 latency", "services.p95", (6, 0, 3, 2), "24h"),
            _widget("counter", "p99 latency", "services.p99", (9, 0, 3, 2), "24h"),
            _widget("lineChart", "Latency", "services.latency", (0, 2, 6, 4)),
            _widget("barChart", "Executions", "services.executions", (6, 2, 6, 4)),
            _widget("table", "Top services", "services.services", (0, 6, 12, 5)),
        ],
    ),
    "revenue": (
        "Revenue",
        "revenue",
        "What is sold, what recurs, and what is left for creators.",
        [
            _widget("counter", "GMV", "revenue.gmv", (0, 0, 3, 2), "28d"),
            _widget("counter", "MRR", "revenue.mrr", (3, 0, 3, 2), "28d"),
            _widget("counter", "Take rate", "revenue.takeRate", (6, 0, 3, 2), "28d"),
            _widget("counter", "Orders", "revenue.transactionCount", (9, 0, 3, 2), "28d"),
            _widget("lineChart", "GMV", "revenue.gmv", (0, 2, 8, 4), "28d"),
            _widget("table", "Top services", "revenue.topServices", (8, 2, 4, 4), "28d"),
        ],
    ),
    "marketplace": (
        "Marketplace",
        "marketplace",
        "What people look for, what they open, and what they buy.",
        [
            _widget("funnel", "From search to sale", "marketplace.funnel", (0, 0, 5, 4)),
            _widget("lineChart", "Conversions", "marketplace.conversions", (5, 0, 7, 4)),
            _widget("table", "Top services", "marketplace.topServices", (0, 4, 4, 5)),
            _widget("table", "Categories", "marketplace.topCategories", (4, 4, 4, 5)),
            _widget("table", "Search terms", "marketplace.topSearches", (8, 4, 4, 5)),
        ],
    ),
    "experiments": (
        "Experiments",
        "experiments",
        "Which variant wins, and whether that can be trusted.",
        [
            _widget("table", "Variants", "experiments.variants", (0, 0, 12, 6), "28d"),
            _widget("barChart", "Rates", "experiments.unitRate", (0, 6, 12, 4), "28d"),
        ],
    ),
    "users": (
        "Users",
        "users",
        "How many come, whether they come back, and how long they stay.",
        [
            _widget("counter", "Daily users", "users.dau", (0, 0, 3, 2), "28d"),
            _widget("counter", "Monthly users", "users.mau", (3, 0, 3, 2), "28d"),
            _widget("counter", "Churn", "users.churnRate", (6, 0, 3, 2), "28d"),
            _widget("counter", "Session", "users.avgSessionDuration", (9, 0, 3, 2), "28d"),
            _widget("lineChart", "Daily users", "users.dau", (0, 2, 6, 4), "28d"),
            _widget("lineChart", "Retention", "users.curve", (6, 2, 6, 4), "28d"),
        ],
    ),
}
"""{id: (name, type, description, widgets)}: one for each family."""


def first_dashboards() -> list[Sketch]:
    """What a new data folder begins with."""
    return [
        Sketch(key, name, json.encode(_first(name, kind, description, widgets)))
        for key, (name, kind, description, widgets) in _FIRST.items()
    ]


def _first(name: str, kind: str, description: str, widgets: list[dict[str, Any]]) -> Given:
    told = {"name": name, "type": kind, "description": description, "widgets": widgets}
    return convert(told, Given)
