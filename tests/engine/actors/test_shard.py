import trio
from trio.testing import wait_all_tasks_blocked

from engine.actors.dumping import DumpAsked
from engine.actors.shard import Ask, run_shard
from engine.actors.slicing import Pace
from engine.codec import Dump
from engine.config import Config
from engine.distribution import SECONDS, Distribution
from engine.group import Group
from engine.resuming import resolved, restore
from engine.rollups import experiments, users
from engine.rollups.marketplace import Question
from engine.state import ShardState
from engine.timebucket import DAY_MS, Calendar, Span
from tests import columns
from tests.columns import KEYS, looks
from tests.living import NOW_MS

CALENDAR = Calendar("UTC")
TODAY = CALENDAR.cut(NOW_MS)[1]
VIEWS_TODAY = Question(Span(days=(TODAY,), hours=()), service=None, category=None)
SLICE_MS = 3


def state(**settings):
    return ShardState(Config(shards=1, **settings), CALENDAR)


def counted(group):
    group.count()
    return group


def seen(*services, received_ms=NOW_MS):
    views = looks([(service, "", received_ms) for service in services])
    return counted(Group(received_ms, KEYS, views=views))


def active(users, *, at_ms=NOW_MS, received_ms=NOW_MS):
    """These users, by their hashes, were active."""
    users = list(users)
    told = columns.active(users, [at_ms] * len(users))
    return counted(Group(received_ms, KEYS, active=told))


async def told(shard, *messages):
    """Have a shard take these messages, in this order, to the end of its inbox."""
    to_shard, inbox = trio.open_memory_channel(len(messages))
    async with to_shard:
        for message in messages:
            to_shard.send_nowait(message)
    await run_shard(shard, inbox, Pace(SLICE_MS), Distribution(SECONDS))


async def dumped(shard, *, full):
    asked = DumpAsked(full=full)
    await told(shard, asked)
    return await handed_out(asked)


async def handed_out(asked):
    portions = [portion async for portion in asked.portions]
    return Dump(asked.full, [piece for portion in portions for piece in portion])


def loaded(chain, **settings):
    """A new shard from dumps, oldest first."""
    again = state(**settings)
    former = resolved(piece for dump in chain for piece in dump.chunks)
    restore([again], [former], formerly=1)
    return again


class Chain(list):
    """Dumps as a snapshot store keeps them: a full one, and the deltas after it."""

    async def grow(self, shard):
        dump = await dumped(shard, full=not self)
        if dump.full:
            self.clear()
        self.append(dump)


async def answer(shard, question):
    ask = Ask(question)
    await told(shard, ask)
    return ask.reply.image


def distinct_today():
    return users.Question(
        days=(TODAY,), days_before=(), windows=((TODAY,),), session_spans=(), today=TODAY
    )


async def distinct(shard):
    image = await answer(shard, distinct_today())
    return sum(one.counted for one in image.distinct)


async def test_closing_the_inbox_folds_what_is_still_in_it():
    shard = state()
    await told(shard, seen("a", "b"), seen("a"))
    assert (await answer(shard, VIEWS_TODAY)).now.views == 3


async def test_a_question_sees_what_came_before_it_and_nothing_that_came_after():
    first, second = Ask(VIEWS_TODAY), Ask(VIEWS_TODAY)
    await told(state(), seen("a"), first, seen("a"), second)
    assert first.answered.is_set()
    assert (first.reply.image.now.views, second.reply.image.now.views) == (1, 2)


async def test_an_answer_does_not_change_when_more_is_folded():
    shard = state()
    await told(shard, seen("a"))
    before = await answer(shard, VIEWS_TODAY)
    await told(shard, seen("a", "b"))
    assert (before.now.views, before.views) == (1, {"a": 1})


async def test_nobody_folds_while_an_answer_is_made():
    shard = state()
    for day in range(300):
        await told(shard, seen(*map(str, range(20)), received_ms=NOW_MS - (300 - day) * DAY_MS))
    ask = Ask(Question(Span(tuple(range(TODAY - 300, TODAY + 1)), ()), "1", "c"))
    to_shard, inbox = trio.open_memory_channel(8)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            run_shard, shard, inbox, Pace(0), Distribution(SECONDS)
        )  # a pause after every step
        to_shard.send_nowait(ask)
        to_shard.send_nowait(seen("late"))
        await ask.answered.wait()
        assert "late" not in ask.reply.image.views
        to_shard.close()


