from pathlib import Path

import pytest

from tests.crash.ledger import SETTINGS


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "crash.toml"
    path.write_text(SETTINGS)
    return path
