"""How much somebody may ask for, send, and try: per key, and per address.

The limits are settings (`engine.config`); `web.rates` counts.
"""

from collections.abc import Callable
from time import monotonic

from engine.config import Config
from web.addresses import Addresses
from web.grants import Asking, Grant
from web.rates import Rates


class Allowance:
    """What is left of the limits of one server.

    counts_events  whether events are limited
    """

    def __init__(self, config: Config, addresses: Addresses) -> None:
        self._addresses = addresses

        def rates(name: str, per_s: float) -> Rates | None:
            burst_s = config.rate_burst_s
            if not per_s:
                return None
            return Rates(name, per_s=per_s, burst_s=burst_s, clock_s=monotonic)

        self._key_events = rates("key-events", config.key_events_per_s_max)
        self._address_events = rates("address-events", config.address_events_per_s_max)
        self._key_requests = rates("key-requests", config.key_requests_per_s_max)
        self._address_requests = rates("address-requests", config.address_requests_per_s_max)
        self.counts_events = bool(self._key_events or self._address_events)
        self._failures = Rates(
            "failed-keys",
            per_s=config.failed_keys_per_minute_max / 60,
            burst_s=60,
            clock_s=monotonic,
        )

    def count_failure(self, asking: Asking) -> None:
        """Count a key that does not work. Raises RateLimited after too many."""
        address = self._address_of(asking)
        self._failures.must_have_left(address)
        self._failures.spend(address)

    def count_request(self, grant: Grant, asking: Asking) -> None:
        """Count one request that brings no events. Raises RateLimited."""
        for rates, holder in (
            (self._key_requests, grant.key and grant.key.digest),
            (self._address_requests, self._address_requests and self._address_of(asking)),
        ):
            if rates is not None and holder is not None:
                rates.must_have_left(holder)
                rates.spend(holder)

    def events(self, grant: Grant, asking: Asking) -> Callable[[int], None]:
        """What to call with the number of events that a request brings.

        Raises RateLimited where those before it were too many.
        """
        of_key, of_address = self._key_events, self._address_events
        key = grant.key and grant.key.digest
        address = self._address_of(asking) if of_address is not None else ""
        if of_key is not None and key is not None:
            of_key.must_have_left(key)
            of_key.spend(key)
        if of_address is not None:
            of_address.must_have_left(address)
            of_address.spend(address)

        def spend(events: int) -> None:
            if of_key is not None and key is not None:
                of_key.spend(key, events - 1)  # the first is paid for, whatever it was
            if of_address is not None:
                of_address.spend(address, events - 1)

        return spend

    def _address_of(self, asking: Asking) -> str:
        """Who asks, as an address; for addresses that belong together, their network."""
        return self._addresses.of(asking.peer, asking.forwarded)
