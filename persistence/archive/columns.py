"""What a row of the archive holds, and the SQL that shows rows as Analytics Engine would.

Three tables of columns. STORED is what a row holds, in this order: the fields of an event under
their names on the wire, null where absent, and what sorting and pruning need. FILED is how a
Parquet file holds it: the same except for ids. An id that is a UUID in its usual notation lies
in a column of that type, 16 bytes instead of 36; any other id is text. SHOWN is what a query
sees: the 44 columns of Analytics Engine, never null, then every field. Whatever follows from
other columns is not stored but computed by the query.

`timestamp`, `index1` and `blob2` are stored as they are shown, so that a filter on them reaches
the files and skips row groups; docs/formats/archive.md says the rest.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

BLOBS: Final = 20
DOUBLES: Final = 20


class Stored(NamedTuple):
    """A column of the files.

    name      on the wire
    sql_type  DuckDB's name of its type
    field     attribute of the event's Struct; None: made of the event as `made` says
    made      how it comes about
    """

    name: str
    sql_type: str
    field: str | None
    made: str


class Shown(NamedTuple):
    """A column that a query sees.

    sql        an expression over the stored columns
    sql_type   DuckDB's name of its type
    never_null  one of the 44 of Analytics Engine: '' and 0 stand for what is absent
    """

    name: str
    sql: str
    sql_type: str
    never_null: bool


def _field(name: str, sql_type: str, field: str) -> Stored:
    return Stored(name, sql_type, field, f"`{name}`, null where absent")


STORED: Final = (
    Stored("index1", "VARCHAR", None, "serviceId, else experimentId, userId, sessionId, "
           "searchQuery, else ''"),
    Stored("timestamp", "TIMESTAMP", None, "when it happened, UTC, rounded down to seconds"),
    Stored("timestampMillis", "SMALLINT", None, "the milliseconds beyond, 0 to 999"),
    Stored("_sample_interval", "UINTEGER", None, "how many events the row stands for"),
    Stored("seq", "BIGINT", None, "its number in the journal"),
    Stored("receivedAt", "TIMESTAMP", None, "when it was received, UTC, to the millisecond"),
    Stored("eventType", "VARCHAR", None, "`eventType`"),
    Stored("blob2", "VARCHAR", None, "serviceId, else experimentId, else ''"),
    _field("eventId", "VARCHAR", "event_id"),
    _field("userId", "VARCHAR", "user_id"),
    _field("sessionId", "VARCHAR", "session_id"),
    _field("category", "VARCHAR", "category"),
    _field("serviceId", "VARCHAR", "service_id"),
    _field("serviceName", "VARCHAR", "service_name"),
    _field("latencyMs", "DOUBLE", "latency_ms"),
    _field("success", "BOOLEAN", "success"),
    _field("executionId", "VARCHAR", "execution_id"),
    _field("errorCode", "VARCHAR", "error_code"),
    _field("orderId", "VARCHAR", "order_id"),
    _field("amount", "DOUBLE", "amount"),
    Stored("amountMicros", "DECIMAL(22,0)", None, "`amount` in exact millionths, null "
           "where absent"),
    _field("currency", "VARCHAR", "currency"),
    _field("takeRate", "DOUBLE", "take_rate"),
    Stored("feeMicros", "DECIMAL(22,0)", None, "the share of `takeRate` in exact "
           "millionths, as the metrics count it; null without `takeRate`"),
    _field("creatorId", "VARCHAR", "creator_id"),
    _field("status", "VARCHAR", "status"),
    _field("billingInterval", "VARCHAR", "billing_interval"),
    _field("billingIntervalCount", "INTEGER", "billing_interval_count"),
    _field("subscriptionId", "VARCHAR", "subscription_id"),
    _field("searchQuery", "VARCHAR", "search_query"),
    _field("resultCount", "BIGINT", "result_count"),
    _field("experimentId", "VARCHAR", "experiment_id"),
    _field("experimentName", "VARCHAR", "experiment_name"),
    _field("variantIndex", "INTEGER", "variant_index"),
    _field("variantName", "VARCHAR", "variant_name"),
    _field("value", "DOUBLE", "value"),
    _field("duration", "DOUBLE", "duration"),
    _field("cohort", "VARCHAR", "cohort"),
)  # fmt: skip
"""The columns of every row, in their order."""

IDS: Final = (
    "eventId", "userId", "sessionId", "executionId", "orderId", "creatorId", "subscriptionId",
)  # fmt: skip
"""Columns of STORED with many values, which are often UUIDs."""

UUID: Final = "UUID"
UUID_PATTERN: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
"""An id is filed as a UUID if it has this form, so that its text can be restored."""


class Filed(NamedTuple):
    """A column as it lies in a file."""

    name: str
    sql_type: str


def uuid_of(name: str) -> str:
    """The column of FILED that holds an id of IDS where it is a UUID."""
    return f"{name}Uuid"


FILED: Final = (
    *(Filed(column.name, column.sql_type) for column in STORED),
    *(Filed(uuid_of(name), UUID) for name in IDS),
)
"""The columns of every file whose name ends with SUFFIX, in their order."""

SUFFIX: Final = ".v2.parquet"
FORMER_SUFFIX: Final = ".parquet"
"""Files whose names end with this alone are of version 1, and have the columns STORED."""

GROUP_ROWS: Final = 40_960
"""A row group ends with the page that makes it this long. A query for one service reads one or
two of them in each merged file: smaller ones skip more, and cost more bytes a row
(docs/decisions/0012)."""

SORTED_BY: Final = ("index1", "timestamp", "timestampMillis", "seq")
"""The order of rows in a file; `seq` makes it total."""

NOT_SHOWN: Final = frozenset(
    ("index1", "timestamp", "timestampMillis", "_sample_interval", "seq", "blob2")
)
"""Stored columns that have no name of their own in a query, beyond the 44."""

_CONVERSION: Final = (
    """CASE "eventType" WHEN 'marketplace_conversion' THEN 'true' """
    """WHEN 'experiment_conversion' THEN 'true' WHEN 'marketplace_view' THEN 'false' """
    """WHEN 'experiment_view' THEN 'false' ELSE '' END"""
)

_SLOTS: Final = {
    "blob1": '"eventType"',
    "blob2": '"blob2"',
    "blob3": """coalesce("userId", '')""",
    "blob4": """coalesce("sessionId", '')""",
    "blob5": """coalesce("category", '')""",
    "blob6": """CASE WHEN "success" THEN 'success' WHEN NOT "success" THEN 'error' """
    """ELSE '' END""",
    "blob7": """coalesce("currency", '')""",
    "blob8": """coalesce("errorCode", '')""",
    "blob9": """coalesce("searchQuery", '')""",
    "blob10": _CONVERSION,
    "double1": 'coalesce("latencyMs", 0::DOUBLE)',
    "double2": 'coalesce("amount", 0::DOUBLE)',
    "double3": 'coalesce("variantIndex"::DOUBLE, 0::DOUBLE)',
}
"""What the slots in use are made of; all others are always empty."""


def _shown() -> Iterator[Shown]:
    yield Shown("dataset", "$dataset", "VARCHAR", True)
    yield Shown("timestamp", '"timestamp"', "TIMESTAMP", True)
    yield Shown("_sample_interval", '"_sample_interval"', "UINTEGER", True)
    yield Shown("index1", '"index1"', "VARCHAR", True)
    for slot in [f"blob{n}" for n in range(1, BLOBS + 1)]:
        yield Shown(slot, _SLOTS.get(slot, "''"), "VARCHAR", True)
    for slot in [f"double{n}" for n in range(1, DOUBLES + 1)]:
        yield Shown(slot, _SLOTS.get(slot, "0::DOUBLE"), "DOUBLE", True)
    for column in STORED:
        if column.name not in NOT_SHOWN:
            yield Shown(column.name, f'"{column.name}"', column.sql_type, False)
    yield Shown(
        "timestampMs", 'epoch_ms("timestamp") + "timestampMillis"::BIGINT', "BIGINT", False
    )


SHOWN: Final = tuple(_shown())
"""The columns of a query, in the order of `SELECT *`: the 44, the fields, timestampMs."""

ANALYTICS_ENGINE: Final = tuple(column.name for column in SHOWN if column.never_null)
"""The names of the 44."""


class Gone(NamedTuple):
    """Somebody whose rows before number `seq` nobody may see, although files hold them.

    name     what `Hidden.salt` and the userId make under SHA-256, in hexadecimal digits
    user_id  the id itself where it is known, which is some ten times as quick
    """

    name: str
    seq: int
    user_id: str | None


class Hidden(NamedTuple):
    """Rows that are left out of whatever is read."""

    salt: str
    gone: tuple[Gone, ...]


_NEEDED_TO_HIDE: Final = frozenset(("userId", "seq"))


def source_of(
    files: Sequence[str],
    only: Collection[str] | None = None,
    *,
    hidden: Hidden | None = None,
    paths: Sequence[str] | None = None,
) -> str:
    """What a FROM takes to read the STORED columns of these files, of whichever version.

    files   by their names in the archive, which tell the version
    only    names of the columns that are needed: to name the others costs a millisecond
    hidden  rows that are left out
    paths   by which they can be read, where that is not by their names
    """
    if not files or hidden is None or not hidden.gone:
        return _source_of(files, paths or files, only)
    shown = [c.name for c in STORED if only is None or c.name in only]
    needed = None if only is None else {*only, *_NEEDED_TO_HIDE}
    source = _source_of(files, paths or files, needed)
    return _seen_of(
        source, 'held."userId"', hidden, ", ".join(map(quoted, shown)) or "1 AS one"
    )


def _seen_of(source: str, user: str, hidden: Hidden, shown: str) -> str:
    """A source without the hidden rows; `user` tells whose each is."""
    joins = ""
    named = [(text_of(g.user_id), g.seq) for g in hidden.gone if g.user_id is not None]
    if named:
        joins += _anti_join("named", user, named)
    hashed = [(literal(g.name), g.seq) for g in hidden.gone if g.user_id is None]
    if hashed:
        joins += _anti_join("hashed", named_by(hidden.salt, user), hashed)
    return f"(SELECT {shown} FROM {source} AS held{joins})"


def _anti_join(name: str, key: str, pairs: Sequence[tuple[str, int]]) -> str:
    rows = ", ".join(f"({text}, {seq})" for text, seq in pairs)
    return (
        f" ANTI JOIN (VALUES {rows}) AS {name}(who, before) "
        f'ON {key} = {name}.who AND held."seq" < {name}.before'
    )


def named_by(salt: str, user: str) -> str:
    """An expression for the name of a row's user; null where it has none."""
    return f"sha256({literal(salt)} || {user})"


