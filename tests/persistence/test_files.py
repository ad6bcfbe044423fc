import errno

import pytest

from persistence.files import REAL_DISK, write_fully, write_whole
from tests.persistence.faulty_disk import FaultyDisk


def test_a_short_write_is_continued_until_all_bytes_are_there(tmp_path):
    disk = FaultyDisk(write_bytes_max=3)
    handle = disk.create(tmp_path / "file")
    write_fully(disk, handle, b"twelve bytes")
    disk.close(handle)
    assert disk.calls.count("write") == 4
    assert disk.read(tmp_path / "file") == b"twelve bytes"


def test_a_system_that_takes_nothing_is_an_error_and_no_endless_loop(tmp_path):
    disk = FaultyDisk(write_bytes_max=0)
    handle = disk.create(tmp_path / "file")
    with pytest.raises(OSError, match="takes no bytes"):
        write_fully(disk, handle, b"a")
    disk.close(handle)


def test_appending_goes_on_at_the_end_after_a_truncation(tmp_path):
    handle = REAL_DISK.create(tmp_path / "file")
    write_fully(REAL_DISK, handle, b"kept lost")
    REAL_DISK.truncate(handle, 5)
    write_fully(REAL_DISK, handle, b"new")
    REAL_DISK.sync(handle)
    REAL_DISK.close(handle)
    assert REAL_DISK.read(tmp_path / "file") == b"kept new"


def test_creating_a_file_that_exists_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        REAL_DISK.create(tmp_path / "file")


def test_a_missing_chain_of_folders_is_made_and_a_present_one_accepted(tmp_path):
    REAL_DISK.make_folder(tmp_path / "a" / "b")
    REAL_DISK.make_folder(tmp_path / "a" / "b")
    assert REAL_DISK.names(tmp_path / "a") == ["b"]


@pytest.mark.parametrize("call", ["create", "write", "sync", "rename"])
def test_a_file_written_whole_is_untouched_when_a_call_fails(tmp_path, call):
    disk = FaultyDisk()
    write_whole(disk, tmp_path / "file", [b"old"])
    disk.fail_next(call, errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        write_whole(disk, tmp_path / "file", [b"new"])
    assert disk.read(tmp_path / "file") == b"old"
    assert disk.names(tmp_path) == ["file"]


def test_a_file_written_whole_is_synced_before_it_gets_its_name(tmp_path):
    disk = FaultyDisk()
    write_whole(disk, tmp_path / "file", [b"two ", b"pieces"])
    assert disk.calls == ["remove", "create", "write", "write", "sync", "rename"]
    assert disk.read(tmp_path / "file") == b"two pieces"
