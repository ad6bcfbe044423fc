"""A value that is none of its choices is told with those that are, wherever it stands."""

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from engine.refusal import NAMED, told


class Cat(Struct, tag_field="is", tag="cat"):
    colour: Literal["black", "white"] | None = None
    lives: Literal[7, 9] = 9


class Dog(Struct, tag_field="is", tag="dog"):
    tricks: list[Annotated[Literal["sit", "roll"], Meta(extra={NAMED: "a trick"})]] = []


class House(Struct):
    pets: list[Cat | Dog]
    rooms: int = 1
    post: Annotated[str, Meta(pattern="^[0-9]{4}$", extra={NAMED: "four digits"})] = "8000"
    street: Annotated[str, Meta(pattern="^[a-z]+$")] = "lane"


@pytest.mark.parametrize(
    ("body", "message", "path"),
    [
        ('{"is": "cow"}', "Expected one of cat, dog, got 'cow'", "$.pets[1].is"),
        (
            '{"is": "cat", "colour": "red"}',
            "Expected one of black, white, got 'red'",
            "$.pets[1].colour",
        ),
        ('{"is": "cat", "lives": 8}', "Expected one of 7, 9, got 8", "$.pets[1].lives"),
        (
            '{"is": "dog", "tricks": ["fly"]}',
            "Expected a trick, got 'fly'",
            "$.pets[1].tricks[0]",
        ),
        ('{"is": "cat", "colour": 5}', "Expected `str | null`, got `int`", "$.pets[1].colour"),
    ],
)
def test_what_is_none_of_its_choices_is_told_with_them(
    body: str, message: str, path: str
) -> None:
    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.json.decode(f'{{"pets": [{{"is": "cat"}}, {body}]}}', type=House)
    assert told(refusal.value, House) == (message, path)


def test_a_text_is_told_by_the_name_of_its_pattern_where_it_has_one() -> None:
    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.json.decode('{"pets": [], "post": "8x"}', type=House)
    assert told(refusal.value, House) == ("Expected four digits", "$.post")
    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.json.decode('{"pets": [], "street": "8"}', type=House)
    assert told(refusal.value, House) == (
        "Expected `str` matching regex '^[a-z]+$'",
        "$.street",
    )


def test_what_has_no_place_is_at_the_root() -> None:
    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.json.decode("{}", type=House)
    assert told(refusal.value, House) == ("Object missing required field `pets`", "$")
