"""The engine without its actors: take, fold and answer in one thread, at any time given."""

import json
from collections.abc import Generator, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from engine import decoding, events
from engine.answers import counters, experiments, marketplace, revenue, services, users
from engine.answers.common import Frame, Plan, plan
from engine.config import Config
from engine.erasure import KEY_BYTES, Secret
from engine.events import AcceptedTimes, Batch
from engine.group import Group
from engine.resuming import begin_totals, resolved, restore
from engine.sequence import Sequencing
from engine.state import Question, ShardState
from engine.timebucket import Calendar
from engine.totals import DayTotals

T = TypeVar("T")

Answer = dict[str, Any]

ANY_TIME = AcceptedTimes(0, 2**53, 0)
TEXT_BYTES_MAX = 16_384


class Record(NamedTuple):
    """What the journal keeps of one group: when it came, and its bodies as (kind, bytes)."""

    received_ms: int
    bodies: list[tuple[int, bytes]]


def run(steps: Generator[Any, None, T]) -> T:
    """The value of a generator, without any pause."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


class House:
    """One data folder's worth of state, and the records that led to it."""

    def __init__(self, **settings: Any) -> None:
        self.config = Config(**settings)
        self.calendar = Calendar(self.config.timezone)
        self.secret = Secret(bytes(range(KEY_BYTES)))
        self.sequencing = Sequencing(self.config, self.calendar, self.secret)
        self.states = [
            ShardState(self.config, self.calendar) for _ in range(self.config.shards)
        ]
        self.is_eager = False  # deals each record by itself; else, as live, when it is due
        self.records: list[Record] = []
        self.chains: list[list[bytes]] = [[] for _ in self.states]
        self.sequence_parts: list[bytes] = []

    # -- in -----------------------------------------------------------------------------------

    def track(self, received_ms: int, *told: dict[str, Any]) -> "House":
        """Take events as one batch of one record."""
        return self.record(Record(received_ms, [_body(told)]))

    def record(self, record: Record) -> "House":
        """Take one record, as live and replay both do."""
        self.records.append(record)
        if record.bodies[0][0] == events.Kind.NOTICE:
            self._note(record)
            return self
        batches = [events.replay(kind, body) for kind, body in record.bodies]
        for _ in self.sequencing.take_in(record.received_ms, batches):
            pass
        self._fold(self.sequencing.deal() if self.is_eager else self.sequencing.deal_due())
        return self

    def erase(self, received_ms: int, user_id: str) -> "House":
        """Take the notice that somebody is erased."""
        return self.record(
            Record(received_ms, [(events.Kind.NOTICE, self.secret.erase(user_id))])
        )

    def _note(self, record: Record) -> None:
        self._fold(self.sequencing.deal())
        seq = len(self.records)
        forget = self.sequencing.note(seq, record.received_ms, record.bodies[0][1])
        if forget is not None:
            for shard, state in enumerate(self.states):
                run(state.forget(forget.user, owns=shard == forget.owner))

    def large(self, received_ms: int, batches: Sequence[Batch]) -> "House":
        """Take a large request, whose batches are read before its record is written."""
        self.records.append(Record(received_ms, [(b.kind, b.body) for b in batches]))
        for _, facts in [self.sequencing.keep((batch,)) for batch in batches]:
            facts.receive(received_ms)
            self.sequencing.add(received_ms, facts)
            self._fold(self.sequencing.deal_due())
        return self

    def _fold(self, dealt: Iterable[list[Group]]) -> None:
        for groups in dealt:
            for state, group in zip(self.states, groups, strict=True):
                if group.facts:
                    state.fold(group)

    # -- keep ---------------------------------------------------------------------------------

    def snapshot(self, *, full: bool) -> None:
        """Dump everything, or what changed, onto the chains that `restarted` reads."""
        self._fold(self.sequencing.deal())
        for state, chain in zip(self.states, self.chains, strict=True):
            is_full = full or not chain or state.needs_full_dump
            if is_full:
                chain.clear()
            chain.append(b"".join(state.dump(full=is_full)))
        if full:
            self.sequence_parts.clear()
        self.sequence_parts.append(b"".join(self.sequencing.dump(full=full)))

    def restarted(self, **settings: Any) -> "House":
        """A new house made of the chains alone."""
        changed = msgspec.structs.replace(self.config, **settings)
        house = House(**msgspec.structs.asdict(changed))
        house.sequencing.load(self.sequence_parts)
        restore(house.states, map(resolved, self.chains), formerly=len(self.chains))
        now_ms = self.records[-1].received_ms if self.records else 0
        begin_totals(house.sequencing.totals, house.states, self.config, self.calendar, now_ms)
        house.records = list(self.records)
        return house

    def replayed(self, **settings: Any) -> "House":
        """A new house that took every record again."""
        changed = msgspec.structs.replace(self.config, **settings)
        house = House(**msgspec.structs.asdict(changed))
        for record in self.records:
            house.record(record)
        return house

    # -- out ----------------------------------------------------------------------------------

    def services(self, now_ms: int, **asked: Any) -> Answer:
        return self.ask(services, now_ms, asked)

    def revenue(self, now_ms: int, **asked: Any) -> Answer:
        return self.ask(revenue, now_ms, asked)

    def marketplace(self, now_ms: int, **asked: Any) -> Answer:
        return self.ask(marketplace, now_ms, asked)

    def experiments(self, now_ms: int, **asked: Any) -> Answer:
        return self.ask(experiments, now_ms, asked)

    def users(self, now_ms: int, **asked: Any) -> Answer:
        return self.ask(users, now_ms, asked)

    def counters(self, now_ms: int) -> Answer:
        """Live figures by name, once it is seen that they are what the cells add up to."""
        frame = Frame(self.calendar, self.config, now_ms)
        images, _ = self.images(counters.question(frame))
        for day in range(frame.today - counters.DAYS + 1, frame.today + 1):
            cells = DayTotals()
            for state in self.states:
                cells.add(state.totals_of(day))
            assert self.sequencing.totals.day(day) == cells
        active = self.sequencing.totals.active.since(counters.question(frame).minute)
        if active is not None and all(
            state.users.days.sample_rate == 1 for state in self.states
        ):
            assert active == sum(images)
        return counters.values(frame, self.sequencing.totals, sum(images))

    def ask(self, family: Any, now_ms: int, given: dict[str, Any]) -> Answer:
        """The whole JSON body of a question, as the wire would carry it."""
        asked = msgspec.convert(given, family.Asked)
        frame = Frame(self.calendar, self.config, now_ms)
        answered = _ANSWERS[family.__name__](self, asked, frame)
        return json.loads(msgspec.json.encode(answered))

    def images(self, question: Question) -> tuple[list[Any], dict[Any, str]]:
        self._fold(self.sequencing.deal())
        answered = [run(state.image(question)) for state in self.states]
        names = {key: name for one in answered for key, name in one.names.items()}
        return [one.image for one in answered], names


