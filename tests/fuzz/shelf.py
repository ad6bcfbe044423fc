"""Files in memory, for what reads thousands of folders a second; it has no crashes."""

from pathlib import Path

from persistence.files import Bytes, Disk


class Shelf(Disk):
    """The disk, as far as opening and reading use it."""

    def __init__(self, files: dict[Path, bytes]) -> None:
        self._files = dict(files)
        self._open: dict[int, Path] = {}

    def create(self, path: Path) -> int:
        assert path not in self._files
        self._files[path] = b""
        return self.open_append(path)

    def open_append(self, path: Path) -> int:
        handle = len(self._open)
        self._open[handle] = path
        return handle

    def close(self, handle: int) -> None:
        del self._open[handle]

    def write(self, handle: int, data: Bytes) -> int:
        self._files[self._open[handle]] += bytes(data)
        return len(data)

    def write_again(self, path: Path, offset_bytes: int, data: Bytes) -> None:
        assert self.read(path)[offset_bytes : offset_bytes + len(data)] == bytes(data)

    def truncate(self, handle: int, size_bytes: int) -> None:
        path = self._open[handle]
        self._files[path] = self._files[path][:size_bytes]

    def sync(self, handle: int) -> None:
        assert handle in self._open

    def sync_folder(self, folder: Path) -> None:
        pass

    def read(self, path: Path) -> bytes:
        try:
            return self._files[path]
        except KeyError:
            raise FileNotFoundError(2, "no such file", str(path)) from None

    def read_from(self, path: Path, offset_bytes: int, bytes_max: int) -> bytes:
        return self.read(path)[offset_bytes : offset_bytes + bytes_max]

    def rename(self, path: Path, target: Path) -> None:
        self._files[target] = self._files.pop(path)

    def remove(self, path: Path) -> None:
        self._files.pop(path, None)

    def names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in self._files if path.parent == folder)

    def make_folder(self, folder: Path) -> None:
        pass

    def is_folder(self, folder: Path) -> bool:
        return True
