"""Only the names of this machine, and those allowed, lead to a service without keys."""

import pytest

from web.access import is_loopback, must_be_our_host
from web.errors import Misdirected


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:80", "LocalHost"])
def test_the_names_of_this_machine_lead_here(host: str) -> None:
    must_be_our_host(host, ())


@pytest.mark.parametrize(
    "host",
    [None, "", "[::1", "::1", "127.0.0.1.evil.org", "127.0.0.1:", "localhost:a", "0"],
)
def test_any_other_name_does_not(host: str | None) -> None:
    with pytest.raises(Misdirected, match="--allowed-host"):
        must_be_our_host(host, ())


def test_an_allowed_name_leads_here_in_any_case_and_with_any_port() -> None:
    must_be_our_host("Tally.Example:8443", ("tally.example",))
    with pytest.raises(Misdirected):
        must_be_our_host("x.tally.example", ("tally.example",))


def test_loopback_is_what_only_this_machine_reaches() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.8.8.8", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "localhost.example.org", ""]))
