"""People are taken out of files: all rows of theirs, no others, wherever a crash may come."""

from pathlib import Path
from typing import Any

import pytest

from persistence import key
from persistence.archive.checking import check
from persistence.archive.columns import Gone, Hidden
from persistence.archive.hiding import hidden_in
from persistence.archive.manifest import Tombstone
from persistence.archive.parquet import Merger
from persistence.archive.rebuilding import rebuild
from tests.archives import NOW_MS, House, rows_of, view

UUID = "0b5b1d1e-5d6f-4a77-9a53-0f2f4c1f2a10"
HOSTILE = ["anna", "a'b", "größe", "a\0b", "😀", "x" * 256, "NULL", " ", UUID]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, archive_grace_s=0)


def users(house: House) -> list[tuple[int, str | None]]:
    return [(row["seq"], row["userId"]) for row in house.rows()]


def all_of(house: House) -> list[bytes]:
    """Every byte of every file in the archive's folder."""
    folder = house.config.data / "archive"
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("user", HOSTILE)
def test_all_rows_of_a_person_go_and_no_others(house: House, user: str) -> None:
    house.track(NOW_MS, view(userId=user), view(userId="ben"), view())
    house.follow()
    house.track(NOW_MS, view(userId=user), view(userId="y" + user[1:]))
    house.track(NOW_MS, {"eventType": "user_session", "sessionId": "s", "duration": 1})
    seq = house.erase(NOW_MS, user)
    house.track(NOW_MS, view(userId=user))
    house.follow().merge()
    assert users(house) == [
        (2, "ben"),
        (3, None),
        (5, "y" + user[1:]),
        (6, None),
        (seq + 1, user),
    ]
    assert house.manifest.erasing == ()
    assert house.manifest.erased == 2
    assert list(check(house.config.data, house.manifest)) == []


def test_what_is_read_meanwhile_hides_them_by_name_and_by_id(house: House) -> None:
    for user in HOSTILE:
        house.track(NOW_MS, view(userId=user), view(userId="ben"), view())
    house.follow()
    secret = key.of(house.config.data)
    with Merger(house.archiver.store.temp) as merger:
        for known in (True, False):
            gone = [
                Gone(secret.name_of(user).hex(), 10**6, user if known else None)
                for user in HOSTILE
            ]
            gone.append(Gone(secret.name_of("ben").hex(), 4, None))
            output = house.config.data / f"{known}.parquet"
            merger.merge(
                [Path(file) for file in house.files],
                output,
                hidden=Hidden(secret.salt, tuple(gone)),
            )
            left = [row["userId"] for row in rows_of([str(output)])]
            assert left.count("ben") == len(HOSTILE) - 1
            assert left.count(None) == len(HOSTILE) == len(left) - left.count("ben")


def test_a_file_in_which_nobody_is_left_goes_whole(house: House) -> None:
    house.track(NOW_MS, view(userId="anna"), view(userId="anna"))
    house.follow()
    house.erase(NOW_MS, "anna")
    house.follow().merge()
    assert house.manifest.files == ()
    assert house.manifest.erased == 2
    assert list((house.config.data / "archive").glob("*/*.parquet")) == []
    assert list(check(house.config.data, house.manifest)) == []


def test_a_file_without_them_is_not_written_anew(house: House) -> None:
    house.track(NOW_MS, view(userId="ben"))
    house.follow()
    before = house.files
    house.erase(NOW_MS, "anna")
    house.follow().merge()
    assert house.files == before


def test_the_tombstone_stands_as_long_as_a_file_that_held_them_lies_about(
    tmp_path: Path,
) -> None:
    house = House(tmp_path, archive_grace_s=3_600)
    house.track(NOW_MS, view(userId="anna"), view(userId="ben"))
    house.follow()
    seq = house.erase(NOW_MS, "anna")
    house.follow().merge()
    assert [row["userId"] for row in house.rows()] == ["ben"]
    assert [one.seq for one in house.manifest.erasing] == [seq]
    assert len(list((house.config.data / "archive").glob("*/*.parquet"))) == 2
    house.config = House(tmp_path, archive_grace_s=0).config
    house.crash().follow().merge()  # a start finds what lies about, and removes it
    assert house.manifest.erasing == ()
    assert len(list((house.config.data / "archive").glob("*/*.parquet"))) == 1


