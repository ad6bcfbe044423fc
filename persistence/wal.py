"""SQLite's write-ahead log, read as SQLite will read it when it next opens the file.

SQLite takes the frames up to the first one whose checksum is wrong, and silently ignores the
rest: that is right for a torn tail, and loses every later change when a byte in the middle goes
bad. As in our journal, what is whole after the bad bytes tells the two apart: a transaction
that was committed later. Format: sqlite.org/fileformat2.html §4.
"""

import struct
from typing import Final, NamedTuple

HEADER: Final = struct.Struct(">8I")
"""Magic, version, bytes of a page, sequence, two salts, two sums."""

FRAME: Final = struct.Struct(">6I")
"""Page, pages of the file where it commits (else 0), two salts, two sums."""

MAGIC: Final = 0x377F0682
"""Its last bit says that sums are of big-endian words."""

PAGE_BYTES_MIN: Final = 512
_WORD_MASK: Final = 0xFFFFFFFF

Sums = tuple[int, int]


class Flaw(NamedTuple):
    """Bytes from which on SQLite would leave out what was committed."""

    offset_bytes: int
    reason: str


def flaw_of(log: bytes) -> Flaw | None:
    """What is wrong with the log; None where at most an unfinished transaction is torn.

    A log of which the last frame went bad looks the same as one that was torn.
    """
    if len(log) <= HEADER.size:
        return None
    magic, _, page_bytes, _, *salts_and_sums = HEADER.unpack_from(log)
    salts, sums = tuple(salts_and_sums[:2]), tuple(salts_and_sums[2:])
    is_ours = magic | 1 == MAGIC | 1 and page_bytes >= PAGE_BYTES_MIN
    if not is_ours or _sums(log[: HEADER.size - 8], (0, 0), magic) != sums:
        return Flaw(0, "its header is not what was written: all of it would be left out")
    size = FRAME.size + page_bytes
    seeds: list[Sums] = [(sums[0], sums[1])]
    bad_at: int | None = None
    for at in range(HEADER.size, len(log) - size + 1, size):
        page, commits, salt_1, salt_2, *found = FRAME.unpack_from(log, at)
        covered = log[at : at + 8] + log[at + FRAME.size : at + size]
        stated: Sums = (found[0], found[1])
        is_ours = (salt_1, salt_2) == salts and page
        reckoned = [_sums(covered, seed, magic) for seed in seeds] if is_ours else []
        if stated not in reckoned:
            bad_at = at if bad_at is None else bad_at
            # The next one was written behind what this one states, or what it should state.
            seeds = [stated, *reckoned[:1]]
            continue
        if bad_at is not None and commits:
            return Flaw(
                bad_at, f"a frame is bad: what was committed up to byte {at} would be left out"
            )
        seeds = [stated]
    return None


def _sums(data: bytes, seed: Sums, magic: int) -> Sums:
    first, second = seed
    words = struct.unpack(f"{'>' if magic & 1 else '<'}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _WORD_MASK
        second = (second + odd + first) & _WORD_MASK
    return first, second
