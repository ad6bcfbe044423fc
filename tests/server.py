"""A real server in a process of its own: start it, talk to it, stop or kill it, start it again.

    with Server(tmp_path / "data", "--shards", "1") as server:  # started, and ready
        server.client.post("/track", json={...})
        server.kill()                       # kill -9
        server.start()                      # on the same folder, with the same options
        assert server.line("recovered")["replayed_events"] == 1
        assert server.stop() == 0           # SIGTERM, and its exit code

It listens on a free port, so `url` and `client` are new after each start.
"""

import contextlib
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Self

import httpx
import orjson

ROOT = Path(__file__).parents[1]

PATIENCE_S = 240.0
"""When to believe that something hangs; no promise about speed."""

ENDLESS = (
    "SELECT count() AS n FROM events a JOIN events b ON a.blob1 = b.blob1 "
    "JOIN events c ON b.blob1 = c.blob1 JOIN events d ON c.blob1 = d.blob1 "
    "WHERE a.double1 + b.double1 < c.double1 + d.double1"
)
"""A query that takes minutes over 400 executions with a latency."""


def tallymark(
    *words: str, cwd: Path | None = None, patience_s: float = PATIENCE_S
) -> subprocess.CompletedProcess[str]:
    """Run the command `tallymark` to its end, away from our own settings."""
    return subprocess.run(
        [sys.executable, "-m", "web.cli", *words],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=patience_s,
        check=False,
    )


def environment() -> dict[str, str]:
    """The environment without settings of a server, and with our source in it."""
    kept = {name: value for name, value in os.environ.items() if "TALLYMARK_" not in name}
    return kept | {"PYTHONPATH": str(ROOT)}


def free_port() -> int:
    """A port that nobody listens on, for who must know it before, or have it twice in a row.

    It is none of those that the system gives to whoever asks for any, also to clients: of those
    another process may have it a moment later.
    """
    while True:
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port := random.randrange(20_000, 32_000)))
            return port


def wait_until(is_so: Callable[[], bool], *, every_s: float = 0.02) -> None:
    """Ask again and again, until it is so."""
    deadline_s = monotonic() + PATIENCE_S
    while not is_so():
        assert monotonic() < deadline_s, f"it was not so within {PATIENCE_S} s"
        sleep(every_s)


def patiently(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer of a service whose archive may still be starting, or behind."""
    deadline_s = monotonic() + PATIENCE_S
    while is_behind(answer := ask()):
        assert monotonic() < deadline_s, answer.text
    return answer  # without a pause: it waits itself, to be as fresh as is asked


def is_behind(answer: httpx.Response) -> bool:
    """Whether it is refused for what will pass by itself, as damage does not."""
    return answer.status_code == 503 and answer.json()["type"] == "/problems/archive-behind"


def heed_interrupts() -> None:
    """For `preexec_fn`: whoever runs the tests in the background has them ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Server:
    """`tallymark serve` on the folder `data`; options as on the command line.

    url     where it listens, once it does
    client  an HTTP client with that base
    log     the lines it has logged since its last start, each a dict with `event`; a line that
            is not JSON is {"event": the line}
    """

    def __init__(
        self,
        data: Path,
        *options: str,
        variables: Mapping[str, str] | None = None,
        files_max: int | None = None,
    ) -> None:
        """files_max  as many open files as the system allows it; None: as it allows us"""
        self.data = data
        self._files_max = files_max
        self._variables = variables or {}
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._news = threading.Condition()
        self._has_ended = False
        self._until = "ready"
        self.log: list[dict[str, Any]] = []
        self.url = ""
        self.client = httpx.Client()

    def __enter__(self) -> Self:
        try:
            return self.start(until=self._until)
        except BaseException:
            self.kill()
            raise

    def __exit__(self, *_: object) -> None:
        self.kill()

    def starting(self, *, until: str) -> Self:
        """For `with server.starting(until="listening on ")`, which does not wait for more."""
        self._until = until
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def messages(self) -> Sequence[str]:
        """The `event` of each line of the log."""
        return [line["event"] for line in self.log]

    def start(self, *, until: str = "ready") -> Self:
        """Start a process, and return when it has logged `until` (see `line`)."""
        assert self._process is None, "it runs already"
        self.log, self._has_ended = [], False
        self.data.parent.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "web.cli", "serve"),
                *("--data", str(self.data), "--port", "0", "--log-format", "json"),
                "--no-archive",  # half a second of processor time; who wants one says --archive
                *self._options,
            ],
            cwd=self.data.parent,  # where no tallymark.toml is
            env=environment() | self._variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=None if self._files_max is None else self._limit_files,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,))
        self._reader.start()
        self.url = self.line("listening on ")["event"].removeprefix("listening on ")
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_S, trust_env=False)
        self.line(until)
        return self

    def line(self, start: str) -> dict[str, Any]:
        """The first line since the start whose event begins so; waits until it is logged."""
        with self._news:
            self._news.wait_for(lambda: self._find(start) or self._has_ended, PATIENCE_S)
            found = self._find(start)
            assert found is not None, f"no {start!r} in the log:\n" + "\n".join(self.messages)
            return found

    def send(self, number: signal.Signals) -> None:
        """Send a signal and do not wait."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, and return its exit code."""
        self.send(number)
        return self.wait()

    def kill(self) -> None:
        """Kill it on the spot, if it runs."""
        if self._process is not None:
            self._process.kill()
            self.wait()

    def wait(self) -> int:
        """Wait until the process has ended by itself, and return its exit code."""
        assert self._process is not None
        assert self._process.stderr is not None
        assert self._reader is not None
        code = self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        self._process.stderr.close()
        self.client.close()
        self._process = self._reader = None
        return code

    def _limit_files(self) -> None:
        assert self._files_max is not None
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._files_max, self._files_max))

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for text in process.stderr:
            with self._news:
                self.log.append(_parsed(text.rstrip("\n")))
                self._news.notify_all()
        with self._news:
            self._has_ended = True
            self._news.notify_all()

    def _find(self, start: str) -> dict[str, Any] | None:
        return next((line for line in self.log if line["event"].startswith(start)), None)


def _parsed(line: str) -> dict[str, Any]:
    try:
        parsed = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {"event": line}
    return parsed if isinstance(parsed, dict) and "event" in parsed else {"event": line}
