"""The load runs of a process, for whoever asks at /load/runs: one at a time, within hard caps.

They share the process with everything else. That is their purpose, and why they are off unless
`load_hooks` says otherwise.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import msgspec
import trio
from msgspec import Struct

from engine.config import Config
from engine.errors import (
    InvalidQuestion,
    MalformedBody,
    Overloaded,
    TallymarkError,
)
from engine.refusal import told
from load import profile
from load.errors import LoadError
from web import wire
from web.errors import LoadHooksOff, LoadRunUnderWay, NotFound
from web.loadrun import Counting, Course, NewRun, OneRun, Run

RUNS_KEPT_MAX: Final = 20
"""Runs that are remembered; the oldest are forgotten first."""

Scratch = Callable[[Config], AbstractAsyncContextManager[Counting]]
"""Makes an engine that holds nothing, and is gone with all it held when the block ends."""


class Runs(Struct, frozen=True):
    """GET /load/runs, the newest first."""

    data: list[Run]


def asked_in(content: bytes | bytearray, content_type: str | None) -> NewRun:
    """A body of POST /load/runs. Raises WrongMediaType, MalformedBody or InvalidQuestion."""
    wire.must_be_json(content_type)
    try:
        return msgspec.json.decode(content, type=NewRun)
    except msgspec.ValidationError as error:
        said, place = told(error, NewRun)
        raise InvalidQuestion(f"{said} (at {place}).") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBody(f"The body is not JSON: {error}") from None


class LoadRuns:
    """The runs of one process; `run` is the task that carries them out."""

    def __init__(self, service: Counting, config: Config, scratch: Scratch) -> None:
        self._service = service
        self._config = config
        self._scratch = scratch
        self._kept: deque[Course] = deque(maxlen=RUNS_KEPT_MAX)
        self._asked = trio.Event()
        self._life = trio.CancelScope()

    def start(self, asked: NewRun) -> OneRun:
        """Begin a run. Raises LoadHooksOff, LoadRunUnderWay or InvalidQuestion."""
        self._must_be_on()
        if self._kept and not self._kept[0].has_ended.is_set():
            raise LoadRunUnderWay(
                f"The run {self._kept[0].id} is under way, and there is one at a time: "
                f"DELETE /load/runs/{self._kept[0].id} stops it."
            )
        if self._life.cancel_called:
            raise Overloaded("The service is stopping.")
        course = Course(asked, self._within_caps(asked))
        self._kept.appendleft(course)
        self._asked.set()
        return course.one()

    def runs(self) -> Runs:
        """All that are remembered."""
        self._must_be_on()
        return Runs(data=[course.told() for course in self._kept])

    def one(self, run: str) -> OneRun:
        """One of them. Raises NotFound."""
        return self.course(run).one()

    def course(self, run: str) -> Course:
        """The course of one of them. Raises NotFound."""
        self._must_be_on()
        for course in self._kept:
            if course.id == run:
                return course
        raise NotFound(f"There is no load run {run[:64]!a}; GET /load/runs lists those known.")

    async def stop(self, run: str) -> OneRun:
        """Send nothing more, and answer when what was on its way is counted."""
        course = self.course(run)
        course.stop.set()
        await course.has_ended.wait()
        return course.one()

    def end(self) -> None:
        """End what is under way, at once and for good: the service stops."""
        self._life.cancel()
        for course in self._kept:
            course.end()

    async def run(self) -> None:
        """Carry out runs until `end`."""
        with self._life:
            while True:
                await self._asked.wait()
                self._asked = trio.Event()
                course = self._kept[0]
                try:
                    async with self._target(course.asked.target) as engine:
                        await course.carry_out(engine)
                except (TallymarkError, LoadError, OSError) as failure:
                    course.fail(str(failure))
                course.end()

    @asynccontextmanager
    async def _target(self, target: str) -> AsyncIterator[Counting]:
        if target == "live":
            yield self._service
        else:
            async with self._scratch(self._config) as engine:
                yield engine

    def _must_be_on(self) -> None:
        if not self._config.load_hooks:
            raise LoadHooksOff(
                "Load runs are off. Start with --load-hooks (TALLYMARK_LOAD_HOOKS=true, or "
                "load_hooks = true in the settings file) to have them."
            )

    def _within_caps(self, asked: NewRun) -> profile.Profile:
        config = self._config
        if asked.profile not in profile.names():
            known = ", ".join(profile.names())
            raise InvalidQuestion(f"profile: expected one of {known}, got {asked.profile!a}.")
        found = profile.load(asked.profile)
        peak = max(rate for _, rate in profile.rates(found, asked.rate, asked.duration_s))
        if peak > config.load_rate_max:
            raise InvalidQuestion(
                f"rate: at its highest the profile sends {peak:g} events a second, and "
                f"load_rate_max allows {config.load_rate_max}."
            )
        if asked.duration_s > config.load_duration_s_max:
            raise InvalidQuestion(
                f"durationS: {asked.duration_s:g} is above the {config.load_duration_s_max} "
                f"seconds that load_duration_s_max allows."
            )
        return found
