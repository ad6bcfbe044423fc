"""Rows as an Arrow IPC stream, from what the database hands over without copying it.

nanoarrow writes the format in 3 MB, where pyarrow takes 171. It knows the stream but not the
file with a footer (Feather), so the stream is what both names of the format mean here.
"""

import io
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, Protocol

from nanoarrow import c_array_stream
from nanoarrow.c_array_stream import CArrayStream
from nanoarrow.ipc import StreamWriter

UTC: Final = "UTC"

_INSTANTS: Final = {"s": "tss:", "ms": "tsm:"}
"""How a schema says that a column holds instants; the zone comes behind."""


BATCH_ROWS: Final = 8_192
"""Rows of one batch: DuckDB's own 131,072 take 200 MB where rows are of events."""


class Result(Protocol):
    """What runs a relation."""

    def arrow_capsule(self) -> object: ...


class Relation(Protocol):
    """A relation of DuckDB."""

    def _submit(self, form: str, batch_size: int, /) -> Result: ...


class _Batched:
    """Rows by Arrow's C interface, so many at a time.

    The public way to a size of batches goes through pyarrow, even where what comes of it does
    not; a test holds this one to what it is for.
    """

    def __init__(self, relation: Relation) -> None:
        self._relation = relation

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._relation._submit("stream", BATCH_ROWS).arrow_capsule()


def pieces(
    rows: Relation,
    names: Sequence[str],
    zones: Sequence[str | None],
    *,
    unit: Literal["s", "ms"] = "s",
) -> Iterator[tuple[bytes, int]]:
    """The stream, piece by piece, each with the number of rows in it.

    names  of the columns, in place of those that `rows` has
    zones  in which the instants of a column are to be shown; None for all other columns
    unit   of those instants
    """
    stream = c_array_stream(_Batched(rows))
    schema = _named(stream.get_schema(), names, zones, unit)
    out = io.BytesIO()
    writer = StreamWriter.from_writable(out)
    writer.write_stream(CArrayStream.from_c_arrays([], schema, validate=False))
    for batch in stream:
        writer.write_stream(CArrayStream.from_c_arrays([batch], schema, validate=False))
        yield _taken(out), batch.length
    writer.close()
    yield _taken(out), 0


def _named(schema: Any, names: Sequence[str], zones: Sequence[str | None], unit: str) -> Any:  # noqa: ANN401  # nanoarrow has no types
    children = [
        child.modify(name=name, **({} if zone is None else {"format": _INSTANTS[unit] + zone}))
        for child, name, zone in zip(schema.children, names, zones, strict=True)
    ]
    return schema.modify(name="", children=children)


def _taken(out: io.BytesIO) -> bytes:
    found = out.getvalue()
    out.seek(0)
    out.truncate()
    return found
