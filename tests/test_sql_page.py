"""Every question of docs/sql.md has an answer, over what the demonstration sends."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import ROOT, Server, tallymark

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "sql.md").read_text()
QUESTIONS = re.findall(r"### (\d+\. .*?)\n\n```sql\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("demo")
    with Server(folder / "data", "--archive", "--durability", "write") as running:
        size = ("--days", "8", "--services", "6", "--users", "150")
        done = tallymark("demo", "--url", running.url, *size, patience_s=300)
        assert done.returncode == 0, done.stderr
        while running.client.post("/sql?fresh=1", content="SELECT 1").status_code == 503:
            pass  # the archive is on its way
        yield running


def test_there_are_twenty_five() -> None:
    assert len(QUESTIONS) == 25


@pytest.mark.parametrize(("title", "query"), QUESTIONS, ids=[title for title, _ in QUESTIONS])
def test_the_question_has_an_answer(demo: Server, title: str, query: str) -> None:
    reply = demo.client.post("/sql", content=query)
    assert reply.status_code == 200, reply.text
    assert reply.json()["rows"] > 0
    assert any(value is not None for row in reply.json()["data"] for value in row.values())


def test_the_command_prints_a_table_from_the_server_and_from_its_folder(
    demo: Server, tmp_path: Path
) -> None:
    query = "SELECT eventType AS kind, count() AS n FROM events GROUP BY kind ORDER BY kind"
    asked = tallymark("sql", query, "--url", demo.url)
    assert asked.returncode == 0, asked.stderr
    assert "kind" in asked.stdout
    assert "service_execution" in asked.stdout
    assert asked.stdout.splitlines()[-1].endswith(" rows")
    offline = tallymark("sql", query, "--data", str(demo.data))
    assert (offline.returncode, offline.stdout) == (0, asked.stdout)
    lines = tallymark("sql", query, "--url", demo.url, "--format", "CSV").stdout
    assert re.fullmatch(r"(\w+,\d+\r?\n)+", lines)
    wrong = tallymark("sql", "SELECT nope FROM events", "--url", demo.url)
    assert wrong.returncode == 1
    assert 'unable to find type of column: "nope"' in wrong.stderr
    nothing = tallymark("sql", query, "--data", str(tmp_path))
    assert (nothing.returncode, "has no archive" in nothing.stderr) == (1, True)
