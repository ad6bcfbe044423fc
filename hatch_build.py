"""Puts the built page into the packages: a wheel carries it, so that installing needs no Node.

The page is built here only where web/static is missing; an sdist carries it, so that a wheel
made from one needs no Node either. An editable install goes without: `make ui` builds it there.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HOW = (
    "The page is not built (web/static is missing), and npm is not there to build it. Install "
    "Node.js 20 or newer with npm, or build from an sdist, which carries the page."
)


class PageHook(BuildHookInterface):  # type: ignore[type-arg]  # its argument names no type here
    """Builds what is missing, and names it as part of the package though git ignores it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before each target; `version` is "editable" for an editable install."""
        if version == "editable":
            return
        root = Path(self.root)
        if not (root / "web/static/index.html").is_file():
            _build(root / "web/ui")
        build_data["artifacts"].append("web/static/**")


def _build(source: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(HOW)
    subprocess.run([npm, "ci"], cwd=source, check=True)
    subprocess.run([npm, "run", "build"], cwd=source, check=True)
