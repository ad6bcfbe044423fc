"""Exports over HTTP: a real server, its files read by others, and clients that leave."""

import csv
import datetime as dt
import io
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.server import Server, tallymark
from web.routes import ROUTES

MANY = 20_000
BULK = 10_000
TODAY = dt.datetime.now(dt.UTC).date()
FIRST, SECOND, THIRD = DAYS = [str(TODAY - dt.timedelta(days=ago)) for ago in (4, 3, 2)]
DATES = f"startDate={FIRST}&endDate={THIRD}"
EVENTS: list[dict[str, Any]] = [
    *(
        {
            "eventType": "service_execution",
            "serviceId": f"s-{n % 3}",
            "latencyMs": n,
            "success": n % 4 > 0,
            "errorCode": "=HYPERLINK()",
            "userId": f"u-{n % 5}",
            "timestamp": f"{DAYS[n % 3]}T12:00:00.{n:03d}Z",
        }
        for n in range(24)
    ),
    {
        "eventType": "marketplace_search",
        "searchQuery": '@x,"y"\n',
        "timestamp": f"{SECOND}T09:00:00Z",
    },
    {"eventType": "marketplace_view", "serviceId": "s-1", "timestamp": f"{SECOND}T09:00:00Z"},
    {
        "eventType": "revenue_transaction",
        "orderId": "o-1",
        "serviceId": "s-1",
        "amount": 12.5,
        "currency": "EUR",
        "takeRate": 10,
        "timestamp": f"{SECOND}T09:00:00Z",
    },
    {
        "eventType": "experiment_view",
        "experimentId": "e",
        "variantIndex": 1,
        "userId": "u-1",
        "timestamp": f"{SECOND}T09:00:00Z",
    },
    {
        "eventType": "user_session",
        "sessionId": "a",
        "duration": 5,
        "timestamp": f"{SECOND}T09:00:00Z",
    },
]
OF_THE_PAGE = (  # the links of web/ui
    "services?{dates}",
    "services?{dates}&granularity=day",
    "services?{dates}&timezone=Asia%2FShanghai&granularity=day&serviceId=s-1",
    "revenue?{dates}",
    "revenue?{dates}&granularity=week",
    "marketplace?{dates}",
    "marketplace?{dates}&granularity=hour",
    "users?{dates}",
    "users?{dates}&granularity=day",
    "users?{dates}&cohorts=week",
    "experiments?{dates}",
)


def fill(server: Server) -> None:
    """Have more events in the archive than the buffers between server and client hold."""
    for first in range(0, MANY, BULK):
        lines = b"\n".join(
            orjson.dumps(
                {"eventType": "marketplace_view", "serviceId": "many", "userId": f"u{n}"}
            )
            for n in range(first, first + BULK)
        )
        assert server.client.post("/track/bulk", content=lines).status_code == 200
    past = "/export/events?fresh=1&endDate=2020-01-01"
    while server.client.get(past).status_code == 503:
        pass  # the archive is on its way


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("exports")
    options = ("--archive", "--durability", "write", "--config", str(folder / "one.toml"))
    (folder / "one.toml").write_text("exports_max = 1\n")
    with Server(folder / "data", *options) as running:
        for first in range(0, len(EVENTS), 25):
            told = EVENTS[first : first + 25]
            assert running.client.post("/track/batch", json=told).status_code == 200
        fill(running)
        yield running


def read_csv(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode(), newline="")))


@pytest.mark.parametrize("link", OF_THE_PAGE)
def test_every_link_of_the_page_is_a_file_with_rows(server: Server, link: str) -> None:
    link = link.format(dates=DATES)
    reply = server.client.get(f"/export/{link}&format=csv")
    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    family = link.partition("?")[0]
    assert reply.headers["Content-Disposition"].startswith(f'attachment; filename="{family}')
    rows = read_csv(reply.content)
    assert rows
    for format_ in ("json", "ndjson"):
        same = server.client.get(f"/export/{link}&format={format_}").content
        told = orjson.loads(same) if format_ == "json" else map(orjson.loads, same.splitlines())
        assert [list(row) for row in told] == [list(row) for row in rows]


def test_a_table_says_what_the_metrics_say(server: Server) -> None:
    asked = f"{DATES}&sort=-executions"
    metrics = server.client.get(f"/metrics/services?{asked}").json()["data"]
    table = read_csv(server.client.get(f"/export/services?{asked}").content)
    assert [row["serviceId"] for row in table] == [row["serviceId"] for row in metrics]
    for row, one in zip(table, metrics, strict=True):
        assert int(row["executions"]) == one["executions"]
        assert float(row["latency.p95"]) == one["latency"]["p95"]
        assert orjson.loads(row["errors"]) == one["errors"]
    series = server.client.get(f"/metrics/revenue?{DATES}&granularity=day").json()["data"]
    table = server.client.get(f"/export/revenue?{DATES}&granularity=day&format=json").json()
    assert table == series["series"]


