"""SQL over HTTP: both paths, their statuses and refusals, and what a bad query cannot end."""

import io
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import polars as pl
import pytest

from tests.server import PATIENCE_S, Server, patiently

COMPATIBLE = "/client/v4/accounts/0123456789abcdef0123456789abcdef/analytics_engine/sql"
BOMB = (
    "SELECT count() AS n FROM events a JOIN events b ON a._sample_interval "
    "= b._sample_interval "
    "JOIN events c ON b._sample_interval = c._sample_interval JOIN events d ON "
    "c._sample_interval = d._sample_interval WHERE a.double1 * b.double1 < "
    "c.double1 + d.double1"
)
COUNT = "SELECT count() AS n FROM events"
EVENTS = 500


@contextmanager
def filled(folder: Path, *, deadline_s: int) -> Iterator[Server]:
    """A server with 500 events in its archive, one query at a time, and two that may wait."""
    settings = folder / "sql.toml"
    limits = f"sql_deadline_s = {deadline_s}\nsql_workers = 1\nsql_queue_max = 2\n"
    settings.write_text(limits)
    with Server(folder / "data", "--archive", "--config", str(settings)) as running:
        for first in range(0, EVENTS, 25):
            batch = [
                {
                    "eventType": "service_execution",
                    "serviceId": f"s-{n % 4}",
                    "latencyMs": n,
                    "success": n % 10 > 0,
                }
                for n in range(first, first + 25)
            ]
            assert running.client.post("/track/batch", json=batch).status_code == 200
        reply = patiently(lambda: running.client.post("/sql?fresh=1", content=COUNT))
        assert reply.json()["data"] == [{"n": EVENTS}]
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with filled(tmp_path_factory.mktemp("sql"), deadline_s=60) as running:
        yield running


def test_an_acknowledged_event_is_seen_at_once_where_it_is_asked(server: Server) -> None:
    for n in range(3):
        event = {"eventType": "marketplace_search", "searchQuery": f"fresh-{n}"}
        server.client.post("/track", json=event)
        found = server.client.post(
            "/sql?fresh=1",
            content="SELECT count() AS n FROM events WHERE eventType = 'marketplace_search'",
        )
        assert found.json()["data"] == [{"n": n + 1}]


@pytest.mark.parametrize("path", ["/sql", COMPATIBLE])
def test_the_mark_with_which_some_editors_begin_a_file_is_no_part_of_a_query(
    server: Server, path: str
) -> None:
    reply = server.client.post(path, content="\ufeffSELECT 'a\ufeff' AS x")
    assert (reply.status_code, reply.json()["data"]) == (200, [{"x": "a\ufeff"}])


def test_both_paths_answer_by_get_and_post_whatever_the_media_type(server: Server) -> None:
    asked = "SELECT blob2 AS s, count() AS n FROM events WHERE s = 's-1' GROUP BY s"
    for path, n in (("/sql", 125), (COMPATIBLE, "125")):
        for media in (
            "text/plain",
            "application/json",
            "application/x-www-form-urlencoded",
            "",
        ):
            reply = server.client.post(path, content=asked, headers={"Content-Type": media})
            assert reply.json()["data"] == [{"s": "s-1", "n": n}], reply.text
        reply = server.client.get(path, params={"query": asked})
        assert reply.json()["data"] == [{"s": "s-1", "n": n}]
        assert reply.headers["Content-Type"] == "application/json"


def test_64_bit_integers_can_be_asked_for_either_way(server: Server) -> None:
    option = "output_format_json_quote_64bit_integers"
    reply = server.client.post(f"/sql?{option}=1", content="SELECT count() AS n")
    assert reply.json()["data"] == [{"n": "1"}]
    reply = server.client.post(
        f"{COMPATIBLE}?{option}=0&other=x", content="SELECT count() AS n"
    )
    assert reply.json()["data"] == [{"n": 1}]


