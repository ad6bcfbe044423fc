"""Arrays of rows: whatever an id looks like, its text is told again from one of two columns."""

import re
from collections.abc import Sequence

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import Event, MarketplaceView, ServiceExecution
from persistence.archive.arrays import CHUNK_EVENTS, Gathering
from persistence.archive.columns import UUID_PATTERN
from persistence.archive.rows import Taken

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


def told(
    gathering: Gathering, event_type: type[Event], columns: str
) -> list[tuple[object, ...]]:
    connection = duckdb.connect()
    connection.register("rows", gathering.take()[event_type])
    return connection.execute(f"SELECT {columns} FROM rows ORDER BY seq").fetchall()


def view(user: str | None) -> Event:
    return MarketplaceView(service_id="s", user_id=user)


@settings(max_examples=40)
@given(st.lists(ids, min_size=1, max_size=30))
def test_an_id_of_any_form_is_told_as_it_was_sent(users: list[str | None]) -> None:
    gathering = Gathering()
    gathering.add(taken([view(user) for user in users]))
    found = told(gathering, MarketplaceView, '"userId", "userIdUuid"::VARCHAR, "sessionId"')
    for user, (text, uuid, session) in zip(users, found, strict=True):
        assert session is None
        is_uuid = user is not None and re.fullmatch(UUID_PATTERN, user) is not None
        assert (text, uuid) == ((None, user) if is_uuid else (user, None))


@pytest.mark.parametrize("odd", ODD)
def test_one_odd_id_among_uuids_changes_none_of_them(odd: str) -> None:
    for users in ([UUID, odd, UUID], [odd, UUID], [UUID, None, odd], [odd]):
        gathering = Gathering()
        gathering.add(taken([view(user) for user in users]))
        found = told(gathering, MarketplaceView, '"userId", "userIdUuid"::VARCHAR')
        assert [text if uuid is None else uuid for text, uuid in found] == users
        assert [uuid for _, uuid in found if uuid is not None] == [UUID] * users.count(UUID)


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
    gathering = Gathering()
    gathering.add(
        taken(
            [
                ServiceExecution(
                    service_id="s", latency_ms=ms, success=done, category=text, error_code=code
                )
                for ms, done, text, code in calls
            ]
        )
    )
    columns = '"latencyMs", "success", "category", "errorCode"'
    assert told(gathering, ServiceExecution, columns) == calls


def test_rows_stay_what_they_are_across_chunks_and_types() -> None:
    gathering = Gathering()
    count = 3 * CHUNK_EVENTS + 7
    events: list[Event] = [
        view(f"u-{n}")
        if n % 3
        else ServiceExecution(service_id="s", latency_ms=n, success=n % 2 == 0)
        for n in range(count)
    ]
    whole = taken(events)
    for start in range(0, count, 1_000):
        kept = (whole.seqs > start) & (whole.seqs <= start + 1_000)
        gathering.add(whole.only(kept))
    streams = gathering.take()
    connection = duckdb.connect()
    connection.register("views", streams[MarketplaceView])
    connection.register("calls", streams[ServiceExecution])
    assert connection.execute(
        """SELECT count(*), count(*) FILTER ("userId" != 'u-' || (seq - 1)), sum(at_ms - seq)
        FROM views"""
    ).fetchall() == [(count - -(-count // 3), 0, 4_999 * (count - -(-count // 3)))]
    assert connection.execute(
        'SELECT count(*), count(*) FILTER ("latencyMs" != seq - 1) FROM calls'
    ).fetchall() == [(-(-count // 3), 0)]
    assert gathering.take() == {}