def test_the_lists_of_an_answer_are_told_apart(server: Server) -> None:
    sold = read_csv(server.client.get(f"/export/revenue?{DATES}&compare=previous").content)
    kinds = {row["kind"]: row for row in sold}
    assert set(kinds) == {"total", "previous", "currency", "service"}
    assert kinds["currency"]["currency"] == "EUR"
    assert (kinds["service"]["id"], float(kinds["service"]["gmv"])) == ("s-1", 12.5)
    found = read_csv(server.client.get(f"/export/marketplace?{DATES}").content)
    assert [row["query"] for row in found if row["kind"] == "search"] == ['\'@x,"y"\n']


def test_without_rows_a_table_still_has_its_columns(server: Server) -> None:
    full = server.client.get(f"/export/services?{DATES}").text
    none = server.client.get(f"/export/services?{DATES}&category=none").text
    assert none == full.partition("\r\n")[0] + "\r\n"


def test_events_come_as_they_were_sent_in_every_format(server: Server) -> None:
    found = {
        one: server.client.get(f"/export/events?{DATES}&fresh=1&format={one}")
        for one in ("csv", "json", "ndjson", "parquet", "arrow")
    }
    assert all(reply.status_code == 200 for reply in found.values())
    assert found["parquet"].headers["Content-Type"] == "application/vnd.apache.parquet"
    name = f'attachment; filename="events_{FIRST}_{THIRD}.json"'
    assert found["json"].headers["Content-Disposition"] == name
    frame = pl.read_parquet(found["parquet"].content).sort("seq")
    arrow = pl.read_ipc_stream(io.BytesIO(found["arrow"].content)).sort("seq")
    moments = pl.col("timestamp", "receivedAt").dt.replace_time_zone(None)
    assert_frame_equal(arrow.with_columns(moments), frame)
    array = sorted(found["json"].json(), key=lambda row: row["seq"])
    assert array == sorted(
        map(orjson.loads, found["ndjson"].content.splitlines()), key=lambda row: row["seq"]
    )
    assert len(array) == len(EVENTS) == frame.height
    for row, event in zip(array, EVENTS, strict=True):
        for field, value in event.items():
            assert field == "timestamp" or row[field] == value
    assert frame["searchQuery"].to_list() == [row["searchQuery"] for row in array]
    rows = {int(row["seq"]): row for row in read_csv(found["csv"].content)}
    assert rows[1]["errorCode"] == "'=HYPERLINK()"
    assert array[0]["errorCode"] == "=HYPERLINK()"


@pytest.mark.parametrize("format_", ["csv", "json", "ndjson", "parquet", "arrow"])
def test_text_comes_packed_to_whoever_takes_that_and_is_the_same(
    server: Server, format_: str
) -> None:
    link = f"/export/events?{DATES}&format={format_}"
    plain = server.client.get(link, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    is_text = format_ in ("csv", "json", "ndjson")
    for coding in ("gzip", "zstd"):
        headers = {"Accept-Encoding": coding}
        reply = server.client.get(link, headers=headers)
        assert reply.headers.get("Content-Encoding") == (coding if is_text else None)
        assert ("Vary" in reply.headers) == is_text
        if is_text:
            assert sorted(reply.content.splitlines()) == sorted(plain.content.splitlines())
        head = server.client.head(link, headers=headers)
        told = [{**one.headers, "date": ""} for one in (head, reply)]
        assert told[0] == told[1]


@pytest.mark.parametrize(
    ("filters", "rows"),
    [
        ("serviceId=s-1", 10),
        ("eventType=service_execution", 24),
        ("eventType=service_execution&serviceId=s-0&userId=u-0", 2),
        ("userId=%00%27%3B", 0),
        ("startDate={first}T12:00:00.003Z&endDate={first}T12:00:00.009Z", 2),
    ],
)
def test_events_can_be_chosen(server: Server, filters: str, rows: int) -> None:
    dates = "" if "startDate" in filters else f"{DATES}&"
    filters = filters.format(first=FIRST)
    reply = server.client.get(f"/export/events?{dates}{filters}&fresh=1&format=json")
    assert (reply.status_code, len(reply.json())) == (200, rows)


def test_what_was_exported_can_be_tracked_again(server: Server, tmp_path: Path) -> None:
    body = server.client.get(f"/export/events?{DATES}&fresh=1&format=ndjson").content
    with Server(tmp_path / "data", "--durability", "none") as other:
        reply = other.client.post("/track/bulk", content=body)
        assert reply.json() == {"success": True, "count": len(EVENTS)}


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("services?format=parquet", 422),
        ("services?format=arrow", 422),
        ("events?format=xml", 422),
        ("events?eventType=nope", 422),
        ("events?serviceId=", 422),
        ("events?granularity=day", 422),
        ("events?startDate=2025-10-03&endDate=2025-10-01", 422),
        ("events?timezone=Nowhere", 422),
        ("events?timezone=", 422),
        ("users?timezone=", 422),
        ("nothing", 404),
    ],
)
def test_bad_exports_are_refused_with_a_problem(
    server: Server, target: str, status: int
) -> None:
    reply = server.client.get(f"/export/{target}")
    assert (reply.status_code, reply.headers["Content-Type"]) == (
        status,
        "application/problem+json",
    )


