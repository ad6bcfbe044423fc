"""Sending, against a real HTTP server on a socket that says what each test wants it to say."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest
import trio

from load.connection import Target
from load.errors import LoadError, Refused, Unreachable
from load.sender import BATCH_EVENTS_MAX, Patience, Progress, send

AT_ONCE = Patience(first_s=0, longest_s=0, total_s=5)


def taken(number: int, events: list[Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
    return 200, {}, {"success": True, "count": len(events)}


def problem(
    status: int, detail: str, **more: Any
) -> tuple[int, dict[str, str], dict[str, Any]]:
    return status, {}, {"status": status, "detail": detail, "success": False, **more}


def rows(count: int) -> Iterable[tuple[int, dict[str, Any]]]:
    return ((row, {"eventId": f"e-{row}"}) for row in range(1, count + 1))


def ids(batches: list[list[Any]]) -> list[str]:
    return [event["eventId"] for batch in batches for event in batch]


def ignore(progress: Progress) -> None:
    pass


async def test_every_row_arrives_once_in_batches_of_at_most_25(serving) -> None:
    async with serving(taken) as server:
        sent = await send(rows(130), target=Target(server.url), on_progress=ignore)
    assert sent == Progress(events=130, settled_row=130)
    assert sorted(ids(server.batches)) == sorted(f"e-{row}" for row in range(1, 131))
    assert max(map(len, server.batches)) == BATCH_EVENTS_MAX
    assert set(server.targets) == {b"/track/batch"}


async def test_connections_are_kept(serving) -> None:
    async with serving(taken) as server:
        await send(rows(1_000), target=Target(server.url), on_progress=ignore, connections=3)
    assert len(server.batches) == 40
    assert server.connections <= 3


async def test_no_rows_are_no_request(serving) -> None:
    async with serving(taken) as server:
        sent = await send([], target=Target(server.url), on_progress=ignore)
    assert sent == Progress(0, 0)
    assert server.batches == []


async def test_a_key_travels_as_bearer_and_a_path_before_the_route(serving) -> None:
    async with serving(taken) as server:
        target = Target(server.url + "/analytics/", key="secret")
        await send(rows(1), target=target, on_progress=ignore)
    assert server.headers[0][b"authorization"] == b"Bearer secret"
    assert server.targets == [b"/analytics/track/batch"]


async def test_a_key_that_no_header_can_carry_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(LoadError, match="key holds characters"):
        await send(rows(1), target=Target("http://x", key="a\n"), on_progress=ignore)


async def test_without_a_key_no_authorization_is_sent(serving) -> None:
    async with serving(taken) as server:
        await send(rows(1), target=Target(server.url), on_progress=ignore)
    assert b"authorization" not in server.headers[0]


@pytest.mark.parametrize("status", [429, 502, 503, 504, 507])
async def test_a_passing_refusal_is_tried_again_with_all_events(serving, status: int) -> None:
    def script(number: int, events: list[Any]) -> Any:
        return problem(status, "not now") if number == 1 else taken(number, events)

    async with serving(script) as server:
        sent = await send(
            rows(3), target=Target(server.url), on_progress=ignore, patience=AT_ONCE
        )
    assert sent.events == 3
    assert server.batches[0] == server.batches[1]


async def test_retry_after_goes_before_own_patience(serving) -> None:
    def script(number: int, events: list[Any]) -> Any:
        if number > 1:
            return taken(number, events)
        status, _, body = problem(503, "full")
        return status, {"retry-after": "0"}, body

    # Without the header the pause of 1,000 s would be more than the patience of 10 s.
    impatient = Patience(first_s=1_000, longest_s=1_000, total_s=10)
    async with serving(script) as server:
        sent = await send(
            rows(3), target=Target(server.url), on_progress=ignore, patience=impatient
        )
    assert sent.events == 3


async def test_a_retry_after_beyond_all_patience_ends_it_and_names_the_row(
    serving,
) -> None:
    def script(number: int, events: list[Any]) -> Any:
        status, _, body = problem(503, "The journal failed.")
        return status, {"retry-after": "30"}, body

    async with serving(script) as server:
        with pytest.raises(Unreachable, match=r"503, The journal failed.*data.csv, row 1 on"):
            await send(
                rows(3),
                target=Target(server.url),
                on_progress=ignore,
                row_label="data.csv, row",
                patience=AT_ONCE,
            )


@pytest.mark.parametrize("cut", [1, 2])
async def test_a_connection_cut_before_the_answer_is_opened_anew_for_the_same_events(
    serving,
    cut: int,
) -> None:
    def script(number: int, events: list[Any]) -> Any:
        return None if number == cut else taken(number, events)

    async with serving(script) as server:
        sent = await send(
            rows(60),
            target=Target(server.url),
            on_progress=ignore,
            connections=1,
            patience=AT_ONCE,
        )
    assert sent == Progress(60, 60)
    assert server.batches[cut - 1] == server.batches[cut]
    assert server.connections == 2


async def test_a_server_that_closes_after_each_answer_gets_a_connection_for_each_batch(
    serving,
) -> None:
    def script(number: int, events: list[Any]) -> Any:
        status, _, body = taken(number, events)
        return status, {"connection": "close"}, body

    async with serving(script) as server:
        sent = await send(
            rows(60), target=Target(server.url), on_progress=ignore, connections=1
        )
    assert sent == Progress(60, 60)
    assert (len(server.batches), server.connections) == (3, 3)


async def test_a_refused_event_is_named_by_its_row(serving) -> None:
    def script(number: int, events: list[Any]) -> Any:
        fault = {"index": 2, "path": "$.latencyMs", "message": "Expected `float`"}
        return problem(422, "Expected `float` (at event 2, $.latencyMs).", errors=[fault])

    async with serving(script) as server:
        with pytest.raises(Refused) as refusal:
            await send(
                rows(5), target=Target(server.url), on_progress=ignore, row_label="a.csv, row"
            )
    assert refusal.value.row == 3
    assert refusal.value.status == 422
    assert str(refusal.value) == (
        f"{server.url} refused a.csv, row 3 with 422: "
        "Expected `float` (at event 2, $.latencyMs)."
    )


async def test_a_refusal_without_a_place_names_where_the_batch_begins(serving) -> None:
    async with serving(lambda number, events: problem(401, "A key is needed.")) as server:
        with pytest.raises(Refused, match=r"event 1 and following with 401: A key is needed\."):
            await send(rows(5), target=Target(server.url), on_progress=ignore)
    assert len(server.batches) == 1


async def test_a_refusal_on_one_connection_stops_the_others_with_one_error(serving) -> None:
    def script(number: int, events: list[Any]) -> Any:
        return taken(number, events) if number < 6 else problem(413, "Too large.")

    async with serving(script) as server:
        with pytest.raises(Refused, match="413"):
            await send(rows(10_000), target=Target(server.url), on_progress=ignore)
    assert len(server.batches) < 20


async def test_nothing_that_listens_is_said_at_once_and_says_what_to_do(serving) -> None:
    async with serving(taken) as server:
        url = server.url
    with pytest.raises(Unreachable, match=r"Nothing answers at http://127.*tallymark serve"):
        await send(rows(3), target=Target(url), on_progress=ignore)


async def test_what_does_not_speak_http_is_said_at_once() -> None:
    async def babble(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"220 mail.example.org ESMTP\r\n")

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, babble, 0, host="127.0.0.1"))
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        with pytest.raises(Unreachable, match="Nothing answers at"):
            await send(rows(3), target=Target(url), on_progress=ignore, patience=AT_ONCE)
        nursery.cancel_scope.cancel()


async def test_what_answers_200_but_is_not_tallymark_is_not_believed(serving) -> None:
    async with serving(lambda number, events: (200, {}, {"hello": "world"})) as server:
        with pytest.raises(Unreachable, match="is not Tallymark"):
            await send(rows(3), target=Target(server.url), on_progress=ignore)


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x", "http://", "http://x:99999"])
async def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Unreachable, match="is not a URL"):
        await send(rows(1), target=Target(url), on_progress=ignore)


async def test_settled_rows_never_run_ahead_of_a_batch_on_its_way(
    serving,
) -> None:
    seen: list[Progress] = []

    def script(number: int, events: list[Any]) -> Any:
        # The first batch is held up again and again, while others would go on without it.
        is_first = events[0]["eventId"] == "e-1"
        return problem(503, "wait") if is_first and number < 8 else taken(number, events)

    async with serving(script) as server:
        await send(
            rows(1_000), target=Target(server.url), on_progress=seen.append, patience=AT_ONCE
        )
    first_batch_at = next(i for i, progress in enumerate(seen) if progress.settled_row)
    assert [progress.settled_row for progress in seen[:first_batch_at]] == [0] * first_batch_at
    assert [p.settled_row for p in seen] == sorted(p.settled_row for p in seen)
    assert all(p.settled_row <= p.events for p in seen)
    assert seen[-1] == Progress(1_000, 1_000)


async def test_rows_are_taken_only_when_a_connection_is_free_for_them(serving) -> None:
    taken_rows = 0
    ahead: list[int] = []

    def counted() -> Iterable[tuple[int, dict[str, Any]]]:
        nonlocal taken_rows
        for row in rows(2_000):
            taken_rows += 1
            yield row

    def measure(progress: Progress) -> None:
        ahead.append(taken_rows - progress.events)

    async with serving(taken) as server:
        await send(counted(), target=Target(server.url), on_progress=measure, connections=4)
    assert max(ahead) <= 4 * BATCH_EVENTS_MAX
