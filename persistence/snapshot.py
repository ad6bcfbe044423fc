"""Snapshots: what the engine knew at a sequence number, kept as chains of part files.

A snapshot is a manifest, named by the number it covers, that lists for each source (a shard,
the sequence) one full part and the deltas after it. Nothing that a kept manifest lists is ever
written again, so a crash at any step leaves the snapshot before. docs/formats/snapshot.md draws
the bytes. Calls block and come one at a time.
"""

import contextlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from engine.errors import TallymarkError
from engine.state import Dump
from persistence.files import REAL_DISK, Disk
from persistence.part import MANIFEST, PART, BadFile, Stamp, read, write

CHAIN_PARTS_MAX: Final = 16
"""A source is due for a full part when its chain is this long: loading reads all of it."""

KEPT: Final = 2
"""How many snapshots are kept; the journal must reach back to the older one."""

_SOURCE: Final = re.compile(r"[a-z][a-z0-9-]*")
_PART_NAME: Final = re.compile(r"[0-9]{20}-[a-z][a-z0-9-]*\.[0-9]+\.(full|delta)")
_MANIFEST_NAME: Final = re.compile(r"([0-9]{20})\.manifest")


class SnapshotFailed(TallymarkError):
    """A snapshot could not be written; the one before stands, the journal holds the rest."""

    title = "Snapshot failed"


class Skipped(NamedTuple):
    """A manifest that was not trusted, and the first reason why."""

    path: Path
    reason: str


class Loaded(NamedTuple):
    """The newest good snapshot. `parts` is {source: [full payload, delta payload, …]}."""

    seq: int
    meta: dict[str, Any]
    parts: dict[str, list[bytes]]
    skipped: tuple[Skipped, ...]


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
        self._must_be_full: frozenset[str] = frozenset()
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

    def load_newest(self) -> Loaded | None:
        """The newest snapshot of which every byte checks out; None without any.

        Those that do not are skipped (see `skipped`) and left as they are until the next
        checkpoint has made them superfluous. Only later checkpoints build on what is loaded.
        """
        skipped: list[Skipped] = []
        found: tuple[Manifest, dict[str, list[bytes]]] | None = None
        for name in reversed(self._disk.names(self._folder)):
            if found is None and _MANIFEST_NAME.fullmatch(name):
                try:
                    manifest = read_manifest(self._disk, self._folder / name)
                    found = manifest, self._read_parts(manifest)
                except BadFile as bad:
                    skipped.append(Skipped(self._folder / name, str(bad)))
        self.skipped = tuple(skipped)
        self._must_be_full = frozenset()
        if found is None:
            self._kept = ()
            return None
        manifest, parts = found
        self._kept = (manifest,)
        return Loaded(manifest.seq, manifest.meta, parts, self.skipped)

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

        On return the snapshot is on the disk. Raises SnapshotFailed: the last one stands, and
        every source owes a full dump (`wants_full`), as its deltas are lost.
        """
        assert self._kept is not None
        assert seq >= self.newest_seq
        fresh: list[Path] = []
        try:
            manifest = self._write_parts(seq, meta, dumps, fresh)
        except OSError as error:
            self._remove_all(fresh)
            raise self._failed(seq, error) from error
        try:
            self._write_manifest(manifest)
        except OSError as error:
            # It may stand there or not: its parts stay, and the next checkpoint sweeps.
            raise self._failed(seq, error) from error
        self._must_be_full = frozenset()
        older = tuple(kept for kept in self._kept if kept.seq < seq)
        self._kept = (*older, manifest)[-KEPT:]
        self._sweep()

    def _chain(self, source: str) -> tuple[Part, ...]:
        """What the next delta of `source` may build on."""
        if not self._kept or source in self._must_be_full:
            return ()
        return self._kept[-1].sources.get(source, ())

    def _write_parts(
        self, seq: int, meta: dict[str, Any], dumps: Mapping[str, Dump], fresh: list[Path]
    ) -> Manifest:
        """Write one part for each dump that has something; `fresh` lists their paths."""
        taken = set(self._disk.names(self._folder))
        sources = {}
        for source, dump in dumps.items():
            assert _SOURCE.fullmatch(source)
            chain = () if dump.full else self._chain(source)
            assert dump.full or chain, f"a delta of {source}, and nothing to add it to"
            if dump.full or any(dump.chunks):
                name = _free_name(taken, seq, source, "full" if dump.full else "delta")
                fresh.append(self._folder / name)
                stamp = write(self._disk, fresh[-1], PART, dump.chunks)
                chain = (*chain, Part(name, stamp.payload_bytes, stamp.crc))
            sources[source] = chain
        self._disk.sync_folder(self._folder)  # no manifest outlives a crash without its parts
        return Manifest(seq, meta, sources)

    def _write_manifest(self, manifest: Manifest) -> None:
        path = self._folder / f"{manifest.seq:020d}.manifest"
        write(self._disk, path, MANIFEST, [msgspec.msgpack.encode(manifest)])
        self._disk.sync_folder(self._folder)

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

    def _read_parts(self, manifest: Manifest) -> dict[str, list[bytes]]:
        return {
            source: [self._part(part) for part in chain]
            for source, chain in manifest.sources.items()
        }

    def _part(self, part: Part) -> bytes:
        try:
            return read_part(self._disk, self._folder, part)
        except BadFile as bad:
            raise BadFile(f"its part {part.name} does not check out: {bad}") from bad


def is_manifest(name: str) -> bool:
    """Whether this is the name of a manifest."""
    return _MANIFEST_NAME.fullmatch(name) is not None


def read_manifest(disk: Disk, path: Path) -> Manifest:
    """What a manifest's file says. Raises BadFile, UnknownFormat."""
    payload = read(disk, path, MANIFEST)
    try:
        manifest = msgspec.msgpack.decode(payload, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BadFile(f"it is not a manifest: {error}") from error
    if path.name != f"{manifest.seq:020d}.manifest":
        raise BadFile(f"it covers {manifest.seq}, which is not what its name says")
    for part in (part for chain in manifest.sources.values() for part in chain):
        if not _PART_NAME.fullmatch(part.name):
            raise BadFile(f"it lists {part.name!r}, which is no part's name")
    return manifest


def read_part(disk: Disk, folder: Path, part: Part) -> bytes:
    """The payload of a part that a manifest in `folder` lists; raises as `read_manifest`."""
    stamp = Stamp(part.payload_bytes, part.crc)
    return read(disk, folder / part.name, PART, stamp)


def _free_name(taken: set[str], seq: int, source: str, kind: str) -> str:
    """A part's name that no file has, so that nothing a manifest lists is overwritten."""
    nth = 0
    while (name := f"{seq:020d}-{source}.{nth}.{kind}") in taken:
        nth += 1
    return name
