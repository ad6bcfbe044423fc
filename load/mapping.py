"""A mapping file in TOML: how the cells of one row of history become one event.

    [file]                      # all optional
    delimiter = ","
    encoding = "utf-8"
    missing = ["", "NA"]        # cells that say "nothing here"
    series = ""                 # tells two imports of one file to one event type apart

    [event]                     # what every event carries
    eventType = "service_execution"
    success = true

    [fields]                    # event field = column, or a table
    serviceId = "carrier"
    latencyMs = { column = "air_time", factor = 60000 }
    timestamp = { columns = ["day", "time"], format = "%d.%m.%Y %H:%M", zone = "Europe/Paris" }

    [[when]]                    # all rules that hold are applied in order: a later one wins
    column = "air_time"
    missing = true              # or: equals = "x", equals = ["x", "y"], not_equals = …
    set = { success = false, errorCode = "DIVERTED", latencyMs = 0 }

    [[when]]
    column = "kind"
    equals = "test"
    drop = true                 # the row makes no event

A field's `type` is that of the API (latencyMs a number, success a boolean …) unless given. A
missing cell leaves its field out. `format` of a timestamp is "iso" (the default), "epoch_s",
"epoch_ms" or one of strptime; `zone` is where times without an offset were, and where a shift
by whole days keeps the time of the day. In NDJSON a column is a key, or a path of keys joined
by dots.
"""

import hashlib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Self
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, field

from load.cells import FALSE, TRUE, Cell, boolean, instant, number, text
from load.errors import InvalidMapping
from load.zones import zone_of

FieldType = Literal["string", "number", "integer", "boolean", "timestamp"]

FIELD_TYPES: Final[Mapping[str, FieldType]] = {
    **dict.fromkeys(
        (
            "eventType", "eventId", "userId", "sessionId", "category", "serviceId",
            "executionId", "errorCode", "serviceName", "orderId", "currency", "creatorId",
            "status", "billingInterval", "subscriptionId", "searchQuery", "experimentId",
            "experimentName", "variantName", "cohort",
        ),
        "string",
    ),
    **dict.fromkeys(("latencyMs", "amount", "takeRate", "value", "duration"), "number"),
    **dict.fromkeys(("billingIntervalCount", "resultCount", "variantIndex"), "integer"),
    "success": "boolean",
    "timestamp": "timestamp",
}  # fmt: skip
"""Every field of the eight event types, with the type the API takes."""


class FileSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """`[file]`: how the file is written."""

    delimiter: str = ","
    encoding: str = "utf-8"
    missing: tuple[str, ...] = ("", "NA")
    series: str = ""


class FieldSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `[fields]`."""

    column: str | None = None
    columns: tuple[str, ...] = ()
    join: str = " "
    type: FieldType | None = None
    factor: float | None = None
    format: str = "iso"
    zone: str = "UTC"
    true: tuple[str, ...] = TRUE
    false: tuple[str, ...] = FALSE


class RuleSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `[[when]]`."""

    column: str
    missing: bool | None = None
    equals: Cell | tuple[Cell, ...] = None
    not_equals: Cell | tuple[Cell, ...] = None
    settings: dict[str, Cell] = field(name="set", default_factory=dict)
    drop: bool = False


class MappingSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file as written."""

    file: FileSpec = FileSpec()
    event: dict[str, Cell] = field(default_factory=dict)
    fields: dict[str, str | FieldSpec] = field(default_factory=dict)
    when: tuple[RuleSpec, ...] = ()


class CellError(Exception):
    """A cell that is not what its field asks for; the reader of the file adds file and row."""

    def __init__(self, columns: Sequence[str], reason: str) -> None:
        super().__init__(f"column {'+'.join(columns)}: {reason}")


class _Field(Struct, frozen=True):
    name: str
    positions: tuple[int, ...]
    join: str
    convert: Callable[[Any], Cell]


class _Rule(Struct, frozen=True):
    position: int
    holds: Callable[[Cell], bool]
    settings: dict[str, Cell]
    drop: bool


class EventMapping:
    """A mapping made ready: `columns` names the cells that `event` takes, in their order."""

    def __init__(self, spec: MappingSpec, name: str, shift_days: int = 0) -> None:
        """Raises InvalidMapping, saying what in the file called `name` is wrong."""
        self.spec = spec
        self.name = name
        self._specs = {
            key: FieldSpec(column=value) if isinstance(value, str) else value
            for key, value in spec.fields.items()
        }
        self._must_make_sense()
        self.columns = tuple(dict.fromkeys(self._columns_used()))
        self._missing = frozenset((*spec.file.missing, None))
        fields = [self._field(key, of, shift_days) for key, of in self._specs.items()]
        self._single = [
            (made.name, made.positions[0], made.convert)
            for made in fields
            if len(made.positions) == 1
        ]
        self._joined = [made for made in fields if len(made.positions) > 1]
        self._rules = [self._rule(rule) for rule in spec.when]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and check a mapping file. Raises InvalidMapping."""
        try:
            toml = path.read_text(encoding="utf-8")
            spec = msgspec.convert(tomllib.loads(toml), MappingSpec)
        except OSError as why:
            raise InvalidMapping(
                f"The mapping {path} cannot be read: {why.strerror}."
            ) from None
        except (ValueError, msgspec.ValidationError) as why:
            raise InvalidMapping(f"The mapping {path} is not valid: {why}.") from None
        return cls(spec, str(path))

    def shifted(self, days: int) -> "EventMapping":
        """The same mapping with every timestamp moved by whole days of its zone."""
        return EventMapping(self.spec, self.name, days)

    @property
    def zone(self) -> ZoneInfo:
        """Where the calendar days of this history are cut; UTC where no timestamp is mapped."""
        spec = self._specs.get("timestamp")
        return zone_of(spec.zone if spec else "UTC")

    def digest(self) -> str:
        """16 hex digits that change whenever the mapping means something else."""
        return hashlib.sha256(msgspec.json.encode(self.spec, order="sorted")).hexdigest()[:16]

    def event(self, cells: Sequence[Cell]) -> dict[str, Any] | None:
        """The event of one row, None where a rule drops it. Raises CellError.

        cells  one for each of `columns`
        """
        event: dict[str, Any] = dict(self.spec.event)
        missing = self._missing
        position = -1
        try:
            for name, position, convert in self._single:
                cell = cells[position]
                if cell not in missing:
                    event[name] = convert(cell)
        except (ValueError, OverflowError) as why:
            raise CellError((self.columns[position],), _reason(why, cells[position])) from None
        for joined in self._joined:
            parts = [cells[position] for position in joined.positions]
            if missing.isdisjoint(parts):
                event[joined.name] = self._converted(joined, parts)
        for rule in self._rules:
            if rule.holds(cells[rule.position]):
                if rule.drop:
                    return None
                event.update(rule.settings)
        return event

    def _converted(self, joined: _Field, parts: list[Cell]) -> Cell:
        whole = joined.join.join(map(text, parts))
        try:
            return joined.convert(whole)
        except (ValueError, OverflowError) as why:
            columns = [self.columns[position] for position in joined.positions]
            raise CellError(columns, _reason(why, whole)) from None

    def _must_make_sense(self) -> None:
        if "eventType" not in self.spec.event and "eventType" not in self._specs:
            raise self._invalid('[event] must say the eventType, such as "service_execution"')
        named = [*self.spec.event, *self._specs]
        for rule in self.spec.when:
            named += rule.settings
        for name in named:
            if name not in FIELD_TYPES:
                raise self._invalid(
                    f"no event has a field {name}; known: {', '.join(FIELD_TYPES)}"
                )
        for name, spec in self._specs.items():
            if (spec.column is None) == (not spec.columns):
                raise self._invalid(f"[fields] {name} needs either column or columns")
        if len(self.spec.file.delimiter) != 1:
            raise self._invalid("[file] delimiter must be one character")

    def _columns_used(self) -> list[str]:
        used: list[str] = []
        for spec in self._specs.values():
            used += spec.columns or [str(spec.column)]
        return used + [rule.column for rule in self.spec.when]

    def _field(self, name: str, spec: FieldSpec, shift_days: int) -> _Field:
        columns = spec.columns or (str(spec.column),)
        return _Field(
            name=name,
            positions=tuple(map(self.columns.index, columns)),
            join=spec.join,
            convert=self._converter(name, spec, shift_days),
        )

    def _converter(self, name: str, spec: FieldSpec, shift_days: int) -> Callable[[Any], Cell]:
        kind = spec.type or FIELD_TYPES[name]
        if spec.factor is not None and kind not in ("number", "integer"):
            raise self._invalid(f"[fields] {name} is a {kind}, which takes no factor")
        match kind:
            case "string":
                return text
            case "boolean":
                return boolean(spec.true, spec.false)
            case "timestamp":
                try:
                    zone = zone_of(spec.zone)
                except KeyError:
                    raise self._invalid(f"[fields] {name}: no zone {spec.zone!r}") from None
                return instant(spec.format, zone, shift_days)
            case _:
                factor = 1 if spec.factor is None else spec.factor
                return number(factor, is_integer=kind == "integer")

    def _rule(self, rule: RuleSpec) -> _Rule:
        tests = [rule.missing is not None, rule.equals is not None, rule.not_equals is not None]
        if sum(tests) != 1:
            raise self._invalid(
                f"[[when]] column {rule.column} needs one of missing, equals, not_equals"
            )
        if rule.drop == bool(rule.settings):
            raise self._invalid(
                f"[[when]] column {rule.column} needs either set or drop = true"
            )
        return _Rule(
            position=self.columns.index(rule.column),
            holds=_test(rule, self._missing),
            settings=rule.settings,
            drop=rule.drop,
        )

    def _invalid(self, reason: str) -> InvalidMapping:
        return InvalidMapping(f"The mapping {self.name} is not valid: {reason}.")


def _reason(why: Exception, cell: Cell) -> str:
    return f"{why} (the cell is {cell!r})"


def _test(rule: RuleSpec, missing: frozenset[str | None]) -> Callable[[Cell], bool]:
    if rule.missing is not None:
        return missing.__contains__ if rule.missing else lambda cell: cell not in missing
    wanted = rule.not_equals if rule.equals is None else rule.equals
    texts = frozenset(map(text, wanted if isinstance(wanted, tuple) else (wanted,)))
    if rule.equals is None:
        return lambda cell: text(cell) not in texts
    return lambda cell: text(cell) in texts
