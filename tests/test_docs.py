"""The documents keep up with the code: every figure is explained, and every link leads on."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import fields

from engine import answers
from engine.answers.common import PeriodAsked
from tests.server import ROOT
from web.options import resolved

DOCS = ROOT / "docs"
READMES = [
    ROOT / "README.md",
    *(ROOT / "clients").glob("*/README.md"),
    *(ROOT / "examples").glob("*/README.md"),
]
PAGES = sorted([*DOCS.rglob("*.md"), *READMES])
DECISIONS = sorted(path.name for path in (DOCS / "decisions").glob("[0-9]*.md"))


def structs() -> Iterator[type[Struct]]:
    """Questions and answers: every Struct that a module of `engine.answers` defines."""
    for found in pkgutil.iter_modules(answers.__path__, "engine.answers."):
        module = importlib.import_module(found.name)
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, Struct) and kind.__module__ == module.__name__:
                yield kind


STRUCTS = list(structs())
CLASS = re.compile(r"^class (\w+)(?:\[.*\])?\(?(.*?)\)?:$", re.MULTILINE)


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_field_of_questions_and_answers_is_explained(kind: type[Struct]) -> None:
    if issubclass(kind, PeriodAsked):
        explained = (DOCS / "api.md").read_text()
    else:
        explained = " ".join(re.findall(r"`([^`\n]+)`", (DOCS / "metrics.md").read_text()))
    words = set(re.findall(r"\w+", explained))
    assert [field.encode_name for field in fields(kind) if field.encode_name not in words] == []


@pytest.mark.parametrize("name", DECISIONS)
def test_every_decision_is_in_the_list(name: str) -> None:
    assert f"]({name})" in (DOCS / "decisions" / "README.md").read_text()


def test_every_page_is_in_the_index_of_the_docs() -> None:
    index = (DOCS / "README.md").read_text()
    kept = [*DOCS.glob("*.md"), *(DOCS / "formats").glob("*.md"), DOCS / "decisions/README.md"]
    pages = {str(page.relative_to(DOCS)) for page in kept} - {"README.md"}
    assert sorted(pages - set(re.findall(r"\]\(([^)#]+)\)", index))) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    relative = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in relative if not _leads_on(page, target)] == []


def _leads_on(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    there = (page.parent / path) if path else page
    return there.exists() and (not anchor or anchor in _anchors(there))


def _anchors(page: Path) -> set[str]:
    """What the headings of a page are called in a link, as usual renderers call them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def test_the_settings_file_of_the_manual_is_taken(tmp_path: Path) -> None:
    (block,) = re.findall(
        r"^```toml\n(.*?)^```$", (DOCS / "operations.md").read_text(), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "tallymark.toml").write_text(block)
    config, _ = resolved(tmp_path / "tallymark.toml", {})
    assert (config.timezone, config.log_format) == ("Europe/Berlin", "json")


def test_the_figures_that_a_widget_can_show_are_listed() -> None:
    known = (ROOT / "web/ui/src/lib/metrics.ts").read_text()
    lists = dict(
        re.findall(r"^const (\w+): readonly WidgetKind\[\] = (.*);", known, re.MULTILINE)
    )
    shown = {
        (kind, name)
        for name, kinds in re.findall(
            r'^  metric\("(.+?)", ".*?", (\w+|\[.*?\])', known, re.MULTILINE
        )
        for kind in re.findall(r"\w+", lists.get(kinds, kinds))
    }
    section = (DOCS / "api.md").read_text().split("## Dashboards")[1]
    listed = {
        (kind, name)
        for kind, names in re.findall(r"^\| (\w+) \| (.*`.*) \|$", section, re.MULTILINE)
        for name in re.findall(r"`(.+?)`", names)
    }
    assert {pair for pair in listed ^ shown if not pair[1].startswith("counters.")} == set()


def test_every_method_that_the_map_of_the_house_names_is_there() -> None:
    house = (DOCS / "ARCHITECTURE.md").read_text()
    rooms = ("engine", "persistence", "web", "load")
    code = [path.read_text() for room in rooms for path in (ROOT / room).rglob("*.py")]
    kinds = [found for text in code for found in CLASS.finditer(text)]
    named = set(re.findall(r"\b([A-Z]\w+)\.(_?[a-z]\w+)", house))
    assert len(named) > 20
    for owner, method in sorted(named):
        family = {
            owner,
            *(parent for k in kinds if k[1] == owner for parent in k[2].split(", ")),
        }
        homes = [kind.string for kind in kinds if kind[1] in family]
        assert any(f"def {method}(" in home for home in homes), f"{owner}.{method}"
