"""A process that can open no file, for as long as a test wants it."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_handles() -> Iterator[None]:
    """Within it this process can open no file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
