"""The servers of the HTTP benchmark: each started in a process of its own, and its CPU read."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from load.payload import Form
from tests.server import ROOT, Server, environment

BENCH_PYTHON: Final = ROOT / ".venv-bench" / "bin" / "python"
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")

FLOOR: Final = "bare Trio + httptools"
FASTAPI: Final = "FastAPI, in memory"
FASTAPI_SYNCED: Final = "FastAPI, fdatasync"
TALLYMARK: Final = "Tallymark, "
DURABILITIES: Final = ("fsync", "write", "none")


@dataclass(frozen=True, slots=True)
class Served:
    """One server: where it is, its process, and whether it takes NDJSON at /track/bulk."""

    name: str
    url: str
    pid: int
    has_bulk: bool

    @property
    def is_ours(self) -> bool:
        """Whether it is Tallymark, which refuses what breaks its contract."""
        return self.name.startswith(TALLYMARK)

    def form_of(self, batch: int) -> tuple[Form, str] | None:
        """In which form, and where, it takes batches of that size; None where it takes none."""
        form = Form.of(batch)
        if form is not Form.LINES or self.has_bulk:
            return form, form.route
        # The others know no NDJSON: what they would be sent is one long array.
        return None if self.is_ours else (Form.ARRAY, Form.ARRAY.route)


@contextmanager
def serving(folder: Path) -> Iterator[list[Served]]:
    """All servers, each with its data below `folder`; they end with the block."""
    with ExitStack() as stack:
        found = [stack.enter_context(floor())]
        for name, words in ((FASTAPI, ()), (FASTAPI_SYNCED, (str(folder / "journal"),))):
            other = _other(name, str(BENCH_PYTHON), "bench.http_fastapi", *words)
            found.append(stack.enter_context(other))
        for durability in DURABILITIES:
            found.append(stack.enter_context(tallymark(folder / durability, durability)))
        yield found


def floor() -> AbstractContextManager[Served]:
    """The bare responder."""
    return _other(FLOOR, sys.executable, "bench.http_floor")


@contextmanager
def tallymark(data: Path, durability: str) -> Iterator[Served]:
    """A Tallymark of its own."""
    with Server(data, "--durability", durability) as server:
        routes = server.client.get("/openapi.json").json()["paths"]
        name = TALLYMARK + durability
        yield Served(name, server.url, server.pid, has_bulk="/track/bulk" in routes)


@contextmanager
def _other(name: str, python: str, module: str, *words: str) -> Iterator[Served]:
    process = subprocess.Popen(  # words of ours
        [python, "-m", module, *words],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, f"{name} did not start"
        yield Served(name, f"http://127.0.0.1:{port}", process.pid, has_bulk=False)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def cpu_s(pid: int) -> dict[str, float]:
    """CPU seconds so far, of the process and of each process below it, by a name for each.

    Only the first serves; an archive or a worker for SQL is a process of its own and stands
    beside it, so that what it takes is neither hidden nor mixed in.
    """
    found = {"serving": _spent_s(pid)}
    for child in _below(pid):
        found[_name(child)] = found.get(_name(child), 0.0) + _spent_s(child)
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; none where the process has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _spent_s(pid: int) -> float:
    fields = _stat(pid)  # utime and stime are the 14th and 15th
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S if fields else 0.0


def _below(pid: int) -> list[int]:
    parents = {
        int(path.name): int(fields[1])
        for path in Path("/proc").iterdir()
        if path.name.isdigit() and (fields := _stat(int(path.name)))
    }
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def _name(pid: int) -> str:
    """The module that a Python process runs, else its command."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "ended"
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    return Path(words[0]).name or "unknown"
