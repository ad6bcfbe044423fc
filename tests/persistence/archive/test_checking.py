"""Checking and rebuilding: what is wrong is found, and what can be had again is had again."""

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from engine.config import Config
from persistence.archive import manifest as manifests
from persistence.archive.checking import NoArchive, check, manifest_of
from persistence.archive.columns import STORED, SUFFIX, quoted, source_of
from persistence.archive.manifest import File, Manifest
from persistence.archive.rebuilding import rebuild
from persistence.audit import NotADataFolder
from persistence.record import UnknownFormat
from tests.archives import DAY_MS, NOW_MS, House, rows_of, view
from tests.damage import flip

Row = dict[str, Any]

STORED_NAMES = ", ".join(quoted(column.name) for column in STORED)
LATER = 'SELECT * REPLACE (("timestampMillis" + 1)::SMALLINT AS "timestampMillis") FROM {}'


def house_of(folder: Path, parts: int = 3) -> House:
    """Some parts of three rows each, with duplicates, and an archive that has ended."""
    house = House(folder)
    for number in range(parts):
        house.track(
            NOW_MS,
            view(f"s{number}", eventId=f"{number}"),
            view("b", timestamp=NOW_MS - number * DAY_MS),
            view("a"),
            view(eventId=f"{number}"),
        )
        house.follow()
    return house


def flaws_of(house: House) -> list[str]:
    return [flaw.reason for flaw in check(house.config.data, manifest_of(house.config.data))]


def test_a_whole_archive_has_no_flaw(tmp_path: Path) -> None:
    house = house_of(tmp_path)
    assert flaws_of(house) == []
    house.now_ms += 5 * DAY_MS
    house.merge()
    assert flaws_of(house) == []


def test_a_folder_without_an_archive_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoArchive, match="has no archive"):
        manifest_of(tmp_path)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda path: path.unlink(), "it cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "it cannot be read"),
        (lambda path: spoil(path, "SELECT 1 AS one"), "its columns are not those"),
        (lambda path: spoil(path, "FROM {} LIMIT 1"), "it has 1 rows for 1 events, not 3"),
        (lambda path: spoil(path, "SELECT * REPLACE (seq + 99 AS seq) FROM {}"), "its numbers"),
        (lambda path: spoil(path, LATER), "its instants"),
    ],
    ids=["gone", "cut", "columns", "rows", "numbers", "instants"],
)  # fmt: skip
def test_a_file_that_is_not_what_was_written_is_found(
    tmp_path: Path, harm: Callable[[Path], object], reason: str
) -> None:
    house = house_of(tmp_path, parts=1)
    harm(Path(house.files[0]))
    assert any(flaw.startswith(reason) for flaw in flaws_of(house))


def test_a_merged_file_that_is_not_sorted_is_found(tmp_path: Path) -> None:
    house = house_of(tmp_path)
    house.now_ms += 5 * DAY_MS
    files = [file for file in house.merge().manifest.files if file.sorted]
    path = house.archiver.store.path_of(max(files, key=lambda file: file.rows))
    spoil(path, "FROM {} ORDER BY index1 DESC, seq DESC")
    assert "its rows are not sorted" in flaws_of(house)


def of_version_1(house: House) -> None:
    """Make the archive one of before version 2: ids are texts, and files are in order."""
    for name in house.files:
        ordered = f"SELECT {STORED_NAMES} FROM {source_of([name])} ORDER BY index1, seq"
        spoil(Path(name), ordered)
        Path(name).rename(name.replace(SUFFIX, ".parquet"))
    path = house.config.data / "archive" / manifests.NAME
    told = msgspec.json.decode(path.read_bytes().replace(SUFFIX.encode(), b".parquet"))
    former = [
        {k: v for k, v in file.items() if k not in ("sorted", "crcs")} for file in told["files"]
    ]
    for file in former:
        file["size_bytes"] = (path.parent / file["name"]).stat().st_size
    del told["crc"]
    path.write_bytes(msgspec.json.encode({**told, "format": 1, "files": former}))


@pytest.fixture
def former(tmp_path: Path) -> tuple[House, list[Row]]:
    """An archive of version 1, and its rows."""
    house = House(tmp_path)
    uuids = [str(uuid.UUID(int=n)) for n in range(3)]
    for number, user in enumerate([*uuids, uuids[0].upper(), "u"]):
        house.track(NOW_MS, view(f"s{number}", userId=user, eventId=f"{number}"))
        house.follow()
    rows = house.rows()
    house.archiver.keep_ids()
    of_version_1(house)
    return house.crash(), rows


