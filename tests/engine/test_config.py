"""The list of settings is the one that operators read."""

import re

from engine.config import Config
from engine.resolving import AT_MOST, SETTINGS, written
from tests.server import ROOT

MANUAL = ROOT / "docs" / "configuration.md"


def test_the_manual_names_every_setting_with_its_default_and_no_other() -> None:
    rows = [line for line in MANUAL.read_text().splitlines() if line.startswith("| `")]
    stated = [tuple(cell.strip(" `") for cell in row.split("|")[1:3]) for row in rows]
    assert sorted(stated) == sorted(
        (name, written(getattr(Config(), name))) for name in SETTINGS
    )


def test_the_manual_names_every_setting_that_must_fit_into_another() -> None:
    rule = re.compile(r"^- `(\w+)` must not exceed `(\w+)`\.$", re.MULTILINE)
    assert sorted(rule.findall(MANUAL.read_text())) == sorted(AT_MOST)
