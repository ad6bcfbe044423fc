"""What all tests share: how Hypothesis behaves, and a server in a process of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.server import Server

# Nothing may fail because a machine is slow or busy: neither an example nor making one.
settings.register_profile(
    "tallymark", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tallymark")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A ready server with default settings on an empty folder; killed after the test."""
    with Server(tmp_path / "data") as running:
        yield running
