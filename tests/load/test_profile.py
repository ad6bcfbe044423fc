"""Profiles: those of the package, a user's own, and what is refused."""

from pathlib import Path

import pytest

from load import profile
from load.profile import InvalidProfile, Phase, Profile

WANTED = {"steady", "burst", "ramp-to-saturation", "soak", "mixed", "skewed"}


def test_the_package_has_the_profiles_that_it_promises() -> None:
    assert set(profile.names()) == WANTED
    assert all(profile.load(name).description for name in WANTED)


def test_a_file_of_ones_own_is_a_profile_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('description = "Mine."\nbatch = 5\n[data]\nskew = 0\n')
    assert profile.load(str(path)) == Profile(
        description="Mine.", batch=5, data=profile.Data(skew=0)
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("description =", "The profile p: Invalid value"),
        ("batch = 5", "missing required field `description`"),
        ('description = ""\nrate = 5', "unknown field `rate`"),
        ('description = ""\nbatch = 0', "`int` >= 1 - at `$.batch`"),
        ('description = ""\n[[phase]]\nshare = 0', "> 0"),
        ('description = ""\n[[phase]]\nshare = 1\nstart = 0', "no phase has a rate above 0"),
        ('description = ""\n[data.mix]\nuser_session = 0', "no share above 0"),
        ('description = ""\n[data.mix]\nnothing = 1', "Invalid enum value 'nothing'"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused_with_the_place(
    text: str, complaint: str
) -> None:
    with pytest.raises(InvalidProfile) as caught:
        profile.parsed(text, "p")
    assert complaint in str(caught.value)


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(InvalidProfile, match="There is no profile 'fast': expected burst, "):
        profile.load("fast")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidProfile, match="cannot be read"):
        profile.load(str(tmp_path / "none.toml"))


def test_phases_are_shares_of_the_duration_and_multiples_of_the_rate() -> None:
    steps = Profile(
        description="", phase=(Phase(share=3, start=0.5), Phase(share=1, start=1, end=2))
    )
    assert profile.rates(steps, rate_per_s=100, duration_s=8) == [
        (0, 50),
        (6, 50),
        (6, 100),
        (8, 200),
    ]
