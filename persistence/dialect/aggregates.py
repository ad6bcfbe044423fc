"""The functions that make one value out of many rows, by lower-case name.

quantileExactWeighted has no counterpart in DuckDB. Where every weight is 1 it is
quantile_disc: the value of rank ceil(q * n). Elsewhere each row first learns the running weight
up to it within its group, by a window, and the answer is the smallest value whose running
weight reaches ceil(q * total): the rule of ClickHouse's QuantileExactWeighted.h.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

from persistence.dialect import kinds, made
from persistence.dialect.errors import InvalidQuery
from persistence.dialect.estimates import Read, Rule
from persistence.dialect.kinds import Kind
from persistence.dialect.made import Made

LEVEL_DEFAULT: Final = 0.5
"""Of the quantiles that may go without; quantileExactWeighted may not."""

TOP_DEFAULT: Final = 10
TOP_MAX: Final = 10_000
"""The most values of a topK."""


class Around(Protocol):
    """What an aggregate may know of the query in which it stands."""

    def running_weight(self, value: Made, weight: Made) -> tuple[str, str]:
        """Columns of the running and of the total weight, by value, within each group."""
        ...

    def group_weight(self, value: Made, weight: Made) -> str:
        """The column of the weight of all rows of a group that have the same value."""
        ...

    def levels(self, value: str, level: float) -> tuple[str, str]:
        """What stands for the list of all levels asked of a value, and for the place of one.

        One sort then answers them all: three quantiles cost half of what they cost alone.
        """
        ...

    def order(self) -> str:
        """The ORDER BY of the query for use inside of an aggregate, or nothing."""
        ...

    def unit_weights(self) -> bool:
        """Whether `_sample_interval` is 1 in every row."""
        ...

    @property
    def read(self) -> Read | None:
        """What the sources have where events are a sample."""
        ...

    @property
    def interval(self) -> int:
        """One row of so many is read."""
        ...


class Core(NamedTuple):
    """An aggregate, before FILTER and OVER are set behind it.

    sql   the call
    kind  what it answers
    wrap  what is put around the whole, with {} for it
    only  a condition of its own, which joins that of -If; '' for none
    rule  how it is to be taken where a sample is read, and for totals and means `value`, as SQL
          of a DOUBLE: what is added up or averaged
    """

    sql: str
    kind: Kind
    wrap: str = "{}"
    only: str = ""
    rule: Rule = "rows"
    value: str = ""


class Call(NamedTuple):
    """A call as it was written: name, curried parameters, arguments, what is said of them."""

    name: str
    params: tuple[Made, ...]
    args: tuple[Made, ...]
    distinct: bool = False
    star: bool = False
    over: bool = False


class Aggregate(NamedTuple):
    """An aggregate function of the dialect.

    make     from the call to its core
    params   the most curried parameters
    fewest, most  how many arguments it takes, without the condition of -If
    extra    of the superset alone; `extra_if` its -If form
    over     may have a window
    """

    make: Callable[[Call, Around], Core]
    params: int
    fewest: int
    most: int
    extra: bool = True
    extra_if: bool = True
    over: bool = True
    has_if: bool = True
    distinct: bool = False


def _count(call: Call, _: Around) -> Core:
    if call.distinct:
        return Core(f"count(DISTINCT {call.args[0].sql})", kinds.UINT64)
    what = call.args[0].sql if call.args else "1"
    return Core(
        f"count({call.args[0].sql if call.args else '*'})",
        kinds.UINT64,
        rule="count",
        value=f"CASE WHEN ({what}) IS NOT NULL THEN 1::DOUBLE END",
    )


def _sum(call: Call, _: Around) -> Core:
    (what,) = call.args
    sql = made.number(what, "sum")
    distinct = "DISTINCT " if call.distinct else ""
    if what.kind.base == "Float64":
        kind, wrap = kinds.FLOAT64, "coalesce({}, 0::DOUBLE)"
    else:
        kind = kinds.INT64 if what.kind.signed else kinds.UINT64
        wrap = "coalesce({}, 0)::BIGINT"
    return _added(Core(f"sum({distinct}{sql})", kind, wrap), call, "total")


def _avg(call: Call, _: Around) -> Core:
    distinct = "DISTINCT " if call.distinct else ""
    core = Core(f"avg({distinct}{made.number(call.args[0], 'avg')})", kinds.FLOAT64)
    return _added(core, call, "mean")


def _added(core: Core, call: Call, rule: Rule) -> Core:
    """The same with its rule, which does not hold for distinct values."""
    if call.distinct:
        return core
    return core._replace(rule=rule, value=made.double(call.args[0], call.name))


def _same(name: str) -> Callable[[Call, Around], Core]:
    """An aggregate that answers one of the values themselves."""

    def make(call: Call, _: Around) -> Core:
        (what,) = call.args
        sql = made.numbered(what)
        return Core(f"{name}({sql})", what.kind)

    return make


def _ordered(name: str) -> Callable[[Call, Around], Core]:
    """The first or last value that there is: of a window by its order, else by the query's."""

    def make(call: Call, around: Around) -> Core:
        (what,) = call.args
        sql = made.numbered(what)
        if call.over:
            return Core(f"{name}({sql} IGNORE NULLS)", what.kind)
        known = f"({sql}) IS NOT NULL"
        return Core(f"{name}({sql}{around.order()})", what.kind, only=known)

    return make


