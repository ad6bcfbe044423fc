"""From events to a file: whatever an id looks like, one of two columns tells its text again."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import (
    Event,
    ExperimentView,
    MarketplaceSearch,
    MarketplaceView,
    ServiceExecution,
    UserSession,
)
from persistence.archive.columns import SUFFIX, UUID_PATTERN
from persistence.archive.gathering import Gathering
from persistence.archive.partfile import group_of, put
from persistence.archive.rows import Taken, key_of

UUID = "0b8f9f0c-6d5e-4c11-9a63-0d2f43a7e1bb"
ODD = [
    UUID.upper(),
    UUID[:-1],
    UUID + "0",
    UUID[1:] + "-",
    UUID.replace("-", ""),
    UUID.replace("-", "0"),
    UUID[:8] + "0-" + UUID[9:-1],
    UUID[:-1] + "g",
    UUID[:-1] + "ü",
    UUID[:-1] + "\0",
    UUID[:-2] + "B" + "b",
    UUID[:-1] + "\n",
    "{" + UUID[1:-1] + "}",
    "ü" * 18,
    "ü" * 36,
    "-" * 36,
    "\0",
    " ",
]

ids = st.one_of(
    st.none(),
    st.uuids().map(str),
    st.uuids().map(str),
    st.sampled_from(ODD),
    st.text(min_size=1, max_size=40),
)


def taken(events: Sequence[Event]) -> Taken:
    count = len(events)
    return Taken(
        events,
        times_ms=np.arange(count) + 5_000,
        received_ms=np.full(count, 9_000),
        seqs=np.arange(count) + 1,
        weights=np.ones(count, np.int64),
    )


def told(events: Sequence[Event], columns: str, cuts: Sequence[int] = ()) -> list[Any]:
    """These columns of the events, in their order, by way of a file."""
    gathering = Gathering()
    whole = taken(events)
    for start, end in pairwise([0, *cuts, len(events)]):
        gathering.add(whole.only((whole.seqs > start) & (whole.seqs <= end)))
    with NamedTemporaryFile(suffix=SUFFIX) as file:
        put(Path(file.name), [group_of(gathering.take())])
        assert gathering.take().rows == 0
        return duckdb.execute(
            f"SELECT {columns} FROM read_parquet(?) ORDER BY seq", [file.name]
        ).fetchall()


def view(user: str | None) -> Event:
    return MarketplaceView(service_id="s", user_id=user)


@settings(max_examples=40)
@given(st.lists(ids, min_size=1, max_size=30))
def test_an_id_of_any_form_is_told_as_it_was_sent(users: list[str | None]) -> None:
    found = told([view(user) for user in users], '"userId", "userIdUuid"::VARCHAR, "sessionId"')
    for user, (text, uuid, session) in zip(users, found, strict=True):
        assert session is None
        is_uuid = user is not None and re.fullmatch(UUID_PATTERN, user) is not None
        assert (text, uuid) == ((None, user) if is_uuid else (user, None))


@pytest.mark.parametrize("odd", ODD)
def test_one_odd_id_among_uuids_changes_none_of_them(odd: str) -> None:
    for users in ([UUID, odd, UUID], [odd, UUID], [UUID, None, odd], [odd]):
        found = told([view(user) for user in users], '"userId", "userIdUuid"::VARCHAR')
        assert [text if uuid is None else uuid for text, uuid in found] == users
        assert [uuid for _, uuid in found if uuid is not None] == [UUID] * users.count(UUID)


@pytest.mark.parametrize(
    "lines", [(UUID[:-1], "\n" + UUID), (UUID + "\n" + UUID,), (UUID[:18], UUID)]
)
def test_ids_with_line_ends_are_taken_for_no_uuids(lines: tuple[str, ...]) -> None:
    found = told([view(line) for line in lines], '"userId", "userIdUuid"::VARCHAR')
    assert [text if uuid is None else uuid for text, uuid in found] == list(lines)


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e300), st.booleans(), st.none() | st.text(), st.none() | st.just("E")
        ),
        min_size=1,
        max_size=40,
    )
)
def test_numbers_truths_and_texts_are_told_as_they_were_sent(
    calls: list[tuple[float, bool, str | None, str | None]],
) -> None:
    events = [
        ServiceExecution(
            service_id="s", latency_ms=ms, success=done, category=text, error_code=code
        )
        for ms, done, text, code in calls
    ]
    assert told(events, '"latencyMs", "success", "category", "errorCode"') == calls


@pytest.mark.parametrize(
    "event",
    [
        MarketplaceSearch(search_query="q"),
        MarketplaceSearch(search_query="q", session_id="t"),
        MarketplaceSearch(search_query="q", session_id="t", user_id="u"),
        MarketplaceSearch(search_query=""),
        UserSession(session_id="t", duration=1),
        UserSession(session_id="t", duration=1, user_id="u"),
        MarketplaceView(service_id="s", user_id="u"),
        ExperimentView(experiment_id="e", variant_index=1, user_id="u"),
    ],
    ids=repr,
)
def test_the_index_of_a_row_is_the_key_by_which_it_is_thinned(event: Event) -> None:
    assert told([event], "index1") == [(key_of(event),)]


@pytest.mark.parametrize("cuts", [[], [1], [2, 3, 5], range(1_000, 9_000, 1_000)])
def test_rows_stay_what_they_are_wherever_they_are_cut(cuts: Sequence[int]) -> None:
    events: list[Event] = [
        view(f"u-{n}")
        if n % 3
        else ServiceExecution(service_id="s", latency_ms=n, success=n % 2 == 0)
        for n in range(9_007)
    ]
    assert told(events, 'seq, "userId", "latencyMs", "success", "timestampMillis"', cuts) == [
        (n + 1, f"u-{n}", None, None, n % 1000)
        if n % 3
        else (n + 1, None, n, n % 2 == 0, n % 1000)
        for n in range(9_007)
    ]
