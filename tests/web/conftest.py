"""A real engine in a folder of the test, at a fixed instant, and the application over it."""

import datetime as dt
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trio
from quart.typing import TestClientProtocol as Client

from engine.actors.runtime import Engine
from engine.config import Config
from persistence.recovery import recover
from tests.web.sockets import served
from web.app import Application, create_app
from web.archiving import Archiving
from web.control import Control
from web.forgetting import Forgetting
from web.service import LateEngine

NOW_MS = int(dt.datetime(2025, 10, 3, 12, tzinfo=dt.UTC).timestamp() * 1000)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data=tmp_path / "data", durability="none", shards=2)


@pytest.fixture
def control(config: Config) -> Iterator[Control]:
    config.data.mkdir(exist_ok=True)
    control = Control.open(config, now_ms=lambda: NOW_MS)
    yield control
    control.close()


@pytest.fixture
async def engine(config: Config, control: Control) -> AsyncIterator[Engine]:
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
        directory=control,
        secret=found.secret,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        yield engine
        engine.stop()


@pytest.fixture
def service(engine: Engine, config: Config) -> LateEngine:
    """The engine as the composition root hands it on; the archive's process does not run."""
    service = LateEngine(config)
    service.engine = engine
    service.archive = Archiving(config, log=unheard)
    service.forgetting = Forgetting(
        engine, service.archive, drop_reports=no_reports, log=unheard
    )
    return service


def unheard(event: str, **facts: object) -> None:
    """Where nobody reads the log."""


async def no_reports(up_to_ms: int) -> None:
    """Where there are none to remove."""


@pytest.fixture
def app(service: LateEngine, config: Config, control: Control) -> Application:
    return create_app(service, config, control)


@pytest.fixture
def client(app: Application) -> Client:
    return app.test_client()


@pytest.fixture
async def plain_port(
    service: LateEngine, config: Config, control: Control
) -> AsyncIterator[int]:
    """Where an application over the same engine listens without the lane."""
    async with served(create_app(service, config, control), config) as port:
        yield port
