"""Taking people out of the archive: files that hold rows of theirs are rewritten.

A notice in the journal (`engine.erasure`) becomes a `Tombstone` in the manifest. Each file that
may hold older rows of the person is read once for all tombstones that are due; files that do
hold some are rewritten without them. Former files stay for a while, as after a merge: only when
they are gone too is the tombstone removed, and nobody need be hidden any more. A damaged file
is left out, and the tombstones of people whom it may hold stand for as long as it counts.

A file's distinct ids are hashed, not its rows: 5 million rows of 200,000 users take some 2 s on
a busy machine. Once an id is known by its name, the files that follow are asked for it itself.
"""

from collections.abc import Sequence
from functools import partial

from persistence.archive.columns import Gone, Hidden
from persistence.archive.damage import Damage
from persistence.archive.manifest import File, Tombstone
from persistence.archive.parquet import Merger
from persistence.archive.store import ArchiveStore
from persistence.archive.talk import Unreadable


class Eraser:
    """What of the tombstones is done. Used by one thread."""

    def __init__(self, store: ArchiveStore, salt: str, damage: Damage) -> None:
        self._store = store
        self._damage = damage
        self._salt = salt
        self._read: dict[str, int] = {}  # file: up to which tombstone it holds nobody
        self._ids: dict[str, str] = {}  # name: the id itself, once it was met
        self._leaving: list[tuple[int, frozenset[str]]] = []  # files that must be gone first
        self._clean_seq = 0

    def _forget(self) -> None:
        """Whom the files held: nobody wants to know any more."""
        self._read.clear()
        self._ids.clear()
        self._leaving.clear()
        self._clean_seq = 0

    @property
    def files_left(self) -> int:
        """How many files are to be read, and can be."""
        return len(self._damage.without(self._unread()))

    @property
    def unreadable(self) -> tuple[Unreadable, ...]:
        """Files that are to be read, and are damaged."""
        return self._damage.of(self._unread())

    def step(self, merger: Merger, *, now_ms: int) -> bool:
        """Read one file, or let go of tombstones; whether there is more to do at once."""
        erasing = self._store.manifest.erasing
        if not erasing:
            self._forget()
            return False
        unread = self._unread()
        readable = self._damage.without(unread)
        if readable:
            file = readable[0]
            take_out = partial(self._take_out, merger, file, erasing, now_ms)
            self._damage.unless_in(merger, [file], take_out)
            return True
        clean_seq = max(one.seq for one in erasing)
        for file in unread:
            clean_seq = min(clean_seq, max(file.first_seq, self._read_to(file)))
        if clean_seq > self._clean_seq and any(one.seq <= clean_seq for one in erasing):
            self._clean_seq = clean_seq
            self._leaving.append((clean_seq, self._store.retired))
        self._let_go()
        return False

    def _unread(self) -> list[File]:
        manifest = self._store.manifest
        newest_seq = max((one.seq for one in manifest.erasing), default=0)
        return [
            file
            for file in manifest.files
            if file.first_seq < newest_seq > self._read.get(file.name, 0)
        ]

    def _take_out(
        self, merger: Merger, file: File, erasing: Sequence[Tombstone], now_ms: int
    ) -> None:
        due = [one for one in erasing if one.seq > max(file.first_seq, self._read_to(file))]
        found = self._found(merger, file, due)
        name = file.name
        if found:
            hidden = Hidden(self._salt, found)
            left = self._store.erase(merger, file, hidden, now_ms=now_ms)
            name = left.name if left is not None else ""
        self._read.pop(file.name, None)
        if name:
            self._read[name] = max(one.seq for one in erasing)

    def _read_to(self, file: File) -> int:
        return self._read.get(file.name, 0)

    def _found(self, merger: Merger, file: File, due: Sequence[Tombstone]) -> tuple[Gone, ...]:
        """Of those that are due, who has rows in the file."""
        path = self._store.path_of(file)
        unknown = [one.name for one in due if one.name not in self._ids]
        if unknown:
            self._ids |= merger.users_named(path, unknown, self._salt)
        ids = [self._ids[one.name] for one in due if one.name in self._ids]
        there = merger.users_among(path, ids)
        return tuple(
            Gone(one.name, one.seq, self._ids[one.name])
            for one in due
            if self._ids.get(one.name) in there
        )

    def _let_go(self) -> None:
        """Of tombstones none of whose files lies about any more."""
        retired = self._store.retired
        finished = [seq for seq, files in self._leaving if not files & retired]
        if finished:
            self._store.let_go(max(finished))
            self._leaving = [one for one in self._leaving if one[0] not in finished]
