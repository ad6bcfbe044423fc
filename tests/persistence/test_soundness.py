"""Whatever byte goes bad, in whatever file: verify says so, and says where."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from persistence.soundness import Damage, damages
from tests.archives import NOW_MS, House, view
from tests.damage import flip
from tests.golden import folder as golden

PLACES = 40
"""In each file: its first and last bytes, and others by chance."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything in it; nobody changes it."""
    data = tmp_path_factory.mktemp("whole") / "data"
    data.mkdir()
    trio.run(golden.make, data)
    return data


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "data"))


def files_of(data: Path, room: str) -> list[Path]:
    return sorted(path for path in (data / room).rglob("*") if path.is_file())


def places(size_bytes: int, seed: int) -> Iterator[int]:
    chance = random.Random(seed)
    yield from range(min(size_bytes, 12))
    yield size_bytes - 1
    for _ in range(PLACES):
        yield chance.randrange(size_bytes)


def closing_record(path: Path) -> int:
    """Where the closing record of a segment begins; 32 bytes that hold no event."""
    return path.stat().st_size - 32


def damaged(data: Path, path: Path, content: bytes) -> list[Damage]:
    """What is found while `path` holds `content`."""
    kept = path.read_bytes()
    path.write_bytes(content)
    try:
        return list(damages(data))
    finally:
        path.write_bytes(kept)


def test_a_sound_folder_has_no_damage(data: Path) -> None:
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert list(damages(data)) == []
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before
    assert [*damages(golden.folder_of(1)), *damages(golden.folder_of(2))] == []


@pytest.mark.parametrize("room", ["journal", "snapshots", "archive"])
def test_a_byte_that_is_flipped_anywhere_is_found_and_has_a_place(
    data: Path, room: str
) -> None:
    files = files_of(data, room)
    newest_segment = max((data / "journal").iterdir())
    for seed, path in enumerate(files):
        content = path.read_bytes()
        for place in places(len(content), seed):
            if path == newest_segment and place >= closing_record(path):
                continue  # without it, what a killed server leaves
            changed = bytearray(content)
            changed[place] ^= 1 << place % 8
            found = damaged(data, path, bytes(changed))
            assert [one.path for one in found[:1]] == [path], (path.name, place)
            assert found[0].offset_bytes <= place, (path.name, place, found)


@pytest.mark.parametrize("room", ["journal", "snapshots", "archive"])
def test_a_file_that_is_cut_or_gone_is_found(data: Path, room: str) -> None:
    newest_segment = max((data / "journal").iterdir())
    for seed, path in enumerate(files_of(data, room)):
        content = path.read_bytes()
        for place in places(len(content), seed):
            if path == newest_segment and place >= closing_record(path):
                continue
            found = damaged(data, path, content[:place])
            assert path in [one.path for one in found], (path.name, place)
            assert min(one.offset_bytes for one in found if one.path == path) <= place


def test_every_damage_is_told_and_not_the_first_alone(data: Path) -> None:
    spoilt = [
        *sorted((data / "journal").iterdir())[:2],
        max((data / "snapshots").glob("*-sequence.*")),
        max((data / "archive").glob("*/*.parquet")),
        max((data / "archive" / "ids").glob("*.full")),
    ]
    for path in spoilt:
        flip(path, path.stat().st_size // 2)
    assert [one.path for one in damages(data)] == spoilt


def test_a_segment_that_is_gone_is_told_where_it_should_be(data: Path) -> None:
    _, second, third, *_ = sorted((data / "journal").iterdir())
    second.unlink()
    (found,) = damages(data)
    assert (found.path, found.offset_bytes) == (third, 0)
    assert f"it begins at number {int(third.stem)}" in found.reason


def test_the_end_of_the_journal_is_missed_by_the_archive(data: Path) -> None:
    newest = max((data / "journal").iterdir())
    newest.write_bytes(newest.read_bytes()[:24])
    (found,) = damages(data)
    assert (found.path, found.offset_bytes) == (newest, 24)
    assert "and the archive has events up to" in found.reason


def test_the_place_in_a_file_of_the_archive_is_a_sixteenth_of_it(tmp_path: Path) -> None:
    house, chance = House(tmp_path), random.Random(1)
    for _ in range(50):
        ids = [f"{chance.getrandbits(256):064x}" for _ in range(50)]
        house.track(NOW_MS, *[view(eventId=one) for one in ids])
    (path,) = map(Path, house.follow().files)
    house.journal.close()
    length = -(-path.stat().st_size // 16)
    assert length > 4_096
    flip(path, 5 * length + 7)
    (found,) = damages(tmp_path)
    assert (found.path, found.offset_bytes) == (path, 5 * length)
    assert found.reason == f"the checksum of the bytes from there to {6 * length} is wrong"


def test_of_a_small_file_the_place_is_one_of_4096_bytes(data: Path) -> None:
    path = max((data / "archive").glob("*/*.parquet"))
    size = path.stat().st_size
    assert 4_096 < size < 8_192
    flip(path, 5_000)
    (found,) = damages(data)
    assert (found.path, found.offset_bytes) == (path, 4_096)
    assert found.reason == f"the checksum of the bytes from there to {size} is wrong"


@pytest.mark.parametrize("place", [0, 16, 100, 103, 4_096, 8_192, 16_384, 28_672])
def test_a_control_store_whose_pages_are_no_pages_any_more_is_found(
    data: Path, place: int
) -> None:
    """For letters within a page that is one see test_rowsums."""
    path = data / "control.db"
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << place % 8
    for changed in (bytes(content), bytes(content[:place])):
        if changed:
            (found,) = damaged(data, path, changed)
            assert found.path == path
            assert found.offset_bytes <= place