async def test_a_dump_covers_what_came_before_it_and_nothing_that_came_after():
    asked = DumpAsked(full=True)
    await told(state(), seen("a"), asked, seen("a"))
    assert (await answer(loaded([await handed_out(asked)]), VIEWS_TODAY)).now.views == 1


async def test_a_cancelled_asker_leaves_the_shard_as_it_was():
    to_shard, inbox = trio.open_memory_channel(8)
    shard = state()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_shard, shard, inbox, Pace(SLICE_MS), Distribution(SECONDS))
        to_shard.send_nowait(Ask(VIEWS_TODAY))  # nobody waits for it
        to_shard.send_nowait(seen("a"))
        await wait_all_tasks_blocked()
        to_shard.close()
    assert (await answer(shard, VIEWS_TODAY)).now.views == 1


async def test_a_chain_of_a_hundred_deltas_is_the_state():
    shard, chain = state(), Chain()
    for number in range(100):
        at_ms = NOW_MS - (100 - number) * 3_600_000
        await told(shard, seen("a", f"s{number % 7}", received_ms=at_ms))
        await told(shard, active([number + 1, number % 5 + 1], at_ms=at_ms, received_ms=at_ms))
        await chain.grow(shard)
    again = loaded(chain)
    week = Question(Span(tuple(range(TODAY - 6, TODAY + 1)), ()), None, None)
    assert await answer(again, week) == await answer(shard, week)
    assert await distinct(again) == await distinct(shard)


async def test_a_full_dump_amid_deltas_begins_the_chain_anew():
    shard, chain = state(), Chain()
    for number in range(6):
        await told(shard, seen(f"s{number}"), active([number + 1]))
        if number == 3:
            chain.clear()
        await chain.grow(shard)
    assert [dump.full for dump in chain] == [True, False, False]
    assert await answer(loaded(chain), VIEWS_TODAY) == await answer(shard, VIEWS_TODAY)


# -- when changes alone would not say enough ------------------------------------------------


SMALL = {"users_exact_max": 100, "experiment_units_max": 100}


def spread(numbers):
    """Hashes as evenly spread as those of real ids."""
    return [(number * 0x9E3779B97F4A7C15) % 2**64 or 1 for number in numbers]


async def test_users_let_go_since_the_last_dump_make_the_next_one_full():
    shard, chain = state(**SMALL), Chain()
    await told(shard, active(spread(range(1, 90))))
    await chain.grow(shard)
    # They wait to be counted; the dump itself is what makes the shard let half of them go.
    await told(shard, active(spread(range(90, 140))))
    await chain.grow(shard)
    assert [dump.full for dump in chain] == [True]
    again = loaded(chain, **SMALL)
    assert again.users.days.sample_rate == shard.users.days.sample_rate == 0.5
    assert again.users.days.left((TODAY,), ()) == shard.users.days.left((TODAY,), ())


async def test_deltas_after_users_were_let_go_build_on_the_new_rows():
    shard, chain = state(**SMALL), Chain()
    yesterday = NOW_MS - DAY_MS
    for start in range(1, 400, 30):
        await told(shard, active(spread(range(start, start + 30)), at_ms=yesterday))
        await told(shard, active(spread(range(start, start + 10))))
        await chain.grow(shard)
    again = loaded(chain, **SMALL)
    assert again.users.days.sample_rate == shard.users.days.sample_rate < 1
    for days in ((TODAY,), (TODAY - 1,), (TODAY - 1, TODAY)):
        assert again.users.days.left(days, ()) == shard.users.days.left(days, ())
    gone = shard.users.days.left((TODAY - 1,), (TODAY,))
    assert again.users.days.left((TODAY - 1,), (TODAY,)) == gone


def exposed(units, *, experiment="x", at_ms=NOW_MS, variant=0):
    facts = [(experiment, variant, at_ms, unit, experiments.USER) for unit in units]
    return counted(Group(at_ms, KEYS, exposures=facts))


async def units_of(shard, experiment="x"):
    question = experiments.Question(experiment, None, 0, 2**62)
    image = await answer(shard, question)
    [found] = image.experiments.values()
    return {n: (v.units, v.converted) for n, v in found.variants.items()}, found.sample_rate


