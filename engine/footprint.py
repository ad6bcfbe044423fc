"""What tables of Python objects occupy, from a sample of what they hold."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from sys import getsizeof
from typing import Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

TABLES_SAMPLED: Final = 32
VALUES_SAMPLED: Final = 4
"""Tables in a row, and values of each, that are looked at."""

SHARED_MAX: Final = 256
NUMBER_BYTES: Final = 32
"""A number beyond SHARED_MAX; of the others Python has one object each for all."""


def tables_bytes(tables: Sequence[Mapping[K, V]], of: Callable[[V], int]) -> Iterator[int]:
    """About what tables occupy whose neighbours are alike, such as those of days in order.

    As figures to be added up, each of which takes a moment to find.
    """
    stretch = -(-len(tables) // TABLES_SAMPLED) or 1
    for start in range(0, len(tables), stretch):
        alike = tables[start : start + stretch]
        count = sum(map(len, alike))
        each = _mean_bytes(max(alike, key=len), of, VALUES_SAMPLED)
        yield sum(map(getsizeof, alike)) + round(count * each)


def table_bytes(table: Mapping[K, V], of: Callable[[V], int]) -> int:
    """About what one table occupies; as many values are looked at as of many tables."""
    each = _mean_bytes(table, of, TABLES_SAMPLED * VALUES_SAMPLED)
    return getsizeof(table) + round(len(table) * each)


def counts_bytes(counts: Sequence[int]) -> int:
    """A list of counts."""
    return getsizeof(counts) + NUMBER_BYTES * sum(count > SHARED_MAX for count in counts)


def _mean_bytes(table: Mapping[K, V], of: Callable[[V], int], sampled: int) -> float:
    """Of a key and its value, from some that lie evenly between the first and the last."""
    step = -(-len(table) // sampled) or 1
    sample = [getsizeof(key) + of(value) for key, value in islice(table.items(), 0, None, step)]
    return sum(sample) / (len(sample) or 1)
