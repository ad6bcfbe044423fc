"""Processes that the server speaks to over pipes.

They must be started in the main thread: the kernel ends them with the thread that started them.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import trio

from engine.errors import Overloaded


class NotStarted(Overloaded):
    """The system had no process, no memory or no open files for another one."""

    title = "Not ready"

    def __init__(self, error: OSError) -> None:
        reason = error.strerror or error
        super().__init__(f"A process that is needed cannot be started: {reason}.")


class Piped(NamedTuple):
    """A process, and this side of its pipes."""

    process: subprocess.Popen[bytes]
    to_it: trio.lowlevel.FdStream
    from_it: trio.lowlevel.FdStream


def pipe() -> tuple[int, int]:
    """One more pipe for a process. Raises NotStarted."""
    try:
        return os.pipe()
    except OSError as error:
        raise NotStarted(error) from error


def start(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stderr: int | None = None,
    pass_fds: Sequence[int] = (),
) -> Piped:
    """Start a process of our own. Raises NotStarted, and leaves nothing open then."""
    ends: list[int] = []
    try:
        ends += os.pipe()
        ends += os.pipe()
        its_input, to_it, from_it, its_output = ends
        process = subprocess.Popen(  # noqa: S603  a command of our own
            command,
            stdin=its_input,
            stdout=its_output,
            stderr=stderr,
            env=env,
            pass_fds=pass_fds,
        )
    except OSError as error:
        for end in ends:
            os.close(end)
        raise NotStarted(error) from error
    os.close(its_input)
    os.close(its_output)
    return Piped(process, trio.lowlevel.FdStream(to_it), trio.lowlevel.FdStream(from_it))