async def test_units_let_go_since_the_last_dump_make_the_next_one_full():
    shard, chain = state(**SMALL), Chain()
    await told(shard, exposed(spread(range(1, 90))))
    await chain.grow(shard)
    await told(shard, exposed(spread(range(90, 140))))
    await chain.grow(shard)
    await told(shard, exposed(spread(range(140, 150)), variant=1))
    await chain.grow(shard)
    assert [dump.full for dump in chain] == [True, False]
    assert await units_of(loaded(chain, **SMALL)) == await units_of(shard)


async def test_a_sample_that_nobody_is_left_in_stays_a_sample():
    few = {"experiment_units_max": 2}
    shard, chain = state(**few), Chain()
    await told(shard, exposed([2**64 - 1, 2**64 - 2, 2**64 - 3]))  # hashes that go first
    await chain.grow(shard)
    again = loaded(chain, **few)
    for one in (shard, again):
        await told(one, exposed([2**64 - 4, 5]))
    assert await units_of(again) == await units_of(shard) == ({0: (1, 0)}, 0.5)


async def test_units_of_a_forgotten_experiment_do_not_come_back_with_its_name():
    keep = {"keep_days": 2, "keep_hours_days": 1, "experiment_units_max": 100_000}
    shard, chain = state(**keep), Chain()
    long_ago = NOW_MS - 5 * DAY_MS
    await told(shard, exposed(spread(range(1, 20_001)), at_ms=long_ago))  # more than one block
    await chain.grow(shard)
    await told(shard, seen("a"))  # time goes on, and the experiment with it
    await told(shard, exposed([7, 8], variant=1))
    await chain.grow(shard)
    again = loaded(chain, **keep)
    assert await units_of(again) == await units_of(shard) == ({1: (2, 0)}, 1.0)


async def test_a_shard_that_took_over_from_others_dumps_all_it_has():
    former = [state(), state()]
    await told(former[0], active([2, 4, 6]), seen("a"))
    await told(former[1], active([1, 3]), seen("b"))
    dumps = [await dumped(shard, full=True) for shard in former]
    heir = state()
    restore([heir], [resolved(dump.chunks) for dump in dumps], formerly=2)
    first, second = await dumped(heir, full=False), await dumped(heir, full=False)
    assert (first.full, second.full) == (True, False)
    again = loaded([first, second])
    assert await distinct(again) == await distinct(heir) == 5
    assert (await answer(again, VIEWS_TODAY)).now.views == 2


async def test_samples_of_different_rates_become_one_of_the_smaller_rate():
    exact, sampled = state(**SMALL), state(**SMALL)
    await told(exact, active(spread(range(1, 61))))
    await told(sampled, active(spread(range(1_000, 1_120))))
    dumps = [await dumped(shard, full=True) for shard in (exact, sampled)]
    heir = state(**SMALL)
    restore([heir], [resolved(dump.chunks) for dump in dumps], formerly=2)
    half = [h for h in spread([*range(1, 61), *range(1_000, 1_120)]) if h < 2**63]
    assert heir.users.days.sample_rate == 0.5
    assert heir.users.days.left((TODAY,), ()) == (len(half), len(half))


# -- time -----------------------------------------------------------------------------------


async def test_a_step_back_of_the_clock_brings_nothing_back_and_loses_nothing():
    keep = {"keep_days": 3, "keep_hours_days": 1}
    shard = state(**keep)
    await told(shard, seen("old", received_ms=NOW_MS - 4 * DAY_MS))
    await told(shard, seen("new"))
    await told(shard, seen("back", received_ms=NOW_MS - DAY_MS))
    days = Question(Span(tuple(range(TODAY - 9, TODAY + 1)), ()), None, None)
    assert (await answer(shard, days)).views == {"new": 1, "back": 1}
    again = loaded([await dumped(shard, full=True)], **keep)
    assert await answer(again, days) == await answer(shard, days)


async def test_what_had_expired_since_it_was_dumped_does_not_come_back():
    keep = {"keep_days": 3, "keep_hours_days": 1}
    shard, chain = state(**keep), Chain()
    await told(shard, seen("old", received_ms=NOW_MS - 4 * DAY_MS))
    await chain.grow(shard)
    await told(shard, seen("new"))
    await chain.grow(shard)
    days = Question(Span(tuple(range(TODAY - 9, TODAY + 1)), ()), None, None)
    assert [dump.full for dump in chain] == [True, False]
    assert (await answer(loaded(chain, **keep), days)).views == {"new": 1}