def test_a_budget_is_kept_to_and_the_answer_says_what_it_has_read(server: Server) -> None:
    for path in ("/sql", COMPATIBLE):
        reply = server.client.post(f"{path}?budget=200ms", content=COUNT)
        assert reply.json()["sample_interval"] == 1  # there is time for all 500 rows
        assert reply.headers["Tallymark-Sample-Interval"] == "1"
        plain = server.client.post(path, content=COUNT)
        assert "sample_interval" not in plain.json()
        assert "Tallymark-Sample-Interval" not in plain.headers
    query = f"{COUNT} WHERE blob1 = 'service_execution' FORMAT CSV"
    lines = server.client.get("/sql", params={"budget": "1s", "query": query})
    assert (lines.text, lines.headers["Tallymark-Sample-Interval"]) == ("500\r\n", "1")


@pytest.mark.parametrize("budget", ["0ms", "200", "-1s", "1h", "1e3ms", "1234567s"])
def test_a_budget_that_is_none_is_refused_or_ignored(server: Server, budget: str) -> None:
    reply = server.client.post("/sql", params={"budget": budget}, content=COUNT)
    assert (reply.status_code, "budget" in reply.json()["detail"]) == (422, True)
    ignored = server.client.post(COMPATIBLE, params={"budget": budget}, content=COUNT)
    assert (ignored.status_code, "sample_interval" in ignored.json()) == (200, False)


def test_arrow_comes_under_its_own_media_type(server: Server) -> None:
    query = f"{COUNT} WHERE blob1 = 'service_execution' FORMAT Arrow"
    reply = server.client.post("/sql", content=query)
    assert reply.headers["Content-Type"] == "application/vnd.apache.arrow.stream"
    assert pl.read_ipc_stream(io.BytesIO(reply.content)).rows() == [(EVENTS,)]


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("SELECT nope FROM events", 422, 'unable to find type of column: "nope"'),
        ("SELECT * FROM nope", 422, "unknown table"),
        ("SELECT nope(1)", 422, "unknown function"),
        ("DROP TABLE events", 422, "only SELECT and SHOW can be run, not DROP"),
        ("", 422, "the query is empty"),
        ("SELECT '" + "a" * 16_384 + "'", 413, "16384"),
    ],
)
def test_a_refusal_has_the_form_of_its_path(
    server: Server, query: str, status: int, told: str
) -> None:
    reply = server.client.post("/sql", content=query)
    assert (reply.status_code, reply.headers["Content-Type"]) == (
        status,
        "application/problem+json",
    )
    assert told in reply.json()["detail"]
    reply = server.client.post(COMPATIBLE, content=query)
    assert (reply.status_code, reply.headers["Content-Type"]) == (
        status,
        "text/plain; charset=utf-8",
    )
    assert told in reply.text
    assert reply.text.startswith("Input was invalid: ") or status == 413


def test_a_query_as_long_as_may_be_is_read_and_a_longer_one_is_told_as_that(
    server: Server,
) -> None:
    query = COUNT.ljust(16_384)
    assert server.client.post("/sql", content=query).status_code == 200
    reply = server.client.post("/sql", content=query + " ")
    assert (reply.status_code, reply.json()["type"]) == (413, "/problems/query-too-long")


def test_the_superset_is_on_one_path_alone(server: Server) -> None:
    for query in ("SELECT count(*) AS n FROM events", "SELECT 1 AS x FORMAT CSV"):
        assert server.client.post("/sql", content=query).status_code == 200
        assert server.client.post(COMPATIBLE, content=query).status_code == 422
    reply = server.client.post("/sql", content="SELECT 1 AS x, 'a' AS y FORMAT CSV")
    assert (reply.text, reply.headers["Content-Type"]) == ("1,a\r\n", "text/csv; charset=utf-8")


def test_what_is_not_utf_8_is_refused(server: Server) -> None:
    reply = server.client.post("/sql", content=b"SELECT '\xff'")
    assert (reply.status_code, "not UTF-8" in reply.text) == (422, True)


