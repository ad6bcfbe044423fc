import trio
from trio.testing import wait_all_tasks_blocked

from engine.actors.dumping import PORTION_BYTES, PORTIONS_MAX, DumpAsked
from engine.actors.slicing import Pace
from tests.living import batch, config_of, living, view

PIECE = bytes(PORTION_BYTES // 4)
PIECES = 40


def pieces(made):
    for number in range(PIECES):
        made.append(number)
        yield PIECE[:-1] + bytes([number])


async def test_an_owner_makes_no_more_than_there_is_room_for():
    asked, made = DumpAsked(), []
    async with trio.open_nursery() as tasks:
        tasks.start_soon(asked.hand_out, pieces(made), Pace(3))
        await wait_all_tasks_blocked()
        assert len(made) == PORTIONS_MAX * 4
        read = [piece async for portion in asked.portions for piece in portion]
    assert [piece[-1] for piece in read] == made == list(range(PIECES))


async def test_a_dump_of_nothing_is_one_portion_of_nothing():
    asked = DumpAsked(full=True)
    await asked.hand_out(iter([b"", b""]), Pace(3))
    assert [portion async for portion in asked.portions] == [[]]


async def test_an_owner_does_not_wait_for_a_reader_who_has_left():
    asked, made = DumpAsked(), []
    async with trio.open_nursery() as tasks:
        tasks.start_soon(asked.hand_out, pieces(made), Pace(3))
        await wait_all_tasks_blocked()
        asked.portions.close()
    assert len(made) < PIECES


async def test_a_snapshot_many_times_the_room_of_its_dumps_is_read_back_whole(tmp_path):
    config = config_of(tmp_path, shards=1)
    services = [f"{number:06d}-" + "s" * 240 for number in range(20_000)]
    async with living(config) as life:
        for start in range(0, len(services), 500):
            await life.engine.accept(batch(*map(view, services[start : start + 500])))
        await life.engine.checkpoint()
        written = sum(path.stat().st_size for path in (config.data / "snapshots").iterdir())
        assert written > 3 * PORTIONS_MAX * PORTION_BYTES
    async with living(config) as life:
        assert life.recovered.report.replayed_events == 0
        assert life.recovered.sequencing.tally.events == len(services)
