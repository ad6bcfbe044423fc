"""Log lines: their format, their level, and that libraries keep to both."""

import logging
from collections.abc import Iterator
from typing import Literal

import orjson
import pytest
import structlog

from engine.config import Config
from persistence.keys import new_key
from web import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave logging as pytest had it."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def test_a_json_line_has_time_level_event_and_facts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.set_up(Config(log_format="json"))
    structlog.get_logger().info("recovered", events=3)
    out, err = capsys.readouterr()
    line = orjson.loads(err)
    assert out == ""
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "recovered", "level": "info", "events": 3}


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_key_and_no_token_is_logged(
    capsys: pytest.CaptureFixture[str], log_format: Literal["json", "console"]
) -> None:
    key, token = new_key("admin"), "t" * 43
    logs.set_up(Config(log_format=log_format))
    structlog.get_logger().warning(f"went by {key}", url=f"/track?key={key}&a=b", head=key)
    structlog.get_logger().warning("went", url=f"/stream?token={token}")
    logging.getLogger("hypercorn.error").error("GET /stream?token=%s", token)
    try:
        raise ValueError(key)
    except ValueError as error:
        structlog.get_logger().error("failed", exc_info=error)
    err = capsys.readouterr().err
    assert key[5:] not in err
    assert token not in err
    assert err.count("tm_a_***") >= 3
    assert "token=***" in err
    assert "key=***&a=b" in err


def test_a_console_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(Config())
    structlog.get_logger().info("recovered", events=3)
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "recovered" in err
    assert "events=3" in err


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_only_what_is_as_severe_as_configured_is_logged(
    capsys: pytest.CaptureFixture[str], level: str, heard: list[str]
) -> None:
    config = Config(log_format="json", log_level=level)  # type: ignore[arg-type]  # of the four
    logs.set_up(config)
    for name in ("debug", "info", "warning", "error"):
        getattr(structlog.get_logger(), name)("line")
    lines = map(orjson.loads, capsys.readouterr().err.splitlines())
    assert [line["level"] for line in lines] == heard


def test_libraries_log_in_our_format_and_only_from_warnings_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.set_up(Config(log_format="json"))
    library = logging.getLogger("hypercorn.error")
    library.info("Running on http://127.0.0.1:1")
    try:
        raise ValueError("why")
    except ValueError:
        library.exception("Error in %s", "framework")
    (line,) = map(orjson.loads, capsys.readouterr().err.splitlines())
    assert (line["event"], line["level"]) == ("Error in framework", "error")
    assert line["logger"] == "hypercorn.error"
    assert "ValueError: why" in line["exception"]
