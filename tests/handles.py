"""A process that can open no file, or make none grow, for as long as a test wants it."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_handles() -> Iterator[None]:
    """Within it this process can open no file."""
    lowest = os.open("/", os.O_RDONLY)
    os.close(lowest)
    with _at_most(resource.RLIMIT_NOFILE, lowest):
        yield


@contextmanager
def no_growth(beyond_bytes: int) -> Iterator[None]:
    """Within it this process can write nothing into a file beyond so many bytes (EFBIG)."""
    with _at_most(resource.RLIMIT_FSIZE, beyond_bytes):
        yield


@contextmanager
def _at_most(what: int, limit: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))