def text_of(text: str) -> str:
    """`text`, whatever it holds, as an expression of DuckDB's SQL."""
    return f"decode(unhex({literal(text.encode().hex())}))"


def _source_of(files: Sequence[str], paths: Sequence[str], only: Collection[str] | None) -> str:
    columns = [column for column in STORED if only is None or column.name in only]
    if not files:
        nothing = ", ".join(f"NULL::{c.sql_type} AS {quoted(c.name)}" for c in columns)
        return f"(SELECT {nothing or '1 AS one'} LIMIT 0)"
    are_alike = len({file.endswith(SUFFIX) for file in files}) == 1
    if are_alike and not any(column.name in IDS for column in columns):
        return _read(paths)  # a SELECT around it would cost a quarter of a millisecond
    of_filed = ", ".join(map(_stored_of_filed, columns))
    of_stored = ", ".join(quoted(column.name) for column in columns)
    return _union(files, paths, of_filed or "1 AS one", of_stored or "1 AS one")


def named_in(sql: Iterable[str]) -> frozenset[str]:
    """The STORED columns that these expressions read."""
    told = " ".join(sql)
    return frozenset(column.name for column in STORED if quoted(column.name) in told)


def filed_as(names: Iterable[str]) -> frozenset[str]:
    """The FILED columns that hold these STORED ones."""
    known = list(names)
    return frozenset((*known, *(uuid_of(name) for name in known if name in IDS)))


