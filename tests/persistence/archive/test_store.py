"""The folder: whole files only, leftovers go, what a query may read stays for a minute."""

from pathlib import Path

import pytest

from engine.errors import TallymarkError
from persistence.archive import manifest as manifests
from persistence.archive.manifest import BadManifest, Manifest, between
from persistence.archive.merging import FAN, PAGE_ROWS_MIN
from persistence.archive.parquet import Merger
from persistence.archive.store import ArchiveStore
from persistence.record import UnknownFormat
from tests.archives import DAY_MS, NOW_MS, House, view
from tests.damage import flip


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def house_of(folder: Path, *days: int) -> House:
    """A part for each of some days before now."""
    house = House(folder, raw_keep_days=90)
    for place, day in enumerate(days):
        house.track(NOW_MS, view(f"s{place}", timestamp=NOW_MS - day * DAY_MS))
        house.follow()
    return house


def test_files_lie_in_a_folder_for_each_utc_day(tmp_path: Path) -> None:
    names = [file.name.partition("/")[0] for file in house_of(tmp_path, 0, 1).manifest.files]
    assert names == ["2026-09-22", "2026-09-21"]


def test_replaced_files_stay_for_a_minute_and_then_go(tmp_path: Path) -> None:
    house = house_of(tmp_path, 0, 0)
    clock = Clock()
    store = ArchiveStore(house.config.data / "archive", grace_s=60, clock_s=clock)
    former = store.manifest.files
    with Merger(store.temp) as merger:
        (merged,) = store.merge(merger, former, now_ms=NOW_MS)
    paths = [store.path_of(file) for file in former]
    clock.now_s = 59.9
    store.sweep()
    assert all(path.exists() for path in paths)
    clock.now_s = 60.0
    store.sweep()
    assert not any(path.exists() for path in paths)
    assert store.path_of(merged).exists()
    assert merged.rows == 2


def test_what_a_crash_left_goes_after_a_minute_and_its_name_is_not_used_again(
    tmp_path: Path,
) -> None:
    house = house_of(tmp_path, 0)
    folder = house.config.data / "archive"
    day = folder / "2026-09-22"
    (day / "00000000000000000001-00000000000000000009.7.parquet").write_bytes(b"left")
    (day / "00000000000000000001-00000000000000000009.8.parquet.tmp").write_bytes(b"half")
    (day / "notes.parquet").write_bytes(b"somebody's own")
    clock = Clock()
    store = ArchiveStore(folder, grace_s=60, clock_s=clock)
    assert store.free_name("2026-09-22", 2, 3).endswith(".8.v2.parquet")
    clock.now_s = 60.0
    store.sweep()
    assert {path.name for path in day.iterdir()} == {
        Path(store.manifest.files[0].name).name,
        "notes.parquet",
    }


def test_files_of_rows_beyond_the_raw_keep_are_dropped_whole(tmp_path: Path) -> None:
    house = house_of(tmp_path, 89, 0)
    house.now_ms = NOW_MS + 2 * DAY_MS
    house.merge()
    assert [row["index1"] for row in house.rows()] == ["s1"]
    assert house.manifest.dropped == 1
    assert house.log == ["archive dropped"]


def test_a_merge_of_mixed_files_makes_one_for_each_day(tmp_path: Path) -> None:
    house = House(tmp_path)
    for number in range(3):
        house.track(NOW_MS, view(f"a{number}"), view("b", timestamp=NOW_MS - 5 * DAY_MS))
        house.follow()
    before = house.rows()
    assert all(file.name.startswith("mixed/") for file in house.manifest.files)
    house.now_ms += 2 * 3_600_000
    house.merge()
    names = [file.name.partition("/")[0] for file in house.manifest.files]
    assert names == ["2026-09-17", "2026-09-22"]
    assert house.rows() == before


def test_between_finds_the_files_of_whole_days(tmp_path: Path) -> None:
    manifest = house_of(tmp_path, 0, 1, 2).manifest
    today, yesterday, before = manifest.files
    midnight_ms = NOW_MS // DAY_MS * DAY_MS
    assert between(manifest, midnight_ms, midnight_ms + 1) == [today]
    assert between(manifest, midnight_ms - 1, midnight_ms) == [yesterday]
    assert between(manifest, midnight_ms - 1, midnight_ms + 1) == [today, yesterday]
    assert between(manifest, 0, 2**53) == [today, yesterday, before]
    assert between(manifest, 0, 0) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is damaged: Input data was truncated"),
        ('{"files": 3}', "is damaged: Expected `array`"),
        ('{"files": []}\n "crc": "00000000"\n}', "is damaged: JSON is malformed"),
        ('{\n "files": [],\n "crc": "00000000"\n}', "is damaged: its checksum is wrong"),
    ],
)
def test_a_manifest_that_cannot_be_understood_is_refused(
    tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BadManifest, match=reason) as caught:
        ArchiveStore(tmp_path, grace_s=60)
    assert isinstance(caught.value, TallymarkError)


def test_a_manifest_of_another_format_is_not_taken_for_a_damaged_one(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"format": 3}')
    with pytest.raises(UnknownFormat, match="has format 3; this Tallymark reads 2"):
        ArchiveStore(tmp_path, grace_s=60)


def test_a_manifest_without_a_checksum_is_one_of_before_there_was_any(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text('{"format": 1, "covered_seq": 7}')
    assert manifests.read(tmp_path) == Manifest(covered_seq=7)


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    house = house_of(tmp_path / "house", 0, 3)
    manifests.write(tmp_path, house.manifest)
    assert manifests.read(tmp_path) == house.manifest
    assert manifests.read(tmp_path / "nowhere") is None
    assert Manifest().rows == 0


def test_the_first_event_of_all_is_known_while_all_are_rows(tmp_path: Path) -> None:
    assert Manifest().first_ms is None
    house = house_of(tmp_path / "young", 1, 3, 0)
    assert house.manifest.first_ms == NOW_MS - 3 * DAY_MS
    assert house_of(tmp_path / "old", 1, 91).manifest.first_ms is None


def parts_of(folder: Path, count: int) -> House:
    """Parts that are large enough to be joined, of one day or of two."""
    house = House(folder)
    for part in range(count):
        told = [
            view(f"s{n % 7}", timestamp=NOW_MS - n * (DAY_MS // 400), userId=f"u{n % 11}")
            for n in range(PAGE_ROWS_MIN + part)
        ]
        house.track(NOW_MS, *told)
        house.follow()
    return house


def test_parts_are_joined_without_loss_and_then_put_in_order(tmp_path: Path) -> None:
    house = parts_of(tmp_path, FAN)
    rows = house.rows()
    parts = house.manifest.files
    house.merge()
    (joined,) = house.manifest.files
    assert not joined.sorted
    assert joined.rows == len(rows) == sum(part.rows for part in parts)
    assert (joined.first_seq, joined.last_seq) == (1, len(rows))
    assert (joined.first_ms, joined.last_ms) == (
        min(part.first_ms for part in parts),
        max(part.last_ms for part in parts),
    )
    assert house.rows() == rows
    house.now_ms += 2 * DAY_MS
    house.merge()
    assert all(file.sorted for file in house.manifest.files)
    assert house.rows() == rows


def test_parts_that_are_damaged_are_not_joined(tmp_path: Path) -> None:
    house = parts_of(tmp_path, 2)
    first = Path(house.files[0])
    flip(first, first.stat().st_size // 2)
    assert not house.archiver.store.join(house.manifest.files, now_ms=NOW_MS)
    assert house.files[0] == str(first)
