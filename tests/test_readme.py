"""What the README tells to paste works as pasted; only the port is another one.

The blocks run in its order on one server, which `tallymark demo` has filled (see the fixture).
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.server import PATIENCE_S, ROOT, Server, environment

pytestmark = pytest.mark.slow

TOUR_URL = "http://127.0.0.1:8080"

# Each answer is followed by a line with its status, and a stream ends by itself.
CURL = r"""
curl() {
    case "$*" in *-N*) set -- --max-time $STREAM_S "$@";; esac
    command curl --silent --show-error --write-out '\nstatus %{http_code}\n' "$@"
}
"""


def section(title: str) -> str:
    """The text below one heading of the README."""
    text = (ROOT / "README.md").read_text()
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(title: str) -> list[str]:
    """The shell blocks of one section."""
    return re.findall(r"^```sh\n(.*?)^```$", section(title), re.MULTILINE | re.DOTALL)


TOUR = blocks("A quick tour")


def pasted(block: str, server: Server, *, stream_s: int = 3) -> list[tuple[int, str]]:
    """(status, body) of every curl in a block, run by a shell as it stands there."""
    done = subprocess.run(
        ["bash", "-c", CURL + block.replace(TOUR_URL, server.url)],
        cwd=ROOT,
        env=environment() | {"STREAM_S": str(stream_s)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    parts = re.split(r"\nstatus (\d+)\n", done.stdout)
    assert len(parts) > 1, done.stderr
    return [(int(status), body) for body, status in zip(parts[::2], parts[1::2], strict=False)]


def answers(containing: str, server: Server) -> list[dict[str, Any]]:
    """The answers to the block of the tour in which these words stand; all of them are 200."""
    (block,) = [block for block in TOUR if containing in block]
    got = pasted(block, server)
    assert len(got) == block.count("curl ")
    assert [status for status, _ in got] == [200] * len(got)
    return [json.loads(body) for _, body in got]


def test_the_start_is_two_commands() -> None:
    (block,) = blocks("Start")
    assert re.findall(r"^make \w+", block, re.MULTILINE) == ["make run", "make test"]


def test_the_tour_begins_with_the_demo_and_all_else_is_curl() -> None:
    assert TOUR[0] == ".venv/bin/tallymark demo\n"  # which filled the server of these tests
    assert all(block.startswith("curl ") for block in TOUR[1:])


def test_an_event_of_your_own_is_taken(marketplace: Server) -> None:
    assert answers("/track -H", marketplace) == [{"success": True}]


def test_a_batch_is_taken_and_sending_it_again_is_harmless(marketplace: Server) -> None:
    def sold() -> object:
        asked = {"serviceId": "hello-world"}
        answer = marketplace.client.get("/metrics/revenue", params=asked).json()
        return answer["data"]["gmv"]

    assert answers("/track/batch", marketplace) == [{"success": True, "count": 2}]
    assert sold() == 100
    assert answers("/track/batch", marketplace) == [{"success": True, "count": 2}]
    assert sold() == 100


def test_every_question_of_the_tour_is_answered(marketplace: Server) -> None:
    answers("/track -H", marketplace)
    top, mine, revenue, activity, experiments, users, live = answers("/metrics/", marketplace)
    assert len(top["data"]) == 3
    assert [row["serviceId"] for row in mine["data"]] == ["hello-world"]
    assert mine["data"][0]["latency"]["p50"] == 42
    assert len(mine["series"]) == 7
    assert revenue["data"]["gmv"] > 0
    assert revenue["data"]["mrr"] > 0
    assert revenue["previous"]["gmv"] > 0
    assert activity["data"]["topServices"]
    assert len(experiments["data"]) == 2
    assert users["data"]["cohorts"]
    assert live["data"].keys() == {"executions:today", "revenue:today", "activeUsers:5m"}


def test_a_question_in_sql_is_answered(tmp_path: Path) -> None:
    failed = {"eventType": "service_execution", "serviceId": "s", "latencyMs": 1}
    failed |= {"success": False, "errorCode": "TIMEOUT"}
    with Server(tmp_path / "data", "--archive") as server:
        assert server.client.post("/track", json=failed).json() == {"success": True}
        while server.client.post("/sql?fresh=1", content="SELECT 1").status_code == 503:
            pass  # the archive is on its way
        (found,) = answers("/sql", server)
    assert [(row["errorCode"], row["n"]) for row in found["data"]] == [("TIMEOUT", 1)]


def test_a_shared_dashboard_opens_with_the_path_that_is_told(marketplace: Server) -> None:
    board, share = answers("/dashboards", marketplace)
    assert board["data"]["name"] == "Revenue"
    assert marketplace.client.get(share["data"]["path"]).status_code == 200


def test_the_stream_of_the_tour_comes_once_a_second(marketplace: Server) -> None:
    (block,) = [block for block in TOUR if "/stream" in block]
    updates: list[str] = []
    for stream_s in (3, 30):  # of a machine that is busy it may take a while
        ((status, body),) = pasted(block, marketplace, stream_s=stream_s)
        assert status == 200
        first, *updates = re.findall(r"^data: (.*)$", body, re.MULTILINE)
        assert first == '{"type":"connected"}'
        if updates:
            break
    assert updates
    assert all("executions:today" in json.loads(update)["counters"] for update in updates)


def test_every_page_that_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
