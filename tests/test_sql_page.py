"""Every question of docs/sql.md has an answer, over what the demonstration sends."""

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server import ROOT, Server, tallymark

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "sql.md").read_text()
FIGURES = dict(
    re.findall(
        r"### (.*?)\n.*?```sql\n(.*?)```",
        (ROOT / "docs" / "metrics-in-sql.md").read_text(),
        re.DOTALL,
    )
)
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


def test_a_server_says_the_same_in_metrics_and_in_sql(demo: Server) -> None:
    today = dt.datetime.now(dt.UTC).date()
    first, end = today - dt.timedelta(5), today - dt.timedelta(1)
    dates = {"startDate": str(first), "endDate": str(end - dt.timedelta(1)), "limit": "100"}

    def sql(name: str) -> list[dict[str, Any]]:
        query = FIGURES[name].replace("2025-09-01", str(first)).replace("2025-10-01", str(end))
        query = query.replace("Europe/Berlin", "UTC")
        return list(demo.client.post("/sql?fresh=1", content=query).json()["data"])

    services = demo.client.get("/metrics/services", params=dates).json()["data"]
    assert {row["serviceId"]: (row["executions"], row["errorRate"]) for row in services} == {
        row["serviceId"]: (row["executions"], row["errorRate"]) for row in sql("services")
    }
    money = demo.client.get("/metrics/revenue", params=dates).json()["data"]["byCurrency"]
    told = sql("revenue")
    assert told
    for row in told:
        for name in ("gmv", "grossGmv", "refunds", "fees", "transactionCount"):
            assert money[row["currency"]][name] == row[name], name
    market = demo.client.get("/metrics/marketplace", params=dates).json()["data"]
    (row,) = sql("marketplace")
    assert {name: market[name] for name in row} == row


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
    for source in (("--url", demo.url), ("--data", str(demo.data))):
        said = tallymark("sql", f"{query} FORMAT CSV", *source)
        assert (said.returncode, said.stdout) == (0, lines), "a query may say its format itself"
        none = tallymark("sql", "SELECT 1 AS x WHERE 1 = 0", *source, "--format", "CSV")
        assert (none.returncode, none.stdout) == (0, "")
    both = tallymark("sql", query, "--url", demo.url, "--data", str(demo.data))
    assert (both.returncode, "not both" in both.stderr) == (2, True)
    wrong = tallymark("sql", "SELECT nope FROM events", "--url", demo.url)
    assert wrong.returncode == 1
    assert 'unable to find type of column: "nope"' in wrong.stderr
    nothing = tallymark("sql", query, "--data", str(tmp_path))
    assert (nothing.returncode, "has no archive" in nothing.stderr) == (1, True)
