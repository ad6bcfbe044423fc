"""Any bytes as the files of a snapshot: the one before it is loaded, or all of it checks out.

The first byte says what the others are: a manifest's file, a part's file, or what stands inside
of either with a right frame around it, so that what is behind the checksum is reached too.
"""

import contextlib
from pathlib import Path
from typing import Final

import msgspec

from engine.cardinality import UserSketch
from engine.codec import unpack_all
from engine.dedup import IdWindow
from engine.quantile import LatencySketch
from persistence.part import PartFile, write_manifest
from persistence.record import UnknownFormat
from persistence.snapshot import Loaded, Manifest, Part, SnapshotStore
from tests.fuzz.shelf import Shelf

FOLDER: Final = Path("snapshots")
SEQ: Final = 7
NAME: Final = f"{SEQ:020d}-shard-0.0.full"

WORDS: Final = (
    "TMSPART\n", "TMSMANI\n", "\x01\x00\x00\x00", "seq", "meta", "sources", "shard-0",
    "sequence", ".0.full", ".1.delta", "Ýÿÿÿÿ", "\x93", "\x83",
    "00000000000000000007-shard-0.0.full", "../", "Ç\x08\x01", "Ï", "§",
)  # fmt: skip


def check(data: bytes) -> None:
    """The law of the module."""
    if not data:
        return
    way, told = data[0] % 5, data[1:]
    if way == 4:
        _must_be_refused_or_hold(told)
        return
    shelf = Shelf({})
    _put_older(shelf)
    newer = FOLDER / f"{SEQ:020d}.manifest"
    part = FOLDER / NAME
    if way == 0:
        _put(shelf, newer, told)
    elif way == 1:
        write_manifest(shelf, newer, told)
        _written(shelf, part, b"content")
    else:
        chain = (_written(shelf, part, told if way == 3 else b"content"),)
        manifest = Manifest(SEQ, {}, {"shard-0": chain})
        write_manifest(shelf, newer, msgspec.msgpack.encode(manifest))
        if way == 2:  # whatever it is, a part that is loaded is the one that was written
            _put(shelf, part, told)
    store = SnapshotStore(FOLDER, disk=shelf)
    try:
        loaded = store.load_newest()
    except UnknownFormat:
        return  # whole, and of another version
    assert loaded is not None, "the older one is whole"
    if loaded.seq == SEQ:
        assert not loaded.skipped
        if way > 1:
            assert loaded.parts == {"shard-0": [told if way == 3 else b"content"]}
        return
    assert loaded == Loaded(3, {"n": 1}, {"shard-0": [b"older"]}, loaded.skipped)
    assert [one.path for one in loaded.skipped] == [newer]
    assert loaded.skipped[0].reason


def _put_older(shelf: Shelf) -> None:
    chain = (_written(shelf, FOLDER / f"{3:020d}-shard-0.0.full", b"older"),)
    manifest = Manifest(3, {"n": 1}, {"shard-0": chain})
    path = FOLDER / f"{3:020d}.manifest"
    write_manifest(shelf, path, msgspec.msgpack.encode(manifest))


def _written(shelf: Shelf, path: Path, payload: bytes) -> Part:
    file = PartFile(shelf, path)
    file.add((payload,))
    file.finish()
    return Part(path.name, *file.stamp)


def _put(shelf: Shelf, path: Path, data: bytes) -> None:
    shelf.remove(path)
    handle = shelf.create(path)
    shelf.write(handle, data)
    shelf.close(handle)


def _load_window(part: bytes) -> None:
    IdWindow(ids_max=1_600, keep_ms=3_600_000).load([part])


def _must_be_refused_or_hold(told: bytes) -> None:
    """What parts hold says ValueError where it was not written by its own dump."""
    for load in (LatencySketch.load, UserSketch.load, _load_window):
        try:
            load(told)
        except ValueError:
            continue
    with contextlib.suppress(ValueError):
        list(unpack_all(told))
