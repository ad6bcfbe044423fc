"""Nodes of sqlglot's tree: what they consist of, and what they are called."""

from collections.abc import Iterator

from sqlglot import exp

from persistence.dialect.errors import InvalidQuery, short


def only(node: exp.Expr, *known: str) -> None:
    """Refuse a node that has more to it than these arguments."""
    for name, value in node.args.items():
        if value and name not in known:
            told = name.rstrip("_").replace("_", " ").upper()
            raise InvalidQuery(f"unsupported in a query: {told}")


def flat(node: exp.Expr) -> Iterator[exp.Expr]:
    """The members of a AND b AND c, however long, from left to right."""
    waiting, kind = [node], type(node)
    while waiting:
        one = waiting.pop()
        if type(one) is kind:
            only(one, "this", "expression")
            waiting += [one.expression, one.this]
        else:
            yield one


def told_name(node: exp.Expr) -> str:
    """The name of a function as it was written."""
    name = node.this
    return str(name.this if isinstance(name, exp.Identifier) else name)


def name_of(node: exp.Expr) -> str:
    """The same in lower case, under which functions are known."""
    return told_name(node).lower()


def named(node: exp.Expr) -> str:
    """What a message calls a kind of node."""
    name = type(node).__name__
    return short(
        "".join(f" {letter}" if letter.isupper() else letter for letter in name).strip().upper()
    )


def no_select(node: exp.Expr) -> InvalidQuery:
    """The refusal of a statement that is not a SELECT."""
    name = node.key.upper() if node.key != "command" else str(node.this).upper()
    if name == "SHOW":
        return InvalidQuery("SHOW takes TABLES, TIMEZONES or TIMEZONE, and a FORMAT")
    if isinstance(node, exp.Condition):  # a value, a list, JSON: no statement has that name
        return InvalidQuery("only SELECT and SHOW can be run")
    return InvalidQuery(f"only SELECT and SHOW can be run, not {short(name)}")


def unwrapped(node: exp.Expr) -> exp.Expr:
    """What stands in brackets."""
    while isinstance(node, exp.Subquery):
        only(node, "this", "alias")
        node = node.this
    return node
