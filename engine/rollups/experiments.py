"""Experiments: events by variant, and units: who saw what first, and who converted afterwards.

A unit is a userId, else a sessionId. A conversion that carries both counts for the exposure of
either: a view before sign-in knows only the session, the purchase after it both
(docs/decisions/0003-experiment-units.md).
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.cells import Cells, Dumped, Horizon, Owner, Slots, add_counts
from engine.footprint import counts_bytes
from engine.timebucket import Calendar, Span
from engine.units import Units

Exposure = tuple[str, int, int, int, int]
"""(experiment, variant, at_ms, the unit's hash64 or 0, USER, SESSION or NO_UNIT)"""

Conversion = tuple[str, int, int, int, int]
"""(experiment, variant, at_ms, hash64 of the user or 0, hash64 of the session or 0)"""

Key = tuple[str, int]
"""(experiment, variant)"""

VIEWS, CONVERSIONS = range(2)
USER, SESSION, NO_UNIT = range(3)
NOTHING: Final = (0, 0)

NEVER_MS: Final = 2**63 - 1

SPOTS_MAX: Final = 16_384
"""Variants in one hour whose counts are found at once; not beyond the next dump, by which they
must be marked as changed again."""


@dataclass(frozen=True, slots=True)
class Question:
    """Experiments in a period; one of them or all.

    span       cells whose events are counted; None: all that are kept
    start_ms   units first exposed in [start_ms, end_ms) belong to the period
    """

    experiment: str | None
    span: Span | None
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Variant:
    """Events and units of one variant."""

    views: int = 0
    conversions: int = 0
    units: int = 0
    converted: int = 0


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment in the period asked for; exposures counts views by kind of unit, ever."""

    variants: dict[int, Variant]
    started_ms: int
    exposures: tuple[int, int, int]
    multiple: int
    sample_rate: float


@dataclass(frozen=True, slots=True)
class Image:
    """One shard's answer: {experiment: what happened}."""

    experiments: dict[str, Experiment]


@dataclass(slots=True)
class _Kept:
    """What is remembered of one experiment beside its cells; last_day, the latest of these."""

    started_ms: int = NEVER_MS
    last_day: int = 0
    units: Units = field(default_factory=Units)
    exposures: list[int] = field(default_factory=lambda: [0, 0, 0])


_Spot = tuple[_Kept, tuple[list[int], ...]]


class Experiments:
    """The experiments that one shard owns."""

    name: Final = "experiments"

    def __init__(self, calendar: Calendar, *, units_max: int) -> None:
        self._calendar = calendar
        self._units_max = units_max
        self._cells: Cells[Key, list[int]] = Cells("events")
        self._kept: dict[str, _Kept] = {}
        self._spots: dict[tuple[str, int, tuple[int, int]], _Spot] = {}
        self._has_forgotten = False

    def fold_exposures(self, exposures: Sequence[Exposure]) -> None:
        """Count views, and remember what each unit saw."""
        for experiment, variant, at_ms, unit, kind in exposures:
            kept = self._count(experiment, variant, at_ms, VIEWS)
            kept.exposures[kind] += 1
            if unit:
                kept.units.expose(unit, variant, at_ms)
        self._bound({exposure[0] for exposure in exposures})

    def fold_conversions(self, conversions: Sequence[Conversion]) -> None:
        """Count goals, and remember who reached them."""
        for experiment, variant, at_ms, user, session in conversions:
            kept = self._count(experiment, variant, at_ms, CONVERSIONS)
            for unit in (user, session):
                if unit:
                    kept.units.convert(unit, at_ms)
        self._bound({conversion[0] for conversion in conversions})

    def _count(self, experiment: str, variant: int, at_ms: int, index: int) -> _Kept:
        spot = (experiment, variant, self._calendar.cut(at_ms))
        found = self._spots.get(spot)
        if found is None:
            if len(self._spots) >= SPOTS_MAX:
                self._spots.clear()
            found = self._spots[spot] = self._found(*spot)
        kept, cells = found
        for counts in cells:
            counts[index] += 1
        if at_ms < kept.started_ms:
            kept.started_ms = at_ms
        return kept

    def _found(self, experiment: str, variant: int, cut: tuple[int, int]) -> _Spot:
        """The experiment, and the counts of its variant in hour and day."""
        kept = self._kept.get(experiment)
        if kept is None:
            kept = self._kept[experiment] = _Kept()
        kept.last_day = max(kept.last_day, cut[1])
        places = self._cells.places(cut)
        return kept, tuple(cells.setdefault((experiment, variant), [0, 0]) for cells in places)

    def _bound(self, experiments: Iterable[str]) -> None:
        # Each by itself: which units stay is then a matter of their hashes alone, and neither
        # of the order of events nor of what else happens.
        for experiment in experiments:
            units = self._kept[experiment].units
            while len(units) > self._units_max:
                units.halve()

    def forget(self, unit: int) -> Generator[None, None, None]:
        """Let go of what one unit saw and did, in every experiment; events stay counted."""
        for kept in self._kept.values():
            kept.units.forget(unit)
            yield

    def expire(self, horizon: Horizon) -> None:
        """Forget cells older than `horizon`, and experiments without any cell left."""
        self._spots.clear()
        self._cells.expire(horizon)
        old = [name for name, kept in self._kept.items() if kept.last_day < horizon.day]
        for experiment in old:
            del self._kept[experiment]
            self._has_forgotten = True  # its blocks must not come back with its name

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return self._cells.count

    def memory_bytes(self) -> Iterator[int]:
        """About what the cells occupy, to be added up."""
        return self._cells.memory_bytes(counts_bytes)

    def units_bytes(self) -> int:
        """What the units of all experiments occupy."""
        return sum(kept.units.memory_bytes() for kept in self._kept.values())

    def image(self, question: Question) -> Generator[None, None, Image]:
        """What this shard knows of the question; yields between pieces of work."""
        cells = list(self._cells.days.values())
        if question.span is not None:
            cells = list(self._cells.within(question.span))
        events: dict[str, dict[int, list[int]]] = {}
        for of_cell in cells:
            for (experiment, variant), counts in of_cell.items():
                if question.experiment in (None, experiment):
                    by_variant = events.setdefault(experiment, {})
                    add_counts(by_variant.setdefault(variant, [0, 0]), counts)
            yield
        answered = {}
        for name, kept in self._kept.items():
            if question.experiment in (None, name):
                answered[name] = _experiment(kept, events.get(name, {}), question)
                yield
        return Image({name: found for name, found in answered.items() if found.variants})

    @property
    def needs_full_dump(self) -> bool:
        return self._has_forgotten or any(
            kept.units.is_renumbered for kept in self._kept.values()
        )

    def dump(self, *, full: bool) -> Dumped:
        """The slots that changed since the last dump, or all."""
        self._has_forgotten = False
        self._spots.clear()
        yield from self._cells.dump(full=full, dumped=list)
        for name, kept in self._kept.items():
            yield from kept.units.dump(f"units/{name}", full=full)
        yield (
            ("experiments", 0),
            [(name, kept.started_ms, kept.exposures) for name, kept in self._kept.items()],
        )

    def load(self, slots: Slots, owner: Owner) -> None:
        """Take back what one former shard dumped: those of its keys that `owner` says."""
        last_days: dict[str, int] = {}
        for slot, content in slots.items():
            if slot[0] == "events/day":
                for (name, _), _ in content:
                    last_days[name] = max(last_days.get(name, 0), slot[1])
            if slot[0].startswith("events/"):
                self._cells.load(
                    slot,
                    content,
                    loaded=list,
                    merge=add_counts,
                    owns=lambda key: owner.key(key[0]),
                    same=owner.same,
                )
        for name, started_ms, exposures in slots[("experiments", 0)]:
            if owner.key(name):
                kept = self._kept[owner.same(name)] = _Kept(
                    started_ms, exposures=list(exposures)
                )
                kept.last_day = last_days.get(name, 0)
                kept.units.load(f"units/{name}", slots)


def _experiment(kept: _Kept, events: dict[int, list[int]], question: Question) -> Experiment:
    units, multiple = kept.units.counts(question.start_ms, question.end_ms)
    return Experiment(
        variants={
            variant: _variant(events.get(variant, NOTHING), units.get(variant, NOTHING))
            for variant in sorted({*events, *units})
        },
        started_ms=kept.started_ms,
        exposures=(kept.exposures[USER], kept.exposures[SESSION], kept.exposures[NO_UNIT]),
        multiple=multiple,
        sample_rate=kept.units.sample_rate,
    )


def _variant(events: Sequence[int], units: Sequence[int]) -> Variant:
    return Variant(events[VIEWS], events[CONVERSIONS], units[0], units[1])


def merged(images: Sequence[Image]) -> Image:
    """All shards' answers in one; every experiment lies in one shard alone."""
    return Image({name: e for image in images for name, e in image.experiments.items()})
