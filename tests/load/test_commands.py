"""The demo and the import as the command line calls them, against a real HTTP server."""

import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from load.commands import run_demo, run_import
from load.connection import Target
from load.errors import ProgressMismatch, Refused, UnreadableHistory

MAPPING = """
[event]
eventType = "service_execution"
success = true
[fields]
serviceId = "service"
latencyMs = "ms"
timestamp = "at"
"""
END_MS = int(dt.datetime(2026, 3, 18, 17, 40, tzinfo=dt.UTC).timestamp() * 1000)


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "mapping.toml"
    path.write_text(MAPPING)
    return path


def history(tmp_path: Path, rows: int) -> Path:
    path = tmp_path / "calls.csv"
    lines = [f"s-{row % 3},{row},2026-01-01T00:00:00Z" for row in range(rows)]
    path.write_text("\n".join(["service,ms,at", *lines, ""]))
    return path


def taken(number: int, events: list[Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
    return 200, {}, {"success": True, "count": len(events)}


def refusing_from(first: int) -> Any:
    """A server that takes what comes before the request of that number."""
    refusal = 422, {}, {"detail": "No.", "errors": [{"index": 0}]}
    return lambda number, events: taken(number, events) if number < first else refusal


def quiet() -> Console:
    return Console(file=io.StringIO(), width=40)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def progress_of(path: Path) -> dict[str, Any]:
    return json.loads(path.with_name(path.name + ".tallymark-progress.json").read_text())


async def test_an_import_sends_every_row_and_says_so_in_one_line(
    serving, tmp_path: Path, mapping: Path
) -> None:
    path, console = history(tmp_path, 60), quiet()
    async with serving(taken) as server:
        target = Target(server.url)
        summary = await run_import([path], mapping_path=mapping, target=target, console=console)
    assert (summary.events, summary.skipped_rows) == (60, 0)
    assert sum(map(len, server.batches)) == 60
    assert said(console).startswith(f"60 events acknowledged by {server.url} in ")
    assert said(console).count("\n") == 1
    assert progress_of(path)["isWhole"] is True


async def test_a_second_import_sends_nothing_and_says_why(
    serving, tmp_path: Path, mapping: Path
) -> None:
    path, console = history(tmp_path, 60), quiet()
    async with serving(taken) as server:
        target = Target(server.url)
        await run_import([path], mapping_path=mapping, target=target, console=quiet())
        requests = len(server.batches)
        again = await run_import([path], mapping_path=mapping, target=target, console=console)
    assert len(server.batches) == requests
    assert (again.events, again.skipped_rows) == (0, 60)
    assert "all rows were acknowledged" in said(console)
    assert "--restart sends them again" in said(console)


async def test_restart_sends_everything_again_with_the_same_ids(
    serving, tmp_path: Path, mapping: Path
) -> None:
    path = history(tmp_path, 20)
    async with serving(taken) as server:
        target = Target(server.url)
        await run_import([path], mapping_path=mapping, target=target, console=quiet())
        await run_import(
            [path], mapping_path=mapping, target=target, restart=True, console=quiet()
        )
    assert server.batches[0] == server.batches[1]


async def test_an_import_that_was_stopped_goes_on_after_the_last_settled_row(
    serving, tmp_path: Path, mapping: Path
) -> None:
    path = history(tmp_path, 200)
    async with serving(refusing_from(4)) as server:
        target = Target(server.url)
        with pytest.raises(Refused, match=r"calls\.csv, row 76 with 422: No\."):
            await run_import(
                [path], mapping_path=mapping, target=target, connections=1, console=quiet()
            )
        assert progress_of(path)["settledRow"] == 75
        server.script = taken
        rest = await run_import([path], mapping_path=mapping, target=target, console=quiet())
    assert (rest.events, rest.skipped_rows) == (125, 75)
    ids = {event["eventId"] for batch in server.batches for event in batch}
    assert len(ids) == 200


@pytest.fixture
def corrected(tmp_path: Path) -> Path:
    path = tmp_path / "corrected.toml"
    path.write_text(MAPPING + 'category = "service"\n')
    return path


async def test_a_corrected_mapping_goes_on_too(
    serving, tmp_path: Path, mapping: Path, corrected: Path
) -> None:
    path = history(tmp_path, 100)
    async with serving(refusing_from(3)) as server:
        target = Target(server.url)
        with pytest.raises(Refused):
            await run_import(
                [path], mapping_path=mapping, target=target, connections=1, console=quiet()
            )
        server.script = taken
        console = quiet()
        rest = await run_import([path], mapping_path=corrected, target=target, console=console)
    assert rest.events == 50
    assert "the mapping has changed since" in said(console)


async def test_progress_with_another_server_is_not_ours(
    serving, tmp_path: Path, mapping: Path
) -> None:
    path = history(tmp_path, 30)
    async with serving(taken) as first, serving(taken) as second:
        for server in (first, second):
            summary = await run_import(
                [path], mapping_path=mapping, target=Target(server.url), console=quiet()
            )
            assert summary.events == 30


async def test_progress_with_a_changed_file_is_not_ours(
    serving, tmp_path: Path, mapping: Path
) -> None:
    async with serving(taken) as server:
        for rows in (30, 40):
            path = history(tmp_path, rows)
            summary = await run_import(
                [path], mapping_path=mapping, target=Target(server.url), console=quiet()
            )
            assert summary.events == rows


async def test_half_an_import_is_not_finished_with_another_shift(
    serving, tmp_path: Path, mapping: Path
) -> None:
    path = history(tmp_path, 100)
    async with serving(refusing_from(3)) as server:
        target = Target(server.url)
        with pytest.raises(Refused):
            await run_import(
                [path],
                mapping_path=mapping,
                target=target,
                shift_to_end=dt.date(2026, 3, 1),
                connections=1,
                console=quiet(),
            )
        with pytest.raises(ProgressMismatch, match=r"--shift-to-end 2026-03-01 .*--restart"):
            await run_import(
                [path],
                mapping_path=mapping,
                target=target,
                shift_to_end=dt.date(2026, 3, 2),
                console=quiet(),
            )


async def test_a_shift_moves_what_is_sent(serving, tmp_path: Path, mapping: Path) -> None:
    path = history(tmp_path, 1)
    async with serving(taken) as server:
        await run_import(
            [path],
            mapping_path=mapping,
            target=Target(server.url),
            shift_to_end=dt.date(2026, 3, 1),
            console=quiet(),
        )
    moved = dt.datetime(2026, 3, 1, tzinfo=dt.UTC).timestamp() * 1000
    assert server.batches[0][0]["timestamp"] == moved


async def test_a_fault_in_the_last_row_is_found_before_the_first_is_sent(
    serving, tmp_path: Path, mapping: Path
) -> None:
    path = history(tmp_path, 100)
    path.write_text(path.read_text() + "s-1,never,2026-01-01\n")
    async with serving(taken) as server:
        with pytest.raises(UnreadableHistory, match="row 101"):
            await run_import(
                [path], mapping_path=mapping, target=Target(server.url), console=quiet()
            )
    assert server.batches == []


@pytest.mark.parametrize("text", ["", "{}", '{"version": 1, "settledRow": "x"}'])
async def test_a_progress_file_that_is_none_is_refused_and_restart_replaces_it(
    serving, tmp_path: Path, mapping: Path, text: str
) -> None:
    path = history(tmp_path, 10)
    path.with_name("calls.csv.tallymark-progress.json").write_text(text)
    async with serving(taken) as server:
        target = Target(server.url)
        with pytest.raises(ProgressMismatch, match="--restart"):
            await run_import([path], mapping_path=mapping, target=target, console=quiet())
        await run_import(
            [path], mapping_path=mapping, target=target, restart=True, console=quiet()
        )
    assert progress_of(path)["settledRow"] == 10


async def test_a_demo_posts_all_its_events_and_says_so_in_one_line(serving) -> None:
    console = quiet()
    async with serving(taken) as server:
        summary = await run_demo(
            target=Target(server.url), end_ms=END_MS, days=1, users=50, console=console
        )
    assert summary.events == sum(map(len, server.batches)) > 100
    assert said(console).count("\n") == 1


async def test_a_terminal_sees_a_bar(serving) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    async with serving(taken) as server:
        await run_demo(
            target=Target(server.url), end_ms=END_MS, days=1, users=50, console=console
        )
    assert "demo" in said(console)
    assert "100%" in said(console)
