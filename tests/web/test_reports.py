"""Reports over HTTP: made while nobody waits, across restarts, within their limits."""

import csv
import datetime as dt
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import orjson
import polars as pl
import pytest
from rich.console import Console

from engine.config import Config
from load.connection import Target
from persistence.reports import FOLDER, Report
from tests.keys import made
from tests.server import ENDLESS, PATIENCE_S, Server, tallymark
from web import report_command

ROWS = 400
DAY = str(dt.datetime.now(dt.UTC).date() - dt.timedelta(days=2))
WIDE = (
    "SELECT a.double1 AS x, b.double1 AS y FROM events a JOIN events b ON a.blob1 = b.blob1 "
    "WHERE b.double1 < 1500"
)
"""More rows than are written at once: 400 times 400."""

SLOW = {"sql": WIDE, "format": "ndjson"}


def fill(server: Server) -> None:
    lines = b"\n".join(
        orjson.dumps(
            {
                "eventType": "service_execution",
                "serviceId": f"=s-{n % 3}",
                "latencyMs": n,
                "success": True,
                "timestamp": f"{DAY}T12:00:00.{n:03}Z",
                "eventId": f"e-{n}",
            }
        )
        for n in range(ROWS)
    )
    assert server.client.post("/track/bulk", content=lines).status_code == 200


def options(folder: Path, settings: str = "") -> tuple[str, ...]:
    file = folder / "reports.toml"
    file.write_text(settings)
    return ("--archive", "--durability", "write", "--config", str(file))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("reports")
    with Server(folder / "data", *options(folder)) as running:
        fill(running)
        yield running


def asked(server: Server, **body: Any) -> dict[str, Any]:
    reply = server.client.post("/exports", json=body)
    assert reply.status_code == 202, reply.text
    report: dict[str, Any] = reply.json()
    assert reply.headers["Location"] == f"/exports/{report['id']}"
    assert report["status"] == "queued"
    return report


