"""Room for large requests: bounded, in order, given back whatever happens."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from engine.actors.queue import ROOM_WAIT_S
from engine.actors.room import Room
from engine.errors import Overloaded


async def holding(room: Room, size: int, entered: list[int], leave: trio.Event) -> None:
    async with room.hold(size):
        entered.append(size)
        await leave.wait()


async def test_what_fits_enters_and_what_does_not_waits_in_its_order() -> None:
    room, entered, leave = Room(10), [], [trio.Event() for _ in range(4)]
    async with trio.open_nursery() as nursery:
        for size, event in zip((7, 8, 3, 1), leave, strict=True):
            nursery.start_soon(holding, room, size, entered, event)
            await wait_all_tasks_blocked()
        assert entered == [7]  # 3 would fit, and stands behind 8
        leave[0].set()
        await wait_all_tasks_blocked()
        assert (entered, room.bytes) == ([7, 8], 8)
        leave[1].set()
        await wait_all_tasks_blocked()
        assert (sorted(entered), room.bytes) == ([1, 3, 7, 8], 4)
        leave[2].set()
        leave[3].set()
    assert room.bytes == 0


async def test_one_that_is_larger_than_the_room_enters_when_it_is_empty() -> None:
    room = Room(10)
    async with room.hold(11):
        assert room.bytes == 11
    assert room.bytes == 0


async def test_what_turns_out_not_to_be_needed_is_given_back() -> None:
    room, entered, leave = Room(10), [], trio.Event()
    async with trio.open_nursery() as nursery:
        async with room.hold(10) as held:
            nursery.start_soon(holding, room, 8, entered, leave)
            await wait_all_tasks_blocked()
            held.shrink(2)
            held.shrink(5)  # never more than there is
            await wait_all_tasks_blocked()
            assert (entered, room.bytes) == ([8], 10)
            leave.set()
    assert room.bytes == 0


async def test_who_waits_for_a_second_is_refused_and_holds_up_nobody(
    autojump_clock: MockClock,
) -> None:
    room, entered, leave = Room(10), [], trio.Event()
    async with trio.open_nursery() as nursery:
        async with room.hold(7):

            async def refused() -> None:
                with pytest.raises(Overloaded):
                    async with room.hold(9):
                        pass

            nursery.start_soon(refused)
            await wait_all_tasks_blocked()
            await trio.sleep(ROOM_WAIT_S / 2)
            nursery.start_soon(holding, room, 3, entered, leave)
            await trio.sleep(ROOM_WAIT_S)
            assert entered == [3]
            leave.set()
    assert room.bytes == 0


async def test_who_fails_or_is_cancelled_gives_back_what_he_holds() -> None:
    room = Room(10)
    with pytest.raises(ZeroDivisionError):
        async with room.hold(4):
            raise ZeroDivisionError
    async with room.hold(10):
        with trio.CancelScope() as scope:
            scope.cancel()
            async with room.hold(4):
                pass
    assert room.bytes == 0
    async with room.hold(10):
        pass
