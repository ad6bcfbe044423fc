"""Processes that this one has started."""

from pathlib import Path


def children(program: str) -> set[int]:
    """The numbers of those in whose command line `program` stands."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            if program.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(int(pid))
    return found
