"""Where settings come from: layers laid over the defaults, converted, and checked together.

A setting comes from up to four places, and the later wins: its default, a TOML file, the
environment (`TALLYMARK_SHARDS`), the command line (`--shards`). `resolve` remembers for every
setting where its value came from. The caller reads files and `os.environ`.
"""

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum, auto
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias, get_type_hints

import msgspec
from msgspec.inspect import BoolType, DictType, IntType, LiteralType, StrType, VarTupleType

from engine.config import RECORD_BODIES_BYTES_MAX, Config
from engine.errors import InvalidSetting
from engine.timebucket import is_zone


class Source(Enum):
    """The two places that name a setting in their own way and whose values may be texts."""

    ENVIRONMENT = auto()
    COMMAND_LINE = auto()


class Resolved(NamedTuple):
    """A checked configuration, and where each of its values came from.

    config   the settings
    origins  {setting: "default", "TALLYMARK_SHARDS", "--shards", or a file's name}
    """

    config: Config
    origins: Mapping[str, str]


Layer: TypeAlias = tuple[Source | str, Mapping[str, Any]]
"""(where from, {setting: value}); a plain string is the name of a TOML file."""

SETTINGS: Final[Mapping[str, Any]] = MappingProxyType(
    get_type_hints(Config, include_extras=True)
)
"""{setting: its type and range}"""

ENVIRONMENT_PREFIX: Final = "TALLYMARK_"
CONFIG_VARIABLE: Final = "TALLYMARK_CONFIG"
"""The path of the TOML file."""

ADMIN_KEY_VARIABLE: Final = "TALLYMARK_ADMIN_KEY"
"""The first admin key; no setting, for those are shown."""

KEY_VARIABLE: Final = "TALLYMARK_KEY"
"""The key of the commands that speak to a server."""

OF_CLIENTS: Final = frozenset(
    {KEY_VARIABLE, "TALLYMARK_URL", "TALLYMARK_READ_KEY", "TALLYMARK_WRITE_KEY"}
)
"""What sites that ask a server keep in an environment that may be the server's too."""

NO_SETTINGS: Final = frozenset({CONFIG_VARIABLE, ADMIN_KEY_VARIABLE, *OF_CLIENTS})
"""The variables that are no settings."""

AT_MOST: Final = (
    ("keep_hours_days", "keep_days"),
    ("event_text_bytes_max", "body_bytes_max"),
    ("body_bytes_max", "queue_bytes_max"),
    ("body_bytes_max", "bodies_bytes_max"),
    ("sql_answer_bytes_max", "answers_bytes_max"),
    ("body_bytes_max", "segment_bytes_max"),
    ("event_text_bytes_max", "bulk_line_bytes_max"),
    ("bulk_line_bytes_max", "bulk_bytes_max"),
    ("bulk_bytes_max", "bulk_room_bytes_max"),
    ("group_bytes_max", "segment_bytes_max"),
    ("batch_events_max", "queue_events_max"),
    ("group_events_max", "queue_events_max"),
    ("stream_subscribers_max", "connections_max"),
    ("service_categories_max", "categories_max"),
    ("dashboard_bytes_max", "body_bytes_max"),
    ("reports_per_owner_max", "reports_max"),
    ("report_bytes_max", "reports_bytes_max"),
)
"""(smaller, larger): what does not fit into the larger could never be taken or kept."""


