"""An application that asks for keys, and one key of each role."""

from engine.config import Config
from persistence.keys import ROLES, KeyStore, Role, digest_of, new_key
from tests.web.conftest import NOW_MS
from web.control import Control
from web.keyring import Keyring

KEYS: dict[Role, str] = {role: new_key(role) for role in ROLES}


def keyed_control(config: Config, **others: str) -> Control:
    """A control store with the three keys in it."""
    config.data.mkdir(exist_ok=True)
    Control.open(config, now_ms=lambda: NOW_MS).close()
    store = KeyStore.open(config.data)
    for role, key in KEYS.items():
        store.add(digest_of(key), role, role, now_ms=NOW_MS)
    store.close()
    return Control.open(config, now_ms=lambda: NOW_MS, **others)


def bearer(role: Role) -> dict[str, str]:
    return {"Authorization": f"Bearer {KEYS[role]}"}


def under(control: Control, config: Config) -> Control:
    """The same store under other settings."""
    keyring = Keyring(control.keyring._store, config, admin_key="", now_ms=lambda: NOW_MS)
    keyring._begin()
    return Control(control._store, config, keyring=keyring, now_ms=lambda: NOW_MS)
