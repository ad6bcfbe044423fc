"""Keys of a data folder, as `tallymark keys` makes and lists them."""

import subprocess
from pathlib import Path

import orjson

from persistence.keys import KEY
from tests.server import tallymark


def keys(*words: str, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    given = () if data is None else ("--data", str(data))
    done = tallymark("keys", *words, *given)
    assert "Traceback" not in done.stderr
    return done


def made(data: Path, role: str) -> str:
    """A new key: what stands on stdout, and nothing else does."""
    done = keys("add", "--role", role, "--label", f"of {role}", data=data)
    assert done.returncode == 0, done.stderr
    key = done.stdout.removesuffix("\n")
    assert KEY.fullmatch(key)
    assert key not in done.stderr
    return key


def listed(data: Path) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = orjson.loads(keys("list", "--json", data=data).stdout)
    return rows
