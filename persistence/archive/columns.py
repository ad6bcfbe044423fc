"""What a row of the archive holds, and the SQL that shows rows as Analytics Engine would.

Two tables of columns. STORED is what every Parquet file holds, in this order: the fields of an
event under their names on the wire, null where absent, and what sorting and pruning need. SHOWN
is what a query sees: the 44 columns of Analytics Engine, never null, then every field. What can
be said by other columns is not stored but made by the query: `select_of` writes it.

`timestamp`, `index1` and `blob2` are stored as they are shown, so that a filter on them reaches
the files and skips row groups; docs/formats/archive.md says the rest.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

DEFAULT_TABLE: Final = "events"

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
"""The columns of every file, in their order."""

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


def select_of(files: Sequence[str], table: str = DEFAULT_TABLE) -> str:
    """The SELECT (no semicolon) that yields every row of `files` with the columns SHOWN.

    files  paths of files of the archive; without any the table is empty and has its columns
    table  what the column `dataset` says
    """
    shown = ", ".join(
        f"{literal(table) if column.name == 'dataset' else column.sql} AS {quoted(column.name)}"
        for column in SHOWN
    )
    return f"SELECT {shown} FROM {source_of(files)}"


class Gone(NamedTuple):
    """Somebody whose rows of before number `seq` nobody may see, although files hold them.

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


def source_of(files: Sequence[str], hidden: Hidden | None = None) -> str:
    """What a FROM takes to read the STORED columns of these files, but for hidden rows."""
    if not files or hidden is None or not hidden.gone:
        return _source_of(files)
    source = f"SELECT * FROM {_source_of(files)} AS held"
    named = [(text_of(g.user_id), g.seq) for g in hidden.gone if g.user_id is not None]
    if named:
        source += _anti_join("named", '"userId"', named)
    hashed = [(literal(g.name), g.seq) for g in hidden.gone if g.user_id is None]
    if hashed:
        source += _anti_join("hashed", named_by(hidden.salt), hashed)
    return f"({source})"


def _anti_join(name: str, key: str, pairs: Sequence[tuple[str, int]]) -> str:
    rows = ", ".join(f"({text}, {seq})" for text, seq in pairs)
    return (
        f" ANTI JOIN (VALUES {rows}) AS {name}(who, before) "
        f'ON {key}::VARCHAR = {name}.who AND held."seq" < {name}.before'
    )


def named_by(salt: str) -> str:
    """An expression for the name of a row's user; null where it has none."""
    return f"""sha256({literal(salt)} || "userId"::VARCHAR)"""


def text_of(text: str) -> str:
    """`text`, whatever it holds, as an expression of DuckDB's SQL."""
    return f"decode(unhex({literal(text.encode().hex())}))"


def _source_of(files: Sequence[str]) -> str:
    if not files:
        nothing = ", ".join(f"NULL::{c.sql_type} AS {quoted(c.name)}" for c in STORED)
        return f"(SELECT {nothing} LIMIT 0)"
    listed = ", ".join(literal(file) for file in files)
    return f"read_parquet([{listed}], hive_partitioning = false, union_by_name = false)"


def literal(text: str) -> str:
    """`text` as a literal of DuckDB's SQL."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """`name` as an identifier of DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'