def test_an_archive_of_version_1_is_read_and_goes_on(former: tuple[House, list[Row]]) -> None:
    house, rows = former
    assert house.rows() == rows
    assert flaws_of(house) == []
    house.track(NOW_MS, view("s", userId=rows[0]["userId"]), view("t", eventId="0"))
    assert house.follow().rows()[:-1] == rows
    assert [name.endswith(SUFFIX) for name in house.files] == [False] * 5 + [True]
    assert manifest_of(house.config.data).format == 2
    assert flaws_of(house) == []
    house.now_ms += 5 * DAY_MS
    (file,) = house.merge().files
    assert file.endswith(SUFFIX)
    assert house.rows()[:-1] == rows
    assert flaws_of(house) == []


@pytest.mark.parametrize("lost", [False, True])
def test_an_archive_of_version_1_is_made_anew(
    former: tuple[House, list[Row]], lost: bool
) -> None:
    house, rows = former
    house.track(NOW_MS, view("s"))
    house.follow().close()
    if lost:
        (house.config.data / "archive" / manifests.NAME).unlink()
    rebuild(house.config, log=print)
    assert house.rows()[:-1] == rows
    assert flaws_of(house) == []


def test_a_folder_in_which_no_server_ever_ran_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(NotADataFolder):
        rebuild(Config(data=tmp_path), log=print)
    assert list(tmp_path.iterdir()) == []


def spoil(path: Path, select: str) -> None:
    other = path.with_suffix(".other")
    source = f"read_parquet('{path}')"
    duckdb.connect().execute(f"COPY ({select.format(source)}) TO '{other}' (FORMAT parquet)")
    other.rename(path)


def test_contradictions_of_the_manifest_are_found(tmp_path: Path) -> None:
    house = house_of(tmp_path, parts=2)
    first, second = house.manifest.files
    folder = tmp_path / "archive"

    def told(**changes: object) -> list[str]:
        manifests.write(folder, msgspec.structs.replace(house.manifest, **changes))
        return flaws_of(house)

    twice: tuple[File, ...] = (first, second, first)
    assert told(files=twice)[0] == "3 numbers occur in more than one row"
    missing = "6 rows were written, 3 are listed, 0 were dropped and 0 erased"
    assert told(files=(first,)) == [missing]
    assert told(covered_seq=7) == ["number 8 is in a file, and it covers 7 only"]
    tally = msgspec.structs.replace(house.manifest.tally, events=9)
    assert told(tally=tally) == ["its 9 events are not the sum of what became of them"]


def logless(event: str, **facts: object) -> None:
    raise AssertionError(f"{event} {facts}")


def rebuilt(house: House) -> tuple[Manifest, list[dict[str, object]]]:
    """The archive after a rebuild, and its rows."""
    data = house.config.data
    rebuild(house.config, log=logless)
    manifest = manifest_of(data)
    assert list(check(data, manifest)) == []
    return manifest, rows_of([str(data / "archive" / file.name) for file in manifest.files])


def test_a_rebuild_adds_what_the_journal_holds_and_merges_each_day(tmp_path: Path) -> None:
    house = house_of(tmp_path)
    before = house.rows()
    house.close().track(NOW_MS, view("new"), view(eventId="1"))
    manifest, rows = rebuilt(house)
    assert rows[:-1] == before
    assert rows[-1]["index1"] == "new"
    assert (manifest.tally.events, manifest.tally.duplicates) == (14, 4)
    assert len(manifest.files) == 3 + 1


def test_a_rebuild_without_a_manifest_takes_each_row_of_all_files_once(tmp_path: Path) -> None:
    house = house_of(tmp_path)
    before = house.rows()
    house.now_ms += 5 * DAY_MS
    house.merge().close()  # the merged files lie beside what they replaced
    (tmp_path / "archive" / "manifest.json").write_text("{")
    house.track(NOW_MS, view(eventId="2"), view(eventId="3"))
    manifest, rows = rebuilt(house)
    assert rows[:-1] == before
    assert rows[-1]["eventId"] == "3"
    assert manifest.covered_seq == 14
    assert (tmp_path / "archive" / "manifest.json.damaged").exists()