def _arg(name: str) -> Callable[[Call, Around], Core]:
    def make(call: Call, _: Around) -> Core:
        what, by = call.args
        sql = made.numbered(what)
        return Core(f"{name}({sql}, {by.sql})", what.kind)

    return make


def _of_doubles(name: str) -> Callable[[Call, Around], Core]:
    def make(call: Call, _: Around) -> Core:
        value = made.double(call.args[0], call.name)
        return Core(f"{name}({value})", kinds.FLOAT64, rule="shape")

    return make


def _level(call: Call, default: float | None = None) -> float:
    if not call.params:
        if default is None:
            raise InvalidQuery(f"{call.name} takes its level first: {call.name}(0.5)(x)")
        return default
    return _share(call.params[0], call.name)


def _share(level: Made, name: str) -> float:
    if not isinstance(level.value, int | float) or not 0 <= level.value <= 1:
        raise InvalidQuery(f"the level of {name} must be a number from 0 to 1")
    return float(level.value)


def _quantile(call: Call, _: Around) -> Core:
    level = made.floated(_level(call, LEVEL_DEFAULT)).sql
    value = made.number(call.args[0], call.name)
    return Core(f"quantile_cont({value}, {level})", kinds.FLOAT64, rule="shape")


def _quantile_exact(call: Call, _: Around) -> Core:
    """The value with floor(q * n) others before it: the rule of ClickHouse's QuantileExact.h.

    From above it is that of rank ceil((1 - q) * n), which is what DuckDB takes a negative level
    for; a decimal, which it multiplies exactly.
    """
    (what,) = call.args
    level = Decimal(str(_level(call, LEVEL_DEFAULT)))
    from_above = "1" if level == 1 else f"-{1 - level:f}"
    value = made.number(what, call.name)
    return Core(f"quantile_disc({value}, {from_above})", what.kind, rule="shape")


def _weighted_curried(call: Call, around: Around) -> Core:
    what, weight = call.args
    return _weighted(call.name, _level(call), what, weight, around)


def _weighted_plain(call: Call, around: Around) -> Core:
    level, what, weight = call.args
    return _weighted(call.name, _share(level, call.name), what, weight, around)


def _weighted(name: str, level: float, what: Made, weight: Made, around: Around) -> Core:
    value = what.sql if what.kind.is_time else made.number(what, name)
    made.number(weight, name)
    may_be_nan = what.kind.base == "Float64" and not what.stored
    number = f"NOT isnan({value})" if may_be_nan else ""
    if weight.value == 1 or (weight.unit and around.unit_weights()):
        levels, place = around.levels(value, level)
        sql = f"quantile_disc({value}, {levels})"
        return Core(sql, what.kind, f"({{}})[{place}]", number, rule="shape")
    running, total = around.running_weight(what, weight)
    reached = f"{running} >= ceil({made.floated(level).sql} * {total})"
    only = f"{reached} AND {number}" if number else reached
    return Core(f"min({value})", what.kind, "{}", only, rule="shape")


def _top_count(call: Call) -> int:
    count = TOP_DEFAULT
    if call.params:
        count = made.constant_integer(call.params[0], f"the number of {call.name}")
    if not 1 <= count <= TOP_MAX:
        raise InvalidQuery(f"{call.name} takes a number from 1 to {TOP_MAX}")
    return count


_MOST_FIRST: Final = (
    "list_transform(list_slice(list_sort({entries}), 1, {count}), lambda e: e.k)"
)


def _top(call: Call, _: Around) -> Core:
    (what,) = call.args
    entries = (
        "list_transform(map_entries({}), lambda e: {{'n': -(e.value::BIGINT), 'k': e.key}})"
    )
    wrap = _MOST_FIRST.format(entries=entries, count=_top_count(call))
    value = made.numbered(what)
    wrap = f"coalesce({wrap}, [])"
    return Core(f"histogram({value})", kinds.array(what.kind), wrap, rule="shape")


