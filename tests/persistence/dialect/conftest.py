"""One worker, and one small archive, for all tests of the dialect."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sqlworkers import Asking, written


@pytest.fixture(scope="session")
def worker() -> Iterator[Asking]:
    with Asking() as asking:
        yield asking


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archive")


@pytest.fixture(scope="session")
def empty(folder: Path) -> list[str]:
    return [written(folder / "empty.parquet", [])]
