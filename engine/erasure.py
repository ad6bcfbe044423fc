"""Who is to be erased, said in a way that only this data folder can resolve to a person.

An erasure is a *notice* in the journal: a record that is no event but has a number and a place
in the order all the same. It names the person by a keyed hash, and carries what state is
searched by, the 64-bit hash of the id, masked with the same key. Without the key a notice
reveals nothing; with it, no more than the hashes that state holds of everybody.

Construction: SHA-256 over a key of exactly one block, followed by the id. Whoever does not know
the key cannot tell ids apart. That strangers can extend such a hash does not matter, because it
authenticates nothing. SHA-256, because DuckDB can compute it too, over rows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b, sha256
from struct import Struct
from typing import Final, NamedTuple, Self

from engine.codec import unpack_all
from engine.errors import TallymarkError
from engine.hashing import hash64
from engine.timebucket import DAY_MS

KEY_BYTES: Final = 32
NAME_BYTES: Final = 32

ERASE: Final = 1
SWEPT: Final = 2
"""What a notice says. The numbers are for good."""

_ERASE: Final = Struct("<B32s16s")  # ERASE, name, masked
_SWEPT: Final = Struct("<BQ")  # SWEPT, up to which number
_MASKED: Final = Struct("<QQ")  # hash64, zeros that reveal a wrong key

KIND: Final = "erasures"
"""Of what the sequence puts into a snapshot."""

ERASURES_MAX: Final = 100_000
"""Finished ones that are remembered; of more the oldest are forgotten."""


class WrongKey(TallymarkError):
    """The key in the data folder is not the one with which its notices were written."""

    title = "Wrong key"


class Erase(NamedTuple):
    """A notice: everything of this person, up to here, goes.

    name    the keyed hash of the id
    hash64  `engine.hashing.hash64` of the id
    """

    name: bytes
    hash64: int


class Swept(NamedTuple):
    """A notice: the archive no longer holds anybody who was erased up to this number."""

    seq: int


class Secret:
    """The key of one data folder, and what is made with it."""

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_BYTES
        self._key = key
        self._mask_key = _derived(key, b"erasure mask")
        self.salt = _derived(key, b"erasure name").hex()
        """Before an id and under SHA-256 it makes the name."""
        self.check = _derived(key, b"check")[:8]
        """Tells keys apart, and nothing else."""

    def key_for(self, purpose: str) -> bytes:
        """A key of its own, from which the folder's key cannot be derived."""
        return _derived(self._key, purpose.encode())

    def name_of(self, user_id: str) -> bytes:
        """By which the id is known to notices."""
        return sha256((self.salt + user_id).encode()).digest()

    def erase(self, user_id: str) -> bytes:
        """The notice that erases a person."""
        name = self.name_of(user_id)
        masked = _xor(_MASKED.pack(hash64(user_id), 0), self._mask(name))
        return _ERASE.pack(ERASE, name, masked)

    def read(self, notice: bytes) -> Erase | Swept:
        """What a notice says. Raises WrongKey, and ValueError where it is none."""
        if len(notice) == _ERASE.size and notice[0] == ERASE:
            _, name, masked = _ERASE.unpack(notice)
            hashed, zeros = _MASKED.unpack(_xor(masked, self._mask(name)))
            if zeros:
                raise WrongKey(
                    "The journal names somebody who was erased, and secret.key in the data "
                    "folder is not the key that it was written with. Restore that file."
                )
            return Erase(name, hashed)
        if len(notice) == _SWEPT.size and notice[0] == SWEPT:
            return Swept(_SWEPT.unpack(notice)[1])
        raise ValueError(f"{len(notice)} bytes are no notice")

    def _mask(self, name: bytes) -> bytes:
        return blake2b(name, key=self._mask_key, digest_size=_MASKED.size).digest()


def erased_in(notice: bytes) -> bytes | None:
    """The name of who is erased by a notice, which is plain to see; None where nobody is."""
    return _ERASE.unpack(notice)[1] if notice[0] == ERASE else None


def swept(seq: int) -> bytes:
    """The notice that the archive no longer holds anybody who was erased up to `seq`."""
    return _SWEPT.pack(SWEPT, seq)


@dataclass(frozen=True, slots=True)
class Erasure:
    """One person's erasure, the latest.

    seq       its number: what came before it is gone, what came after is new
    asked_ms  when it was received
    swept_ms  when the archive had let go; 0 before
    """

    name: bytes
    seq: int
    asked_ms: int
    swept_ms: int = 0


class Erasures:
    """All of them; a function of the notices in their order."""

    def __init__(self, keep_days: int) -> None:
        self._keep_ms = keep_days * DAY_MS
        self._by_name: dict[bytes, Erasure] = {}  # in the order of `seq`
        self._unswept: dict[bytes, Erasure] = {}

    @classmethod
    def of(cls, parts: Iterable[bytes]) -> Self:
        """What a snapshot's source `sequence` says of them."""
        erasures = cls(keep_days=0)
        for part in parts:
            for kind, _, content in unpack_all(part):
                if kind == KIND:
                    erasures.load(content)
        return erasures

    def add(self, name: bytes, seq: int, received_ms: int) -> None:
        """Somebody is erased, for the first time or again."""
        for known in (self._by_name, self._unswept):
            known.pop(name, None)
        self._by_name[name] = self._unswept[name] = Erasure(name, seq, received_ms)

    def sweep(self, up_to_seq: int, received_ms: int) -> None:
        """The archive holds nobody any more who was erased up to a number."""
        for name, one in list(self._unswept.items()):
            if one.seq <= up_to_seq:
                self._by_name[name] = Erasure(name, one.seq, one.asked_ms, received_ms)
                del self._unswept[name]
        finished = [one for one in self._by_name.values() if one.swept_ms]
        surplus = len(finished) - ERASURES_MAX
        for place, one in enumerate(finished):
            if place < surplus or one.swept_ms + self._keep_ms <= received_ms:
                del self._by_name[one.name]

    def get(self, name: bytes) -> Erasure | None:
        """The latest erasure of a person."""
        return self._by_name.get(name)

    def __iter__(self) -> Iterator[Erasure]:
        return iter(self._by_name.values())

    @property
    def unswept(self) -> tuple[Erasure, ...]:
        """Those that the archive may still hold."""
        return tuple(self._unswept.values())

    def dump(self) -> list[tuple[bytes, int, int, int]]:
        """What msgpack can hold, for `load`."""
        return [(one.name, one.seq, one.asked_ms, one.swept_ms) for one in self]

    def load(self, dumped: Iterable[tuple[bytes, int, int, int]]) -> None:
        """Take back what was dumped, in place of what is known."""
        self._by_name = {one[0]: Erasure(*one) for one in dumped}
        self._unswept = {one.name: one for one in self if not one.swept_ms}


def _derived(key: bytes, purpose: bytes) -> bytes:
    return blake2b(purpose, key=key, digest_size=KEY_BYTES).digest()


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
