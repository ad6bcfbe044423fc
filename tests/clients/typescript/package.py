"""The TypeScript package as an application gets it: packed, and installed into a folder."""

import subprocess
from pathlib import Path

from tests.server import PATIENCE_S, ROOT, environment

PACKAGE = ROOT / "clients/typescript"


def run(*words: str, cwd: Path) -> str:
    """Run a command to its end, and return what it said."""
    done = subprocess.run(
        words,
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install_into(folder: Path) -> None:
    """Pack it, and install the tarball into an empty folder, without a network."""
    run("npm", "pack", "--silent", "--pack-destination", str(folder), cwd=PACKAGE)
    (tarball,) = folder.glob("*.tgz")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    run("npm", "install", "--silent", "--offline", str(tarball), cwd=folder)
