"""The package: a wheel carries the built page, and one made from the sdist needs no Node."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.server import ROOT

PATIENCE_S = 120


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Our source without what is built or ignored, and a page as if `make ui` had run."""
    copy = tmp_path / "source"
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", "static")
    for name in ("engine", "load", "persistence", "web", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, copy / name)
    (copy / "web/static/assets").mkdir(parents=True)
    (copy / "web/static/index.html").write_text("<!doctype html>")
    (copy / "web/static/assets/main-1.js").write_text("1")
    (copy / "web/ui/src").mkdir(parents=True, exist_ok=True)
    (copy / "web/ui/src/only.ts").write_text("0")
    return copy


def built(source: Path, target: str, into: Path) -> subprocess.CompletedProcess[str]:
    """Build with nothing but Python to be found."""
    return subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(into)],
        cwd=source,
        env=os.environ | {"PATH": str(into / "nothing")},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_a_wheel_from_an_sdist_has_the_page_and_needs_no_node(
    source: Path, tmp_path: Path
) -> None:
    done = built(source, "sdist", tmp_path)
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert (unpacked / "web/ui/src/only.ts").is_file()
    done = built(unpacked, "wheel", tmp_path)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = {
        "web/static/index.html",
        "web/static/assets/main-1.js",
        "web/reference.css",
        "web/app.py",
    }
    assert needed <= names
    folders = {name.split("/")[0] for name in names}
    assert folders - {name for name in folders if name.endswith(".dist-info")} == {
        "engine",
        "load",
        "persistence",
        "web",
    }
    assert not [name for name in names if name.startswith("web/ui")]


def test_without_a_page_and_without_node_it_says_what_is_missing(
    source: Path, tmp_path: Path
) -> None:
    shutil.rmtree(source / "web/static")
    done = built(source, "wheel", tmp_path)
    assert done.returncode != 0
    assert "Node.js 20 or newer" in done.stderr + done.stdout
