"""Questions of the commands to a server: one request, its answer, or why there is none."""

import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse
from typing import Final

import orjson

from load.connection import Endpoint, Target
from load.errors import LoadError, Unreachable

TEXT: Final = "text/plain; charset=utf-8"
PATIENCE_S: Final = 60.0
"""How long a server may say nothing."""

PLACE_LENGTH_MAX: Final = 200


_OPENER: Final = urllib.request.OpenerDirector()
"""No proxies and no redirects: the key is only for the server that was named."""

for _handler in (
    urllib.request.HTTPHandler(),
    urllib.request.HTTPSHandler(),
    urllib.request.HTTPErrorProcessor(),
    urllib.request.HTTPDefaultErrorHandler(),
):
    _OPENER.add_handler(_handler)


def replied(
    target: Target,
    path: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    media: str = TEXT,
) -> HTTPResponse:
    """The answer, to be read and closed.

    path   behind the URL of the server, with its query
    media  of the body, where there is one
    Raises LoadError where the server refuses or names another place, Unreachable.
    """
    endpoint = Endpoint.of(target)
    headers = dict(endpoint.headers)
    if body is not None:
        headers["Content-Type"] = media
    request = urllib.request.Request(  # noqa: S310  `Endpoint` takes http and https alone
        f"{endpoint.url}{path}", data=body, headers=headers, method=method
    )
    try:
        reply: HTTPResponse = _OPENER.open(request, timeout=PATIENCE_S)
    except urllib.error.HTTPError as refusal:
        raise LoadError(_reason_of(refusal)) from None
    except (OSError, HTTPException) as why:
        reason = _told(why)
        raise Unreachable(f"No server answers at {endpoint.url}: {reason}.") from None
    return reply


def _told(why: BaseException) -> str:
    """What went wrong, without the words that Python puts around it."""
    if isinstance(why, urllib.error.URLError) and isinstance(why.reason, OSError):
        why = why.reason
    if isinstance(why, OSError) and why.strerror:
        return why.strerror
    return str(why) or type(why).__name__


def body_of(reply: HTTPResponse) -> bytes:
    """The whole body of what `replied` gives. Raises Unreachable where it ends too early."""
    with reply:
        try:
            return reply.read()
        except (OSError, HTTPException):
            raise Unreachable("The answer ended before it was complete. Try again.") from None


def _reason_of(refusal: urllib.error.HTTPError) -> str:
    place = refusal.headers.get("Location")
    if 300 <= refusal.code < 400 and place is not None:
        return f"The server has moved to {place[:PLACE_LENGTH_MAX]!a}; give its URL as that."
    with refusal:
        try:
            return str(orjson.loads(refusal.read())["detail"])
        except (OSError, HTTPException, orjson.JSONDecodeError, KeyError, TypeError):
            return "The server refused what was asked and did not say why."
