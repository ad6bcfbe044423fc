"""The eight kinds of events: what each takes, and how it looks on the wire."""

from typing import Any, Literal, Protocol, Required, TypedDict, Unpack

Event = dict[str, Any]
"""An event as it is sent: the names of the HTTP interface, in camelCase."""


class Common(TypedDict, total=False):
    """What every event may carry; timestamp in epoch ms or ISO 8601, absent: now."""

    event_id: str | None
    timestamp: int | str | None
    user_id: str | None
    session_id: str | None
    category: str | None


class ServiceExecution(Common, total=False):
    """One call of a service, well or not."""

    service_id: Required[str]
    latency_ms: Required[float]
    success: Required[bool]
    execution_id: str | None
    error_code: str | None
    service_name: str | None


class RevenueTransaction(Common, total=False):
    """A payment; take_rate in percent, a refund carries the positive amount."""

    order_id: Required[str]
    amount: Required[float]
    currency: Required[str]
    service_id: Required[str]
    take_rate: float | None
    creator_id: str | None
    status: Literal["completed", "refunded", "failed"] | None
    billing_interval: Literal["day", "week", "month", "year"] | None
    billing_interval_count: int | None
    subscription_id: str | None


class MarketplaceSearch(Common, total=False):
    """A search, with how much it found."""

    search_query: Required[str]
    result_count: int | None


class MarketplaceView(Common, total=False):
    """The page of a service was looked at."""

    service_id: Required[str]
    service_name: str | None


class MarketplaceConversion(Common, total=False):
    """A service was bought."""

    service_id: Required[str]
    order_id: str | None
    amount: float | None
    currency: str | None


class ExperimentView(Common, total=False):
    """Somebody saw a variant of an experiment."""

    experiment_id: Required[str]
    variant_index: Required[int]
    experiment_name: str | None
    variant_name: str | None


class ExperimentConversion(ExperimentView, total=False):
    """Somebody reached the goal of an experiment."""

    value: float | None


class UserSession(Common, total=False):
    """A finished session; duration in ms. `session_id` is required here."""

    duration: Required[float]
    cohort: str | None


def event_of(kind: str, **fields: object) -> Event:
    """An event for the wire: camelCase, without what is None."""
    named = {camel(name): value for name, value in fields.items() if value is not None}
    return {"eventType": kind, **named}


def camel(name: str) -> str:
    """`latencyMs` for `latency_ms`."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


class Sink(Protocol):
    """Where events go."""

    def track(self, event: Event) -> None: ...


class Collectors:
    """The eight collectors of a client, by the names that the TypeScript package has too."""

    def track(self, event: Event) -> None:
        """Take an event as it looks on the wire. Never raises."""
        raise NotImplementedError

    def track_service_execution(self, **fields: Unpack[ServiceExecution]) -> None:
        """One call of a service."""
        self.track(event_of("service_execution", **fields))

    def track_revenue_transaction(self, **fields: Unpack[RevenueTransaction]) -> None:
        """A payment, a refund, or a payment that failed."""
        self.track(event_of("revenue_transaction", **fields))

    def track_marketplace_search(self, **fields: Unpack[MarketplaceSearch]) -> None:
        """A search."""
        self.track(event_of("marketplace_search", **fields))

    def track_marketplace_view(self, **fields: Unpack[MarketplaceView]) -> None:
        """The page of a service was looked at."""
        self.track(event_of("marketplace_view", **fields))

    def track_marketplace_conversion(self, **fields: Unpack[MarketplaceConversion]) -> None:
        """A service was bought."""
        self.track(event_of("marketplace_conversion", **fields))

    def track_experiment_view(self, **fields: Unpack[ExperimentView]) -> None:
        """A variant was shown."""
        self.track(event_of("experiment_view", **fields))

    def track_experiment_conversion(self, **fields: Unpack[ExperimentConversion]) -> None:
        """The goal of an experiment was reached."""
        self.track(event_of("experiment_conversion", **fields))

    def track_user_session(self, **fields: Unpack[UserSession]) -> None:
        """A session has ended."""
        self.track(event_of("user_session", **fields))
