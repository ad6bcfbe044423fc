"""A real engine in a folder of the test, at a fixed instant, and the application over it."""

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from engine.actors.runtime import Engine
from engine.config import Config
from persistence.recovery import recover
from web.app import Application, create_app
from web.service import LateEngine

NOW_MS = int(dt.datetime(2025, 10, 3, 12, tzinfo=dt.UTC).timestamp() * 1000)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data=tmp_path / "data", durability="none", shards=2)


@pytest.fixture
async def engine(config: Config) -> AsyncIterator[Engine]:
    found = recover(config)
    engine = Engine(
        config,
        found.calendar,
        journal=found.journal,
        snapshots=found.snapshots,
        sequencing=found.sequencing,
        states=found.states,
        clock_ms=lambda: NOW_MS,
        log=lambda event, **facts: None,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        yield engine
        engine.stop()


@pytest.fixture
def app(engine: Engine, config: Config) -> Application:
    service = LateEngine(config)
    service.engine = engine
    return create_app(service, config)
