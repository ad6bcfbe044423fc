"""The project's own files: what is pinned, and that it is what the package asks for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-bench.lock"]
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


def test_both_locks_agree_where_they_overlap() -> None:
    ours, development = map(_pins, LOCKS[:2])
    assert ours == ours | {name: pin for name, pin in development.items() if name in ours}


def test_what_is_pinned_lies_in_the_range_that_the_package_asks_for() -> None:
    pins = _pins("requirements.lock")
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert pins[requirement.name] in requirement.specifier, requirement


def test_the_package_asks_for_what_the_lock_is_made_from() -> None:
    asked = [Requirement(one).name for one in PROJECT["dependencies"]]
    assert sorted(asked) == sorted((ROOT / "requirements.in").read_text().split())
