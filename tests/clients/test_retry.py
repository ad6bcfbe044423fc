"""When the Python client sends again."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallymark_client.retry import delay_s, parsed_retry_after_s


@given(st.integers(1, 10_000))
def test_jitter_lies_below_a_ceiling_that_doubles_up_to_30_seconds(failures: int) -> None:
    assert 0 <= delay_s(failures, retry_after_s=None) <= min(30, 0.25 * 2 ** min(failures, 9))


def test_what_the_server_asks_is_waited_but_not_above_five_minutes() -> None:
    assert 7 <= delay_s(1, retry_after_s=7) <= 7.25
    assert delay_s(1, retry_after_s=1e9) <= 300.25


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("12", 12),
        (formatdate(1030, usegmt=True), 30),
        (formatdate(0, usegmt=True), 0),
        ("soon", None),
        ("-1", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert parsed_retry_after_s(value, now_s=1000) == seconds
