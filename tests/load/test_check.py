"""The check of the counts: what it passes, and that no server gets away with a lie."""

import datetime as dt

import msgspec
import pytest

from load import check
from load.check import Uncountable
from load.connection import Target
from load.outcome import Outcome
from load.plan import plan_of
from load.run import run
from load.tally import Tally
from tests.load.dishonest import Counting


async def checked(serving, script: Counting) -> Outcome:
    async with serving(script) as server:
        plan = plan_of(
            Target(server.url), "steady", rate_per_s=5_000, duration_s=0.2, connections=4
        )
        return await run(msgspec.structs.replace(plan, processes=2))


def wrong(outcome: Outcome) -> dict[str, str]:
    return {row.figure: row.verdict for row in outcome.counts if not row.is_right}


async def test_an_honest_server_is_exact_in_every_figure(serving) -> None:
    script = Counting()
    outcome = await checked(serving, script)
    assert {row.verdict for row in outcome.counts} == {"exact"}
    assert outcome.is_met
    assert outcome.events == script.all["events"] == 1_000


async def test_a_server_that_loses_one_acknowledged_event_is_caught(serving) -> None:
    outcome = await checked(serving, Counting(loses={17}))
    assert wrong(outcome)["events"] == "lost"
    assert len(wrong(outcome)) >= 2  # and in the figure of its kind
    assert not outcome.is_met


async def test_a_server_that_counts_one_event_twice_is_caught(serving) -> None:
    outcome = await checked(serving, Counting(doubles={3}))
    assert wrong(outcome)["events"] == "too many"
    assert len(wrong(outcome)) >= 2
    assert not outcome.is_met


async def test_a_loss_and_a_double_do_not_cancel_each_other_out(serving) -> None:
    outcome = await checked(serving, Counting(doubles={3}, loses={4, 5}))
    assert not outcome.is_counted_right


async def test_what_was_refused_is_an_error_and_rightly_not_counted(serving) -> None:
    outcome = await checked(serving, Counting(refuses={2, 5, 9}))
    assert outcome.refused == {"503": 3}
    assert outcome.errors == 3
    assert "The queue is full." in outcome.samples["503"]
    assert outcome.is_counted_right
    assert outcome.counts[0].acknowledged == 1_000 - 3 * 25


async def test_requests_without_an_answer_are_settled_whether_they_were_taken_or_not(
    serving,
) -> None:
    outcome = await checked(serving, Counting(cuts={2, 5}, drops={9}))
    assert sum(outcome.lost.values()) == 3
    assert outcome.settled == 3
    assert {row.verdict for row in outcome.counts} == {"exact"}
    assert outcome.counts[0].acknowledged == 1_000


def test_what_stays_unknown_may_be_counted_or_not() -> None:
    tallies = {"acknowledged": Tally(events=10), "unknown": Tally(events=2), "shared": False}
    verdicts = {}
    for counted in (9, 10, 11, 12, 13):
        rows = check.compare(Tally(events=5), Tally(events=5 + counted), **tallies)
        verdicts[counted] = rows[0].verdict
    assert verdicts == {9: "lost", 10: "exact", 11: "within", 12: "within", 13: "too many"}


def test_where_others_write_only_the_figures_without_a_label_may_be_higher() -> None:
    more = Tally(events=9, sessions=9, views=9)
    rows = check.compare(Tally(), more, acknowledged=Tally(), unknown=Tally(), shared=True)
    verdicts = {row.figure: row.verdict for row in rows}
    assert verdicts["events"] == verdicts["sessions"] == "others write too"
    assert verdicts["views"] == "too many"


async def test_answers_of_another_shape_are_said_to_be_unreadable() -> None:
    async def ask(path: str) -> dict[str, int]:
        return {}

    with pytest.raises(Uncountable, match="have no 'total'"):
        await check.counted(ask, label="x", period="")


def test_the_period_holds_the_run_in_every_zone_of_the_world() -> None:
    now = dt.datetime(2026, 12, 31, 23, 59, 30, tzinfo=dt.UTC)
    assert check.period(now, 60) == "startDate=2026-12-30&endDate=2027-01-02"
