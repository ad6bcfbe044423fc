"""The list of settings is the one that operators read."""

from engine.config import Config
from engine.resolving import SETTINGS, written
from tests.server import ROOT

MANUAL = ROOT / "docs" / "configuration.md"


def test_the_manual_names_every_setting_with_its_default_and_no_other() -> None:
    rows = [line for line in MANUAL.read_text().splitlines() if line.startswith("| `")]
    stated = [tuple(cell.strip(" `") for cell in row.split("|")[1:3]) for row in rows]
    assert sorted(stated) == sorted(
        (name, written(getattr(Config(), name))) for name in SETTINGS
    )
