"""A query that meets a bad file says which it is, and does not blame the query."""

from pathlib import Path
from random import Random

import pytest

from tests.sqlworkers import MIB, Asking, Refused, written

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


def test_a_file_that_is_looked_at_in_vain_is_not_called_bad(tmp_path: Path) -> None:
    """To read all of it takes more memory than there is; the query is wrong by itself."""
    day = tmp_path / "2025-10-01"
    day.mkdir()
    rng = Random(3)
    names = ("category", "searchQuery", "serviceName", "experimentName", "variantName")
    rows = [
        {"seq": n} | {name: rng.randbytes(300).hex() for name in names} for n in range(5000)
    ]
    large = written(day / "large.parquet", rows)
    small = written(day / "small.parquet", [{"seq": 1}])
    bad = str(Path(small).with_name(f"bad-{Path(small).name}"))
    Path(bad).write_bytes(Path(small).read_bytes()[:-1])
    wrong = "SELECT ntile(0) OVER (ORDER BY double1) AS n FROM events"
    with Asking(memory_bytes=4 * MIB) as asking:
        with pytest.raises(Refused, match="could not be read as the number") as refused:
            asking.body(wrong, [large, small], extra=True)
        assert refused.value.status == 422
        assert asking.rows("SELECT count() AS n FROM events", [small], extra=True) == [{"n": 1}]
        with pytest.raises(Refused, match=f"The file 2025-10-01/{Path(bad).name} of the arch"):
            asking.body(wrong, [large, bad], extra=True)
