"""What goes wrong with the bytes of a file."""

from pathlib import Path
from random import Random


def flip(path: Path, place: int, *, bit: int = 0) -> bytes:
    """Flip one bit of the byte at `place`, counted from the end where that is negative.

    The file is a new one, since the old one may be another folder's as well. Returns what it
    held before.
    """
    whole = path.read_bytes()
    spoilt = bytearray(whole)
    spoilt[place] ^= 1 << bit
    path.unlink()
    path.write_bytes(spoilt)
    return whole


def spoil(path: Path, rng: Random) -> str:
    """Flip a bit or cut the end off; what was done."""
    data = path.read_bytes()
    at = rng.randrange(len(data))
    if rng.random() < 0.6:
        flip(path, at, bit=rng.randrange(8))
        return f"{path.name}: a bit at {at} of {len(data)}"
    path.write_bytes(data[:at])
    return f"{path.name}: cut at {at} of {len(data)}"
