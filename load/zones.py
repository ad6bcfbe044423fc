"""Time zones of history, by the rules of the `tzdata` package, as the server cuts its days.

The operating system's rules may be years older: then a row would lie an hour off, and around
midnight on another day than the one it was written down for.
"""

from importlib.resources import files
from zoneinfo import ZoneInfo


def zone_of(name: str) -> ZoneInfo:
    """The rules of a zone by its IANA name. Raises KeyError for anything else."""
    data = files("tzdata")
    if name not in (data / "zones").read_text("ascii").split():
        raise KeyError(name)
    with data.joinpath("zoneinfo", *name.split("/")).open("rb") as stream:
        return ZoneInfo.from_file(stream, key=name)
