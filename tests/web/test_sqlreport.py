"""Rows of a report by SQL, from files that may not be there."""

from pathlib import Path

import pytest

from engine.config import Config
from engine.errors import NotReady
from persistence.archive.columns import Hidden
from web.sql import Asked
from web.sqlreport import SqlRows


class Lost:
    """An archive whose one file is missing."""

    is_found = True

    def __init__(self, data: Path) -> None:
        self._data = data

    def parts(self, start_ms: int, end_ms: int) -> list[Path]:
        return [self._data / "archive" / "2025-10-01" / "1-9.parquet"]

    def hidden(self) -> Hidden:
        return Hidden("", ())

    async def fresh(self) -> None:
        return


async def test_a_report_names_the_file_that_is_missing(tmp_path: Path) -> None:
    asked = Asked(text="SELECT count() FROM events", extra=True, quoted=False)
    config = Config(data=tmp_path)
    rows = SqlRows(config, Lost(tmp_path), asked, "csv", now_ms=1_760_000_000_000)
    with pytest.raises(NotReady, match=r"file 2025-10-01/1-9\.parquet of the .* is missing"):
        await anext(rows.pieces())
