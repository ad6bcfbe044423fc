"""The command `tallymark keys`: make keys, list and revoke them, beside a running server."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from web import settings
from web.printing import table

if TYPE_CHECKING:
    from persistence.keys import Entry, KeyStore

PATIENCE_S: Final = 10.0
"""How long a server may take to act on a change; it looks ten times a second."""

SUSPICION_S: Final = 0.5
"""After so long it is asked whether there is one."""

_ROLE: Final = click.option(
    "--role",
    type=click.Choice(["write", "read", "admin"]),
    required=True,
    help="write may send events, read may ask, admin may do everything.",
)
_DATA: Final = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The server's data folder; by default the one `tallymark serve` would use.",
)


@click.group()
def keys() -> None:
    """Make, list and revoke keys.

    \b
      tallymark keys add --role write --label shop
      tallymark keys list
      tallymark keys revoke 3f9c01ab

    A running server follows at once. As soon as a key exists, it answers nothing without one.
    """


@keys.command()
@_ROLE
@click.option("--label", default="", help="Who has it; shown in `keys list` only.")
@_DATA
def add(role: str, label: str, data: Path | None) -> None:
    """Make a key and print it, once: only its digest is stored."""
    from persistence.keys import ROLES, digest_of, new_key

    with _store(data, makes=True) as (store, folder):
        wanted = next(one for one in ROLES if one == role)
        key = new_key(wanted)
        entry = store.add(digest_of(key), wanted, label, now_ms=_now_ms())
        _wait(store, folder)
    click.echo(key)
    click.echo(f"Key {entry.id} may {role}. It is shown only now: keep it safe.", err=True)


@keys.command("list")
@_DATA
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON array instead of a table."
)
def list_(data: Path | None, *, as_json: bool) -> None:
    """List the keys and when each was last used.

    The keys themselves are never shown.
    """
    import orjson

    with _store(data) as (store, _):
        found = [_told(entry) for entry in store.entries()]
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
        return
    head = ("id", "role", "label", "created", "used", "revoked")
    click.echo(table(head, [tuple(row[name] or "-" for name in head) for row in found]))


@keys.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@_DATA
def revoke(ids: tuple[str, ...], data: Path | None) -> None:
    """Revoke keys and the sessions made with them. ID as `keys list` shows it."""
    with _store(data) as (store, folder):
        found = [_chosen(store, one) for one in ids]
        for entry in found:
            store.revoke(entry.digest, now_ms=_now_ms())
        _wait(store, folder)
        is_last = all(entry.revoked_ms for entry in store.entries())
    for entry in found:
        click.echo(f"Key {entry.id} ({entry.role}) no longer works.", err=True)
    if is_last:
        click.echo(
            "No key is left, so nobody gets in: make one, or run `tallymark keys reset`.",
            err=True,
        )


@keys.command()
@_DATA
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask for confirmation.")
def reset(data: Path | None, *, is_sure: bool) -> None:
    """Delete all keys and sessions.

    On loopback the service then asks for no key, as it did at first.
    """
    if not is_sure:
        click.confirm("Delete all keys and sessions?", abort=True, err=True)
    with _store(data) as (store, folder):
        store.forget()
        _wait(store, folder)
    click.echo("All keys are deleted.", err=True)


@keys.command()
@_ROLE
def new(role: str) -> None:
    """Print a new key without storing it.

    It is for --keys-file or TALLYMARK_ADMIN_KEY.
    """
    from persistence.keys import ROLES, new_key

    click.echo(new_key(next(one for one in ROLES if one == role)))


@contextmanager
def _store(data: Path | None, *, makes: bool = False) -> "Iterator[tuple[KeyStore, Path]]":
    """The keys of a folder, which one that `makes` may begin: a key may come before the server.

    Nothing else may: of a folder that is misspelt no key would be listed, and `reset` would say
    that all keys are forgotten while all of them work.
    """
    from persistence.audit import NotADataFolder
    from persistence.control import ControlStore
    from persistence.database import FILE_NAME
    from persistence.files import REAL_DISK
    from persistence.keys import KeyStore
    from web.starters import first_dashboards

    options = {} if data is None else {"data": str(data)}
    folder = settings.read(options, os.environ, None).config.data
    if not makes and not (folder / FILE_NAME).exists():
        raise NotADataFolder(f"{folder} is not a data folder: there is no {FILE_NAME} in it.")
    REAL_DISK.make_folder(folder)
    ControlStore.open(folder, now_ms=_now_ms(), first=first_dashboards()).close()
    store = KeyStore.open(folder)
    try:
        yield store, folder
    finally:
        store.close()


def _wait(store: "KeyStore", folder: Path) -> None:
    """Return once a running server acts on the change."""
    from persistence.lock import is_held

    began_s = time.monotonic()
    while not store.is_applied:
        waited_s = time.monotonic() - began_s
        if waited_s > SUSPICION_S and not is_held(folder):
            return  # the last server was killed, and could not say that it is gone
        if waited_s > PATIENCE_S:
            click.echo("The server has not read the change yet; its log says why.", err=True)
            return
        time.sleep(0.02)


def _chosen(store: "KeyStore", text: str) -> "Entry":
    from persistence.keys import ID_LETTERS, digest_of, role_of

    name = digest_of(text).hex() if role_of(text) else text.lower()
    found = [entry for entry in store.entries() if entry.digest.hex().startswith(name)]
    if len(name) < ID_LETTERS or len(found) != 1:
        shown = name[:ID_LETTERS]
        raise click.UsageError(
            f"There is no key {shown!a}; `tallymark keys list` shows them all."
        )
    return found[0]


def _told(entry: "Entry") -> dict[str, str | None]:
    return {
        "id": entry.id,
        "role": entry.role,
        "label": entry.label,
        "created": _when(entry.created_ms),
        "used": _when(entry.used_ms),
        "revoked": _when(entry.revoked_ms),
    }


def _when(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
