"""What is read from events while they are hot: columns, so that the events themselves can go.

Just decoded, an event and its texts lie in the nearest caches; a millisecond later they do not,
and then looking up a name costs twice as much, and freeing an event seven times as much. So
whatever is counted of most events is read at once; only events that are needed by name later
(those with a name that has no number yet, and the rarer types) are kept until they are dealt.
"""

from array import array
from collections.abc import Sequence
from itertools import accumulate, compress
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from engine.admission import UNNUMBERED, Admission
from engine.columns import Keys
from engine.events import (
    ABSENT,
    Body,
    Event,
    ExperimentConversion,
    ExperimentView,
    MarketplaceConversion,
    MarketplaceSearch,
    MarketplaceView,
    RevenueTransaction,
    ServiceExecution,
    UserSession,
)
from engine.hashing import DIGEST_BYTES, digests

T = TypeVar("T")

KINDS: Final[tuple[type[Event], ...]] = (
    ServiceExecution,
    MarketplaceView,
    MarketplaceConversion,
    MarketplaceSearch,
    RevenueTransaction,
    ExperimentView,
    ExperimentConversion,
    UserSession,
)

KEYED: Final = 4
"""The first so many of them go to the shard of their number, as columns of three integers."""

CALLS, VIEWS, CONVERSIONS, SEARCHES, SALES, EXPOSURES, GOALS, SESSIONS = range(len(KINDS))

_code_of: Final = {kind: code for code, kind in enumerate(KINDS)}.__getitem__
_CODES: Final = range(len(KINDS))
_IS: Final = [bytes(code == other for other in range(256)) for code in _CODES]
"""For `translate`: kinds become 1 where they are this one, else 0."""


class Facts:
    """What some events say, in their order, by type.

    kinds           of each event, its place in KINDS
    times_ms        of each event, its instant by our clock, or ABSENT until `receive`
    ids, users      of each event, 64-bit hashes in big-endian bytes, zeros where there is none
    keys            what the numbers refer to
    numbers         of each keyed type: the pair of each event, UNNUMBERED where it has none
    unnumbered      of each keyed type: the events without a number
    latencies_ms    of the calls
    failures        (place among the calls, error code or '') of those that failed
    without_result  of the searches, 1 where nothing was found
    others          the events of each other type, KINDS[KEYED:]
    labelled        (place among all events, event) of those that carry a name of something
    """

    __slots__ = (
        "failures",
        "ids",
        "keys",
        "kinds",
        "labelled",
        "latencies_ms",
        "numbers",
        "others",
        "times_ms",
        "unnumbered",
        "users",
        "without_result",
    )

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.kinds = bytearray()
        self.times_ms = array("q")
        self.ids = bytearray()
        self.users = bytearray()
        self.numbers = [array("q") for _ in range(KEYED)]
        self.unnumbered: list[list[Any]] = [[] for _ in range(KEYED)]
        self.latencies_ms = array("d")
        self.failures: list[tuple[int, str]] = []
        self.without_result = array("b")
        self.others: list[list[Any]] = [[] for _ in KINDS[KEYED:]]
        self.labelled: list[tuple[int, Event]] = []

    def __len__(self) -> int:
        return len(self.kinds)

    def extend(self, later: "Facts") -> None:
        """Add the facts of later events, whose numbers are of the same keys."""
        assert later.keys is self.keys
        base, base_calls = len(self.kinds), len(self.latencies_ms)
        self.kinds += later.kinds
        self.times_ms += later.times_ms
        self.ids += later.ids
        self.users += later.users
        self.latencies_ms += later.latencies_ms
        self.without_result += later.without_result
        for numbers, more_numbers in zip(self.numbers, later.numbers, strict=True):
            numbers += more_numbers
        for mine, more in zip(self.unnumbered, later.unnumbered, strict=True):
            mine += more
        for mine, more in zip(self.others, later.others, strict=True):
            mine += more
        if later.failures:
            self.failures += [(base_calls + place, code) for place, code in later.failures]
        if later.labelled:
            self.labelled += [(base + place, event) for place, event in later.labelled]

    def receive(self, received_ms: int) -> None:
        """Give the time of receipt to the events that carry no instant."""
        times_ms = np.frombuffer(self.times_ms, np.int64)
        absent = times_ms == ABSENT
        if np.count_nonzero(absent):  # a fifth of what any() takes
            times_ms[absent] = received_ms

    def renumber(self, keys: Keys) -> None:
        """Translate the numbers to those of other keys."""
        pairs, self.keys = self.keys.pairs, keys
        for code, numbers in enumerate(self.numbers):
            again = [UNNUMBERED if n == UNNUMBERED else keys.number(pairs[n]) for n in numbers]
            self.numbers[code] = array("q", again)

    def named(self) -> list[Event]:
        """The events that may bring a new name, in their order."""
        found = []
        rests = [iter(some) for some in (*self.unnumbered, *self.others)]
        places = [iter(numbers) for numbers in self.numbers]
        for code in self.kinds:
            if code >= KEYED or next(places[code]) == UNNUMBERED:
                found.append(next(rests[code]))
        return found

    def drop(self, places: Sequence[int]) -> None:
        """Forget the events at these places, at least one of them."""
        keep = bytearray(b"\1") * len(self)
        for place in places:
            keep[place] = 0
        kept_of = [bytes(compress(keep, self.kinds.translate(_IS[code]))) for code in _CODES]
        for code in range(KEYED):
            is_unnumbered = [number < 0 for number in self.numbers[code]]
            kept_unnumbered = compress(kept_of[code], is_unnumbered)
            self.unnumbered[code] = list(compress(self.unnumbered[code], kept_unnumbered))
            self.numbers[code] = array("q", compress(self.numbers[code], kept_of[code]))
        for code, others in enumerate(self.others, KEYED):
            others[:] = compress(others, kept_of[code])
        self.latencies_ms = array("d", compress(self.latencies_ms, kept_of[CALLS]))
        self.without_result = array("b", compress(self.without_result, kept_of[SEARCHES]))
        self.failures = _kept(self.failures, kept_of[CALLS])
        self.labelled = _kept(self.labelled, keep)
        self.users = bytearray().join(compress(_digests(self.users), keep))
        self.ids = bytearray().join(compress(_digests(self.ids), keep))
        self.times_ms = array("q", compress(self.times_ms, keep))
        self.kinds = bytearray(compress(self.kinds, keep))


