"""What all tests share: how Hypothesis behaves, and a server in a process of its own."""

import zoneinfo
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from time import time

import pytest
from hypothesis import HealthCheck, settings

from tests.server import Server, tallymark, wait_until

# Nothing may fail because a machine is slow or busy: neither an example nor making one.
settings.register_profile(
    "tallymark", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tallymark")


DAY_S = 86_400
LAST_S = 50
"""Of a day; few tests take longer."""


@pytest.fixture(autouse=True)
def _within_a_day() -> None:
    """No test begins as a day in UTC ends: what it sends is of the day that it asks for."""
    wait_until(lambda: time() % DAY_S < DAY_S - LAST_S)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A ready server with default settings on an empty folder; killed after the test."""
    with Server(tmp_path / "data") as running:
        yield running


@pytest.fixture
def lying_system(tmp_path: Path) -> Iterator[None]:
    """An operating system for which Berlin has the clocks of Tokyo."""
    (tmp_path / "Europe").mkdir()
    tokyo = files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").read_bytes()
    (tmp_path / "Europe" / "Berlin").write_bytes(tokyo)
    zoneinfo.reset_tzpath([str(tmp_path)])
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


@pytest.fixture(scope="session")
def marketplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that the demonstration has filled as the README does; 225,000 events.

    For all tests that need one, in whatever order: they may send to it and restart it.
    """
    folder = tmp_path_factory.mktemp("marketplace")
    with Server(folder / "data", "--durability", "write") as running:
        done = tallymark("demo", "--url", running.url, patience_s=600)
        assert done.returncode == 0, done.stderr
        yield running
