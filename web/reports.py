"""Reports as they are asked for and described: the bodies of /exports."""

from typing import Annotated, Any, Final, Literal, NamedTuple, Union

import msgspec
from msgspec import Meta, Struct

from engine.answers.families import FAMILIES
from engine.decoding import invalid_document
from engine.errors import MalformedBody
from engine.timebucket import iso
from persistence.reports import Report, Status
from persistence.tabular import TextFormat
from web.exports import EventsChosen

HOUR_MS: Final = 3_600_000
QUERY_CHARS_MAX: Final = 1024 * 1024


class SqlReport(
    Struct, frozen=True, kw_only=True, tag_field="family", tag="sql", forbid_unknown_fields=True
):
    """A query of the dialect of /sql, without FORMAT; `family` may be left out."""

    sql: Annotated[str, Meta(min_length=1, max_length=QUERY_CHARS_MAX)]
    format: Literal["csv", "json", "ndjson", "arrow"] = "csv"


class EventsReport(
    EventsChosen,
    frozen=True,
    kw_only=True,
    rename="camel",
    tag_field="family",
    tag="events",
    forbid_unknown_fields=True,
):
    """Events of a period, as of GET /export/events."""


def _of_family(family: str, asked: type[Struct]) -> type[Struct]:
    return msgspec.defstruct(
        f"{family.capitalize()}Report",
        [("format", TextFormat, "csv")],
        bases=(asked,),
        frozen=True,
        kw_only=True,
        rename="camel",
        tag_field="family",
        tag=family,
        forbid_unknown_fields=True,
    )


OF_FAMILY: Final = {
    family: _of_family(family, asked) for family, (asked, _) in FAMILIES.items()
}
"""{family: what a report of its figures takes: the parameters of its route, and the format}"""

KINDS: Final = (SqlReport, EventsReport, *OF_FAMILY.values())
"""What the body of POST /exports may be, distinguished by `family`."""

_ANY_KIND: Final[Any] = Union[KINDS]  # noqa: UP007  # of a tuple there is no other way
_decoder: Final = msgspec.json.Decoder(dict[str, Any])


class Told(Struct, frozen=True, kw_only=True, rename="camel"):
    """A report as it is answered.

    status     queued, running, done or failed
    family     what it is of: a family, events, or sql
    asked      the request, as it was taken
    progress   percent; null where it is not known, as for the figures of a family
    rows       how many, where they are counted
    sizeBytes  of the file, as far as it is written
    file       the path of the file, once it is done
    expiresAt  when it is removed
    reason     why it failed
    """

    id: str
    status: Status
    family: str
    format: str
    asked: dict[str, str | int | float | bool | None]
    file_name: str
    created_at: str
    finished_at: str | None
    expires_at: str | None
    progress: int | None
    rows: int | None
    size_bytes: int
    file: str | None
    reason: str | None


class ToldList(Struct, frozen=True):
    """GET /exports, the newest first."""

    data: list[Told]


class Wanted(NamedTuple):
    """What a body asks for, and its JSON with all that says what it is."""

    asked: Struct
    content: msgspec.Raw


def names_people(content: bytes | msgspec.Raw) -> bool:
    """Whether a report of what this body asks for may hold ids of people."""
    return isinstance(wanted_in(content).asked, SqlReport | EventsReport)


def wanted_in(content: bytes | msgspec.Raw) -> Wanted:
    """What a body of POST /exports asks for. Raises MalformedBody, InvalidDocument."""
    try:
        told = _decoder.decode(content)
        if "sql" in told:
            told = {"family": "sql", **told}
        asked = msgspec.convert(told, _ANY_KIND)
    except msgspec.ValidationError as error:
        raise invalid_document(error, _ANY_KIND) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBody(f"The body is not JSON: {error}") from None
    return Wanted(asked, msgspec.Raw(msgspec.json.encode(told | {"format": asked.format})))


def shown(report: Report, *, keep_hours: int, percent: int | None) -> Told:
    """A report as it is answered. percent: of one that is running"""
    asked = _decoder.decode(report.asked)
    expires_ms = expires_at(report, keep_hours)
    is_done = report.status == "done"
    return Told(
        id=report.id,
        status=report.status,
        family=asked["family"],
        format=asked["format"],
        asked=asked,
        file_name=report.file_name,
        created_at=iso(report.created_ms, "UTC"),
        finished_at=None if report.finished_ms is None else iso(report.finished_ms, "UTC"),
        expires_at=None if expires_ms is None else iso(expires_ms, "UTC"),
        progress={"done": 100, "queued": 0}.get(report.status, percent),
        rows=report.rows,
        size_bytes=report.size_bytes,
        file=f"/exports/{report.id}/file" if is_done else None,
        reason=report.reason,
    )


def expires_at(report: Report, keep_hours: int) -> int | None:
    """When a report is removed, epoch ms; None before it has ended."""
    if report.finished_ms is None:
        return None
    return report.finished_ms + keep_hours * HOUR_MS
