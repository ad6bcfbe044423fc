"""What msgspec says of a value that it refuses, and what might have stood in its place."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from msgspec import inspect

NAMED: Final = "named"
"""Key of `Meta(extra=…)`: what to call choices that are too many to be listed."""

_STEP: Final = re.compile(r"\.(\w+)|\[")
_QUOTED: Final = re.compile(r"Invalid (?:enum )?value (.*)", re.DOTALL)
_PATTERN: Final = re.compile(r"Expected `str` matching regex ")


def told(refusal: Exception, kind: object) -> tuple[str, str]:
    """(message, JSON path) of the refusal of what should have been a `kind`.

    Of a value that is none of its choices msgspec quotes the value alone, and of a text the
    pattern that it does not match; here it is told what would have been taken.
    """
    message, _, path = str(refusal).rpartition(" - at `")
    if not message:
        return str(refusal), "$"
    path = path.rstrip("`")
    quoted = _QUOTED.fullmatch(message)
    expected = expectation(kind, path) if quoted or _PATTERN.match(message) else None
    if expected is None:
        return message, path
    return (f"{expected}, got {quoted[1]}" if quoted else expected), path


@lru_cache(maxsize=256)
def expectation(kind: object, path: str) -> str | None:
    """What a place takes that has fixed choices; None of any other place."""
    places = list(_flat(inspect.type_info(kind)))
    choices: dict[str, None] = {}
    for name in _STEP.findall(path):
        structs = [one for one in places if isinstance(one, inspect.StructType)]
        choices = dict.fromkeys(str(one.tag) for one in structs if one.tag_field == name)
        places = [inner for one in places for inner in _inside(one, name)]
    for one in places:
        if isinstance(one, inspect.Metadata) and one.extra and NAMED in one.extra:
            return f"Expected {one.extra[NAMED]}"
        if isinstance(one, inspect.LiteralType):
            choices |= dict.fromkeys(map(str, one.values))
    return f"Expected one of {', '.join(choices)}" if choices else None


def _inside(place: inspect.Type, name: str) -> Iterator[inspect.Type]:
    """What the field of this name may be; where it is empty, what each element may."""
    if name and isinstance(place, inspect.StructType):
        for field in place.fields:
            if field.encode_name == name:
                yield from _flat(field.type)
    elif not name and isinstance(place, inspect.ListType | inspect.VarTupleType):
        yield from _flat(place.item_type)


def _flat(kind: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from _flat(one)
    else:
        yield kind