def filed_source_of(files: Sequence[str], hidden: Hidden | None = None) -> str:
    """The FILED columns of these files, but for hidden rows; there is at least one file."""
    source = _union(files, files, _FILED, _FILED_OF_STORED)
    if hidden is None or not hidden.gone:
        return source
    uuid = quoted(uuid_of("userId"))
    user = f'coalesce(held."userId", held.{uuid}::VARCHAR)'
    return _seen_of(source, user, hidden, _FILED)


def filed_of(source: str) -> str:
    """What a FROM takes to have the FILED columns of what has those STORED."""
    return f"(SELECT {_FILED_OF_STORED} FROM {source})"


def columns_of(file: str) -> list[tuple[str, str]]:
    """Names and types of the columns of a file, by its name."""
    return [(c.name, c.sql_type) for c in (FILED if file.endswith(SUFFIX) else STORED)]


def _union(files: Sequence[str], paths: Sequence[str], of_filed: str, of_stored: str) -> str:
    # By another name than its own, a file of now would be read as one of before, without ids.
    assert all(file.endswith(FORMER_SUFFIX) for file in files)
    now: list[str] = []
    former: list[str] = []
    for file, path in zip(files, paths, strict=True):
        (now if file.endswith(SUFFIX) else former).append(path)
    selects = [
        f"SELECT {columns} FROM {_read(some)}"
        for columns, some in ((of_filed, now), (of_stored, former))
        if some
    ]
    return f"({' UNION ALL '.join(selects)})"


def _read(files: Sequence[str]) -> str:
    listed = ", ".join(literal(file) for file in files)
    return f"read_parquet([{listed}], hive_partitioning = false, union_by_name = false)"


def literal(text: str) -> str:
    """`text` as a literal of DuckDB's SQL."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """`name` as an identifier of DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'


def _stored_of_filed(column: Stored) -> str:
    name = quoted(column.name)
    if column.name not in IDS:
        return name
    return f"coalesce({name}, {quoted(uuid_of(column.name))}::VARCHAR) AS {name}"


def _text_alone(name: str) -> str:
    return f"CASE WHEN {_is_uuid(name)} THEN NULL ELSE {quoted(name)} END AS {quoted(name)}"


def _uuid_alone(name: str) -> str:
    uuid = f"CASE WHEN {_is_uuid(name)} THEN {quoted(name)}::UUID END"
    return f"{uuid} AS {quoted(uuid_of(name))}"


def _is_uuid(name: str) -> str:
    return f"regexp_full_match({quoted(name)}, {literal(UUID_PATTERN)})"


_FILED: Final = ", ".join(quoted(column.name) for column in FILED)
_FILED_OF_STORED: Final = ", ".join(
    (
        *(_text_alone(c.name) if c.name in IDS else quoted(c.name) for c in STORED),
        *map(_uuid_alone, IDS),
    )
)
