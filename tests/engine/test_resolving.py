"""Settings: which layer wins, what is refused, and in which words."""

from decimal import Decimal
from pathlib import Path

import pytest

from engine.config import RECORD_BODIES_BYTES_MAX, RECORD_EVENTS_MAX, Config
from engine.errors import InvalidSetting
from engine.resolving import AT_MOST, Layer, Source, from_environ, resolve, written

FILE = "tallymark.toml"


def _refusal(*layers: Layer) -> str:
    with pytest.raises(InvalidSetting) as caught:
        resolve(layers)
    return str(caught.value)


def test_without_layers_every_setting_is_its_default() -> None:
    resolved = resolve([])
    assert resolved.config == Config()
    assert resolved.origins == dict.fromkeys(Config.__struct_fields__, "default")


def test_a_later_layer_wins_and_each_value_knows_where_it_came_from() -> None:
    config, origins = resolve(
        [
            (FILE, {"shards": 3, "port": 1, "timezone": "Asia/Kolkata"}),
            from_environ({"TALLYMARK_SHARDS": "4", "TALLYMARK_PORT": "2"}),
            (Source.COMMAND_LINE, {"shards": "5"}),
        ]
    )
    assert (config.shards, origins["shards"]) == (5, "--shards")
    assert (config.port, origins["port"]) == (2, "TALLYMARK_PORT")
    assert (config.timezone, origins["timezone"]) == ("Asia/Kolkata", FILE)
    assert origins["host"] == "default"


def test_texts_of_the_environment_become_what_the_setting_is() -> None:
    config, _ = resolve(
        [
            from_environ(
                {
                    "TALLYMARK_DATA": "/var/lib/tallymark",
                    "TALLYMARK_ALLOW_PUBLIC": "true",
                    "TALLYMARK_ALLOWED_HOSTS": "stats.example.org, stats.local",
                    "TALLYMARK_CURRENCY_RATES": "EUR=1.08,GBP=1.27",
                    "TALLYMARK_DURABILITY": "write",
                }
            )
        ]
    )
    assert config.data == Path("/var/lib/tallymark")
    assert config.allow_public is True
    assert config.allowed_hosts == ("stats.example.org", "stats.local")
    assert config.currency_rates == {"EUR": Decimal("1.08"), "GBP": Decimal("1.27")}
    assert config.durability == "write"


def test_a_file_gives_lists_and_tables_as_toml_has_them() -> None:
    layer = (FILE, {"allowed_hosts": ["a", "b"], "currency_rates": {"EUR": 1.08}})
    config, _ = resolve([layer])
    assert config.allowed_hosts == ("a", "b")
    assert config.currency_rates == {"EUR": Decimal("1.08")}


def test_variables_of_others_and_the_name_of_the_file_are_no_settings() -> None:
    environ = {"PATH": "/bin", "SHARDS": "9", "TALLYMARK_CONFIG": "/etc/tallymark.toml"}
    assert from_environ(environ) == (Source.ENVIRONMENT, {})


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        (
            "TALLYMARK_SHARDS",
            "x",
            "shards from TALLYMARK_SHARDS: expected int between 1 and 64",
        ),
        (
            "TALLYMARK_SHARDS",
            "0",
            "shards from TALLYMARK_SHARDS: expected int between 1 and 64",
        ),
        (
            "TALLYMARK_SHARDS",
            "65",
            "shards from TALLYMARK_SHARDS: expected int between 1 and 64",
        ),
        (
            "TALLYMARK_PORT",
            "65536",
            "port from TALLYMARK_PORT: expected int between 0 and 65535",
        ),
        (
            "TALLYMARK_ALLOW_PUBLIC",
            "yes",
            "allow_public from TALLYMARK_ALLOW_PUBLIC: expected true or false",
        ),
        (
            "TALLYMARK_DURABILITY",
            "sync",
            "durability from TALLYMARK_DURABILITY: expected one of fsync, none, write",
        ),
        ("TALLYMARK_DATA", "", "data from TALLYMARK_DATA: expected a text that is not empty"),
        ("TALLYMARK_HOST", "", "host from TALLYMARK_HOST: expected a text that is not empty"),
        (
            "TALLYMARK_REPORTING_CURRENCY",
            "usd",
            "reporting_currency from TALLYMARK_REPORTING_CURRENCY: "
            "expected a currency of three capital letters",
        ),
        (
            "TALLYMARK_REPORTING_CURRENCY",
            "USD\n",
            "reporting_currency from TALLYMARK_REPORTING_CURRENCY: "
            "expected a currency of three capital letters",
        ),
        (
            "TALLYMARK_SQL_TABLE",
            "events\n",
            "sql_table from TALLYMARK_SQL_TABLE: expected a name of letters, digits and _",
        ),
        (
            "TALLYMARK_CURRENCY_RATES",
            "EUR",
            "currency_rates from TALLYMARK_CURRENCY_RATES: "
            "expected rates by currency, such as EUR=1.08",
        ),
        (
            "TALLYMARK_TIMEZONE",
            "Mars/Phobos",
            "timezone from TALLYMARK_TIMEZONE: expected an IANA zone such as Europe/Berlin",
        ),
        (
            "TALLYMARK_TIMEZONE",
            "localtime",  # most systems have a file of that name among their zones
            "timezone from TALLYMARK_TIMEZONE: expected an IANA zone such as Europe/Berlin",
        ),
        (
            "TALLYMARK_TIMEZONE",
            "../etc/passwd",
            "timezone from TALLYMARK_TIMEZONE: expected an IANA zone such as Europe/Berlin",
        ),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name_source_and_range(
    variable: str, text: str, expected: str
) -> None:
    assert _refusal(from_environ({variable: text})) == f"{expected}, got {text!r}"


