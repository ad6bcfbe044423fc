"""The threat model: each line names the tests that try it, and they are there."""

import ast
import re

import pytest

from tests.server import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
THREATS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.partition("## Threat model")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| ") and not line.startswith(("| threat", "| ---"))
]


def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_there_is_a_model() -> None:
    assert len(THREATS) >= 20
    assert all(len(line) == 3 for line in THREATS)


@pytest.mark.parametrize("line", THREATS, ids=lambda line: line[0])
def test_a_threat_names_tests_that_are_there(line: list[str]) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", line[2])
    assert named, "a threat that nobody tries"
    for path, function in named:
        assert function in functions(path), f"{path}::{function}"
