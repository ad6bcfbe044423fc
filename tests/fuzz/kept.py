"""The laws that are fuzzed, by name, and the inputs that are kept for each."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

NAMES: Final = ("decoder", "journal", "lane", "snapshot", "sql")
CORPUS: Final = Path(__file__).parent / "corpus"


def law(name: str) -> Callable[[bytes], None]:
    """Raises where the bytes break the law of that name."""
    found: Callable[[bytes], None] = importlib.import_module(f"tests.fuzz.{name}").check
    return found


def inputs(name: str) -> list[Path]:
    """Files of the corpus, sorted."""
    return sorted((CORPUS / name).iterdir())
