"""docs/promises.md names tests that are there, for every promise."""

import ast
import re
from pathlib import Path

import pytest

from tests.server import ROOT

PAGE = ROOT / "docs" / "promises.md"
GUARD = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
HEAD = ["promise", "not covered", "guarded by"]
SECTIONS = [
    "Durability",
    "Each once",
    "Order and freshness",
    "Bounds",
    "Security",
    "Damage and backups",
    "Formats",
]


def rows() -> list[list[str]]:
    """The cells of every promise."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if row != HEAD and set("".join(row)) - set("- ")]


def names_in(path: Path) -> set[str]:
    """The names of the tests that pytest finds in a file."""
    tree = ast.parse(path.read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, functions)}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:60])
def test_a_promise_says_what_it_does_not_cover_and_names_tests_that_are_there(
    row: list[str],
) -> None:
    promise, not_covered, guards = row
    assert promise
    assert not_covered
    named = GUARD.findall(guards)
    assert named, f"nothing guards: {promise}"
    assert GUARD.sub("", guards).strip(", ") == "", "a guard is `tests/file.py::test_name`"
    for file, name in named:
        assert (ROOT / file).is_file(), file
        assert name in names_in(ROOT / file), f"{file} has no {name}"


def test_promises_are_made_in_every_field() -> None:
    page = PAGE.read_text()
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == SECTIONS
    assert len(rows()) > 20