def test_the_ends_of_a_range_are_in_it() -> None:
    for shards in (1, 64):
        assert resolve([(FILE, {"shards": shards})]).config.shards == shards


@pytest.mark.parametrize("value", ["8", 8.0, True, None])
def test_a_file_must_give_the_right_type(value: object) -> None:
    expected = f"shards from {FILE}: expected int between 1 and 64, got {value!r}"
    assert _refusal((FILE, {"shards": value})) == expected


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf"])
def test_a_rate_that_is_no_rate_is_refused(rate: str) -> None:
    layer = from_environ({"TALLYMARK_CURRENCY_RATES": f"EUR={rate}"})
    assert "expected rates above 0 of currencies other than USD, got EUR" in _refusal(layer)


def test_the_reporting_currency_has_no_rate() -> None:
    layer = (FILE, {"reporting_currency": "EUR", "currency_rates": {"EUR": 1}})
    assert "of currencies other than EUR, got EUR = 1" in _refusal(layer)


def test_a_misspelt_setting_is_refused_in_the_spelling_of_its_source() -> None:
    assert _refusal(from_environ({"TALLYMARK_SHARD": "8"})) == (
        "TALLYMARK_SHARD is not a setting; did you mean TALLYMARK_SHARDS?"
    )
    assert _refusal((Source.COMMAND_LINE, {"time_zone": "UTC"})) == (
        "--time-zone is not a setting; did you mean --timezone?"
    )
    assert _refusal((FILE, {"keep_day": 8})) == (
        "keep_day in tallymark.toml is not a setting; did you mean keep_days?"
    )
    assert _refusal((FILE, {"xyzzy": 8})) == (
        "xyzzy in tallymark.toml is not a setting; docs/configuration.md lists them all."
    )


@pytest.mark.parametrize(("smaller", "larger"), AT_MOST)
def test_what_must_fit_into_another_is_refused_one_beyond_it(smaller: str, larger: str) -> None:
    limit = min(getattr(Config(), larger), RECORD_BODIES_BYTES_MAX - 1)
    elsewhere = {"queue_bytes_max": 2**40, larger: limit}
    refusal = _refusal((FILE, {**elsewhere, smaller: limit + 1}))
    assert refusal == (
        f"{smaller} ({limit + 1}, from {FILE}) must not exceed {larger} ({limit}, from {FILE})"
    )


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("group_events_max", RECORD_EVENTS_MAX),
        ("group_bytes_max", RECORD_BODIES_BYTES_MAX),
        ("body_bytes_max", RECORD_BODIES_BYTES_MAX),
    ],
)
def test_what_no_record_of_the_journal_could_hold_is_refused(name: str, limit: int) -> None:
    wide = {"queue_events_max": 2**40}
    assert getattr(resolve([(FILE, {**wide, name: limit})]).config, name) == limit
    refusal = _refusal((FILE, {**wide, name: limit + 1}))
    assert refusal == f"{name} from {FILE}: expected int between 1 and {limit}, got {limit + 1}"


def test_a_large_request_must_fit_into_the_room_for_it() -> None:
    limit = Config().bulk_bytes_max
    assert resolve([(FILE, {"bulk_room_bytes_max": limit})]).config.bulk_bytes_max == limit
    assert _refusal((FILE, {"bulk_room_bytes_max": limit - 1})) == (
        f"bulk_bytes_max ({limit}, from default) must not exceed "
        f"bulk_room_bytes_max ({limit - 1}, from {FILE})"
    )


def test_what_just_fits_is_taken() -> None:
    assert resolve([(FILE, {"keep_hours_days": 400})]).config.keep_hours_days == 400


@pytest.mark.parametrize(
    "origin",
    ["shop.example", "https://shop.example/", "https://*.example", "https://A.example"],
)
def test_an_origin_is_as_a_browser_sends_it(origin: str) -> None:
    assert "expected origins such as" in _refusal((FILE, {"cors_origins": [origin]}))
    for exact in ("https://shop.example", "http://localhost:3000", "http://[::1]:3000"):
        resolve([(FILE, {"cors_origins": [exact]})])


def test_a_proxy_is_an_address_or_a_network() -> None:
    resolve([(FILE, {"trusted_proxies": ["127.0.0.1", "10.0.0.0/8", "fd00::/8"]})])
    assert "10.0.0.0/8" in _refusal((FILE, {"trusted_proxies": ["proxy.example"]}))


def test_variables_that_hold_keys_are_no_settings() -> None:
    names = ("ADMIN_KEY", "KEY", "READ_KEY", "WRITE_KEY", "URL")
    keys = {f"TALLYMARK_{name}": "x" for name in names} | {"TALLYMARK_SHARDS": "4"}
    assert from_environ(keys) == (Source.ENVIRONMENT, {"shards": "4"})


def test_values_are_written_as_toml_has_them() -> None:
    rates = {"EUR": Decimal("1.08"), "GBP": Decimal("1.27")}
    assert written(True) == "true"
    assert written(8080) == "8080"
    assert written(Path("data")) == '"data"'
    assert written(("a", 'b"')) == '["a", "b\\""]'
    assert written(rates) == "{ EUR = 1.08, GBP = 1.27 }"
    assert written({}) == "{}"
