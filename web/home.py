"""What `/` answers to whoever looks there first: the way to everything else."""

from typing import Final

from msgspec import Struct


class Home(Struct, frozen=True, kw_only=True):
    """The service by name, and where its routes and their description are."""

    service: str
    version: str
    links: dict[str, str]


LINKS: Final = {
    "track an event": "POST /track",
    "services": "/metrics/services",
    "revenue": "/metrics/revenue",
    "marketplace": "/metrics/marketplace",
    "experiments": "/metrics/experiments",
    "users": "/metrics/users",
    "live counters": "/counters",
    "live stream": "/stream",
    "health": "/health",
    "metrics for Prometheus": "/metrics/prometheus",
    "dashboards": "/dashboards",
    "names": "/catalog/services",
    "all routes": "/openapi.json",
    "all routes, to be read": "/docs",
}


def home(version: str) -> Home:
    """What `/` answers."""
    return Home(service="Tallymark", version=version, links=LINKS)
