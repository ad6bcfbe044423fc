"""The key of a data folder: a file that only its owner may read, made at the first start."""

import contextlib
import secrets
from pathlib import Path
from typing import Final

from engine.erasure import KEY_BYTES, Secret
from engine.errors import TallymarkError
from persistence.files import REAL_DISK, Disk, write_fully

NAME: Final = "secret.key"
MODE: Final = 0o600


class UnusableKey(TallymarkError):
    """The key file does not hold a key, or others may read it."""

    title = "Unusable key"


def of(folder: Path, disk: Disk = REAL_DISK) -> Secret:
    """The key of the data folder `folder`, a new one where it has none. Raises UnusableKey."""
    path = folder / NAME
    disk.make_folder(folder)
    if NAME not in disk.names(folder):
        _make(disk, path)
    if path.exists() and path.stat().st_mode & 0o077:  # a simulated disk has no modes
        raise UnusableKey(f"{path} may be read by others than its owner: `chmod 600 {path}`.")
    try:
        key = bytes.fromhex(disk.read(path).decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise UnusableKey(
            f"{path} is not a key: it should hold {2 * KEY_BYTES} hexadecimal digits. "
            f"Restore it."
        )
    return Secret(key)


def _make(disk: Disk, path: Path) -> None:
    growing = path.with_name(path.name + ".tmp")
    disk.remove(growing)
    handle = disk.create(growing)
    try:
        with contextlib.suppress(FileNotFoundError):  # on a simulated disk
            growing.chmod(MODE)  # before there is anything in it
        write_fully(disk, handle, secrets.token_hex(KEY_BYTES).encode() + b"\n")
        disk.sync(handle)
    finally:
        disk.close(handle)
    disk.rename(growing, path)
    disk.sync_folder(path.parent)