def _services(house: House, asked: services.Asked, frame: Frame) -> services.Answer:
    planned = plan(asked, frame)
    images, names = house.images(services.question(planned, asked, frame))
    return run(services.answer(planned, asked, images, names))


def _revenue(house: House, asked: revenue.Asked, frame: Frame) -> revenue.Answer:
    def figures(of: Plan) -> revenue.Figures:
        images, names = house.images(revenue.question(of, asked, frame))
        return revenue.figures(of, asked, frame, images, names)

    planned = plan(asked, frame)
    answer = revenue.Answer(data=figures(planned), range=planned.range)
    if planned.before is not None:
        answer.previous = figures(planned.before)
    return answer


def _marketplace(house: House, asked: marketplace.Asked, frame: Frame) -> marketplace.Answer:
    def figures(of: Plan) -> marketplace.Figures:
        images, names = house.images(marketplace.question(of, asked))
        return marketplace.figures(of, asked, images, names)

    planned = plan(asked, frame)
    answer = marketplace.Answer(data=figures(planned), range=planned.range)
    if planned.before is not None:
        answer.previous = figures(planned.before)
    return answer


def _experiments(house: House, asked: experiments.Asked, frame: Frame) -> experiments.Answer:
    period = experiments.period_of(asked, frame)
    images, names = house.images(experiments.question(period, asked, frame))
    return run(experiments.answer(period, asked, frame, images, names))


def _users(house: House, asked: users.Asked, frame: Frame) -> users.Answer:
    def figures(of: users.Days) -> users.Figures:
        images, _ = house.images(users.question(of, frame))
        return users.figures(of, asked, frame, images)

    days = users.days_of(asked, frame)
    answer = users.Answer(data=figures(days), range=users.range_of_days(days, frame))
    if asked.compare is not None:
        answer.previous = figures(days.before(frame))
    return answer


_ANSWERS = {
    services.__name__: _services,
    revenue.__name__: _revenue,
    marketplace.__name__: _marketplace,
    experiments.__name__: _experiments,
    users.__name__: _users,
}


def _body(told: Sequence[dict[str, Any]]) -> tuple[int, bytes]:
    batch = decoding.decode_many(
        json.dumps(told).encode(),
        events_max=max(1, len(told)),
        times=ANY_TIME,
        text_bytes_max=TEXT_BYTES_MAX,
    )
    return batch.kind, batch.body


def records(told: Iterable[tuple[int, dict[str, Any]]]) -> list[Record]:
    """One record for each stretch of events that came at the same time."""
    by_time: list[tuple[int, list[dict[str, Any]]]] = []
    for received_ms, event in told:
        if not by_time or by_time[-1][0] != received_ms:
            by_time.append((received_ms, []))
        by_time[-1][1].append(event)
    return [Record(received_ms, [_body(batch)]) for received_ms, batch in by_time]


def unread(batch: Batch) -> Batch:
    """For `decode_lines`: keep a batch as it is."""
    return batch