def _top_weighted(call: Call, around: Around) -> Core:
    what, weight = call.args
    if weight.value == 1 or (weight.unit and around.unit_weights()):
        return _top(call._replace(args=(what,)), around)
    value = made.numbered(what)
    weights = around.group_weight(what, weight)
    wrap = _MOST_FIRST.format(entries="{}", count=_top_count(call))
    core = f"list(DISTINCT {{'n': -({weights})::DOUBLE, 'k': {value}}})"
    return Core(core, kinds.array(what.kind), f"coalesce({wrap}, [])", rule="shape")


def _uniq(call: Call, _: Around) -> Core:
    return Core(f"count(DISTINCT {call.args[0].sql})", kinds.UINT64)


def _list(distinct: str) -> Callable[[Call, Around], Core]:
    def make(call: Call, _: Around) -> Core:
        (what,) = call.args
        value = made.numbered(what)
        wrap = "coalesce({}, [])"
        if call.params:
            wrap = f"coalesce(list_slice({{}}, 1, {_top_count(call)}), [])"
        return Core(
            f"list({distinct}{value})", kinds.array(what.kind), wrap, f"({value}) IS NOT NULL"
        )

    return make


_SPELLED: Final = {
    "count": Aggregate(_count, 0, 0, 1, extra=False, extra_if=False, distinct=True),
    "sum": Aggregate(_sum, 0, 1, 1, extra=False, extra_if=False, distinct=True),
    "avg": Aggregate(_avg, 0, 1, 1, extra=False, extra_if=False, distinct=True),
    "min": Aggregate(_same("min"), 0, 1, 1, extra=False),
    "max": Aggregate(_same("max"), 0, 1, 1, extra=False),
    "quantileExactWeighted": Aggregate(
        _weighted_curried, 1, 2, 2, extra=False, over=False, has_if=False
    ),
    "quantileWeighted": Aggregate(
        _weighted_plain, 0, 3, 3, extra=False, over=False, has_if=False
    ),
    "argMax": Aggregate(_arg("arg_max"), 0, 2, 2, extra=False),
    "argMin": Aggregate(_arg("arg_min"), 0, 2, 2, extra=False),
    "first_value": Aggregate(_ordered("first"), 0, 1, 1, extra=False, has_if=False),
    "last_value": Aggregate(_ordered("last"), 0, 1, 1, extra=False, has_if=False),
    "topK": Aggregate(_top, 1, 1, 1, extra=False, over=False),
    "topKWeighted": Aggregate(_top_weighted, 1, 2, 2, extra=False, over=False, has_if=False),
    "uniq": Aggregate(_uniq, 0, 1, 1),
    "uniqExact": Aggregate(_uniq, 0, 1, 1),
    "quantile": Aggregate(_quantile, 1, 1, 1),
    "quantileExact": Aggregate(_quantile_exact, 1, 1, 1),
    "median": Aggregate(_quantile, 0, 1, 1),
    "any": Aggregate(_same("any_value"), 0, 1, 1),
    "groupArray": Aggregate(_list(""), 1, 1, 1),
    "groupUniqArray": Aggregate(_list("DISTINCT "), 1, 1, 1, over=False),
    "stddevPop": Aggregate(_of_doubles("stddev_pop"), 0, 1, 1),
    "stddevSamp": Aggregate(_of_doubles("stddev_samp"), 0, 1, 1),
    "varPop": Aggregate(_of_doubles("var_pop"), 0, 1, 1),
    "varSamp": Aggregate(_of_doubles("var_samp"), 0, 1, 1),
}

AGGREGATES: Final = {name.lower(): aggregate for name, aggregate in _SPELLED.items()}
"""{lower-case name: what it is}; what is not here, and no function of a row, does not exist."""


def names(*, extra: bool) -> Iterator[str]:
    """How the aggregates are spelled that there are, -If among them."""
    for name, one in _SPELLED.items():
        if extra or not one.extra:
            yield name
        if one.has_if and (extra or not one.extra_if):
            yield f"{name}If"


WINDOWS: Final = {
    "row_number": ("row_number()", 0),
    "rank": ("rank()", 0),
    "dense_rank": ("dense_rank()", 0),
    "percent_rank": ("percent_rank()", 0),
    "ntile": ("ntile({0})", 1),
    "lag": ("lag({0}, {1})", 2),
    "laginframe": ("lag({0}, {1})", 2),
    "lead": ("lead({0}, {1})", 2),
    "leadinframe": ("lead({0}, {1})", 2),
}
"""Functions of a window alone: their SQL, and the most arguments."""
