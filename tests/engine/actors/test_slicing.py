import itertools

import pytest
import trio

from engine.actors.slicing import Pace, collected


def steps(count, done):
    for number in range(count):
        done.append(number)
        yield
    return "the value"


async def watched(run, done):
    """Run it, and note after how many steps somebody else had a turn."""
    turns = []

    async def other():
        while True:
            turns.append(len(done))
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await run
        nursery.cancel_scope.cancel()
    return turns


async def test_the_value_is_what_the_generator_returns():
    assert await Pace(1_000).run(steps(3, [])) == "the value"


async def test_others_have_a_turn_whenever_a_slice_is_over():
    done = []
    turns = await watched(Pace(0).run(steps(20, done)), done)
    # Trio wakes two ready tasks in any order: at most two steps lie between two turns.
    assert len({turn for turn in turns if 0 < turn < 20}) >= 9


async def test_within_a_slice_nobody_else_has_a_turn():
    done = []
    turns = await watched(Pace(1_000_000).run(steps(5, done)), done)
    assert set(turns) <= {0, 5}


async def test_what_the_generator_raises_comes_out():
    def failing():
        yield
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        await Pace(0).run(failing())


async def test_cancelling_ends_it_at_the_next_pause():
    done = []
    with trio.CancelScope() as scope:
        scope.cancel()
        await Pace(0).run(steps(5, done))
    assert scope.cancelled_caught
    assert done == []  # before a slice is a pause, too


async def test_of_several_computations_one_has_a_slice_in_each_turn_of_the_others():
    done = []
    pace = Pace(0)
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(pace.run, steps(20, done))
        turns = await watched(pace.run(steps(20, done)), done)
    assert max(later - before for before, later in itertools.pairwise(turns)) <= 2


async def test_pieces_are_collected_one_a_step():
    done = []

    def pieces():
        for number in range(20):
            done.append(number)
            yield b"%d" % number

    turns = await watched(Pace(0).run(collected(pieces())), done)
    assert len({turn for turn in turns if 0 < turn < 20}) >= 9
    assert await Pace(0).run(collected(pieces())) == [b"%d" % n for n in range(20)]


async def test_short_computations_that_come_together_are_over_in_one_round():
    pace, rounds, ended = Pace(1_000), [], []

    async def asked():
        await pace.run(steps(3, []))
        ended.append(len(rounds))

    async def count_rounds():
        while len(ended) < 8:
            rounds.append(None)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count_rounds)
        for _ in range(8):
            nursery.start_soon(asked)
    assert max(ended) - min(ended) <= 1


@pytest.mark.parametrize("gone", range(4))
async def test_who_is_cancelled_leaves_the_others_to_end(gone):
    pace, ended = Pace(0), []
    scopes = [trio.CancelScope() for _ in range(4)]

    async def asked(number):
        with scopes[number]:
            await pace.run(steps(10, []))
            ended.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(asked, number)
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        scopes[gone].cancel()
    assert sorted(ended) == [number for number in range(4) if number != gone]
    assert await pace.run(steps(3, [])) == "the value"


async def test_what_one_raises_is_raised_to_nobody_else():
    pace, ended = Pace(0), []

    def failing():
        yield
        raise KeyError("lost")

    async def fails():
        with pytest.raises(KeyError, match="lost"):
            await pace.run(failing())

    async def holds():
        ended.append(await pace.run(steps(10, [])))

    async with trio.open_nursery() as nursery:
        for task in (holds, fails, holds, fails, holds):
            nursery.start_soon(task)
    assert ended == ["the value"] * 3
