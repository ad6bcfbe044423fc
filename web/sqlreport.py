"""The rows of a report made by SQL: a process of its own, behind the same walls.

The same rules apply as for a query that somebody waits for, except for its deadline and for the
size of its answer.
"""

from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from engine.config import Config
from engine.errors import NotReady
from persistence.tabular import Format
from web.sql import ATTEMPTS, Archived, Asked, files_of, missing_of, refusal_in
from web.sqlprocess import Worker

UNBOUNDED: Final = 2**53
"""Whoever takes the pieces stops where they are too many."""


class SqlRows:
    """The pieces of one report.

    rows     how many have come
    percent  how far the process is; None where it has not said it yet
    """

    def __init__(
        self, config: Config, archived: Archived, asked: Asked, format_: Format, *, now_ms: int
    ) -> None:
        self._config = config
        self._archived = archived
        self._asked = asked
        self._format = format_
        self._now_ms = now_ms
        self.rows = 0
        self.percent: int | None = None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The file. Raises InvalidQuery, NotReady, ArchiveLate, and Ended where the process has
        failed."""
        await self._archived.fresh()
        worker = Worker(self._config)
        try:
            await worker.greet()
            read = self._asked.read(self._config, now_ms=self._now_ms)
            head, _ = await worker.ask({**read, "report": self._format})
            refusal_in(head)
            files: list[str] = []
            for _ in range(ATTEMPTS):
                hidden = self._archived.hidden()  # first: what goes meanwhile stays hidden
                files = files_of(self._archived, head)
                question = {
                    "do": "run",
                    "hidden": msgspec.to_builtins(hidden),
                    "files": files,
                    "limits": {
                        "deadline_s": self._config.report_deadline_s,
                        "left_s": self._config.report_deadline_s,
                        "rows_max": UNBOUNDED,
                        "bytes_max": UNBOUNDED,
                    },
                }
                told, body = await worker.ask(question)
                while "piece" in told or "percent" in told:
                    self.percent = told.get("percent", self.percent)
                    if "piece" in told:
                        self.rows = told["rows"]
                        yield body
                    told, body = await worker.next()
                refusal_in(told)
                if "media" in told:
                    return
                if self.rows:  # a file has gone after the first piece had left
                    break
            raise NotReady(missing_of(files))
        finally:
            await worker.end()
