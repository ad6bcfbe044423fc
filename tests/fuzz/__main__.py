"""`python -m tests.fuzz [NAME ...] --seconds N`: feeds each law mutated bytes, by coverage.

Atheris (libFuzzer) runs each target in a process of its own, as many at once as there are
processors. What it begins with is `tests/fuzz/corpus/NAME`, what it finds stays in
`build/fuzz/NAME`, what it says in `build/fuzz/NAME.log`; an input that breaks a law is left in
`build/fuzz/NAME-crash-…` and belongs into the corpus once its law holds again.
`--keep` adds to the corpus the few inputs of what was found that reach something new.
"""

import argparse
import importlib
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from tests.fuzz import mutated
from tests.fuzz.kept import CORPUS, NAMES, law

ROOT: Final = Path(__file__).parents[2]
FOUND: Final = ROOT / "build" / "fuzz"
INPUT_BYTES_MAX: Final = 4_096
KEPT_BYTES_MAX: Final = 300
KEPT_A_RUN: Final = 40
ONE_INPUT_S: Final = 20
MEMORY_MB: Final = 2_048
SHOWN_CHARS: Final = 8_000
OURS: Final = ("engine", "persistence", "web", "sqlglot")


def main() -> int:
    """Run what the words ask for; 0 where every law held."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--keep", action="store_true", help="add to the corpus")
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    told, flags = parser.parse_known_args()
    if told.in_process:
        _fuzz(told.names[0], flags)
    names = told.names or NAMES
    if not set(names) <= set(NAMES):
        parser.error(f"there are laws for {', '.join(NAMES)}")
    with ThreadPoolExecutor(os.cpu_count()) as side_by_side:
        held = list(side_by_side.map(partial(_run, seconds=told.seconds), names))
    failed = [name for name, holds in zip(names, held, strict=True) if not holds]
    if told.keep:
        for name in names:
            _keep(name)
    for name in failed:
        print(f"The law of {name} was broken; what broke it lies in {FOUND}.")
    return 1 if failed else 0


def _run(name: str, seconds: int) -> bool:
    """Fuzz one target; whether its law held."""
    (FOUND / name).mkdir(parents=True, exist_ok=True)
    words = FOUND / f"{name}.words"
    target = importlib.import_module(f"tests.fuzz.{name}")
    escaped = (
        "".join(f"\\x{byte:02x}" for byte in word.encode("latin-1")) for word in target.WORDS
    )
    words.write_text("".join(f'"{word}"\n' for word in escaped))
    began_s = time.monotonic()
    said = FOUND / f"{name}.log"
    code = _start(
        name,
        said,
        f"-max_total_time={seconds}",
        f"-max_len={INPUT_BYTES_MAX}",
        f"-timeout={ONE_INPUT_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-dict={words}",
        f"-artifact_prefix={FOUND}/{name}-",
        "-print_final_stats=1",
        "-verbosity=1",
        str(FOUND / name),
        str(CORPUS / name),
    )
    print(f"{name}: exit code {code} after {time.monotonic() - began_s:.0f} s, see {said}")
    if code != 0:
        print(said.read_text(errors="replace")[-SHOWN_CHARS:])
    return code == 0


def _keep(name: str) -> None:
    """Put the smallest of what reached something new into the corpus."""
    fresh = [path for path in (FOUND / name).iterdir() if path.stat().st_size <= KEPT_BYTES_MAX]
    for path in sorted(fresh, key=lambda path: path.stat().st_size)[:KEPT_A_RUN]:
        shutil.copy(path, CORPUS / name / path.name[:12])


def _start(name: str, said: Path, *flags: str) -> int:
    words = (sys.executable, "-m", "tests.fuzz", "--in-process", name, *flags)
    with said.open("wb") as log:
        return subprocess.run(
            words, cwd=ROOT, check=False, stdout=log, stderr=subprocess.STDOUT
        ).returncode


def _fuzz(name: str, flags: list[str]) -> None:
    """Give the process to libFuzzer, which ends it."""
    import atheris

    with atheris.instrument_imports(include=list(OURS)):
        check = law(name)

    def mutate(data: bytes, size_max: int, seed: int) -> bytes:
        changed = mutated.event(data, size_max, seed) if seed % 2 else None
        return atheris.Mutate(data, size_max) if changed is None else changed

    own = {"custom_mutator": mutate} if name == "decoder" else {}
    atheris.Setup([name, *flags], check, **own)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
