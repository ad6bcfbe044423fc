"""Snapshots: what the engine knew at a sequence number, kept as chains of part files.

A snapshot is a manifest, named by the number it covers, that lists for each source (a shard,
the sequence) one full part and the deltas after it. Nothing that a kept manifest lists is ever
written again, so a crash at any step leaves the snapshot before. docs/formats/snapshot.md draws
the bytes. Calls block and come one at a time.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from engine.codec import Dump
from engine.errors import TallymarkError
from persistence.files import REAL_DISK, Disk
from persistence.part import (
    BadFile,
    Content,
    PartFile,
    Stamp,
    manifest_payload,
    part_content,
    write_manifest,
)

SNAPSHOT_FOLDER: Final = "snapshots"
"""Their name in a data folder."""

CHAIN_PARTS_MAX: Final = 16
"""A source is due for a full part when its chain is this long: loading reads all of it."""

KEPT: Final = 2
"""How many snapshots are kept; the journal must reach back to the older one."""

_SOURCE: Final = re.compile(r"[a-z][a-z0-9-]*")
_PART_NAME: Final = re.compile(r"[0-9]{20}-[a-z][a-z0-9-]*\.[0-9]+\.(full|delta)")
_MANIFEST_NAME: Final = re.compile(r"([0-9]{20})\.manifest")


class SnapshotFailed(TallymarkError):
    """A snapshot could not be written: the one before stands, the journal holds the rest.

    Or it could not be read a moment after it had been found to be whole.
    """

    title = "Snapshot failed"


class Skipped(NamedTuple):
    """A manifest that was not trusted, and the first reason why."""

    path: Path
    reason: str


class Mended(NamedTuple):
    """A part with damage that was put right as it was read; the next snapshot replaces it."""

    path: Path
    reason: str


class Loaded(NamedTuple):
    """The newest good snapshot.

    parts  {source: [full payload, delta payload, …]}, which have been checked and are read
           when they are asked for, each time again: together they may not fit into memory
    """

    seq: int
    meta: dict[str, Any]
    parts: Mapping[str, list[bytes]]
    skipped: tuple[Skipped, ...]
    mended: tuple[Mended, ...] = ()


class Part(msgspec.Struct, frozen=True, array_like=True):
    """One file of a chain, as the manifest lists it."""

    name: str
    payload_bytes: int
    crc: int


class Manifest(msgspec.Struct, frozen=True):
    """What the manifest file holds, in msgpack."""

    seq: int
    meta: dict[str, Any]
    sources: dict[str, tuple[Part, ...]]


class SnapshotStore:
    """The folder of snapshots. `load_newest` comes first, then `checkpoint` as often as due."""

    def __init__(self, folder: Path, *, disk: Disk = REAL_DISK) -> None:
        self.skipped: tuple[Skipped, ...] = ()
        self._folder = folder
        self._disk = disk
        self._kept: tuple[Manifest, ...] | None = None  # oldest first; None before loading
        self._must_be_full: frozenset[str] = frozenset()  # a chain that is lost, or damaged
        disk.make_folder(folder)
        for name in disk.names(folder):
            if name.endswith(".tmp"):
                disk.remove(folder / name)

    @property
    def newest_seq(self) -> int:
        """What the newest good snapshot covers; 0 when there is none."""
        return self._kept[-1].seq if self._kept else 0

    @property
    def trimmable_seq(self) -> int:
        """Up to where the journal may be trimmed: what the older of two good snapshots covers.

        0 when fewer than two are known to be good, since then the journal is the second copy.
        """
        return self._kept[0].seq if self._kept and len(self._kept) == KEPT else 0

    @property
    def oldest_seq(self) -> int:
        """What the oldest snapshot in the folder covers, good or not; 0 without any, and where
        the folder cannot be read."""
        try:
            names = self._disk.names(self._folder)
        except OSError:
            return 0
        found = (match for name in names if (match := _MANIFEST_NAME.fullmatch(name)))
        return min((int(match[1]) for match in found), default=0)

    def load_newest(self) -> Loaded | None:
        """The newest snapshot of which every byte checks out; None without any.

        Those that do not are skipped (see `skipped`) and left as they are until the next
        checkpoint has made them superfluous. Only later checkpoints build on what is loaded.
        Raises UnknownFormat where another version wrote it.
        """
        skipped: list[Skipped] = []
        found: Manifest | None = None
        mended: dict[str, Mended] = {}
        for name in reversed(self._disk.names(self._folder)):
            if found is None and _MANIFEST_NAME.fullmatch(name):
                try:
                    manifest = read_manifest(self._disk, self._folder / name)
                    mended = self._checked(manifest)
                    found = manifest
                except BadFile as bad:
                    skipped.append(Skipped(self._folder / name, str(bad)))
        self.skipped = tuple(skipped)
        self._must_be_full = frozenset(mended)
        if found is None:
            self._kept = ()
            return None
        self._kept = (found,)
        parts = _Parts(found.sources, self._read_again)
        return Loaded(found.seq, found.meta, parts, self.skipped, tuple(mended.values()))

    def build_on(self, manifest: Manifest) -> None:
        """Take it for the newest snapshot, in place of what was loaded, for the next one."""
        self._kept = (manifest,)
        self._must_be_full = frozenset()

    def wants_full(self, source: str) -> bool:
        """Whether the next dump of `source` should be full.

        It must be when there is no chain to add to, or a checkpoint failed and took deltas
        with it; it should be when the chain is long, or its deltas outweigh its base.
        """
        chain = self._chain(source)
        if not chain or len(chain) >= CHAIN_PARTS_MAX:
            return True
        return sum(part.payload_bytes for part in chain[1:]) > chain[0].payload_bytes

    def checkpoint(self, seq: int, meta: dict[str, Any], dumps: Mapping[str, Dump]) -> None:
        """Write the snapshot that covers `seq`, then forget all but the newest two.

        seq    at least that of the last one; the journal must hold it for good already
        meta   what msgpack can hold: zone, shards, received_ms, format of the payloads, …
        dumps  {source: Dump}, of every source; one that is left out is dropped

        On return the snapshot is on the disk. Raises SnapshotFailed, as `Writing.commit`.
        """
        writing = self.begin(seq)
        try:
            for source, dump in dumps.items():
                writing.add(source, dump.chunks, full=dump.full)
            writing.commit(meta)
        finally:
            writing.abandon()

    def begin(self, seq: int) -> "Writing":
        """Begin the snapshot that covers `seq`, to which the dumps are added as they are made.

        One at a time. The disk is not touched before the first of them.
        """
        assert self._kept is not None
        assert seq >= self.newest_seq
        return Writing(self, seq)

    def _chain(self, source: str) -> tuple[Part, ...]:
        """What the next delta of `source` may build on."""
        if not self._kept or source in self._must_be_full:
            return ()
        return self._kept[-1].sources.get(source, ())

    def _new_path(self, seq: int, source: str, *, full: bool) -> Path:
        """A name that no file has, so that nothing a manifest lists is overwritten."""
        taken = self._disk.names(self._folder)
        nth, kind = 0, "full" if full else "delta"
        while (name := f"{seq:020d}-{source}.{nth}.{kind}") in taken:
            nth += 1
        return self._folder / name

    def _take(self, manifest: Manifest) -> None:
        """Let the snapshot exist whose parts are there, and forget all but the newest two."""
        assert self._kept is not None
        path = self._folder / f"{manifest.seq:020d}.manifest"
        write_manifest(self._disk, path, msgspec.msgpack.encode(manifest))
        self._disk.sync_folder(self._folder)
        self._must_be_full = frozenset()
        older = tuple(kept for kept in self._kept if kept.seq < manifest.seq)
        self._kept = (*older, manifest)[-KEPT:]
        self._sweep()

    def _failed(self, seq: int, error: OSError) -> SnapshotFailed:
        assert self._kept is not None
        self._must_be_full = frozenset(self._kept[-1].sources) if self._kept else frozenset()
        return SnapshotFailed(
            f"The snapshot that covers {seq} could not be written to {self._folder}: "
            f"{error.strerror or error}. The one before stands; the next try writes all anew."
        )

    def _sweep(self) -> None:
        """Remove our files that no kept manifest needs; what will not go waits for the next."""
        assert self._kept is not None
        needed = {f"{manifest.seq:020d}.manifest" for manifest in self._kept}
        for manifest in self._kept:
            needed.update(part.name for chain in manifest.sources.values() for part in chain)
        with contextlib.suppress(OSError):
            names = [name for name in self._disk.names(self._folder) if name not in needed]
            # Manifests first, so that none is left that lists what is gone.
            self._remove_all(self._folder / n for n in names if _MANIFEST_NAME.fullmatch(n))
            self._remove_all(self._folder / n for n in names if _PART_NAME.fullmatch(n))
            self._disk.sync_folder(self._folder)

    def _remove_all(self, paths: Iterable[Path]) -> None:
        for path in paths:
            with contextlib.suppress(OSError):
                self._disk.remove(path)

    def _checked(self, manifest: Manifest) -> dict[str, Mended]:
        """By source the first part that had to be mended; BadFile where one cannot be."""
        mended: dict[str, Mended] = {}
        for source, chain in manifest.sources.items():
            for part in chain:
                flaw = self._content(part).flaw
                if flaw is not None:
                    mended.setdefault(source, Mended(self._folder / part.name, str(flaw)))
        return mended

    def _read_again(self, part: Part) -> bytes:
        try:
            return self._content(part).payload
        except BadFile as bad:
            raise SnapshotFailed(
                f"{self._folder} was whole a moment ago, and now {bad}. Start again; if that "
                f"fails too, check the disk."
            ) from bad

    def _content(self, part: Part) -> Content:
        try:
            return read_part(self._disk, self._folder, part)
        except BadFile as bad:
            raise BadFile(f"its part {part.name} does not check out: {bad}") from bad


class Writing:
    """A snapshot that is being written. Its parts are files without names until `commit`.

    Every method but `abandon` raises SnapshotFailed: nothing is left of it, the snapshot before
    stands, and every source owes a full dump (`wants_full`), as its deltas are lost.
    """

    def __init__(self, store: SnapshotStore, seq: int) -> None:
        self._store = store
        self._seq = seq
        self._chains: dict[str, tuple[Part, ...]] = {}
        self._growing: dict[str, PartFile] = {}

    def add(self, source: str, pieces: Iterable[bytes], *, full: bool) -> None:
        """Write what a source hands out next; one that hands out nothing is added as well.

        full  whether this is all that the source knows; the same in all calls for it
        """
        assert _SOURCE.fullmatch(source)
        if source not in self._chains:
            chain = () if full else self._store._chain(source)
            assert full or chain, f"a delta of {source}, and nothing to add it to"
            self._chains[source] = chain
        with self._failing():
            if source not in self._growing:
                pieces = iter(pieces)
                first = next((piece for piece in pieces if piece), b"")
                if not first and not full:
                    return  # an empty delta adds no part
                self._growing[source] = self._begun(source, full=full)
                self._growing[source].add((first,))
            self._growing[source].add(pieces)

    def commit(self, meta: dict[str, Any]) -> None:
        """Have the parts on the disk, then the manifest, and forget all but the newest two.

        meta  what msgpack can hold: zone, shards, received_ms, format of the payloads, …

        The journal must hold for good what the snapshot covers. On return it is on the disk;
        sources of which nothing was added are dropped.
        """
        with self._failing():
            for source, file in self._growing.items():
                file.finish()
                part = Part(file.path.name, *file.stamp)
                self._chains[source] = (*self._chains[source], part)
            # No manifest outlives a crash without its parts.
            self._store._disk.sync_folder(self._store._folder)
        self._growing.clear()
        with self._failing():  # it may stand there or not: its parts stay, until a later sweep
            self._store._take(Manifest(self._seq, meta, self._chains))

    def abandon(self) -> None:
        """Leave nothing of what was not committed; raises nothing."""
        for file in self._growing.values():
            file.abandon()
            with contextlib.suppress(OSError):
                self._store._disk.remove(file.path)
        self._growing.clear()

    def _begun(self, source: str, *, full: bool) -> PartFile:
        path = self._store._new_path(self._seq, source, full=full)
        return PartFile(self._store._disk, path)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.abandon()
            raise self._store._failed(self._seq, error) from error


class _Parts(Mapping[str, list[bytes]]):
    """What chains of parts hold, read by source when it is asked for."""

    def __init__(
        self, chains: Mapping[str, tuple[Part, ...]], read: Callable[[Part], bytes]
    ) -> None:
        self._chains = chains
        self._read = read

    def __getitem__(self, source: str) -> list[bytes]:
        return [self._read(part) for part in self._chains[source]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._chains)

    def __len__(self) -> int:
        return len(self._chains)


def is_manifest(name: str) -> bool:
    """Whether this is the name of a manifest."""
    return _MANIFEST_NAME.fullmatch(name) is not None


def read_manifest(disk: Disk, path: Path) -> Manifest:
    """What a manifest's file says. Raises BadFile, UnknownFormat."""
    payload = manifest_payload(disk, path)
    try:
        manifest = msgspec.msgpack.decode(payload, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadFile(f"it is not a manifest: {error}") from error
    if path.name != f"{manifest.seq:020d}.manifest":
        raise BadFile(f"it covers {manifest.seq}, which is not what its name says")
    for part in (part for chain in manifest.sources.values() for part in chain):
        if not _PART_NAME.fullmatch(part.name):
            raise BadFile(f"it lists {part.name!r}, which is no part's name")
    return manifest


def read_part(disk: Disk, folder: Path, part: Part) -> Content:
    """The payload of a part that a manifest in `folder` lists, mended where it can be.

    Raises BadFile, UnknownFormat.
    """
    return part_content(disk, folder / part.name, Stamp(part.payload_bytes, part.crc))
