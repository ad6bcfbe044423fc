"""Questions: cut into cells, asked of every shard, and merged into the answer."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import trio

from engine.actors.shard import Ask, Message, put
from engine.actors.slicing import Pace
from engine.actors.turns import held
from engine.answers import counters, experiments, marketplace, revenue, services, users
from engine.answers.common import Frame, Known, Plan, plan
from engine.answers.revenue import Combined
from engine.cells import OTHER
from engine.config import Config
from engine.errors import NotReady, Unanswerable
from engine.rollups.revenue import ByCurrency
from engine.state import Names, Question
from engine.timebucket import MINUTE_MS, Calendar, quoted
from engine.totals import Totals

Sight = tuple[int | None, int]
"""(the last number that an answer is sure to see, the minute in which it was made)"""


FILTERS: Final = {
    "service_id": ("serviceId", "services"),
    "creator_id": ("creatorId", "creators"),
    "experiment_id": ("experimentId", "experiments"),
    "category": ("category", "categories"),
}
"""{field of what is asked: (its parameter, the kind of names whose cap it is under)}"""


class Directory(Protocol):
    """Names that win over those that events carried."""

    def over(self, carried: Names, /) -> Known: ...


class RawRows(Protocol):
    """The events themselves, as long as they are kept, for what rollups have no sums of."""

    async def sales(self, asked: Combined, /) -> Sequence[ByCurrency]:
        """The sales of each range. Raises Unanswerable where not all of its rows are kept."""
        ...


@dataclass(frozen=True, slots=True)
class Heard:
    """What all shards replied: images in their order, and the names of what they mention."""

    images: list[Any]
    names: Known


class Asking:
    """The questions that the engine answers.

    Each raises InvalidQuestion for what cannot be understood, Unanswerable for what is not kept
    exactly, NotReady while the engine stops. An answer sees every event acknowledged before.
    """

    def __init__(
        self,
        config: Config,
        calendar: Calendar,
        inboxes: Sequence[trio.MemorySendChannel[Message]],
        *,
        clock_ms: Callable[[], int],
        directory: Directory | None,
        raw: RawRows | None,
        deal: Callable[[], Awaitable[None]],
        count_now: Callable[[], bool],
        may_be_in_other: Callable[[str, str], bool],
        totals: Totals,
        taken_seq: Callable[[], int | None],
    ) -> None:
        """What is needed of the rest of the engine.

        inboxes          of the shards, in their order
        directory        None where nothing stands above the names that events carried
        raw              None where there is no archive
        deal             hands the shards everything that was taken
        count_now        counts all of that in the totals; False where it would take long
        may_be_in_other  whether facts under a name of this kind may count in OTHER
        taken_seq        the last number that a question must see; None where that is not known
        """
        self.config = config
        self.pace = Pace(config.slice_ms_max)
        self._calendar = calendar
        self._inboxes = inboxes
        self._clock_ms = clock_ms
        self._directory = directory
        self._raw = raw
        self._deal = deal
        self._count_now = count_now
        self._may_be_in_other = may_be_in_other
        self._totals = totals
        self._taken_seq = taken_seq
        self._counters_turn = trio.Lock()
        self._counters_begun = 0
        self._counters_told: tuple[int, Sight, counters.Values] = (0, (None, 0), {})

    async def services(self, asked: services.Asked) -> services.Answer:
        """Executions, latencies and errors by service."""
        frame = self._frame()
        planned = plan(asked, frame)
        few = services.question(planned, asked, frame, shards=len(self._inboxes))
        heard = await self._ask(few)
        self._must_be_apart(asked)
        if not services.is_enough(asked, heard.images):
            heard = await self._ask(services.question(planned, asked, frame))
        steps = services.answer(planned, asked, heard.images, heard.names)
        return await self.pace.run(steps)

    async def revenue(self, asked: revenue.Asked) -> revenue.Answer:
        """Money by currency, and recurring revenue."""
        frame = self._frame()
        planned = plan(asked, frame)

        async def figures(of: Plan) -> revenue.Figures:
            heard = await self._ask(revenue.question(of, asked, frame))
            self._must_be_apart(asked)
            images = heard.images
            combined = revenue.combined(of, asked)
            if combined is not None:
                sales = await self._raw_sales(combined)
                images = [revenue.with_sales(images, combined.service, sales)]
            return revenue.figures(of, asked, frame, images, heard.names)

        answer = revenue.Answer(data=await figures(planned), range=planned.range)
        if planned.before is not None:
            answer.previous = await figures(planned.before)
        return answer

    async def _raw_sales(self, asked: Combined) -> Sequence[ByCurrency]:
        if self._raw is None:
            raise Unanswerable(
                "serviceId and creatorId: both at once are answered from raw rows, and there "
                "is no archive of them. Give one."
            )
        return await self._raw.sales(asked)

    async def marketplace(self, asked: marketplace.Asked) -> marketplace.Answer:
        """The funnel, and what is searched for most."""
        planned = plan(asked, self._frame())

        async def figures(of: Plan) -> marketplace.Figures:
            heard = await self._ask(marketplace.question(of, asked))
            self._must_be_apart(asked)
            return marketplace.figures(of, asked, heard.images, heard.names)

        answer = marketplace.Answer(data=await figures(planned), range=planned.range)
        if planned.before is not None:
            answer.previous = await figures(planned.before)
        return answer

    async def experiments(self, asked: experiments.Asked) -> experiments.Answer:
        """Variants, rates and verdicts."""
        frame = self._frame()
        period = experiments.period_of(asked, frame)
        heard = await self._ask(experiments.question(period, asked, frame))
        self._must_be_apart(asked)
        steps = experiments.answer(period, asked, frame, heard.images, heard.names)
        return await self.pace.run(steps)

    async def users(self, asked: users.Asked) -> users.Answer:
        """Active, returning and lost users, and sessions."""
        frame = self._frame()
        days = users.days_of(asked, frame)

        async def figures(of: users.Days) -> users.Figures:
            heard = await self._ask(users.question(of, frame))
            return users.figures(of, asked, frame, heard.images)

        answer = users.Answer(data=await figures(days), range=users.range_of_days(days, frame))
        if asked.compare is not None:
            answer.previous = await figures(days.before(frame))
        return answer

    def counters_now(self) -> counters.Values | None:
        """The answer of `counters`, at once; None if anything has to be waited for.

        The last answer is given again as long as nothing has come since and the minute is the
        same. Otherwise what waits is counted, and no shard is needed: the totals are running.
        """
        frame = self._frame()
        sees = self._sees(frame)
        if sees[0] is None:
            return None
        number, seen, told = self._counters_told
        if seen == sees:
            return told
        if not self._count_now():
            return None
        active = self._totals.active.since(counters.question(frame).minute)
        if active is None:
            return None
        told = counters.values(frame, self._totals, active)
        self._counters_told = (number, sees, told)
        return told

    async def counters(self) -> counters.Values:
        """Live figures by name; nobody may change them.

        When shards have to be asked there is one answer at a time, because many ask at once and
        often. Whoever asked before it began shares it: it sees all that was acknowledged then.
        """
        told = self.counters_now()
        if told is not None:
            return told
        wanted = self._counters_begun + 1
        async with held(self._counters_turn):
            number, _, told = self._counters_told
            if number >= wanted:
                return told
            frame = self._frame()
            sees = self._sees(frame)
            number = self._counters_begun = self._counters_begun + 1
            heard = await self._ask(counters.question(frame))
            told = counters.values(frame, self._totals, sum(heard.images))
            self._counters_told = (number, sees, told)
            return told

    def _must_be_apart(self, asked: object) -> None:
        """Refuse what is asked of one name that may count together with others.

        To be called once the shards have answered: then all that was taken is known by name.
        """
        for field, (parameter, kind) in FILTERS.items():
            name = getattr(asked, field, None)
            if name is not None and self._may_be_in_other(kind, name):
                raise Unanswerable(
                    f"{parameter}: {quoted(name)} has no figures of its own: names beyond "
                    f"{kind}_max are counted together as {OTHER}. Ask /sql."
                )

    def _sees(self, frame: Frame) -> Sight:
        return (self._taken_seq(), frame.now_ms // MINUTE_MS)

    def _frame(self) -> Frame:
        return Frame(self._calendar, self.config, self._clock_ms())

    async def _ask(self, question: Question) -> Heard:
        asks = [Ask(question) for _ in self._inboxes]
        try:
            await self._deal()  # so that the answer sees all that was acknowledged
            for inbox, ask in zip(self._inboxes, asks, strict=True):
                await put(inbox, ask)
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            raise NotReady("Tallymark is stopping.") from None
        images: list[Any] = []
        carried: Names = {}
        for ask in asks:
            if not ask.answered.is_set():  # waiting takes a turn even if it is there
                await ask.answered.wait()
            assert ask.reply is not None
            images.append(ask.reply.image)
            carried.update(ask.reply.names)
        return Heard(images, self._directory.over(carried) if self._directory else carried)
