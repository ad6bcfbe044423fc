"""The project's own files: what is pinned, and that it is what the package asks for."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCKS = [
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-e2e.lock",
    "requirements-bench.lock",
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_names_and_versions_and_no_addresses(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "--" not in text
    assert all(re.fullmatch(r"[\w.+-]+", one) for pin in _pins(lock).items() for one in pin)


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (["python3.11", "python3.13", "python3"], "python3.11"),
        (["python3.13", "python3.12"], "python3.12"),
        (["python3"], "python3"),
    ],
)
def test_make_takes_the_first_python_that_is_there(
    tmp_path: Path, there: list[str], taken: str
) -> None:
    make = shutil.which("make")
    assert make is not None
    for name in there:
        (tmp_path / name).symlink_to(sys.executable)
    told = subprocess.run(
        [make, "--dry-run", "--always-make", "env"],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{tmp_path / taken} -m venv .venv" in told.stdout, told.stderr


def test_all_locks_agree_where_they_overlap() -> None:
    pins: dict[str, str] = {}
    for lock in LOCKS[:3]:  # the last has an environment of its own
        assert {name: pins.get(name, pin) for name, pin in _pins(lock).items()} == _pins(lock)
        pins |= _pins(lock)


def test_what_is_pinned_lies_in_the_range_that_the_package_asks_for() -> None:
    pins = _pins("requirements.lock")
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert pins[requirement.name] in requirement.specifier, requirement


def test_the_package_asks_for_what_the_lock_is_made_from() -> None:
    asked = [Requirement(one).name for one in PROJECT["dependencies"]]
    assert sorted(asked) == sorted((ROOT / "requirements.in").read_text().split())
