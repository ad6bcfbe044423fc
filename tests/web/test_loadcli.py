"""`tallymark load` as a user calls it: exit codes, what is printed, what is written."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import trio

from tests.load.conftest import serving as _serving
from tests.load.dishonest import Counting
from tests.server import PATIENCE_S, Server, environment, heed_interrupts, tallymark
from web.cli import run

serving = _serving
SHORT = ("--duration", "0.5s", "--rate", "200/s", "--batch", "5", "--connections", "4")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data: Path = tmp_path_factory.mktemp("loadcli") / "data"
    with Server(data, "--durability", "none") as found:
        yield found


def _refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(["load", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_a_run_that_is_as_expected_exits_with_0_and_shows_its_figures(
    server: Server, tmp_path: Path
) -> None:
    html, data = tmp_path / "run.html", tmp_path / "run.json"
    files = ("--html", str(html), "--json", str(data))
    ended = tallymark("load", server.url, *SHORT, "--expect", "errors=0,p99<90s", *files)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    assert "acknowledged  100 events in 20 requests" in ended.stdout
    assert re.search(r"events +100 +100 +exact", ended.stdout)
    assert re.search(r"errors=0 +0\.00 +met", ended.stdout)
    assert ended.stderr == ""
    assert "<svg" in html.read_text()
    figures = orjson.loads(data.read_bytes())
    assert figures["events"] == 100
    assert [row["verdict"] for row in figures["counts"]] == ["exact"] * 11
    assert figures["expectations"][0] == {"threshold": "errors=0", "measured": 0.0, "met": True}


def test_a_threshold_that_is_not_met_exits_with_4(server: Server) -> None:
    ended = tallymark("load", server.url, *SHORT, "--expect", "p50<1us", "--no-check")
    assert ended.returncode == 4, ended.stderr
    assert re.search(r"p50<1us +\d+\.\d\d +not met", ended.stdout)
    assert "counted by the server" not in ended.stdout


async def test_a_server_that_counts_wrongly_exits_with_4(serving) -> None:
    words = [sys.executable, "-m", "web.cli", "load"]
    async with serving(Counting(loses={1})) as server:
        ended = await trio.run_process(
            [*words, server.url, *SHORT],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env=environment(),
        )
    assert ended.returncode == 4, ended.stderr
    assert re.search(rb"events +100 +99 +lost", ended.stdout)


def test_where_nobody_listens_it_exits_with_1_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["load", "http://127.0.0.1:1"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"tallymark: Nothing answers at http://127\.0\.0\.1:1: .*\n", err)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--rate", "fast"), "'fast' is not a rate: expected for example 10000/s or 10k/s."),
        (("--duration", "long"), "'long' is not a duration: expected for example 60s"),
        (("--expect", "p99"), "'p99' is not a threshold: expected for example p99<10ms."),
        (("--batch", "0"), "0 is not in the range"),
        (("--connections", "0"), "0 is not in the range"),
    ],
)
def test_wrong_words_exit_with_2_and_an_example(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], complaint: str
) -> None:
    assert complaint in _refusal(capsys, "http://127.0.0.1:1", *words)


def test_a_profile_that_does_not_exist_is_refused_with_those_that_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["load", "http://127.0.0.1:1", "--profile", "fast"]) == 1
    assert "There is no profile 'fast': expected burst, " in capsys.readouterr().err


def test_the_profiles_are_listed_with_what_they_are_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["load", "profiles"]) == 0
    assert "steady               One rate from beginning to end.\n" in capsys.readouterr().out


def test_the_capacity_is_searched_and_told(server: Server, tmp_path: Path) -> None:
    found = tmp_path / "capacity.json"
    words = ("--from", "4/s", "--p99", "1us", "--duration", "0.2s", "--json", str(found))
    ended = tallymark("load", "find-capacity", server.url, *words)
    assert ended.returncode == 4, ended.stderr
    assert ended.stdout.splitlines()[-1] == "No rate was held."
    rates = [trial["ratePerS"] for trial in orjson.loads(found.read_bytes())["trials"]]
    assert rates == [4, 2, 1]
    assert all("p99 is" in line for line in ended.stdout.splitlines()[:-1])


def test_an_interrupted_run_leaves_no_process_behind(server: Server) -> None:
    before = _events(server)
    words = ("load", server.url, "--duration", "60s", "--no-check")
    process = subprocess.Popen(
        [sys.executable, "-m", "web.cli", *words],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
    )
    try:
        while _events(server) == before:
            assert process.poll() is None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, said.strip()) == (130, b"")
        assert not [pid for pid in children.split() if Path(f"/proc/{pid}").exists()]
    finally:
        process.kill()
        process.wait()


def _events(server: Server) -> int:
    counted: int = server.client.get("/health").json()["events"]
    return counted
