"""ORDER BY, LIMIT and OFFSET."""

from collections.abc import Callable, Iterator, Sequence

from sqlglot import exp

from persistence.dialect.errors import InvalidQuery, short
from persistence.dialect.made import Made
from persistence.dialect.nodes import only


class Ordering:
    """The ORDER BY of one SELECT; `make` makes what it orders by, which may have an alias."""

    def __init__(self, select: exp.Select, make: Callable[[exp.Expr], Made]) -> None:
        self._select = select
        self._make = make

    def of_rows(self) -> list[str]:
        """The part of ORDER BY that first_value and last_value follow: all but aggregates."""
        return [
            _ordered(found.sql, one)
            for one, found in self._parts()
            if not found.aggregate and not found.windowed and found.loose is not None
        ]

    def of_answer(self, outputs: Sequence[tuple[str, Made]]) -> list[tuple[str, Made]]:
        """What the rows of the answer are ordered by."""
        places: dict[str, int] = {}
        for at, (_, output) in enumerate(outputs, 1):
            places.setdefault(output.sql, at)
        told = []
        for one, found in self._parts():
            if not _orders(found):
                continue
            sql = str(places[found.sql]) if found.sql in places else found.sql
            told.append((_ordered(sql, one), found))
        return told

    def _parts(self) -> Iterator[tuple[exp.Expr, Made]]:
        node = self._select.args.get("order")
        if node is None:
            return
        only(node, "expressions")
        for one in node.expressions:
            if not isinstance(one, exp.Ordered):
                raise InvalidQuery("unsupported in a query: that ORDER BY")
            only(one, "this", "desc", "nulls_first")
            yield one, self._make(selected_at(one.this, self._select, "ORDER BY"))


def selected_at(node: exp.Expr, select: exp.Select, told: str) -> exp.Expr:
    """GROUP BY 1 and ORDER BY 1: what is selected at that place, with its alias."""
    if not isinstance(node, exp.Literal) or node.is_string or not str(node.this).isdigit():
        return node
    at = int(str(node.this)) if len(str(node.this)) < 6 else 0
    if not 1 <= at <= len(select.expressions):
        raise InvalidQuery(f"{told} {short(str(node.this))}: there is no such column")
    found: exp.Expr = select.expressions[at - 1]
    return found


def limits(select: exp.Select) -> str:
    """LIMIT and OFFSET of a SELECT. Raises InvalidQuery."""
    limit, offset = select.args.get("limit"), select.args.get("offset")
    sql = ""
    if limit is not None:
        if not isinstance(limit, exp.Limit):
            raise InvalidQuery("unsupported in a query: FETCH")
        if limit.expressions:
            raise InvalidQuery("unsupported in a query: LIMIT BY")
        only(limit, "expression")
        told = limit.expression
        if not (isinstance(told, exp.Column) and told.name.upper() == "ALL"):
            sql += f" LIMIT {_whole(told, 'LIMIT')}"
    if offset is not None:
        only(offset, "expression")
        sql += f" OFFSET {_whole(offset.expression, 'OFFSET')}"
    return sql


def direction(node: exp.Expr) -> str:
    """What stands behind one expression of an ORDER BY: NULL comes last unless it is said."""
    way = "DESC" if node.args.get("desc") else "ASC"
    return f"{way} NULLS {'FIRST' if node.args.get('nulls_first') else 'LAST'}"


def _orders(found: Made) -> bool:
    """Whether rows may differ in it; a constant orders nothing."""
    named = found.loose is not None or found.grouped
    return named or found.aggregate or found.windowed


def _ordered(sql: str, node: exp.Expr) -> str:
    return f"{sql} {direction(node)}"


def _whole(node: exp.Expr, told: str) -> int:
    if not isinstance(node, exp.Literal) or node.is_string or not str(node.this).isdigit():
        raise InvalidQuery(f"{told} takes a whole number")
    return min(int(str(node.this)[:19]), 2**62)
