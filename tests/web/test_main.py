"""A whole server in a process of its own: how it starts, survives, refuses and ends."""

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from engine.codec import Dump
from persistence.audit import audit
from persistence.snapshot import SnapshotStore
from tests.damage import flip
from tests.server import (
    PATIENCE_S,
    Server,
    environment,
    free_port,
    patiently,
    tallymark,
    wait_until,
)

EVENT = {"eventType": "service_execution", "serviceId": "s", "latencyMs": 3, "success": True}

SLOW = b"POST /track HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
"""A request whose body does not come."""

COUNT = "SELECT count() AS n FROM events"


def _track(server: Server, events: int = 1) -> None:
    for _ in range(events):
        assert server.client.post("/track", json=EVENT).json() == {"success": True}


def _counted(server: Server) -> int:
    counted: int = server.client.get("/health").json()["events"]
    return counted


@contextmanager
def _connected(server: Server) -> Iterator[socket.socket]:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        yield connection


def _only_complaint(data: Path, *options: str, code: int) -> str:
    """The last line of a server that does not start; all before it are log lines."""
    ended = tallymark("serve", "--data", str(data), "--port", "0", *options, cwd=data.parent)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    complaints = [line for line in ended.stderr.splitlines() if line.startswith("tallymark: ")]
    assert complaints == ended.stderr.splitlines()[-1:]
    return complaints[0].removeprefix("tallymark: ")


def test_a_started_server_is_alive_and_ready(server: Server) -> None:
    assert server.client.get("/health").json()["status"] == "ok"
    assert server.client.get("/ready").status_code == 200
    assert server.url != "http://127.0.0.1:0"


def test_the_log_has_one_line_for_each_event_of_its_life_and_none_for_requests(
    server: Server,
) -> None:
    for _ in range(12):  # enough that latencies are in sketches, whose library is talkative
        server.client.post("/track/batch", json=[EVENT] * 25)
    server.client.get("/metrics/services")
    server.client.get("/nowhere")
    assert server.stop() == 0
    assert server.messages == [
        "starting",
        f"listening on {server.url}",
        "recovered",
        "ready",
        "stopping",
        "snapshot written",
        "stopped",
    ]
    assert all(line["timestamp"].endswith("Z") for line in server.log)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_leaves_a_snapshot_that_covers_everything(
    server: Server, number: signal.Signals
) -> None:
    _track(server, events=3)
    assert server.stop(number) == 0
    found = audit(server.data)
    assert (found.last_seq, found.replayed_events) == (3, 0)
    assert server.start().line("recovered")["snapshot_seq"] == 3
    assert _counted(server) == 3


