"""The task that owns the state of one shard."""

from dataclasses import dataclass, field

import trio

from engine.actors.slicing import Pace, collected
from engine.state import Answered, Group, Question, ShardState


@dataclass(slots=True)
class Ask:
    """A question, and the place for its answer."""

    question: Question
    reply: Answered | None = None
    answered: trio.Event = field(default_factory=trio.Event)


@dataclass(slots=True)
class DumpAsked:
    """The order to write down what is known at this point of the stream."""

    full: bool
    pieces: list[bytes] = field(default_factory=list)
    done: trio.Event = field(default_factory=trio.Event)


Message = Group | Ask | DumpAsked


async def run_shard(
    state: ShardState, inbox: trio.MemoryReceiveChannel[Message], pace: Pace
) -> None:
    """Fold groups and answer questions in the order of arrival, until every sender has closed.

    Closing is the way to stop: what is in the inbox is still folded, so that a clean shutdown
    leaves no acknowledged event for replay. Cancelling it is safe too, and only costs replay.
    """
    async with inbox:
        async for message in inbox:
            match message:
                case Group():
                    state.fold(message)
                case Ask():
                    steps = state.image(message.question)
                    message.reply = await pace.run(steps)
                    message.answered.set()
                case DumpAsked():
                    message.full |= state.needs_full_dump
                    pieces = collected(state.dump(full=message.full))
                    message.pieces = await pace.run(pieces)
                    message.done.set()