def until(server: Server, report: dict[str, Any], *statuses: str) -> dict[str, Any]:
    """The report, once it has one of the statuses."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found: dict[str, Any] = server.client.get(f"/exports/{report['id']}").json()
        if found["status"] in statuses:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{found} is not {statuses}")


AS_IT_IS = {"Accept-Encoding": "identity"}


def done(server: Server, **body: Any) -> tuple[dict[str, Any], httpx.Response]:
    report = until(server, asked(server, **body), "done", "failed")
    assert report["status"] == "done", report["reason"]
    reply = server.client.get(report["file"], headers=AS_IT_IS)
    assert reply.status_code == 200
    assert int(reply.headers["Content-Length"]) == report["sizeBytes"] == len(reply.content)
    name = f'attachment; filename="{report["fileName"]}"'
    assert reply.headers["Content-Disposition"] == name
    head = server.client.head(report["file"], headers=AS_IT_IS)
    assert head.headers["Content-Length"] == str(len(reply.content))
    for coding in ("gzip", "zstd"):
        packed = server.client.get(report["file"], headers={"Accept-Encoding": coding})
        assert packed.content == reply.content
        head = server.client.head(report["file"], headers={"Accept-Encoding": coding})
        assert {**head.headers, "date": ""} == {**packed.headers, "date": ""}
    return report, reply


DATES = {"startDate": DAY, "endDate": DAY}


@pytest.mark.parametrize(
    "family", ["services", "revenue", "marketplace", "experiments", "users", "events"]
)
@pytest.mark.parametrize("format_", ["csv", "json", "ndjson"])
def test_a_report_is_what_the_export_would_have_been(
    server: Server, family: str, format_: str
) -> None:
    _, reply = done(server, family=family, format=format_, **DATES)
    same = server.client.get(f"/export/{family}?startDate={DAY}&endDate={DAY}&format={format_}")
    assert reply.headers["Content-Type"] == same.headers["Content-Type"]
    assert sorted(reply.content.splitlines()) == sorted(same.content.splitlines())


def test_parameters_are_those_of_the_export(server: Server) -> None:
    report, reply = done(
        server, family="services", granularity="hour", serviceId="=s-1", limit=5, **DATES
    )
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert len(rows) == 24
    assert sum(int(row["executions"]) for row in rows) == ROWS // 3
    assert report["asked"]["granularity"] == "hour"
    assert report["fileName"] == f"services_{DAY}_{DAY}.csv"
    _, reply = done(server, family="events", serviceId="=s-0", format="parquet", **DATES)
    assert pl.read_parquet(io.BytesIO(reply.content)).height == ROWS // 3 + 1


def test_a_query_becomes_a_file_in_each_format(server: Server) -> None:
    text = "SELECT serviceId AS s, count() AS n FROM events WHERE latencyMs < 399 GROUP BY s"
    text += " ORDER BY s"
    rows = [{"s": f"=s-{n}", "n": 133} for n in range(3)]
    report, reply = done(server, sql=text)
    assert reply.text == "s,n\r\n'=s-0,133\r\n'=s-1,133\r\n'=s-2,133\r\n"  # for spreadsheets
    assert (report["family"], report["rows"], report["progress"]) == ("sql", 3, 100)
    assert done(server, sql=text, family="sql", format="json")[1].json() == rows
    _, lines = done(server, sql=text, format="ndjson")
    assert list(map(orjson.loads, lines.content.splitlines())) == rows
    _, arrow = done(server, sql=text, format="arrow")
    assert pl.read_ipc_stream(io.BytesIO(arrow.content)).to_dicts() == rows


def test_a_query_says_how_far_it_is_while_it_is_made(server: Server) -> None:
    report = asked(server, sql=ENDLESS)
    assert report["progress"] == 0
    told = until(server, report, "running")["progress"]
    deadline = time.monotonic() + PATIENCE_S
    while not told and time.monotonic() < deadline:
        told = until(server, report, "running")["progress"]
    assert 1 <= told < 100
    assert server.client.delete(f"/exports/{report['id']}").status_code == 204


def test_a_report_sees_what_was_acknowledged_before_it(server: Server) -> None:
    for n in range(3):
        event = {"eventType": "marketplace_search", "searchQuery": f"fresh-{n}"}
        assert server.client.post("/track", json=event).status_code == 200
        text = "SELECT count() AS n FROM events WHERE eventType = 'marketplace_search'"
        assert done(server, sql=text, format="json")[1].json() == [{"n": n + 1}]


def test_reports_are_listed_the_newest_first_and_can_be_removed(server: Server) -> None:
    first, second = (done(server, family="users", **DATES)[0] for _ in range(2))
    listed = [one["id"] for one in server.client.get("/exports").json()["data"]]
    assert listed[:2] == [second["id"], first["id"]]
    path = f"/exports/{second['id']}"
    assert server.client.delete(path).status_code == 204
    for gone in (path, f"{path}/file"):
        assert server.client.get(gone).status_code == 404
    assert server.client.delete(path).status_code == 404
    assert not list((server.data / FOLDER).glob(f"{second['id']}*"))


def test_a_file_that_is_being_read_stays_whole(server: Server) -> None:
    report, whole = done(server, sql=WIDE, format="ndjson")
    with server.client.stream("GET", report["file"], headers=AS_IT_IS) as reply:
        pieces = reply.iter_raw()
        read = next(pieces)
        assert server.client.delete(f"/exports/{report['id']}").status_code == 204
        assert read + b"".join(pieces) == whole.content


def test_one_that_is_made_can_be_given_up_and_the_next_is_made(server: Server) -> None:
    report = until(server, asked(server, sql=ENDLESS), "running")
    reply = server.client.get(f"/exports/{report['id']}/file")
    assert (reply.status_code, reply.json()["detail"]) == (409, "The report is running")
    behind = asked(server, family="users", **DATES)
    assert server.client.delete(f"/exports/{report['id']}").status_code == 204
    assert until(server, behind, "done", "failed")["status"] == "done"
    assert not list((server.data / FOLDER).glob(f"{report['id']}*"))


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({}, 422, "family"),
        ({"family": "nope"}, 422, "nope"),
        ({"family": "services", "format": "parquet"}, 422, "parquet"),
        ({"family": "services", "nope": 1}, 422, "nope"),
        ({"family": "services", "limit": 0}, 422, "limit"),
        ({"family": "events", "startDate": "x"}, 422, "startDate"),
        ({"family": "users", "timezone": "Nowhere"}, 422, "timezone"),
        ({"family": "services", "timezone": ""}, 422, "timezone"),
        ({"family": "users", "timezone": ""}, 422, "timezone"),
        ({"family": "users", "granularity": "hour"}, 422, "granularity"),
        ({"family": "services", "sort": "nope"}, 422, "sort"),
        ({"family": "services", "sql": "SELECT 1"}, 422, "sql"),
        ({"sql": ""}, 422, "sql"),
        ({"sql": "SELECT nope FROM events"}, 422, "nope"),
        ({"sql": "SELECT 1 AS x FORMAT CSV"}, 422, "FORMAT"),
        ({"sql": "SHOW TABLES"}, 422, "SELECT"),
        ({"sql": "SELECT '" + "a" * 20_000 + "'"}, 413, "bytes"),
        ({"sql": "SELECT 1", "format": "parquet"}, 422, "format"),
        ([], 422, "array"),
    ],
)
def test_what_no_report_can_be_made_of_is_refused_at_once(
    server: Server, body: Any, status: int, told: str
) -> None:
    reply = server.client.post("/exports", json=body)
    assert (reply.status_code, reply.headers["Content-Type"]) == (
        status,
        "application/problem+json",
    )
    assert told in reply.json()["detail"]


def test_bodies_and_queries_are_read_strictly(server: Server) -> None:
    post = server.client.post
    for _ in range(50):  # a body that is refused by its type does not cost the connection
        assert post("/exports", content=b"{}").status_code == 415
    headers = {"Content-Type": "application/json"}
    assert post("/exports", content=b"{", headers=headers).status_code == 400
    assert post("/exports?x=1", json={"family": "users"}).status_code == 422
    assert server.client.get("/exports?x=1").status_code == 422
    assert server.client.get("/exports/..%2f..%2fjournal/file").status_code == 404
    assert server.client.get(f"/exports/{'0' * 32}").status_code == 404


def test_what_fails_says_why(server: Server) -> None:
    failing = asked(server, sql="SELECT CAST(blob1 AS Int64) AS x FROM events", format="json")
    report = until(server, failing, "failed", "done")
    assert report["status"] == "failed"
    assert "could not be read" in report["reason"]
    reply = server.client.get(f"/exports/{report['id']}/file")
    assert (reply.status_code, report["reason"] in reply.json()["detail"]) == (409, True)


def test_a_kill_in_the_middle_costs_no_report(tmp_path: Path) -> None:
    with Server(tmp_path / "data", *options(tmp_path)) as server:
        fill(server)
        early = done(server, family="services", **DATES)[1].content
        slow, behind = asked(server, **SLOW), asked(server, family="events", **DATES)
        while until(server, slow, "running", "done")["sizeBytes"] == 0:
            time.sleep(0.01)
        server.kill()
        server.start()
        first, middle, last = reversed(server.client.get("/exports").json()["data"])
        assert server.client.get(first["file"]).content == early
        assert [middle["id"], last["id"]] == [slow["id"], behind["id"]]
        report = until(server, slow, "done", "failed")
        assert (report["status"], report["rows"]) == ("done", ROWS * ROWS)
        content = server.client.get(report["file"]).content
        assert content.count(b"\n") == ROWS * ROWS
        assert len(set(content.splitlines())) == ROWS * ROWS
        events = until(server, behind, "done", "failed")
        assert server.client.get(events["file"]).text.count("\n") == ROWS + 1
        kept = [path.suffix for path in (server.data / FOLDER).iterdir()]
        assert sorted(kept) == [".json"] * 3 + [".rows"] * 3
        assert server.stop() == 0


def test_a_stop_does_not_wait_for_a_report(tmp_path: Path) -> None:
    with Server(tmp_path / "data", *options(tmp_path)) as server:
        fill(server)
        report = until(server, asked(server, **SLOW), "running", "done")
        assert server.stop() == 0
        server.start()
        assert until(server, report, "done", "failed")["rows"] == ROWS * ROWS


def test_reports_are_removed_when_their_time_has_come(tmp_path: Path) -> None:
    with Server(tmp_path / "data", *options(tmp_path, "report_keep_hours = 2\n")) as server:
        fill(server)
        old, new = (done(server, family="users", **DATES)[0] for _ in range(2))
        assert server.stop() == 0
        path = server.data / FOLDER / f"{old['id']}.json"
        told = msgspec.json.decode(path.read_bytes(), type=Report)
        assert told.finished_ms is not None
        earlier = msgspec.structs.replace(told, finished_ms=told.finished_ms - 7_200_000)
        path.write_bytes(msgspec.json.encode(earlier))
        server.start()
        while server.client.get(f"/exports/{old['id']}").status_code != 404:
            time.sleep(0.01)
        assert server.client.get(new["file"]).status_code == 200
        assert {path.stem for path in (server.data / FOLDER).iterdir()} == {new["id"]}


def test_their_number_and_their_size_are_bounded(tmp_path: Path) -> None:
    settings = (
        "reports_per_owner_max = 3\nreport_bytes_max = 12000\nreports_bytes_max = 15000\n"
    )
    with Server(tmp_path / "data", *options(tmp_path, settings)) as server:
        fill(server)
        too_large = until(server, asked(server, **SLOW), "failed", "done")
        assert "report_bytes_max" in too_large["reason"]
        text = "SELECT double1 AS x, blob3 AS padding FROM events"
        _, reply = done(server, sql=text, format="ndjson")
        assert 8_000 < len(reply.content) < 12_000
        second = until(server, asked(server, sql=text, format="ndjson"), "failed", "done")
        refused = server.client.post("/exports", json={"family": "users"})
        assert (refused.status_code, refused.json()["title"]) == (409, "Limit reached")
        server.client.delete(f"/exports/{too_large['id']}")
        third = until(server, asked(server, sql=text, format="ndjson"), "failed", "done")
        assert "reports_bytes_max" in (second["reason"] or "") + (third["reason"] or "")
        files = (server.data / FOLDER).glob("*.rows")
        assert sum(file.stat().st_size for file in files) <= 15_000


def test_without_an_archive_there_are_figures_alone(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        assert done(server, family="services")[1].status_code == 200
        for body in ({"family": "events"}, {"sql": "SELECT 1"}):
            assert server.client.post("/exports", json=body).status_code == 503


def test_each_key_has_a_number_of_its_own_and_removes_its_own(tmp_path: Path) -> None:
    data = tmp_path / "data"
    roles = ("write", "read", "read", "admin")
    write, one, two, admin = ({"Authorization": f"Bearer {made(data, role)}"} for role in roles)
    file = options(tmp_path, "reports_per_owner_max = 2\n")[-2:]
    with Server(data, "--durability", "write", *file) as server:
        post, delete = server.client.post, server.client.delete
        body = {"family": "users"}
        assert post("/exports", json=body).status_code == 401
        assert post("/exports", json=body, headers=write).status_code == 403
        of_one = [post("/exports", json=body, headers=one) for _ in range(3)]
        assert [reply.status_code for reply in of_one] == [202, 202, 409]
        of_two = post("/exports", json=body, headers=two)
        assert of_two.status_code == 202
        first, second = (f"/exports/{reply.json()['id']}" for reply in of_one[:2])
        assert delete(first, headers=two).status_code == 403
        assert delete(first, headers=one).status_code == 204
        assert delete(second, headers=admin).status_code == 204
        assert post("/exports", json=body, headers=one).status_code == 202
        listed = server.client.get("/exports", headers=two).json()["data"]
        assert of_two.json()["id"] in [report["id"] for report in listed]
    # After the end of the server, which puts other files in their place as long as it runs.
    kept = b"".join(path.read_bytes() for path in (data / FOLDER).iterdir())
    assert kept
    assert all(key["Authorization"][7:].encode() not in kept for key in (one, two))


def test_the_command_writes_the_rows_of_a_query_from_the_server_and_from_its_folder(
    server: Server, tmp_path: Path
) -> None:
    query = "SELECT latencyMs AS x FROM events WHERE latencyMs IS NOT NULL ORDER BY x"
    kept = len(server.client.get("/exports").json()["data"])
    files = tmp_path / "server.ndjson", tmp_path / "folder.ndjson"
    for source, file in zip((("--url", server.url), (str(server.data),)), files, strict=True):
        words = ("--sql", query, "--format", "ndjson", "--output", str(file))
        done = tallymark("export", *source, *words)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        rows = list(map(orjson.loads, file.read_bytes().splitlines()))
        assert rows == [{"x": n} for n in range(ROWS)]
    assert len(server.client.get("/exports").json()["data"]) == kept
    done = tallymark("export", str(server.data), "--sql", "SELECT 'x' AS a")
    assert done.stdout == "a\nx\n"  # subprocess makes one line break of CR LF


def test_the_command_tells_on_a_terminal_how_far_the_rows_are(
    server: Server, tmp_path: Path
) -> None:
    for source in (Target(server.url), server.data):
        terminal = io.StringIO()
        console = Console(file=terminal, force_terminal=True, width=100)
        output = tmp_path / "out.csv"
        config = Config(data=tmp_path)
        report_command.export(
            WIDE, "csv", source=source, output=output, config=config, console=console
        )
        assert "export" in terminal.getvalue()
        assert ("MB, " if isinstance(source, Target) else " rows") in terminal.getvalue()
        assert output.read_bytes().count(b"\n") > ROWS * ROWS


def test_the_command_keeps_no_part_of_a_query_and_says_why(
    server: Server, tmp_path: Path
) -> None:
    output = tmp_path / "out.csv"
    failing = "SELECT CAST(blob1 AS Int64) AS x FROM events"
    at, on = ("--url", server.url), (str(server.data),)
    for words, code, told in (
        ((*at, "--sql", "SELECT nope FROM events"), 1, "unable to find type of column"),
        ((*on, "--sql", "SELECT nope FROM events"), 1, "unable to find type of column"),
        ((*at, "--sql", failing), 1, "could not be read"),
        ((*on, "--sql", failing), 1, "could not be read"),
        ((*at, "--sql", "SELECT 1 FORMAT CSV"), 1, "`--format` of `tallymark export`"),
        ((*on, "--sql", "SELECT 1 FORMAT CSV"), 1, "`--format` of `tallymark export`"),
        ((*on, "--sql", "SHOW TABLES"), 1, "only be made of a SELECT"),
        (("--url", "http://127.0.0.1:1", "--sql", "SELECT 1"), 1, "No server answers"),
        ((*at, "--sql", "SELECT 1", "--of", "users"), 2, "no --of"),
        ((*at, "--sql", "SELECT 1", "--with", "limit=1"), 2, "no --with"),
        ((*at, "--sql", "SELECT 1", "--format", "parquet"), 2, "csv, json, ndjson or arrow"),
    ):
        done = tallymark("export", *words, "--output", str(output))
        assert (done.returncode, told in done.stderr) == (code, True), done.stderr
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
