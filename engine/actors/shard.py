"""The task that owns the state of one shard."""

from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

import trio

from engine.actors.dumping import DumpAsked
from engine.actors.slicing import Pace
from engine.distribution import Distribution
from engine.group import Group
from engine.sequence import Forget
from engine.state import Answered, Question, ShardState


@dataclass(slots=True)
class Ask:
    """A question, and the place for its answer."""

    question: Question
    reply: Answered | None = None
    answered: trio.Event = field(default_factory=trio.Event)


MORE_A_TURN: Final = 2
"""Messages taken behind the first without a pause; each may be 2 ms of folding."""

Message = Group | Ask | DumpAsked | Forget


async def put(inbox: trio.MemorySendChannel[Message], message: Message) -> None:
    """Send it, waiting only where there is no room.

    `send` gives everybody else a turn whether there is room or not, and a question would wait
    for one per shard. Whoever puts something into several inboxes pauses afterwards.
    """
    try:
        inbox.send_nowait(message)
    except trio.WouldBlock:
        await inbox.send(message)


async def run_shard(
    state: ShardState,
    inbox: trio.MemoryReceiveChannel[Message],
    pace: Pace,
    fold_s: Distribution,
    *,
    number: int = 0,
) -> None:
    """Fold groups and answer questions in the order of arrival, until every sender has closed.

    fold_s  how long each fold took, for all shards together
    number  of the shard

    Closing is the way to stop: what is in the inbox is still folded, so that a clean shutdown
    leaves no acknowledged event for replay. Cancelling it is safe too, and only costs replay.
    """

    async def take(message: Message) -> None:
        match message:
            case Group():
                started = perf_counter()
                state.fold(message)
                fold_s.add(perf_counter() - started)
            case Ask():
                steps = state.image(message.question)
                message.reply = await pace.run(steps)
                message.answered.set()
            case Forget():
                await pace.run(state.forget(message.user, owns=message.owner == number))
            case DumpAsked():
                message.full |= state.needs_full_dump
                await message.hand_out(state.dump(full=message.full), pace)

    async with inbox:
        async for message in inbox:
            await take(message)
            # Receiving takes a turn even of what is there, and questions come behind groups.
            for _ in range(MORE_A_TURN):
                try:
                    behind = inbox.receive_nowait()
                except (trio.WouldBlock, trio.EndOfChannel):
                    break
                await take(behind)
