"""What the commands that read ask a server: one request, its answer, or why there is none."""

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
    Raises LoadError where the server refuses, Unreachable.
    """
    endpoint = Endpoint.of(target)
    headers = dict(endpoint.headers)
    if body is not None:
        headers["Content-Type"] = media
    request = urllib.request.Request(  # noqa: S310  `Endpoint` takes http and https alone
        f"{endpoint.url}{path}", data=body, headers=headers, method=method
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        reply: HTTPResponse = opener.open(request, timeout=PATIENCE_S)
    except urllib.error.HTTPError as refusal:
        raise LoadError(_detail_of(refusal.read())) from None
    except OSError as why:
        raise Unreachable(f"No server answers at {endpoint.url}: {why}.") from None
    return reply


def body_of(
    target: Target,
    path: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    media: str = TEXT,
) -> bytes:
    """The whole body of an answer; takes what `replied` takes, and raises the same."""
    with replied(target, path, method=method, body=body, media=media) as reply:
        try:
            return reply.read()
        except (OSError, HTTPException):
            raise Unreachable("The answer ended before it was whole. Try again.") from None


def _detail_of(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["detail"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "The server refused what was asked and did not say why."
