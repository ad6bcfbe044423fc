"""The catalog: names that people gave to services, experiments and variants.

They take precedence over names that events carry. All of them are in memory, where answers look
them up on the event loop; the control store keeps them.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import trio
from msgspec import UNSET, Meta, Struct, UnsetType, json

from engine.config import Config
from engine.decoding import decode_document
from engine.errors import Fault, InvalidDocument
from engine.rollups import names
from engine.timebucket import iso
from persistence.control import ControlStore, Entry
from web import wire
from web.errors import NotFound
from web.wire import Called, Reply

ID_BYTES_MAX: Final = 256

Name = Annotated[str, Meta(min_length=1, max_length=200)]


class VariantGiven(Struct, frozen=True):
    """The name of one variant."""

    index: Annotated[int, Meta(ge=0, le=63)]
    name: Name


class ServiceGiven(Struct, frozen=True):
    """What PUT /catalog/services/{id} takes."""

    name: Name
    description: Annotated[str, Meta(max_length=2_000)] = ""


class ExperimentGiven(Struct, frozen=True):
    """What PUT /catalog/experiments/{id} takes; a variant left out keeps the events' name."""

    name: Name
    description: Annotated[str, Meta(max_length=2_000)] = ""
    variants: Annotated[tuple[VariantGiven, ...], Meta(max_length=64)] = ()


class Named(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the catalog says about one id; variants of experiments alone."""

    id: str
    name: str
    description: str
    variants: tuple[VariantGiven, ...] | UnsetType = UNSET
    updated_at: str


class NamedList(Struct, frozen=True):
    """All that is named, by id."""

    data: list[Named]


class OneNamed(Struct, frozen=True):
    """One of them."""

    data: Named


Kind = Literal["services", "experiments"]
_GIVEN: Final[dict[Kind, type[ServiceGiven] | type[ExperimentGiven]]] = {
    "services": ServiceGiven,
    "experiments": ExperimentGiven,
}


class Catalog:
    """The entries of one control store, and the names that they give."""

    def __init__(
        self,
        store: ControlStore,
        config: Config,
        *,
        thread: trio.CapacityLimiter,
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._config = config
        self._thread = thread
        self._now_ms = now_ms
        # Two changes of one id reach memory in the order in which they reached the disk.
        self._changing = trio.Lock()
        self._entries = {(entry.kind, entry.id): entry for entry in store.entries()}
        self.names: dict[names.Key, str] = {}
        """What answers look up; changed in place."""
        for entry in self._entries.values():
            self.names |= _names_of(entry)

    def listing(self, kind: Kind) -> Callable[[Called], Any]:
        """GET /catalog/{kind}."""

        async def handler(_: Called) -> Reply:
            entries = sorted(entry for entry in self._entries.values() if entry.kind == kind)
            return wire.answered(NamedList([_answer(entry) for entry in entries]))

        return handler

    def getting(self, kind: Kind) -> Callable[[Called], Any]:
        """GET /catalog/{kind}/{id}."""

        async def handler(called: Called) -> Reply:
            entry = self._entries.get((kind, called.path["id"]))
            if entry is None:
                raise _unnamed(kind, called)
            return wire.answered(OneNamed(_answer(entry)))

        return handler

    def putting(self, kind: Kind) -> Callable[[Called], Any]:
        """PUT /catalog/{kind}/{id}; every answer from now on has these names."""

        async def handler(called: Called) -> Reply:
            given = decode_document(called.body, _GIVEN[kind])
            _must_tell_apart(given)
            entry = Entry(kind, _id_of(called), json.encode(given), self._now_ms())
            limit = self._config.catalog_entries_max
            async with self._changing:
                await trio.to_thread.run_sync(
                    lambda: self._store.put(entry, entries_max=limit), limiter=self._thread
                )
                self._forget(kind, entry.id)
                self._entries[kind, entry.id] = entry
                self.names.update(_names_of(entry))
            return wire.answered(OneNamed(_answer(entry)))

        return handler

    def dropping(self, kind: Kind) -> Callable[[Called], Any]:
        """DELETE /catalog/{kind}/{id}: the names that events carry count again."""

        async def handler(called: Called) -> Reply:
            key = called.path["id"]
            async with self._changing:
                there = await trio.to_thread.run_sync(
                    self._store.drop, kind, key, limiter=self._thread
                )
                self._forget(kind, key)
            if not there:
                raise _unnamed(kind, called)
            return wire.nothing()

        return handler

    def _forget(self, kind: Kind, key: str) -> None:
        entry = self._entries.pop((kind, key), None)
        if entry is not None:
            for name in _names_of(entry):
                del self.names[name]


def _id_of(called: Called) -> str:
    key = called.path["id"]
    if len(key.encode()) > ID_BYTES_MAX:
        fault = Fault(0, "id", f"Expected an id of at most {ID_BYTES_MAX} bytes")
        raise InvalidDocument(f"{fault.message}.", (fault,))
    return key


def _must_tell_apart(given: ServiceGiven | ExperimentGiven) -> None:
    """Raises InvalidDocument where a name shows nothing, or a variant has two of them."""
    variants = given.variants if isinstance(given, ExperimentGiven) else ()
    called = {"$.name": given.name}
    called |= {f"$.variants[{place}].name": each.name for place, each in enumerate(variants)}
    for path, name in called.items():
        if not name.strip():
            raise _invalid(path, "Expected a name of more than blanks")
    indices = [variant.index for variant in variants]
    for place, index in enumerate(indices):
        if index in indices[:place]:
            raise _invalid(f"$.variants[{place}].index", f"Variant {index} is named twice")


def _invalid(path: str, message: str) -> InvalidDocument:
    return InvalidDocument(f"{message} (at {path}).", (Fault(0, path, message),))


def _names_of(entry: Entry) -> dict[names.Key, str]:
    if entry.kind == "services":
        service = json.decode(entry.content, type=ServiceGiven)
        return {(names.SERVICE, entry.id, 0): service.name}
    experiment = json.decode(entry.content, type=ExperimentGiven)
    return {(names.EXPERIMENT, entry.id, 0): experiment.name} | {
        (names.VARIANT, entry.id, variant.index): variant.name
        for variant in experiment.variants
    }


def _answer(entry: Entry) -> Named:
    given = json.decode(entry.content, type=ExperimentGiven)
    return Named(
        id=entry.id,
        name=given.name,
        description=given.description,
        variants=given.variants if entry.kind == "experiments" else UNSET,
        updated_at=iso(entry.updated_ms, "UTC"),
    )


def _unnamed(kind: Kind, called: Called) -> NotFound:
    return NotFound(f"The catalog names no {kind[:-1]} {called.path['id'][:64]!a}.")