def test_a_closed_terminal_does_not_stop_a_server_under_nohup(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does; processes inherit it
    try:
        with Server(tmp_path / "data") as server:
            server.send(signal.SIGHUP)
            _track(server)
            assert server.stop() == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert server.line("stopping")["signal"] == "SIGTERM"


@pytest.fixture
def recovering(tmp_path: Path) -> Iterator[Server]:
    """A server whose recovery never ends: its segment is a pipe that nobody writes to."""
    server = Server(tmp_path / "data")
    (server.data / "journal").mkdir(parents=True)
    os.mkfifo(server.data / "journal" / f"{1:020d}.segment")
    with server.starting(until="listening on "):
        yield server


def test_as_long_as_it_recovers_it_is_alive_and_not_ready(recovering: Server) -> None:
    client = recovering.client
    assert client.get("/health").json()["status"] == "recovering"
    for refused in (
        client.get("/ready"),
        client.get("/metrics/services"),
        client.post("/track", json=EVENT),
    ):
        assert refused.status_code == 503
        assert refused.headers["Retry-After"]
        assert refused.json()["title"] == "Not ready"


def test_a_stop_does_not_wait_for_a_recovery(recovering: Server) -> None:
    assert recovering.stop() == 0
    assert recovering.messages[-2:] == ["stopping", "stopped"]


def test_an_unforeseen_failure_is_logged_and_ends_the_process(server: Server) -> None:
    server.stop()
    snapshots = SnapshotStore(server.data / "snapshots")
    snapshots.load_newest()
    snapshots.checkpoint(0, {}, {"sequence": Dump(full=True, chunks=[b"of no known version"])})
    ended = tallymark(
        "serve", "--data", str(server.data), "--port", "0", "--log-format", "json"
    )
    assert ended.returncode == 1
    failed = orjson.loads(ended.stderr.splitlines()[-1])
    assert (failed["level"], failed["event"]) == ("critical", "failed")
    assert "KeyError" in failed["exception"]


def test_a_stop_ends_open_streams_and_idle_connections_in_time(server: Server) -> None:
    _track(server)
    with server.client.stream("GET", "/stream") as stream, _connected(server):
        lines = stream.iter_lines()
        assert next(lines) == 'data: {"type":"connected"}'
        # The exit code would be 1 had it taken longer than stop_deadline_s.
        server.send(signal.SIGTERM)
        assert not any("error" in line for line in lines)
    assert server.wait() == 0
    assert "snapshot written" in server.messages
    assert "connections cut off" not in server.messages


def test_what_is_under_way_is_finished_before_it_stops(server: Server) -> None:
    body = b'{"eventType":"marketplace_view","serviceId":"s"}'
    head = b"POST /track HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    with _connected(server) as connection:
        connection.sendall(head + body[:10])
        server.client.get("/health")  # by now the first half has arrived
        server.send(signal.SIGTERM)
        server.line("stopping")
        connection.sendall(body[10:])
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    assert server.wait() == 0
    assert audit(server.data).events == 1


def test_a_second_signal_ends_it_on_the_spot(server: Server) -> None:
    _track(server)
    with _connected(server) as connection:
        connection.sendall(SLOW)
        server.client.get("/health")
        server.send(signal.SIGTERM)
        server.line("stopping")
        assert server.stop() == -signal.SIGTERM
    assert server.start().line("recovered")["replayed_events"] == 1


def test_a_request_that_never_ends_does_not_keep_it_from_stopping(tmp_path: Path) -> None:
    with (
        Server(tmp_path / "data", "--stop-deadline-s", "1") as server,
        _connected(server) as one,
    ):
        one.sendall(SLOW)
        server.client.get("/health")
        assert server.stop() == 0
        assert "connections cut off" in server.messages


def test_killed_and_started_again_it_counts_every_acknowledged_event_once(
    server: Server,
) -> None:
    for round_ in (1, 2):
        _track(server, events=5)
        server.kill()
        assert server.start().line("recovered")["replayed_events"] == 5 * round_
        assert _counted(server) == 5 * round_


def test_no_client_can_end_the_process(server: Server) -> None:
    head = b"POST /track HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"
    for _ in range(60):
        with _connected(server) as connection:
            connection.sendall(head + b"few")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass
    _track(server)
    assert server.stop() == 0


def test_whoever_connects_leaves_the_files_that_the_service_needs(tmp_path: Path) -> None:
    options = ("--archive", "--snapshot-interval-s", "1")
    with Server(tmp_path / "data", *options, files_max=120) as server, ExitStack() as flood:
        patient = httpx.Client(
            base_url=server.url,
            timeout=PATIENCE_S,
            trust_env=False,
            limits=httpx.Limits(max_connections=1, keepalive_expiry=None),
        )
        flood.enter_context(patient)
        health = patient.get("/health").json()  # it has its connection
        assert server.line("few open files allowed")["connections_max"] == 60
        for _ in range(200):
            flood.enter_context(_connected(server))
        os.kill(health["archive"]["process"], signal.SIGKILL)
        assert patient.post("/track", json=EVENT | {"userId": "u"}).status_code == 200
        counted = patiently(lambda: patient.post("/sql?fresh=1", content=COUNT))
        assert counted.json()["data"] == [{"n": 1}]
        assert patient.delete("/users/u").status_code == 202
        server.line("snapshot written")
        assert "snapshot failed" not in server.messages
        flood.close()
        assert server.stop() == 0


def test_a_second_process_on_the_same_folder_is_refused(server: Server) -> None:
    complaint = _only_complaint(server.data, code=1)
    assert complaint == (
        f"The data folder {server.data} is in use by process {server.pid}: stop that process, "
        f"or choose another folder."
    )
    _track(server)


def test_verify_keeps_away_from_the_folder_of_a_running_server(server: Server) -> None:
    ended = tallymark("verify", str(server.data))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"tallymark: A server is running on {server.data}")


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        complaint = _only_complaint(tmp_path / "data", "--port", str(port), code=1)
    assert complaint.startswith(f"Cannot listen on 127.0.0.1:{port}: another process uses")