class Kept(NamedTuple):
    """Batches that were read together: their bodies, for the journal, and what they say."""

    bodies: tuple[Body, ...]
    facts: Facts

    @property
    def bytes(self) -> int:
        """Of the bodies."""
        return sum(len(body.data) for body in self.bodies)


def _kept(placed: Sequence[tuple[int, T]], keep: bytes | bytearray) -> list[tuple[int, T]]:
    """Those whose place is kept, each with its place among those that are."""
    if not placed:
        return []
    places = list(accumulate(keep))
    return [(places[place] - 1, what) for place, what in placed if keep[place]]


def _digests(joined: bytearray) -> list[bytes]:
    return [bytes(joined[at : at + DIGEST_BYTES]) for at in range(0, len(joined), DIGEST_BYTES)]


def read(
    events: Sequence[Event],
    times_ms: Sequence[int],
    admission: Admission,
    *,
    received_ms: int | None,
) -> Facts:
    """The facts of some events; it changes nothing, and keeps no event that it need not.

    times_ms     of each event, its instant by our clock, or ABSENT
    received_ms  when they were received; None where that is not known yet
    """
    if received_ms is not None and ABSENT in times_ms:
        times_ms = [received_ms if at_ms == ABSENT else at_ms for at_ms in times_ms]
    facts = Facts(admission.keys)
    facts.times_ms = array("q", times_ms)
    facts.kinds += bytes(map(_code_of, map(type, events)))
    facts.ids += digests([event.event_id for event in events])
    facts.users += digests([event.user_id for event in events])
    by_kind: list[list[Any]] = [[], [], [], [], [], [], [], []]
    puts = [some.append for some in by_kind]
    for code, event in zip(facts.kinds, events, strict=True):
        puts[code](event)
    calls, views, conversions, searches, *facts.others = by_kind
    facts.latencies_ms.extend([call.latency_ms for call in calls])
    facts.failures += [
        (place, call.error_code or "") for place, call in enumerate(calls) if not call.success
    ]
    if searches:
        facts.without_result.extend([search.result_count == 0 for search in searches])
        searched_ms = list(compress(times_ms, facts.kinds.translate(_IS[SEARCHES])))
        _number(facts, SEARCHES, searches, admission.numbered_searches(searches, searched_ms))
    for code, some in enumerate((calls, views, conversions)):
        if some:
            _number(facts, code, some, admission.numbered(some))
    if _are_labelled(by_kind):
        facts.labelled += [(n, event) for n, event in enumerate(events) if _has_label(event)]
    return facts


def _number(
    facts: Facts, code: int, events: Sequence[Any], numbers: Sequence[int | None]
) -> None:
    try:
        facts.numbers[code].extend(numbers)  # type: ignore[arg-type]  # as the next line says
    except TypeError:  # at the first None, and to look for one before takes as long
        known = [UNNUMBERED if number is None else number for number in numbers]
        facts.numbers[code] = array("q", known)
        facts.unnumbered[code] += compress(events, [number is None for number in numbers])


def _are_labelled(by_kind: Sequence[Sequence[Any]]) -> bool:
    # Type by type: among objects of one type Python finds an attribute in half the time.
    return (
        _any([call.service_name for call in by_kind[CALLS]])
        or _any([view.service_name for view in by_kind[VIEWS]])
        or _any([shown.experiment_name for shown in by_kind[EXPOSURES]])
        or _any([shown.variant_name for shown in by_kind[EXPOSURES]])
        or _any([goal.experiment_name for goal in by_kind[GOALS]])
        or _any([goal.variant_name for goal in by_kind[GOALS]])
    )


def _any(names: Sequence[str | None]) -> bool:
    return names.count(None) < len(names)


def _has_label(event: Event) -> bool:
    if isinstance(event, ServiceExecution | MarketplaceView):
        return event.service_name is not None
    if isinstance(event, ExperimentView | ExperimentConversion):
        return event.experiment_name is not None or event.variant_name is not None
    return False
