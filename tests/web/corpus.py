"""The corpus of bad inputs, bad_inputs.jsonl: requests, and the statuses that each may get."""

import base64
from pathlib import Path
from typing import Any, Final

import orjson

Case = dict[str, Any]

CASES: Final[list[Case]] = [
    orjson.loads(line)
    for line in (Path(__file__).parent / "bad_inputs.jsonl").read_bytes().splitlines()
]


def cases_that_need(needs: str | None) -> list[Case]:
    """Those that can happen only on a server with `needs`; None: on any."""
    return [case for case in CASES if case.get("needs") == needs]


def body_of(case: Case) -> bytes:
    if "body_base64" in case:
        return base64.b64decode(case["body_base64"])
    if "body_repeat" in case:
        prefix, fill, times, suffix = case["body_repeat"]
        return f"{prefix}{fill * times}{suffix}".encode()
    return (case.get("body") or "").encode("utf-8", "surrogatepass")


def request_of(case: Case) -> bytes:
    """The bytes of the request, which is the only one on its connection."""
    body = body_of(case)
    lines = [f"{case['method']} {case['path']} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {text}" for name, text in case.get("headers", {}).items()]
    lines += ["Connection: close", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
