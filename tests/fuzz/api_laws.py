"""What every answer of the service is, whatever was asked: hooks that Schemathesis loads."""

import orjson
import schemathesis
from schemathesis import Case, CheckContext, Response

OF_ANY_ROUTE = frozenset({405, 408, 414, 417, 431, 501, 505})
"""What a method or a head is refused with, whatever the path; docs/problems.md has them."""


@schemathesis.check
def status_is_described(_: CheckContext, response: Response, case: Case) -> None:
    """The description lists the status, or it is one of those that any request can get."""
    described = {int(status) for status in case.operation.responses.status_codes}
    is_known = response.status_code in described | OF_ANY_ROUTE
    assert is_known, f"{response.status_code} is not described"


@schemathesis.check
def a_refusal_is_a_problem(_: CheckContext, response: Response, case: Case) -> None:
    """Every refusal says what, why and where, and nothing of our insides."""
    if response.status_code < 400 or case.method == "HEAD" or "analytics_engine" in case.path:
        return
    assert response.headers["content-type"] == ["application/problem+json"]
    told = orjson.loads(response.content)
    assert told["status"] == response.status_code
    assert told["success"] is False
    assert told["type"].startswith("/problems/")
    assert told["title"]
    assert told["detail"]
    assert b"Traceback" not in response.content
    assert b'File "' not in response.content
