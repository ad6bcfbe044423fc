"""One worker's run, told its times by the test: what is due, and what becomes of it."""

from collections.abc import Iterable

import trio

from load.driver import AGAIN_NS, NEVER_NS, SECOND_NS, Driver, Interval, drive, now_ns
from load.payload import Form, Template, templates
from load.profile import Data

MS = 1_000_000
START = 5 * SECOND_NS
END = 6 * SECOND_NS

TEMPLATES: list[Template] = templates(
    run="r",
    worker=0,
    seed=1,
    label="x",
    data=Data(services=5),
    batch=10,
    form=Form.ARRAY,
    count=3,
)


def driver(due_ms: Iterable[int] | None) -> Driver:
    due = None if due_ms is None else iter([ms * MS for ms in due_ms])
    return Driver(TEMPLATES, due, start_ns=START, end_ns=END)


def test_latency_counts_from_the_intended_instant_through_a_standstill() -> None:
    """One connection, an answer that takes 500 ms, and a request due every 10 ms behind it."""
    run = driver(range(0, 500, 10))
    first = run.take(START, START)
    run.acknowledge(first, START + 500 * MS)
    for _ in range(49):
        run.acknowledge(run.take(START + 500 * MS, START + 500 * MS), START + 500 * MS)
    seen = run.interval(0)
    assert seen.latencies_us == [500_000 - 10_000 * number for number in range(50)]
    assert seen.requests == 50
    assert seen.events == 500


def test_waiting_for_a_connection_is_not_the_generators_own_lateness() -> None:
    run = driver([0, 10, 20])
    run.take(START + 2 * MS, START - MS)  # the connection was free, and nobody used it
    run.take(START + 300 * MS, START + 299 * MS)
    run.take(START + 400 * MS, START + 400 * MS)
    assert run.interval(0).lateness_us == [2_000, 1_000, 0]


def test_a_lost_request_is_sent_again_as_it_was_and_counts_once() -> None:
    run = driver([0])
    first = run.take(START, START)
    run.lose(first, "cut", START + MS)
    assert run.is_over
    run.settle()
    again = run.take(START + 2 * MS, START)
    assert (again.stamp, again.template, again.is_again) == (first.stamp, first.template, True)
    run.acknowledge(again, START + 3 * MS)
    ending, seen = run.ending(0.0), run.interval(0)
    assert (ending.acknowledged["events"], ending.settled, ending.unknown) == (10, 1, {})
    assert (seen.requests, seen.latencies_us, seen.lost) == (0, [], {"cut": 1})


def test_what_cannot_be_settled_stays_unknown_and_is_not_asked_for_in_a_hurry() -> None:
    run = driver([0])
    run.lose(run.take(START, START), "cut", START)
    run.settle()
    run.refuse(run.take(START, START), "503", "full", START)
    assert run.next_ns == START + AGAIN_NS
    run.lose(run.take(START + AGAIN_NS, START), "cut", END)
    assert run.ending(0.0).unknown["events"] == 10
    assert run.interval(0).refused == {}


def test_a_refused_request_is_counted_with_the_servers_reason() -> None:
    run = driver([0, 1])
    run.refuse(run.take(START, START), "503", "full", START + MS)
    run.refuse(run.take(START + MS, START), "503", "still full", START + 2 * MS)
    assert run.interval(0).refused == {"503": 2}
    assert run.ending(0.0).samples == {"503": "full"}
    assert run.ending(0.0).acknowledged.get("events", 0) == 0


def test_what_was_due_and_never_sent_is_counted_and_what_was_not_due_yet_is_not() -> None:
    run = driver([0, 10, 20, 900])
    run.take(START, START)
    run.give_up(START + 500 * MS)
    assert run.next_ns == NEVER_NS
    assert run.ending(0.0).unsent == 2


def test_in_a_closed_loop_a_request_is_due_whenever_one_is_free() -> None:
    run = driver(None)
    for at_ns in (START, START + 7 * MS, END - 1):
        assert run.next_ns <= at_ns
        run.acknowledge(run.take(at_ns, at_ns), at_ns + MS)
    run.acknowledge(run.take(END, END), END)
    assert run.is_over
    assert run.interval(0).latencies_us == [1_000, 1_000, 1_000, 0]


def test_an_interval_begins_where_the_last_one_ended() -> None:
    run = driver([0, 1])
    run.acknowledge(run.take(START, START), START + MS)
    assert run.interval(0).requests == 1
    assert run.interval(1) == Interval(
        second=1, requests=0, events=0, refused={}, lost={}, latencies_us=[], lateness_us=[]
    )


async def driven(due_ms: list[int], sink, *, senders: int = 4, stop: trio.Event | None = None):
    """What a sink was sent, and the driver's ending and intervals."""
    start_ns = now_ns()
    due = iter([ms * MS for ms in due_ms])
    run = Driver(TEMPLATES, due, start_ns=start_ns, end_ns=start_ns + SECOND_NS)
    intervals: list[Interval] = []
    await drive(
        run,
        sink,
        templates=TEMPLATES,
        senders=senders,
        start_ns=start_ns,
        give_up_ns=start_ns + 3 * SECOND_NS,
        stop=trio.Event() if stop is None else stop,
        on_interval=intervals.append,
    )
    return run.ending(0.0), intervals


async def test_a_sink_gets_every_body_when_it_is_due(autojump_clock) -> None:
    begun = trio.current_time()
    came: list[float] = []

    async def sink(body: bytes) -> tuple[int, bytes]:
        came.append(round(trio.current_time() - begun, 3))
        return 200, b""

    ending, intervals = await driven([0, 500, 1_500, 1_500], sink)
    assert came == [0.0, 0.5, 1.5, 1.5]
    assert ending.acknowledged["events"] == 40
    assert [one.requests for one in intervals] == [2, 2]


async def test_a_slow_sink_makes_requests_wait_and_their_wait_is_latency(
    autojump_clock,
) -> None:
    async def sink(body: bytes) -> tuple[int, bytes]:
        await trio.sleep(0.4)
        return 200, b""

    _, intervals = await driven([0, 100, 200], sink, senders=1)
    told = [us for one in intervals for us in one.latencies_us]
    assert [round(us, -4) for us in told] == [400_000, 700_000, 1_000_000]


async def test_a_stopped_run_waits_for_what_the_sink_has_and_sends_no_more(
    autojump_clock,
) -> None:
    stop = trio.Event()

    async def sink(body: bytes) -> tuple[int, bytes]:
        stop.set()
        await trio.sleep(0.5)
        return 200, b""

    ending, _ = await driven([0, 900_000], sink, stop=stop)
    assert ending.acknowledged["events"] == 10
    assert ending.unsent == 0
