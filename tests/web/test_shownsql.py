"""Queries of shared dashboards: named and never shown, run once for all who look on."""

import pytest
import trio
import trio.testing

from engine.errors import TallymarkError
from persistence.dialect.errors import InvalidQuery
from web.dashboards import Dashboard, Layout, Widget
from web.shownsql import (
    KEPT_BYTES_MAX,
    KEPT_MAX,
    ShownQueries,
    name_of,
    query_named,
    without_queries,
)
from web.sql import Answer

SECRET = "SELECT count() AS n FROM events WHERE userId = 'ada@example.com'"
KEEP_S = 10.0


def widget(metric: str, **filters: str) -> Widget:
    at = Layout(x=0, y=0, w=6, h=4)
    return Widget(kind="table", title="", metric=metric, filters=filters, layout=at)


def board(*widgets: Widget) -> Dashboard:
    return Dashboard(
        id="b", name="B", is_shared=True, created_at="", updated_at="", widgets=widgets
    )


class Running:
    """Stands at the place of SQL's processes: how often it was asked, and what it answers."""

    def __init__(self, took_s: float = 1.0, body: bytes = b"{}") -> None:
        self.asked = 0
        self.took_s = took_s
        self.body = body
        self.refusal: TallymarkError | None = None

    async def __call__(self, text: str) -> Answer:
        self.asked += 1
        await trio.sleep(self.took_s)
        if self.refusal is not None:
            raise self.refusal
        return Answer("application/json", self.body, self.asked)


def test_a_query_is_shown_by_its_name_and_found_by_it() -> None:
    stored = board(widget("sql", sql=SECRET), widget("services", serviceId="a"), widget("sql"))
    shown = without_queries(stored)
    assert [one.filters for one in shown.widgets] == [
        {"query": name_of(SECRET)},
        {"serviceId": "a"},
        {},
    ]
    assert query_named(stored, name_of(SECRET)) == SECRET


def test_no_name_leads_to_what_is_no_query_of_the_dashboard() -> None:
    stored = board(widget("sql", sql=SECRET), widget("services", sql="SELECT 1"))
    assert query_named(stored, name_of("SELECT 1")) is None
    assert query_named(stored, SECRET) is None
    assert query_named(stored, "") is None


async def test_all_who_wait_get_one_answer(autojump_clock: trio.abc.Clock) -> None:
    running = Running()
    queries = ShownQueries(running, keep_s=KEEP_S)
    found: list[Answer] = []

    async def look() -> None:
        found.append(await queries.answer("q"))

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(look)
    assert (running.asked, len(found)) == (1, 100)


async def test_an_answer_serves_for_a_while_and_then_is_made_anew(
    autojump_clock: trio.abc.Clock,
) -> None:
    running = Running()
    queries = ShownQueries(running, keep_s=KEEP_S)
    first = await queries.answer("q")
    await trio.sleep(KEEP_S - 0.01)
    assert await queries.answer("q") is first
    await trio.sleep(0.01)
    assert (await queries.answer("q")).rows == 2


async def test_the_first_who_gives_up_while_others_wait_does_not_leave_them_waiting(
    autojump_clock: trio.abc.Clock,
) -> None:
    running = Running()
    queries = ShownQueries(running, keep_s=KEEP_S)

    async def give_up() -> None:
        with trio.move_on_after(0.5):
            await queries.answer("q")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(give_up)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(queries.answer, "q")
        nursery.start_soon(queries.answer, "q")
    assert running.asked == 2


async def test_a_refusal_is_told_to_all_who_wait_and_to_nobody_later(
    autojump_clock: trio.abc.Clock,
) -> None:
    running = Running()
    running.refusal = InvalidQuery("no such column")
    queries = ShownQueries(running, keep_s=KEEP_S)
    told: list[str] = []

    async def look() -> None:
        with pytest.raises(InvalidQuery) as refused:
            await queries.answer("q")
        told.append(str(refused.value))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(look)
    assert (running.asked, len(told)) == (1, 3)
    running.refusal = None
    assert (await queries.answer("q")).rows == 2


async def test_what_is_too_large_is_not_kept(autojump_clock: trio.abc.Clock) -> None:
    running = Running(body=bytes(KEPT_BYTES_MAX + 1))
    queries = ShownQueries(running, keep_s=KEEP_S)
    await queries.answer("q")
    await queries.answer("q")
    assert running.asked == 2


async def test_no_more_than_so_many_are_kept(autojump_clock: trio.abc.Clock) -> None:
    running = Running(took_s=0.0)
    queries = ShownQueries(running, keep_s=KEEP_S)
    for number in range(KEPT_MAX + 1):
        await queries.answer(f"q{number}")
    await queries.answer("q0")
    assert running.asked == KEPT_MAX + 1
    await queries.answer(f"q{KEPT_MAX}")
    assert running.asked == KEPT_MAX + 2
