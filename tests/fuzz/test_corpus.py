"""Every kept input once more: it breaks no law."""

from pathlib import Path

import pytest

from tests.fuzz import decoder
from tests.fuzz.kept import NAMES, inputs, law

KEPT = [pytest.param(path, id=f"{name}-{path.name}") for name in NAMES for path in inputs(name)]


@pytest.mark.parametrize("path", KEPT)
def test_what_was_kept_breaks_no_law(path: Path) -> None:
    law(path.parent.name)(path.read_bytes())


def test_what_the_kept_bodies_led_to_can_be_asked_for() -> None:
    for path in inputs("decoder"):
        law("decoder")(path.read_bytes())
    decoder.settle()