def from_environ(environ: Mapping[str, str]) -> Layer:
    """The layer of all TALLYMARK_ variables in `environ`, misspelt ones included."""
    return Source.ENVIRONMENT, {
        name.removeprefix(ENVIRONMENT_PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(ENVIRONMENT_PREFIX) and name not in NO_SETTINGS
    }


def resolve(layers: Sequence[Layer]) -> Resolved:
    """Lay the layers over the defaults, later over earlier, and check the outcome.

    Values of the environment and the command line may be texts ("8", "true", "a,b",
    "EUR=1.08"); those of a file must have the right type. An option that was not given must
    not be in its layer. Raises InvalidSetting, naming setting, source and what is expected.
    """
    values: dict[str, Any] = {}
    origins = dict.fromkeys(SETTINGS, "default")
    for source, layer in layers:
        for name, raw in layer.items():
            if name not in SETTINGS:
                raise InvalidSetting(_unknown(source, name))
            values[name] = _convert(source, name, raw)
            origins[name] = _origin(source, name)
    config = Config(**values)
    _must_make_sense(config, origins)
    _must_fit_together(config, origins)
    return Resolved(config, MappingProxyType(origins))


def written(value: object) -> str:
    """A setting's value as a TOML file holds it."""
    match value:
        case bool():
            return str(value).lower()
        case int() | Decimal():
            return str(value)
        case tuple():
            return f"[{', '.join(map(written, value))}]"
        case dict():
            pairs = ", ".join(f"{key} = {written(one)}" for key, one in value.items())
            return f"{{ {pairs} }}" if pairs else "{}"
        case _:
            return json.dumps(str(value), ensure_ascii=False)


def _origin(source: Source | str, name: str) -> str:
    match source:
        case Source.ENVIRONMENT:
            return ENVIRONMENT_PREFIX + name.upper()
        case Source.COMMAND_LINE:
            return "--" + name.replace("_", "-")
        case str():
            return source


def _unknown(source: Source | str, name: str) -> str:
    near = get_close_matches(name, SETTINGS, n=1, cutoff=0.5)
    if isinstance(source, Source):
        given, meant = _origin(source, name), [_origin(source, one) for one in near]
    else:
        given, meant = f"{name} in {source}", near
    hint = f"did you mean {meant[0]}?" if meant else "docs/configuration.md lists them all."
    return f"{given} is not a setting; {hint}"


def _convert(source: Source | str, name: str, raw: object) -> object:
    text = isinstance(source, Source) and isinstance(raw, str)
    kind = msgspec.inspect.type_info(SETTINGS[name])
    try:
        value = _split(kind, str(raw)) if text else raw
        return msgspec.convert(value, SETTINGS[name], strict=not text, dec_hook=_path)
    except (msgspec.ValidationError, ValueError):
        raise InvalidSetting(
            f"{name} from {_origin(source, name)}: expected {_expected(kind)}, got {raw!r}"
        ) from None


def _split(kind: msgspec.inspect.Type, text: str) -> object:
    """The parts of "a,b" and "EUR=1.08,GBP=1.27" where the setting is a list or a table."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    match kind:
        case VarTupleType():
            return parts
        case DictType():
            return dict(part.split("=", maxsplit=1) for part in parts)
        case _:
            return text


def _path(_kind: type, value: object) -> Path:
    if isinstance(value, Path):
        return value
    if isinstance(value, str) and value:
        return Path(value)
    raise ValueError


def _expected(kind: msgspec.inspect.Type) -> str:
    match kind:
        case IntType():
            return f"int between {kind.ge} and {kind.le}"
        case BoolType():
            return "true or false"
        case LiteralType():
            return "one of " + ", ".join(map(str, kind.values))
        case StrType(pattern=str(pattern)) if "_" in pattern:
            return "a name of letters, digits and _"
        case StrType(pattern=str()):
            return "a currency of three capital letters"
        case VarTupleType():
            return "a list of names"
        case DictType():
            return "rates by currency, such as EUR=1.08"
        case _:
            return "a text that is not empty"


def _must_make_sense(config: Config, origins: Mapping[str, str]) -> None:
    _must_be_addresses(config, origins)
    if not is_zone(config.timezone):
        raise InvalidSetting(
            f"timezone from {origins['timezone']}: expected an IANA zone such as "
            f"Europe/Berlin, got {config.timezone!r}"
        )
    for currency, rate in config.currency_rates.items():
        if not rate.is_finite() or rate <= 0 or currency == config.reporting_currency:
            raise InvalidSetting(
                f"currency_rates from {origins['currency_rates']}: expected rates above 0 of "
                f"currencies other than {config.reporting_currency}, got {currency} = {rate}"
            )
    for name in ("body_bytes_max", "bulk_bytes_max"):
        if config.pseudonymise and getattr(config, name) > RECORD_BODIES_BYTES_MAX // 2:
            raise InvalidSetting(
                f"{name} from {origins[name]}: with pseudonymise at most "
                f"{RECORD_BODIES_BYTES_MAX // 2}, for bodies may grow by it."
            )
    if bool(config.certfile) != bool(config.keyfile):
        given = "certfile" if config.certfile else "keyfile"
        raise InvalidSetting(
            f"{given} from {origins[given]}: TLS needs both certfile and keyfile, or neither."
        )


_DB_URL: Final = re.compile(r"https?://[^/\s]+/[!-~]*\{id\}[!-~]*")
_ANCESTOR: Final = re.compile(r"https?://[A-Za-z0-9.*:\[\]-]+")
_ORIGIN: Final = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]+)?")
"""As a browser sends it: exact, so without wildcards, a path or a slash at its end."""


def _must_be_addresses(config: Config, origins: Mapping[str, str]) -> None:
    if config.db_url and not _DB_URL.fullmatch(config.db_url):
        raise InvalidSetting(
            f"db_url from {origins['db_url']}: expected an address with {{id}} after the host, "
            f"such as http://127.0.0.1:9000/services/{{id}}, got {config.db_url!r}"
        )
    for name, pattern in (("embed_ancestors", _ANCESTOR), ("cors_origins", _ORIGIN)):
        for origin in getattr(config, name):
            if not pattern.fullmatch(origin):
                raise InvalidSetting(
                    f"{name} from {origins[name]}: expected origins such as "
                    f"https://shop.example, got {origin!r}"
                )
    for proxy in config.trusted_proxies:
        try:
            ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            raise InvalidSetting(
                f"trusted_proxies from {origins['trusted_proxies']}: expected addresses or "
                f"networks such as 10.0.0.0/8, got {proxy!r}"
            ) from None


def _must_fit_together(config: Config, origins: Mapping[str, str]) -> None:
    for smaller, larger in AT_MOST:
        low, high = getattr(config, smaller), getattr(config, larger)
        if low > high:
            raise InvalidSetting(
                f"{smaller} ({low}, from {origins[smaller]}) must not exceed "
                f"{larger} ({high}, from {origins[larger]})"
            )