HARMS: dict[str, Callable[[Path], object]] = {
    "flipped": lambda path: flip(path, path.stat().st_size // 2),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "gone with its folder": lambda path: shutil.rmtree(path.parent),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_rebuild_takes_what_a_damaged_file_held_from_the_journal(
    tmp_path: Path, harm: str
) -> None:
    house = house_of(tmp_path)
    before = house.rows()
    house.now_ms += 5 * DAY_MS
    house.merge()
    path = Path(house.files[-1])
    house.close()
    HARMS[harm](path)
    done = rebuild(house.config, log=logless)
    assert path in [one.path for one in done.lost]
    assert all(one.first_seq >= done.journal_seq for one in done.lost)
    assert house.rows() == before
    assert flaws_of(house) == []
    assert house.manifest.gaps == ()
    assert path.with_name(path.name + ".damaged").exists() == ("gone" not in harm)
    house.track(NOW_MS, view(eventId="1"), view("new"))
    assert [row["index1"] for row in house.follow().rows()[len(before) :]] == ["new"]
    house.now_ms += 5 * DAY_MS
    house.merge()
    assert flaws_of(house) == []


@pytest.mark.parametrize("is_listed", [True, False], ids=["a manifest", "none"])
@pytest.mark.parametrize("harm", ["cut", "empty"])
def test_a_rebuild_says_what_a_damaged_file_held_that_the_journal_has_no_more(
    tmp_path: Path, harm: str, is_listed: bool
) -> None:
    house = House(tmp_path, segment_bytes_max=4_096)
    for number in range(6):
        house.track(NOW_MS, *(view(f"{number}-{n}", category="c" * 300) for n in range(9)))
        house.follow()
    before = house.rows()
    house.journal.trim(30)
    first_seq = house.journal.first_seq
    assert 1 < first_seq <= 31
    first, second = house.manifest.files[0], house.manifest.files[-1]
    house.close()
    for file in (first, second):
        HARMS[harm](tmp_path / "archive" / file.name)
    if not is_listed:
        (tmp_path / "archive" / manifests.NAME).unlink()
    done = rebuild(house.config, log=logless)
    assert done.journal_seq == first_seq
    assert [(one.first_seq, one.last_seq, one.rows) for one in done.lost] == [
        (1, 9, 9 if is_listed else None),
        (46, 54, 9 if is_listed else None),
    ]
    assert house.rows() == before[9:]
    assert flaws_of(house) == []
    assert [(gap.first_seq, gap.last_seq) for gap in house.manifest.gaps] == [(1, 9)]
    assert house.manifest.first_ms is None


def test_what_is_put_aside_replaces_nothing_that_was_before(tmp_path: Path) -> None:
    house = house_of(tmp_path)
    path = Path(house.files[0])
    first = path.read_bytes()[:-9]
    house.close()
    for number, content in enumerate((first, b"", b"PAR1")):
        path.write_bytes(content)
        manifest = tmp_path / "archive" / manifests.NAME
        manifest.write_text(f"{number}")
        rebuild(house.config, log=logless)
        aside = [f"{name}.damaged" for name in (path.name, f"{path.name}.1", f"{path.name}.2")]
        told = [path.with_name(name) for name in aside]
        assert [one.read_bytes() for one in told if one.exists()] == [first, b"", b"PAR1"][
            : number + 1
        ]
    told = [manifest.with_name(manifest.name + end) for end in (".damaged", ".1.damaged")]
    assert [one.read_text() for one in told] == ["0", "1"]


def test_a_damaged_file_that_was_never_of_the_archive_hides_nothing_of_it(
    tmp_path: Path,
) -> None:
    house = house_of(tmp_path)
    first_ms = house.manifest.first_ms
    house.close()
    (tmp_path / "archive" / manifests.NAME).unlink()
    strange = tmp_path / "archive" / "mixed" / "mine.parquet"
    strange.parent.mkdir(exist_ok=True)
    strange.write_bytes(b"PAR1")
    (lost,) = rebuild(house.config, log=logless).lost
    assert (lost.path, lost.first_seq, lost.last_seq) == (strange, 0, 0)
    assert house.manifest.gaps == ()
    assert house.manifest.first_ms == first_ms is not None


def test_a_rebuild_that_fails_lets_go_of_the_journal(tmp_path: Path) -> None:
    house = house_of(tmp_path)
    house.close()
    path = tmp_path / "archive" / manifests.NAME
    path.write_text(path.read_text().replace('"format": 2', '"format": 9'))
    held = open_files(tmp_path)
    with pytest.raises(UnknownFormat):
        rebuild(house.config, log=logless)
    assert open_files(tmp_path) == held


def open_files(folder: Path) -> list[str]:
    """The files of the folder that this process has open."""
    handles = Path("/proc/self/fd").iterdir()
    found = (str(handle.readlink()) for handle in handles if handle.is_symlink())
    return sorted(name for name in found if name.startswith(f"{folder}/"))


def test_a_rebuild_believes_the_journal_where_the_archive_is_ahead_of_it(
    tmp_path: Path,
) -> None:
    house = house_of(tmp_path / "long")
    house.close()
    shorter = House(tmp_path / "short")
    shorter.track(
        NOW_MS,
        view("s0", eventId="0"),
        view("b", timestamp=NOW_MS),
        view("a"),
        view(eventId="0"),
    )
    (tmp_path / "long" / "archive").rename(tmp_path / "short" / "archive")
    shorter.track(NOW_MS, view("other", eventId="1"), view(eventId="0"))
    manifest, rows = rebuilt(shorter)
    assert [(row["seq"], row["index1"]) for row in rows] == [
        (1, "s0"), (2, "b"), (3, "a"), (5, "other"),
    ]  # fmt: skip
    assert manifest.covered_seq == 6
