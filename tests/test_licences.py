"""What the service is made of may be used, changed and sold along with it."""

import json
import re
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FREE = re.compile(
    r"MIT( License)?|BSD( License|[- ][23][- ]Clause( License)?)|0BSD|ISC|Zlib|CC0-1\.0"
    r"|Apache[- ]2\.0|Apache (Software )?License( 2\.0)?|PSF-2\.0"
    r"|MPL-2\.0|Mozilla Public License 2\.0 \(MPL 2\.0\)"
)
"""MPL 2.0 asks for changes of its own files alone, and nothing of it is changed here."""

BUILT = ("web/ui/package-lock.json", "clients/typescript/package-lock.json")


def pinned(lock: str) -> list[str]:
    lines = (ROOT / lock).read_text().splitlines()
    return [line.partition("==")[0] for line in lines if "==" in line]


def licences_of(name: str) -> list[str]:
    """What a distribution says of itself: an expression, else classifiers, else a text."""
    told = distribution(name).metadata
    expression = told.get("License-Expression")
    if expression is None:
        classifiers = told.get_all("Classifier") or []
        named = [one.split(" :: ")[-1] for one in classifiers if one.startswith("License ::")]
        return named or [str(told.get("License", "")).splitlines()[0]]
    return re.split(r" AND | OR ", expression.replace("(", "").replace(")", ""))


@pytest.mark.parametrize("name", pinned("requirements.lock"))
def test_every_library_of_the_service_is_free(name: str) -> None:
    licences = licences_of(name)
    assert licences
    assert all(FREE.fullmatch(one) for one in licences), licences


@pytest.mark.parametrize("lock", BUILT)
def test_what_is_packed_into_the_page_and_the_client_is_free(lock: str) -> None:
    packages = json.loads((ROOT / lock).read_text())["packages"]
    shipped = {name: one for name, one in packages.items() if name and not one.get("dev")}
    assert {one.get("license") for one in shipped.values()} <= {"MIT", "ISC", "0BSD"}, shipped
