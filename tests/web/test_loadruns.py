"""Load runs inside the process: off unless asked for, one at a time, bounded, and exact."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.server import Server

SHORT = {"rate": 500, "durationS": 0.5}
LONG = {"rate": 100, "durationS": 60}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("loadruns")
    (folder / "limits.toml").write_text("load_rate_max = 1000\nload_duration_s_max = 60\n")
    config = ("--config", str(folder / "limits.toml"))
    with Server(folder / "data", "--load-hooks", *config) as found:
        yield found


def begin(server: Server, asked: dict[str, Any]) -> str:
    reply = server.client.post("/load/runs", json=asked)
    assert reply.status_code == 202, reply.text
    run: str = reply.json()["data"]["id"]
    return run


def heard(server: Server, run: str) -> list[dict[str, Any]]:
    """All that the stream of a run says, until it ends."""
    with server.client.stream("GET", f"/load/runs/{run}/stream") as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        lines = [line for line in stream.iter_lines() if line]
    return [orjson.loads(line.removeprefix("data: ")) for line in lines]


def is_problem(reply: httpx.Response, status: int, kind: str) -> bool:
    return (reply.status_code, reply.json()["type"]) == (status, f"/problems/{kind}")


def events(server: Server) -> int:
    counted: int = server.client.get("/health").json()["events"]
    return counted


def test_a_scratch_run_is_counted_exactly_and_leaves_the_service_as_it_was(
    server: Server,
) -> None:
    before = events(server)
    run = begin(server, SHORT)
    *seconds, end = heard(server, run)
    assert end["type"] == "end"
    assert end["end"]["status"] == "finished"
    assert end["end"]["events"] == 250
    assert {row["verdict"] for row in end["end"]["counts"]} == {"exact"}
    assert sum(one["second"]["events"] for one in seconds) == 250
    assert events(server) == before
    assert not [path for path in server.data.iterdir() if path.name.startswith("scratch-")]


def test_a_live_run_is_counted_with_everything_else_and_under_a_label(server: Server) -> None:
    before = events(server)
    end = heard(server, begin(server, SHORT | {"target": "live"}))[-1]["end"]
    assert (end["status"], end["events"]) == ("finished", 250)
    assert {row["verdict"] for row in end["counts"]} == {"exact"}
    assert events(server) == before + 250
    rows = server.client.get("/metrics/services").json()["data"]
    assert all(row["serviceId"].startswith("load-run-") for row in rows)


def test_a_second_run_is_refused_until_the_first_is_stopped(server: Server) -> None:
    run = begin(server, LONG)
    refused = server.client.post("/load/runs", json=SHORT)
    assert is_problem(refused, 409, "load-run-under-way")
    assert f"DELETE /load/runs/{run}" in refused.json()["detail"]
    stopped = server.client.delete(f"/load/runs/{run}").json()["data"]
    assert stopped["status"] == "stopped"
    assert {row["verdict"] for row in stopped["counts"]} == {"exact"}
    again = server.client.delete(f"/load/runs/{run}")
    assert (again.status_code, again.json()["data"]["status"]) == (200, "stopped")
    assert heard(server, begin(server, SHORT))[-1]["end"]["status"] == "finished"


def test_runs_are_listed_the_newest_first_and_each_has_its_seconds(server: Server) -> None:
    first, second = begin(server, SHORT), ""
    heard(server, first)
    second = begin(server, SHORT)
    heard(server, second)
    listed = server.client.get("/load/runs").json()["data"]
    assert [run["id"] for run in listed[:2]] == [second, first]
    assert "seconds" not in listed[0]
    one = server.client.get(f"/load/runs/{first}").json()["data"]
    assert sum(second["events"] for second in one["seconds"]) == 250


@pytest.mark.parametrize(
    ("asked", "detail"),
    [
        ({"rate": 1000, "durationS": 0.2}, None),
        ({"rate": 1001}, "sends 1001 events a second, and load_rate_max allows 1000."),
        ({"rate": 251, "profile": "burst"}, "sends 1004 events a second"),
        ({"rate": 1, "durationS": 60.5}, "durationS: 60.5 is above the 60 seconds"),
        ({"rate": 0}, "> 0"),
        ({"profile": "fast"}, "profile: expected one of burst, "),
        ({"profile": "/etc/passwd.toml"}, "profile: expected one of burst, "),
        ({"target": "moon"}, "Expected one of live, scratch, got 'moon' (at $.target)."),
        ({"speed": 1}, "unknown field `speed`"),
    ],
)
def test_a_run_within_the_caps_is_taken_and_one_beyond_is_refused(
    server: Server, asked: dict[str, Any], detail: str | None
) -> None:
    if detail is None:
        assert heard(server, begin(server, asked))[-1]["end"]["status"] == "finished"
        return
    refused = server.client.post("/load/runs", json=asked)
    assert is_problem(refused, 422, "invalid-parameter")
    assert detail in refused.json()["detail"]


def test_what_a_page_of_another_origin_could_send_starts_nothing(server: Server) -> None:
    plain = {"Content-Type": "text/plain"}
    refused = server.client.post("/load/runs", content=b"{}", headers=plain)
    assert is_problem(refused, 415, "unsupported-media-type")
    torn = server.client.post(
        "/load/runs", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert is_problem(torn, 400, "malformed-body")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/load/runs/x"), ("GET", "/load/runs/x/stream"), ("DELETE", "/load/runs/x")],
)
def test_a_run_that_nobody_started_is_not_found(server: Server, method: str, path: str) -> None:
    assert is_problem(server.client.request(method, path), 404, "not-found")


def test_a_service_that_stops_ends_its_run_and_takes_the_scratch_folder_with_it(
    tmp_path: Path,
) -> None:
    with Server(tmp_path / "data", "--load-hooks") as server:
        run = begin(server, LONG)
        with server.client.stream("GET", f"/load/runs/{run}/stream") as stream:
            next(stream.iter_lines())  # its scratch folder is there by now
            assert server.stop() == 0
        assert not list(server.data.glob("scratch-*"))
        server.start()
        assert events(server) == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/load/runs"),
        ("GET", "/load/runs"),
        ("GET", "/load/runs/x"),
        ("GET", "/load/runs/x/stream"),
        ("DELETE", "/load/runs/x"),
    ],
)
async def test_without_the_setting_every_route_says_how_to_turn_it_on(
    app: Any, method: str, path: str
) -> None:
    body = {"json": SHORT} if method == "POST" else {}
    reply = await app.test_client().open(path, method=method, **body)
    problem = orjson.loads(await reply.get_data())
    assert (reply.status_code, problem["type"]) == (404, "/problems/load-hooks-off")
    assert "--load-hooks" in problem["detail"]