def test_other_methods_are_refused(server: Server) -> None:
    reply = server.client.put(COMPATIBLE, content="SELECT 1")
    assert (reply.status_code, reply.headers["Allow"]) == (405, "GET, HEAD, POST")


def asked_at_once(server: Server, query: str, times: int) -> list[tuple[int, str, Any]]:
    """Status, head and body of the answers to requests that are there at the same moment."""
    url = httpx.URL(server.url)
    request = (
        f"POST /sql HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Length: {len(query)}\r\n\r\n{query}"
    ).encode()
    with ExitStack() as stack:
        lines = [
            stack.enter_context(socket.create_connection((url.host, url.port), PATIENCE_S))
            for _ in range(times)
        ]
        for line in lines:
            line.sendall(request)
        found = [b"".join(iter(partial(line.recv, 65_536), b"")) for line in lines]
    parts = [answer.partition(b"\r\n\r\n") for answer in found]
    return [
        (int(head.split()[1]), head.decode(), orjson.loads(body)) for head, _, body in parts
    ]


def test_a_query_beyond_its_deadline_ends_and_those_in_line_are_counted(
    tmp_path: Path,
) -> None:
    with filled(tmp_path, deadline_s=2) as hasty:
        answers = asked_at_once(hasty, BOMB, times=6)
        assert sorted(status for status, _, _ in answers) == [422] * 3 + [429] * 3
        for status, head, told in answers:
            if status == 422:
                assert "took longer than 2 s" in told["detail"]
            else:
                assert "retry-after: 1\r\n" in head.lower() + "\r\n"
                assert told["type"] == "/problems/too-many-queries"
        found = hasty.client.post("/sql", content="SELECT 1 AS x")
        assert found.json()["data"] == [{"x": 1}]


def test_while_the_service_has_no_archive_sql_says_so(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as running:
        reply = running.client.post("/sql", content=COUNT)
        assert (reply.status_code, orjson.loads(reply.content)["title"]) == (503, "Not ready")
        reply = running.client.post(COMPATIBLE, content=COUNT)
        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")


def test_a_token_shows_the_rows_of_its_dashboards_query_and_runs_no_other(
    server: Server,
) -> None:
    client = server.client
    mine = "SELECT count() AS n FROM events WHERE eventType = 'service_execution'"
    widget = {"kind": "table", "title": "Mine", "metric": "sql", "filters": {"sql": mine}}
    board = {"name": "Shared rows", "widgets": [widget]}
    made = client.post("/dashboards", json=board).json()["data"]["id"]
    token = client.post(f"/dashboards/{made}/share").json()["data"]["token"]
    asked = {"token": token}
    shown = client.get(f"/embed/{made}/dashboard", params=asked)
    assert "SELECT" not in shown.text
    (name,) = [one["filters"]["query"] for one in shown.json()["data"]["widgets"]]
    rows = client.get(f"/embed/{made}/queries/{name}", params=asked)
    assert rows.json()["data"] == [{"n": EVENTS}]

    for other in ("0" * 32, COUNT, "sql"):
        refused = client.get(f"/embed/{made}/queries/{other}", params=asked)
        assert (refused.status_code, "n" in refused.json().get("data", {})) == (403, False)
    url = f"/embed/{made}/queries/{name}"
    assert client.get(url, params={"token": "x" * 32}).status_code == 404
    assert client.get(url, params={**asked, "query": COUNT}).status_code == 422
    assert client.post(url, params=asked, content=COUNT).status_code == 405

    changed = widget | {"filters": {"sql": COUNT}}
    client.put(f"/dashboards/{made}", json=board | {"widgets": [changed]})
    assert client.get(url, params=asked).status_code == 403
    client.delete(f"/dashboards/{made}/share")
    assert client.get(url, params=asked).status_code == 404
