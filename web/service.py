"""The engine as the application sees it, from before there is one: NotReady until recovered."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.actors.asking import Directory, RawRows
from engine.actors.health import Health
from engine.actors.measures import Measures
from engine.actors.queue import Released
from engine.actors.room import Room
from engine.actors.runtime import Engine
from engine.actors.slicing import Pace
from engine.answers import experiments, marketplace, revenue, services, users
from engine.config import Config
from engine.errors import JournalFailed, NotReady
from engine.events import AcceptedTimes, Batch
from engine.facts import Kept
from persistence.archive.columns import Hidden
from persistence.recovery import Recovered
from web.archiving import ArchiveHealth, Archiving
from web.errors import recovering
from web.forgetting import Forgetting


def engine_of(
    config: Config,
    recovered: Recovered,
    *,
    log: Callable[..., object],
    archived_seq: Callable[[], int | None] = lambda: None,
    directory: Directory | None = None,
    raw: RawRows | None = None,
) -> Engine:
    """The engine of what was recovered, by the clock of the system.

    archived_seq  up to where an archive needs the journal no more; None where there is none
    directory     names that win over those of events
    raw           the events themselves
    """
    return Engine(
        config,
        recovered.calendar,
        journal=recovered.journal,
        snapshots=recovered.snapshots,
        sequencing=recovered.sequencing,
        states=recovered.states,
        clock_ms=lambda: time.time_ns() // 1_000_000,
        log=log,
        snapshot_ms=recovered.snapshot_ms,
        archived_seq=archived_seq,
        directory=directory,
        secret=recovered.secret,
        raw=raw,
    )


class LateEngine:
    """Hands everything on to `engine`; as long as that is None, all of it raises NotReady."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.engine: Engine | None = None
        self.archive: Archiving | None = None
        self.forgetting: Forgetting | None = None

    @property
    def is_ready(self) -> bool:
        """Whether events are taken."""
        return self.engine is not None and self.engine.is_ready

    @property
    def failure(self) -> JournalFailed | None:
        """Why no event is taken until a restart, or None."""
        return None if self.engine is None else self.engine.failure

    @property
    def is_found(self) -> bool:
        """Whether it is known which files the archive has; also where no event is taken."""
        return self.archive is not None and self.forgetting is not None

    def health(self) -> Health:
        """How the engine is doing."""
        return self._recovered().health()

    def archive_health(self) -> ArchiveHealth | None:
        """How the archive is doing; None before there is one."""
        return None if self.archive is None else self.archive.health()

    def parts(self, start_ms: int, end_ms: int) -> list[Path]:
        """The files of the archive that may hold rows of that time, the end left out."""
        return self._archived().parts(start_ms, end_ms)

    def hidden(self) -> Hidden:
        """What these files hold, and nobody may see any more."""
        return self.erasures().hidden()

    def erasures(self) -> Forgetting:
        """What takes people out."""
        if self.forgetting is None:
            raise recovering()
        return self.forgetting

    async def fresh(self) -> None:
        """Return when the files hold every event that has been acknowledged."""
        await self._archived().fresh(self._recovered().taken_seq)

    def measures(self) -> Measures:
        """What the engine counts and times."""
        return self._recovered().measures()

    async def look(self) -> None:
        """Look at what the parts of the state occupy, as `measures` tells it."""
        await self._recovered().look()

    def accepted_times(self) -> AcceptedTimes:
        """The instants that an event received now may carry."""
        return self._recovered().accepted_times()

    @property
    def pace(self) -> Pace:
        """Long computations run with it, so that all take turns."""
        return self._recovered().pace

    @property
    def bulk_room(self) -> Room:
        """Room for large requests."""
        return self._recovered().bulk_room

    def keep(self, batch: Batch) -> Kept:
        """Reads a batch of a large request."""
        return self._recovered().keep(batch)

    async def accept(self, batch: Batch) -> None:
        """Keep and count a request."""
        await self._recovered().accept(batch)

    async def accept_kept(self, kept: Sequence[Kept]) -> None:
        """Keep and count a large request."""
        await self._recovered().accept_kept(kept)

    def submit(self, batch: Batch, released: Released) -> bool:
        """Keep and count a batch, and call `released` then; False where there is no room."""
        return self._recovered().submit(batch, released)

    async def services(self, asked: services.Asked) -> services.Answer:
        return await self._recovered().services(asked)

    async def revenue(self, asked: revenue.Asked) -> revenue.Answer:
        return await self._recovered().revenue(asked)

    async def marketplace(self, asked: marketplace.Asked) -> marketplace.Answer:
        return await self._recovered().marketplace(asked)

    async def experiments(self, asked: experiments.Asked) -> experiments.Answer:
        return await self._recovered().experiments(asked)

    async def users(self, asked: users.Asked) -> users.Answer:
        return await self._recovered().users(asked)

    async def counters(self) -> dict[str, int | float | None]:
        return await self._recovered().counters()

    def counters_now(self) -> dict[str, int | float | None] | None:
        """Live figures, where nobody has to be waited for."""
        return self._recovered().counters_now()

    def _archived(self) -> Archiving:
        if self.archive is None:
            raise NotReady("The archive is not found yet. Try again in a second.")
        return self.archive

    def _recovered(self) -> Engine:
        if self.engine is None:
            raise recovering()
        return self.engine