def test_foreign_hosts_get_nothing_and_head_starts_nothing(server: Server) -> None:
    for path in (route.path for route in ROUTES if route.path.startswith("/export/")):
        reply = server.client.get(path, headers={"Host": "evil.example"})
        assert reply.status_code == 421, path
        head = server.client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert "attachment" in head.headers["Content-Disposition"]


class Slow:
    """A client that has asked for every event and reads nothing but the head."""

    def __init__(self, server: Server) -> None:
        url = httpx.URL(server.url)
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.settimeout(60)
        self.sock.connect((url.host, url.port))
        self.sock.sendall(
            b"GET /export/events?format=json&fresh=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        self.head = self.sock.recv(12)


def processes(server: Server) -> set[int]:
    """The processes of exports."""
    pid = server.pid
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            words = Path(f"/proc/{child}/cmdline")
            if words.exists() and b"exportworker" in words.read_bytes():
                found.add(int(child))
    return found


def test_one_too_many_is_429_until_the_other_client_leaves(server: Server) -> None:
    slow = Slow(server)
    assert slow.head == b"HTTP/1.1 200"
    refused = server.client.get("/export/events")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    assert refused.json()["type"] == "/problems/too-many-exports"
    assert server.client.get(f"/export/services?{DATES}").status_code == 200
    slow.sock.close()
    while (
        reply := server.client.get("/export/events?format=ndjson&serviceId=many")
    ).status_code == 429:
        pass
    assert len(reply.content.splitlines()) == MANY


def test_an_export_whose_process_dies_is_known_to_be_incomplete(server: Server) -> None:
    with server.client.stream("GET", "/export/events?format=json&fresh=1") as reply:
        assert reply.status_code == 200
        pieces = reply.iter_raw(4096)
        next(pieces)
        tallied = processes(server)
        assert len(tallied) == 1
        os.kill(tallied.pop(), signal.SIGKILL)
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in pieces:
                pass
    assert server.line("export failed")
    assert server.client.get("/export/events?endDate=2020-01-01").status_code == 200


def test_a_stop_does_not_wait_for_an_export(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--archive", "--durability", "none") as running:
        fill(running)
        slow = Slow(running)
        assert slow.head == b"HTTP/1.1 200"
        assert running.stop() == 0
        assert "failed" not in " ".join(running.messages)
        slow.sock.close()


def test_the_command_writes_the_same_from_the_server_and_from_its_folder(
    server: Server, tmp_path: Path
) -> None:
    dates = ("--with", f"startDate={FIRST}", "--with", f"endDate={THIRD}")
    files = tmp_path / "server.ndjson", tmp_path / "folder.ndjson"
    for source, file in zip((("--url", server.url), (str(server.data),)), files, strict=True):
        words = ("--format", "ndjson", "--output", str(file), *dates)
        done = tallymark("export", *source, *words)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    online, offline = (sorted(file.read_bytes().splitlines()) for file in files)
    assert online == offline
    assert len(online) == len(EVENTS)
    done = tallymark("export", "--url", server.url, "--of", "services", *dates)
    assert [row["serviceId"] for row in read_csv(done.stdout.encode())] == ["s-0", "s-1", "s-2"]


def test_the_command_keeps_no_part_and_says_why(server: Server, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    for words, code, told in (
        ((str(server.data), "--of", "users"), 1, "A folder has events alone"),
        ((str(tmp_path),), 1, "has no archive"),
        (("--url", server.url, "--with", "format"), 1, "NAME=VALUE"),
        (("--url", server.url, "--with", "limit=1"), 1, "not a parameter of this route"),
        (("--url", "http://127.0.0.1:1"), 1, "No server answers"),
        ((str(tmp_path), "--url", server.url), 2, "not both"),
    ):
        done = tallymark("export", *words, "--output", str(output))
        assert (done.returncode, told in done.stderr) == (code, True), done.stderr
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
