"""What is logged and how: structured lines on stderr, one per event in the life of the process.

Requests are not logged. The words of the lines (`starting`, `listening on …`, `recovered`,
`ready`, `snapshot written`, `stopping`, `stopped`) are an interface: operators match on them.
"""

import io
import logging
import re
import sys
from contextlib import suppress
from typing import Any, Final, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor

from engine.config import Config

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class Lines(io.TextIOBase):
    """Where lines go: nothing ends because nobody reads them, or there is no room for them."""

    def __init__(self, to: TextIO) -> None:
        self._to = to

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._to.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._to.flush()


def set_up(config: Config) -> None:
    """Send all lines, those of the libraries too, to stderr in the configured format."""
    lines = cast(TextIO, Lines(sys.stderr))  # as far as anybody asks: write and flush
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers = _json() if config.log_format == "json" else _console()
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[config.log_level]),
        logger_factory=structlog.PrintLoggerFactory(lines),
        cache_logger_on_first_use=True,
    )
    _adopt_libraries(config, lines, shared, renderers)


def _json() -> list[Processor]:
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_dumps),
        _without_secrets,
    ]


def _console() -> list[Processor]:
    colors = sys.stderr.isatty()
    formatter = structlog.dev.plain_traceback
    console = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=formatter)
    return [console, _without_secrets]


_SECRETS: Final = re.compile(
    r"(tm_[wra]_)[0-9A-Za-z]{8,}|(\b(?:key|token|tallymark_session)=)[^&\s\"';]+"
)


def _without_secrets(_logger: object, _level: str, line: Any) -> str:  # noqa: ANN401  # structlog has one type for all steps
    """The line as it is written: whatever it came from, keys and tokens stay out of it."""
    return _SECRETS.sub(lambda found: f"{found[1] or found[2]}***", line)


def _dumps(event: EventDict, **_: object) -> str:
    return orjson.dumps(event, default=str).decode()


def _adopt_libraries(
    config: Config, lines: TextIO, shared: list[Processor], renderers: list[Processor]
) -> None:
    """Give what Trio, Hypercorn and Quart log through `logging` the same looks.

    Of them only warnings and worse: what they say about a normal life, we say ourselves.
    """
    handler = logging.StreamHandler(lines)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.WARNING, _LEVELS[config.log_level]))
