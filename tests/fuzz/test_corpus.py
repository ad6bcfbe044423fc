"""Every kept input once more, and bytes that Hypothesis makes up: no law of them is broken."""

from pathlib import Path

import pytest

from tests.fuzz.kept import NAMES, inputs, law

KEPT = [pytest.param(path, id=f"{name}-{path.name}") for name in NAMES for path in inputs(name)]


@pytest.mark.parametrize("path", KEPT)
def test_what_was_kept_breaks_no_law(path: Path) -> None:
    law(path.parent.name)(path.read_bytes())
