"""What is said of a file of the archive that cannot be read: its place in it, and no path."""

from pathlib import Path


def damaged(path: Path) -> str:
    """Of one that can be opened, and holds what cannot be read."""
    return (
        f"The file {_place(path)} of the archive cannot be read. `tallymark verify` says what "
        f"is wrong with it; others are not concerned."
    )


def missing(path: Path) -> str:
    """Of one that is not there."""
    return (
        f"The file {_place(path)} of the archive is missing. Try again; if it stays, it is "
        f"lost."
    )


def unopened(path: Path, error: OSError) -> str:
    """Of one that is there, and cannot be opened."""
    return f"The file {_place(path)} of the archive cannot be read: {error.strerror}."


def _place(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
