import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import FolderInUse, UnusableFolder
from persistence.lock import hold, is_held
from tests.handles import no_growth


def test_a_second_holder_is_refused_and_told_who_holds_the_folder(tmp_path):
    with hold(tmp_path):
        with pytest.raises(FolderInUse, match=f"in use by process {os.getpid()}: stop"):
            with hold(tmp_path):
                pass


def test_a_lock_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(UnusableFolder, match=f"{tmp_path}/lock: Is a directory"):
        with hold(tmp_path):
            pass


def test_a_full_disk_is_held_like_any_other(tmp_path):
    with no_growth(beyond_bytes=0), hold(tmp_path):
        assert is_held(tmp_path)


def test_a_folder_is_free_again_after_the_context(tmp_path):
    for _ in range(2):
        with hold(tmp_path):
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_an_error_inside_the_context_frees_the_folder(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with hold(tmp_path):
            raise ZeroDivisionError
    with hold(tmp_path):
        pass


def test_a_killed_holder_leaves_the_folder_free(tmp_path):
    code = f"""if True:
        import pathlib, sys, persistence.lock
        with persistence.lock.hold(pathlib.Path({str(tmp_path)!r})):
            print("held", flush=True)
            sys.stdin.read()
        """
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(FolderInUse, match=f"process {holder.pid}:"):
            with hold(tmp_path):
                pass
        holder.kill()
    with hold(tmp_path):
        pass


def test_what_a_longer_number_left_behind_is_overwritten(tmp_path):
    (tmp_path / "lock").write_text("99999999999\n")
    with hold(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_holder_that_has_not_written_its_number_is_a_question_mark(tmp_path):
    with hold(tmp_path):
        (tmp_path / "lock").write_text("")
        with pytest.raises(FolderInUse, match=r"process \?"):
            with hold(tmp_path):
                pass


def test_whether_a_folder_is_held_can_be_asked_without_holding_it(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    with hold(tmp_path):
        assert is_held(tmp_path)
        assert (tmp_path / "lock").read_text().strip() == str(os.getpid())
    assert not is_held(tmp_path)