def test_another_zone_on_old_data_is_one_line(server: Server) -> None:
    _track(server)
    server.stop()
    complaint = _only_complaint(server.data, "--timezone", "Asia/Kolkata", code=1)
    assert "--timezone UTC" in complaint


def test_a_damaged_journal_is_one_line_that_names_file_and_byte(server: Server) -> None:
    _track(server, events=2)
    server.kill()
    (path,) = (server.data / "journal").iterdir()
    flip(path, 60)  # within the first of two records
    assert f"{path} is damaged at byte 24: " in _only_complaint(server.data, code=3)


def test_a_torn_tail_is_cut_with_a_line_in_the_log(server: Server) -> None:
    _track(server, events=2)
    server.kill()
    (path,) = (server.data / "journal").iterdir()
    path.write_bytes(path.read_bytes() + b"half a rec")
    cut: dict[str, Any] = server.start().line("tail cut")
    assert (cut["path"], cut["bytes"]) == (str(path), 10)
    assert _counted(server) == 2


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    data = tmp_path / "file" / "data"
    ended = tallymark("serve", "--data", str(data), "--port", "0", cwd=tmp_path)
    assert ended.returncode == 1
    complaint = ended.stderr.splitlines()[-1]
    assert complaint.startswith("tallymark: The data folder cannot be used: ")
    assert "Traceback" not in ended.stderr


def _close_all() -> None:
    for handle in range(3):
        os.close(handle)


@pytest.mark.parametrize("closed", [False, True])
def test_nothing_ends_or_is_spoilt_because_nobody_takes_the_log(
    tmp_path: Path, closed: bool
) -> None:
    data, port = tmp_path / "data", free_port()
    with Path("/dev/full").open("wb") as full:
        server = subprocess.Popen(
            [sys.executable, "-m", "web.cli", "serve", "--data", data, "--port", str(port)],
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=full,
            preexec_fn=_close_all if closed else None,
        )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client:
        wait_until(lambda: _is_ready(client))
        assert client.post("/track", json=EVENT).json() == {"success": True}
    server.send_signal(signal.SIGTERM)
    assert server.wait(PATIENCE_S) == 0
    found = tallymark("verify", str(data))
    assert (found.returncode, found.stderr) == (0, "")
    assert "replays 0 events" in found.stdout


def _is_ready(client: httpx.Client) -> bool:
    with suppress(httpx.ConnectError):
        return client.get("/ready").is_success
    return False


def test_where_the_journal_has_failed_questions_are_answered_those_in_sql_too(
    tmp_path: Path,
) -> None:
    with Server(tmp_path / "data", "--archive") as server:
        _track(server)
        assert patiently(lambda: server.client.post("/sql?fresh=1", content=COUNT)).is_success
        (segment,) = server.data.glob("journal/*")
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        limit = (segment.stat().st_size, hard)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, limit)  # no byte more
        refused = server.client.post("/track", json=EVENT)
        assert refused.json()["type"] == "/problems/journal-failed"
        assert server.client.post("/sql", content=COUNT).json()["data"] == [{"n": 1}]
        with_all = server.client.get("/export/events?format=ndjson")
        assert len(with_all.text.splitlines()) == 1
