"""The command line: what it prints, what it refuses, and with which exit code."""

import datetime as dt
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.config import Config
from engine.events import Body, Kind
from engine.resolving import AT_MOST, SETTINGS, Source, resolve, written
from load.extent import DAYS_MAX, SERVICES_MAX, USERS_MIN
from persistence.archive import manifest as manifests
from persistence.archive.manifest import File, Manifest
from persistence.journal import JOURNAL_FOLDER, Journal
from tests.damage import flip
from tests.server import PATIENCE_S, environment, heed_interrupts, tallymark
from web.cli import run

MANUAL = Path(__file__).parents[2] / "docs" / "cli.md"


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TALLYMARK_CONFIG", raising=False)


def _settings(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, Any]]:
    assert run(["config", "--json", *words]) == 0
    printed: dict[str, dict[str, Any]] = orjson.loads(capsys.readouterr().out)
    return printed


def _complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that stands on stderr, and nothing on stdout."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert err.startswith("tallymark: ")
    return err.removeprefix("tallymark: ").rstrip("\n")


def test_config_prints_every_setting_once_with_its_value_and_origin(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["config", "--shards", "3"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["setting", "value", "from"]
    assert [line.split()[0] for line in lines] == list(SETTINGS)
    assert re.search(r"^shards +3 +--shards$", "\n".join(lines), re.MULTILINE)
    assert re.search(r"^host +\"127\.0\.0\.1\" +default$", "\n".join(lines), re.MULTILINE)


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("my.toml").write_text('shards = 1\nport = 1\ntimezone = "Asia/Kolkata"\n')
    monkeypatch.setenv("TALLYMARK_SHARDS", "2")
    monkeypatch.setenv("TALLYMARK_PORT", "2")
    settings = _settings(capsys, "--config", "my.toml", "--port", "0")
    assert settings["port"] == {"value": 0, "origin": "--port"}
    assert settings["shards"] == {"value": 2, "origin": "TALLYMARK_SHARDS"}
    assert settings["timezone"] == {"value": "Asia/Kolkata", "origin": "my.toml"}
    assert settings["host"] == {"value": "127.0.0.1", "origin": "default"}


def test_the_file_is_the_named_one_or_that_of_the_variable_or_the_one_lying_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("tallymark.toml", "variable.toml", "named.toml"), 1):
        Path(name).write_text(f"shards = {number}\n")
    assert _settings(capsys)["shards"] == {"value": 1, "origin": "tallymark.toml"}
    monkeypatch.setenv("TALLYMARK_CONFIG", "variable.toml")
    assert _settings(capsys)["shards"] == {"value": 2, "origin": "variable.toml"}
    named = _settings(capsys, "--config", "named.toml")
    assert named["shards"] == {"value": 3, "origin": "named.toml"}


def test_allowed_hosts_may_be_repeated_or_separated_by_commas(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = _settings(capsys, "--allowed-host", "a", "--allowed-host", "b,c")
    assert settings["allowed_hosts"]["value"] == ["a", "b", "c"]


OTHERS: dict[str, str] = {
    "durability": "write",
    "log_level": "error",
    "log_format": "json",
    "timezone": "Asia/Kolkata",
    "reporting_currency": "EUR",
    "currency_rates": "GBP=1.27,EUR=1.08",
    "cors_origins": "https://a.example,http://b.example:81",
    "embed_ancestors": "https://a.example,https://b.example",
    "trusted_proxies": "10.0.0.0/8,::1",
    "db_url": "http://127.0.0.1:9/{id}",
}
"""Values other than the default, as a text, where any text or a number near it would not do."""

NEEDS: dict[str, dict[str, str]] = {
    "certfile": {"keyfile": "key.pem"},
    "keyfile": {"certfile": "chain.pem"},
}
"""What a setting cannot be given without."""


def another(name: str) -> str:
    """A value of the setting that is not its default, and fits all others."""
    if name in OTHERS:
        return OTHERS[name]
    match getattr(Config(), name):
        case bool(default):
            return str(not default).lower()
        case int(default):
            smaller = name in {small for small, _ in AT_MOST}
            return str(default - 1 if smaller else default + 1)
        case _:
            return "x"


def words_of(name: str, value: str) -> list[str]:
    option = "--" + name.replace("_", "-")
    if value == "false":
        return [option.replace("--", "--no-", 1)]
    return [option] if value == "true" else [option, value]


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_comes_from_the_command_line_the_environment_or_a_file(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {name: another(name)} | NEEDS.get(name, {})
    words = [word for one, text in given.items() for word in words_of(one, text)]
    by_words = _settings(capsys, *words)
    for one, text in given.items():
        monkeypatch.setenv(f"TALLYMARK_{one.upper()}", text)
    by_environment = _settings(capsys)
    for one in given:
        monkeypatch.delenv(f"TALLYMARK_{one.upper()}")
    layer = (Source.ENVIRONMENT, given)
    config = resolve([layer]).config
    lines = [f"{one} = {written(getattr(config, one))}\n" for one in given]
    Path("all.toml").write_text("".join(lines))
    by_file = _settings(capsys, "--config", "all.toml")
    assert by_words[name]["value"] != _settings(capsys)[name]["value"]
    assert by_words[name]["value"] == by_environment[name]["value"] == by_file[name]["value"]
    option = "--" + name.replace("_", "-")
    assert by_words[name]["origin"] == option
    assert by_environment[name]["origin"] == f"TALLYMARK_{name.upper()}"
    assert by_file[name]["origin"] == "all.toml"


def test_a_switch_that_a_file_turns_on_can_be_turned_off(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("tallymark.toml").write_text("load_hooks = true\n")
    assert _settings(capsys, "--no-load-hooks")["load_hooks"]["value"] is False


def test_a_host_that_others_can_reach_is_taken_when_that_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = _settings(capsys, "--host", "0.0.0.0", "--allow-public")
    assert settings["allow_public"] == {"value": True, "origin": "--allow-public"}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["serve", "--shards", "x"], "shards from --shards: expected int between 1 and 64"),
        (["serve", "--timezone", "Mars"], "timezone from --timezone: expected an IANA zone"),
        (["serve", "--data", ""], "data from --data: expected a text that is not empty"),
        (
            ["config", "--config", "no.toml"],
            "The settings file no.toml cannot be read: No such",
        ),
        (["serve", "--colour"], "No such option"),
        (["import", "x.csv"], "Invalid value for 'FILE...': File 'x.csv' does not exist."),
        (["sing"], "No such command 'sing'. See `tallymark --help`."),
        (["demo", "--days", "0"], "Invalid value for '--days': 0 is not in the range"),
        (
            ["demo", "--days", str(DAYS_MAX + 1)],
            f"Invalid value for '--days': 400 is not in the range 1<=x<={DAYS_MAX}.",
        ),
        (
            ["demo", "--services", str(SERVICES_MAX + 1)],
            f"Invalid value for '--services': 41 is not in the range 1<=x<={SERVICES_MAX}.",
        ),
        (
            ["demo", "--users", str(USERS_MIN - 1)],
            f"Invalid value for '--users': 19 is not in the range x>={USERS_MIN}.",
        ),
    ],
)
def test_wrong_words_are_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    assert run(words) == 2
    assert _complaint(capsys).startswith(complaint)


@pytest.mark.parametrize("content", [b"shards = ", b'data = "\xff"'])
def test_a_broken_settings_file_is_named(
    capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    Path("tallymark.toml").write_bytes(content)
    assert run(["config"]) == 2
    assert _complaint(capsys).startswith("The settings file tallymark.toml is not TOML: ")


def test_a_demo_without_a_server_is_one_line_and_exit_code_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert run(["demo", "--url", f"http://127.0.0.1:{port}"]) == 1
    assert _complaint(capsys).startswith(f"Nothing answers at http://127.0.0.1:{port}: ")


def test_an_interrupted_command_ends_quietly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        demo = subprocess.Popen(
            [sys.executable, "-m", "web.cli", "demo", "--url", url],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=heed_interrupts,
        )
        connection, _ = silent.accept()
        with connection:
            demo.send_signal(signal.SIGINT)
            output, _ = demo.communicate(timeout=PATIENCE_S)
    assert (demo.returncode, output.strip()) == (130, b"")


def test_a_reader_who_has_seen_enough_causes_no_traceback() -> None:
    config = subprocess.Popen(
        [sys.executable, "-m", "web.cli", "config"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert config.stdout is not None
    assert config.stderr is not None
    config.stdout.close()
    with config.stderr as stderr:
        assert stderr.read() == b""
    assert config.wait(PATIENCE_S) != 0


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version"]) == 0
    assert re.fullmatch(r"tallymark \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "Usage: tallymark" in capsys.readouterr().err


def _journal(folder: Path) -> Path:
    """A data folder with two events in two records; returns the path of its segment."""
    journal = Journal.open(folder / JOURNAL_FOLDER, durability="write")
    for seq in (1, 2):
        journal.append(seq, 1_000, [Body(Kind.ONE, 1, b"{}" * 50)])
    journal.close()
    return journal.segments[0].path if journal.segments else _only_file(folder)


def _only_file(folder: Path) -> Path:
    (path,) = (folder / JOURNAL_FOLDER).iterdir()
    return path


def test_verify_says_what_is_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    size_bytes = _journal(tmp_path).stat().st_size
    assert run(["verify", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"journal    2 events in 2 records, 1 segments, {size_bytes} bytes",
        "numbers    1 to 2",
        "a start    loads no snapshot and replays 2 events",
    ]
    assert run(["verify", "--json", str(tmp_path)]) == 0
    facts = orjson.loads(capsys.readouterr().out)
    assert (facts["events"], facts["journalBytes"]) == (2, size_bytes)


def test_verify_names_file_and_byte_of_damage_with_exit_code_3(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = _journal(tmp_path)
    flip(path, 60)  # within the first record
    assert run(["verify", str(tmp_path)]) == 3
    out, err = capsys.readouterr()
    assert out == "a start    would be refused\n"
    assert err.startswith(f"tallymark: {path} is damaged at byte 24: ")
    assert run(["verify", "--json", str(tmp_path)]) == 3
    facts = orjson.loads(capsys.readouterr().out)
    (damage,) = facts["damages"]
    assert (facts["starts"], damage["file"], damage["byte"]) == (False, str(path), 24)


def test_verify_of_something_else_is_exit_code_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["verify", str(tmp_path)]) == 1
    assert _complaint(capsys) == f"{tmp_path} is not a data folder: there is no journal/ in it."


def test_the_manual_has_every_command_option_and_exit_code() -> None:
    from web.cli import load
    from web.cli import tallymark as group

    manual = MANUAL.read_text()
    loads = {f"load {name}": command for name, command in load.commands.items()}
    for name, command in {**group.commands, **loads}.items():
        assert name in loads or f"## tallymark {name}" in manual, name
        assert f"tallymark {name}" in manual or name == "load run", name
        for parameter in command.params:
            if getattr(parameter, "hidden", False):  # in configuration.md, as a setting
                assert parameter.name in SETTINGS
                continue
            for option in parameter.opts:
                assert f"`{option}" in manual or not option.startswith("--"), (name, option)
    for code in (0, 1, 2, 3, 4, 130):
        assert f"| {code} |" in manual


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    manifest = tmp_path / "archive" / "manifest.json"
    manifest.mkdir(parents=True)
    ended = tallymark("archive", str(tmp_path))
    assert (ended.returncode, ended.stderr) == (1, f"tallymark: {manifest}: Is a directory.\n")


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("sql", "-", "--data", "."), 1, "tallymark: . has no archive"),
        (("keys", "reset", "--data", "."), 130, "Delete all keys and sessions?"),
    ],
)
def test_a_stdin_that_is_closed_has_nothing_to_read(
    tmp_path: Path, words: tuple[str, ...], code: int, complaint: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "web.cli", *words],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.close(0),
    )
    assert (ended.returncode, ended.stdout) == (code, "")
    assert ended.stderr.startswith(complaint)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("sql", "SELECT count() AS n FROM events", "--data", "."),
        ("export", ".", "--sql", "SELECT count() AS n FROM events", "--output", "n.csv"),
        ("export", ".", "--with", "startDate=2025-10-01", "--with", "endDate=2025-10-01"),
    ],
)
def test_a_day_of_the_archive_that_cannot_be_read_is_one_line(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "2025-10-01").symlink_to("x" * 300)  # also root cannot enter it
    at = int(dt.datetime(2025, 10, 1, tzinfo=dt.UTC).timestamp() * 1000)
    file = File("2025-10-01/1-9.v2.parquet", 1, 1, 1, 9, at, at, 1, 0)
    manifests.write(archive, Manifest(covered_seq=9, files=(file,)))
    ended = tallymark(*words, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.count("\n") == 1
    assert "2025-10-01/1-9.v2.parquet" in ended.stderr
    assert ended.stderr.endswith(" cannot be read: File name too long.\n")
    assert [one.name for one in tmp_path.iterdir()] == ["archive"]