def test_several_together_are_taken_out_of_each_file_at_once(house: House) -> None:
    for n in range(40):
        house.track(NOW_MS, *(view(userId=f"user-{n % 8}-{m}") for m in range(5)))
        house.follow()
    for n in range(3):
        house.erase(NOW_MS, f"user-{n}-1")
    house.follow()
    written = house.manifest.next_file
    house.merge()
    left = {row["userId"] for row in house.rows()}
    assert left == {f"user-{n}-{m}" for n in range(8) for m in range(5)} - {
        f"user-{n}-1" for n in range(3)
    }
    assert house.manifest.erased == 15
    assert house.manifest.next_file - written <= 15 + 4  # and some merges


def test_an_archive_that_lags_takes_them_out_when_it_gets_there(house: House) -> None:
    house.track(NOW_MS, view(userId="anna"), view(userId="ben"))
    house.erase(NOW_MS, "anna")
    house.track(NOW_MS, view(userId="anna"))
    house.follow().merge()
    assert users(house) == [(2, "ben"), (4, "anna")]


def test_a_crash_between_any_two_steps_leaves_nobody(house: House) -> None:
    for n in range(6):
        house.track(NOW_MS, view(userId="anna"), view(userId=f"user-{n}"))
        house.follow()
    house.erase(NOW_MS, "anna")
    house.follow()
    for _ in range(12):
        with Merger(house.archiver.store.temp) as merger:
            house.archiver.upkeep(merger)
        house.crash()
    house.merge()
    assert [user for _, user in users(house)] == [f"user-{n}" for n in range(6)]
    assert house.manifest.erased == 6
    assert list(check(house.config.data, house.manifest)) == []


def test_nothing_in_the_folder_holds_the_id_in_the_end(house: House) -> None:
    for n in range(3):  # no service: the id is the index, and is counted by thinning
        house.track(NOW_MS + n, *[search("anna-of-green-gables")] * 3, search("ben"))
        house.follow()
    seq = house.erase(NOW_MS + 9, "anna-of-green-gables")
    house.follow().merge()
    house.track(NOW_MS + 5_000, view(userId="ben"))
    house.follow().close()
    assert house.archiver.trimmable_seq == 0  # a start knows of one dump alone
    assert all(b"anna-of-green-gables" not in data for data in all_of(house))
    assert house.manifest.covered_seq == seq + 1


def search(user: str) -> dict[str, Any]:
    return {"eventType": "marketplace_search", "searchQuery": "logo", "userId": user}


def test_dumps_of_ids_follow_each_notice_so_that_the_journal_can_go(house: House) -> None:
    house.track(NOW_MS, view(userId="anna"))
    seq = house.erase(NOW_MS, "anna")
    house.follow()
    house.erase(NOW_MS, "ben")
    house.follow()
    assert house.archiver.trimmable_seq == seq


def test_who_reads_without_a_server_hides_what_the_archive_has_not_come_to(
    house: House,
) -> None:
    house.track(NOW_MS, view(userId="anna"))
    house.follow()
    assert hidden_in(house.config.data, house.manifest).gone == ()
    seq = house.erase(NOW_MS, "anna")
    house.journal.flush()
    hidden = hidden_in(house.config.data, house.manifest)
    name = key.of(house.config.data).name_of("anna").hex()
    assert hidden.gone == (Gone(name, seq, None),)
    house.follow()
    assert house.manifest.erasing == (Tombstone(name, seq),)
    assert hidden_in(house.config.data, house.manifest) == hidden


def test_a_rebuilt_archive_goes_on_erasing(house: House) -> None:
    house.track(NOW_MS, view(userId="anna"), view(userId="ben"))
    house.follow()
    house.erase(NOW_MS, "anna")
    house.follow().close()
    house.journal.close()
    rebuild(house.config, log=lambda *_, **__: None)
    again = House(house.config.data, archive_grace_s=0)
    assert len(again.manifest.erasing) == 1
    again.merge()
    assert [row["userId"] for row in again.rows()] == ["ben"]


def test_an_archive_made_of_the_journal_anew_leaves_nobody(house: House) -> None:
    house.track(NOW_MS, view(userId="anna"), view(userId="ben"))
    house.erase(NOW_MS, "anna")
    house.follow().close()
    house.journal.close()
    (house.config.data / "archive" / "manifest.json").unlink()
    rebuild(house.config, log=lambda *_, **__: None)
    again = House(house.config.data, archive_grace_s=0)
    again.merge()
    assert [row["userId"] for row in again.rows()] == ["ben"]
