"""A query that meets a bad file says which it is, and does not blame the query."""

from pathlib import Path
from random import Random

import pytest

from tests.sqlworkers import Asking, Refused, written

ALL = "SELECT * FROM events"
FLIPS = 120


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    day = tmp_path / "2025-10-01"
    day.mkdir()
    rng = Random(1)
    return [
        written(day / name, [{"blob2": f"s-{rng.random()}", "seq": n} for n in range(400)])
        for name in ("good.parquet", "bad.parquet")
    ]


def refusal_of(asking: Asking, files: list[str]) -> Refused | None:
    try:
        asking.body(ALL, files, extra=True)
    except Refused as refused:
        return refused
    return None


def test_whatever_has_happened_to_a_file_the_refusal_names_it(files: list[str]) -> None:
    good, bad = files
    sound = Path(bad).read_bytes()
    rng, named = Random(2), 0
    with Asking() as asking:
        for number in range(FLIPS):
            at = rng.randrange(len(sound))
            spoilt = bytearray(sound[:at] if number % 4 == 0 else sound)
            if number % 4:
                spoilt[at] ^= 1 << rng.randrange(8)
            path = Path(bad).with_name(f"{number}-{Path(bad).name}")  # files never change
            path.write_bytes(bytes(spoilt))
            refused = refusal_of(asking, [good, str(path)])
            if refused is not None:  # else it could be read; whether right, `verify` knows
                assert refused.status == 503, refused
                assert str(refused).startswith(f"The file 2025-10-01/{path.name} of the arch")
                named += 1
        assert named > FLIPS // 4
        assert len(asking.rows(ALL, [good], extra=True)) == 400


def test_a_query_that_is_wrong_by_itself_is_still_told_so(files: list[str]) -> None:
    with Asking() as asking, pytest.raises(Refused, match="could not be read as the number"):
        asking.body("SELECT CAST(blob2 AS INTEGER) AS n FROM events", files, extra=True)
