"""Columns of facts made of rows, and read as rows, so that tests need not know how they lie."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from engine.columns import Keys, Table
from engine.group import Group

KEYS = Keys(1)
"""The numbers of all pairs in tests of one shard."""


def calls(rows: Iterable[tuple[str, str, int, float]], keys: Keys = KEYS) -> Table:
    """Of (service, category, at_ms, latency_ms)."""
    rows = list(rows)
    found = looks([row[:3] for row in rows], keys)
    found[2] = np.array([row[3] for row in rows], np.float64).view(np.int64)
    return found


def looks(rows: Iterable[tuple[str, str, int]], keys: Keys = KEYS) -> Table:
    """Of (service, category, at_ms)."""
    return searches([(*row, 0) for row in rows], keys)


def searches(rows: Iterable[tuple[str, str, int, int]], keys: Keys = KEYS) -> Table:
    """Of (search query, category, at_ms, 1 where nothing was found)."""
    numbered = [(keys.number((name, category)), *rest) for name, category, *rest in rows]
    return np.array(numbered, np.int64).T.copy()


def active(hashes: Sequence[int], at_ms: Sequence[int]) -> Table:
    """Of users, by their hashes, and instants."""
    return np.array([np.array(hashes, np.uint64).view(np.int64), at_ms], np.int64)


def calls_of(group: Group) -> list[tuple[str, str, int, float]]:
    """(service, category, at_ms, latency_ms) of each call."""
    if group.calls is None:
        return []
    latencies = group.calls[2].copy().view(np.float64).tolist()
    return [
        (*row[:3], ms) for row, ms in zip(_rows(group, group.calls), latencies, strict=True)
    ]


def failures_of(group: Group) -> list[tuple[str, str, int, str]]:
    """(service, category, at_ms, error code) of each call that failed."""
    return [(*group.keys.pairs[number], at_ms, code) for number, at_ms, code in group.failures]


def views_of(group: Group) -> list[tuple[str, str, int]]:
    """(service, category, at_ms) of each view."""
    return [row[:3] for row in _rows(group, group.views)]


def searches_of(group: Group) -> list[tuple[str, str, int, int]]:
    """(search query, category, at_ms, 1 where nothing was found) of each search."""
    return _rows(group, group.searches)


def users_of(group: Group) -> list[tuple[int, int]]:
    """(hash, at_ms) of each user that is told to be active."""
    if group.active is None:
        return []
    hashes = group.active[0].copy().view(np.uint64).tolist()
    return list(zip(hashes, group.active[1].tolist(), strict=True))


def told(group: Group) -> dict[str, Any]:
    """Everything in a group, in a form that can be compared."""
    lists = ("sales", "payments", "exposures", "goals", "sessions", "labels", "arrived")
    return {
        "received_ms": group.received_ms,
        "calls": calls_of(group),
        "failures": failures_of(group),
        "views": views_of(group),
        "conversions": [row[:3] for row in _rows(group, group.conversions)],
        "searches": searches_of(group),
        "users": users_of(group),
        **{name: getattr(group, name) for name in lists},
        "facts": group.facts,
    }


def _rows(group: Group, table: Table | None) -> list[Any]:
    if table is None:
        return []
    return [(*group.keys.pairs[number], *rest) for number, *rest in table.T.tolist()]
