"""What is sent when: profiles from TOML, those of the package and a user's own.

A profile gives the shape of a run (its phases, as multiples of the rate), what it sends, who
listens meanwhile, and defaults for what the command line may override.
"""

import tomllib
from collections.abc import Mapping
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from load.errors import LoadError

SUFFIX: Final = ".toml"

Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]

EventType = Literal[
    "service_execution",
    "marketplace_view",
    "marketplace_search",
    "user_session",
    "experiment_view",
    "revenue_transaction",
    "marketplace_conversion",
    "experiment_conversion",
]

MIX: Final[Mapping[EventType, int]] = {
    "service_execution": 50,
    "marketplace_view": 20,
    "marketplace_search": 10,
    "user_session": 6,
    "experiment_view": 6,
    "revenue_transaction": 4,
    "marketplace_conversion": 2,
    "experiment_conversion": 2,
}
"""Event types and their share in percent, where a profile says nothing else."""


class InvalidProfile(LoadError):
    """A profile that does not exist, cannot be read or contradicts itself."""


class Phase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a run, as a share of its duration.

    start, end  multiples of the rate at its two ends, straight in between
    """

    share: Positive
    start: Share = 1.0
    end: Share | None = None

    @property
    def ends_at(self) -> float:
        """The multiple at its end."""
        return self.start if self.end is None else self.end


class Data(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What events are about.

    services  how many, by a Zipf law with exponent `skew`: 0 is even, 1 usual, 2 a few hot keys
    users     how many, evenly
    mix       {event type: share}
    """

    services: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
    users: Annotated[int, Meta(ge=1, le=10_000_000)] = 20_000
    skew: Annotated[float, Meta(ge=0, le=4)] = 1.0
    mix: dict[EventType, Annotated[int, Meta(ge=0)]] = msgspec.field(
        default_factory=lambda: dict(MIX)
    )


class Audience(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who else uses the server: metric queries a second, and subscribers of GET /stream."""

    queries_per_s: Share = 0.0
    subscribers: Annotated[int, Meta(ge=0, le=10_000)] = 0


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One profile.

    rate_per_s  events a second; `batch` of them make a request
    arrivals    even: at equal distances; poisson: at random ones, as many users would
    """

    description: str
    rate_per_s: Positive = 10_000.0
    duration_s: Positive = 60.0
    batch: Annotated[int, Meta(ge=1, le=10_000)] = 25
    connections: Count = 32
    arrivals: Literal["even", "poisson"] = "even"
    phase: Annotated[tuple[Phase, ...], Meta(min_length=1)] = (Phase(share=1.0),)
    data: Data = Data()
    audience: Audience = Audience()

    @property
    def has_audience(self) -> bool:
        """Whether anybody asks or listens beside the writers."""
        return bool(self.audience.queries_per_s or self.audience.subscribers)


def names() -> list[str]:
    """The profiles of the package."""
    files = resources.files("load").joinpath("profiles").iterdir()
    return sorted(
        file.name.removesuffix(SUFFIX) for file in files if file.name.endswith(SUFFIX)
    )


def load(name: str) -> Profile:
    """A profile of the package by its name, or a file by its path. Raises InvalidProfile."""
    if name in names():
        text = resources.files("load").joinpath("profiles", name + SUFFIX).read_text("utf-8")
        return parsed(text, name)
    if not name.endswith(SUFFIX):
        raise InvalidProfile(
            f"There is no profile {name!r}: expected {', '.join(names())}, or a file.toml."
        )
    try:
        return parsed(Path(name).read_text("utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidProfile(f"The profile {name} cannot be read: {error}.") from None


def parsed(text: str, name: str) -> Profile:
    """A profile from the text of its TOML file. Raises InvalidProfile."""
    try:
        profile = msgspec.convert(tomllib.loads(text), Profile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InvalidProfile(f"The profile {name}: {error}.") from None
    if not any(profile.data.mix.values()):
        raise InvalidProfile(f"The profile {name}: data.mix has no share above 0.")
    if not any(phase.start or phase.ends_at for phase in profile.phase):
        raise InvalidProfile(f"The profile {name}: no phase has a rate above 0.")
    return profile


def rates(profile: Profile, rate_per_s: float, duration_s: float) -> list[tuple[float, float]]:
    """The course of the rate as corners (seconds from the start, events a second).

    Between two corners it goes straight; where phases do not meet there are two at one instant.
    """
    whole = sum(phase.share for phase in profile.phase)
    corners: list[tuple[float, float]] = []
    at = 0.0
    for phase in profile.phase:
        corners.append((at * duration_s / whole, phase.start * rate_per_s))
        at += phase.share
        corners.append((at * duration_s / whole, phase.ends_at * rate_per_s))
    assert all(before[0] <= after[0] for before, after in pairwise(corners))
    return corners
