"""The Python package, built and installed, against a real server that fails all the time."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.once import must_arrive_once
from tests.server import PATIENCE_S, ROOT, Server, environment

THREADS = """
import sys
from tallymark_client import Tallymark

url, events = sys.argv[1], int(sys.argv[2])
drops = []
with Tallymark(url, on_drop=drops.append) as t:
    for _ in range(events):
        t.track_service_execution(service_id="once", latency_ms=1.5, success=True)
    assert t.flush(600), t.stats()
assert drops == [], (len(drops), drops[0])
"""

TASKS = """
import sys
import anyio
from tallymark_client.aio import AsyncTallymark

async def main(url, events):
    async with AsyncTallymark(url, close_timeout_s=600) as t:
        for _ in range(events):
            t.track_service_execution(service_id="once", latency_ms=1.5, success=True)
    assert t.stats().delivered == events, t.stats()

anyio.run(main, sys.argv[1], int(sys.argv[2]), backend="{}")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but what is installed from the wheel."""
    built = tmp_path_factory.mktemp("built")
    folder = tmp_path_factory.mktemp("installed")
    for words, cwd in (
        (["hatchling", "build", "-t", "wheel", "-d", str(built)], ROOT / "clients/python"),
        (
            [
                *("pip", "-qq", "--disable-pip-version-check", "install", "--no-index"),
                *("--no-deps", "--find-links", str(built), "--target", str(folder)),
                "tallymark-client",
            ],
            built,
        ),
    ):
        subprocess.run(
            [sys.executable, "-m", *words],
            cwd=cwd,
            check=True,
            capture_output=True,
            timeout=PATIENCE_S,
        )
    return folder


def test_the_wheel_carries_the_package_and_its_types(installed: Path) -> None:
    assert (installed / "tallymark_client/py.typed").is_file()
    (facts,) = installed.glob("*.dist-info/METADATA")
    needs = [line for line in facts.read_text().splitlines() if "Requires-Dist" in line]
    assert needs != []
    assert all("extra == 'async'" in line for line in needs)


@pytest.mark.parametrize(
    "script",
    [THREADS, TASKS.format("asyncio"), TASKS.format("trio")],
    ids=["threads", "asyncio", "trio"],
)
def test_every_event_arrives_once_through_faults_and_a_killed_server(
    script: str, installed: Path, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "sender.py").write_text(script)
    must_arrive_once(
        server,
        [sys.executable, "sender.py"],
        cwd=tmp_path,
        env=environment() | {"PYTHONPATH": str(installed)},
    )
