"""A temporary engine: memory of its own, and a journal that is deleted afterwards."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import trio

from engine.actors.runtime import Engine
from engine.config import Config
from persistence.recovery import recover
from web.service import engine_of

PREFIX: Final = "scratch-"

NO_SNAPSHOTS_S: Final = 10**9
"""What is deleted in a moment needs no snapshot."""


@asynccontextmanager
async def scratch_engine(config: Config) -> AsyncIterator[Engine]:
    """An engine that runs until the block ends, as `config` says but for its folder.

    The folder lies in the data folder, so that its disk is the one whose speed is asked for;
    one that a crash has left there is deleted first. Raises TallymarkError or OSError.
    """
    folder = await trio.to_thread.run_sync(_new_folder, config.data)
    try:
        own = msgspec.structs.replace(
            config,
            data=folder,
            snapshot_interval_s=NO_SNAPSHOTS_S,
            pseudonymise=False,  # nobody is told of there
        )
        recovered = await trio.to_thread.run_sync(recover, own)
        engine = engine_of(own, recovered, log=lambda *_, **__: None)
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(engine.run)
                yield engine
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(recovered.journal.close)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(shutil.rmtree, folder)


def _new_folder(data: Path) -> Path:
    for left in data.glob(PREFIX + "*"):
        shutil.rmtree(left)
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=data))
