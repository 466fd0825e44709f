"""Calls from a flow to a web service: only where the settings allow it, signed, bounded, never believed too much."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import httpx
import orjson

from crm_bridge.adapters.webhook import SIGNATURE_VERSION, sign
from ivr_flows.ports import CallHttp, Finding, Value

MAX_ANSWER = 64 * 1024
"""Bytes of an answer."""
_AMBIGUOUS = (" ", "\\", "/../", "/./", "%2e", "%2E")
MAX_TEXT = 64
"""Characters of one value that is taken from it."""


class NotAllowed(Exception):
    """The settings do not allow this address."""


class WebCalls:
    """``allow``: beginnings of addresses. ``secret`` signs the body, of a GET the address (docs/webhook-crm.md)."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        allow: tuple[str, ...],
        secret: bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._allow = allow
        self._secret = secret
        self._clock = clock

    async def call(self, question: CallHttp, conversation: str, key: str) -> Finding:
        """Raises ``NotAllowed``, ``httpx.HTTPError`` and ``ValueError``: the node's ``error`` branch."""
        url = allowed(question.url, self._allow)
        body = b"" if question.method == "GET" else orjson.dumps({"conversation": conversation, **question.body})
        stamp = str(int(self._clock()))
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "X-Callfloor-Timestamp": stamp,
            "X-Callfloor-Signature": f"{SIGNATURE_VERSION}={sign(self._secret, stamp, body or url.encode())}",
            # Who resumes a flow asks again: the service can tell that it is the same question.
            "Idempotency-Key": key,
        }
        if body:
            headers["Content-Type"] = "application/json"
        try:
            async with asyncio.timeout(question.seconds):
                answer = await self._fetch(question.method, url, body, headers)
        except (TimeoutError, httpx.TimeoutException):
            return Finding("timeout")
        return Finding("next", taken(answer, question.take))

    async def _fetch(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        # Redirects are not followed: they could lead anywhere.
        async with self._client.stream(
            method, url, content=body or None, headers=headers, follow_redirects=False
        ) as response:
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"status {response.status_code}")
            found = b""
            async for chunk in response.aiter_raw():
                found += chunk
                if len(found) > MAX_ANSWER:
                    raise ValueError(f"more than {MAX_ANSWER} bytes")
        return found


def allowed(url: str, allow: tuple[str, ...]) -> str:
    """The address, if it is one that may be called. Raises ``NotAllowed``. Pure.

    Whatever a caller typed may be in it, so it must begin as allowed *and* have no way of meaning something else.
    """
    try:
        parts = urlsplit(url)
        sound = parts.username is None and parts.password is None and not parts.fragment and parts.hostname is not None
    except ValueError:
        sound = False
    plain = url.isascii() and url.isprintable() and not any(sign in url for sign in _AMBIGUOUS)
    if not (sound and plain and not url.endswith("/..") and any(url.startswith(one) for one in allow)):
        raise NotAllowed("flows.http_allow does not allow this address")
    return url


def taken(answer: bytes, names: tuple[str, ...]) -> dict[str, Value]:
    """The named values of a JSON object. Raises ``ValueError`` when one is missing or is no plain value. Pure."""
    tree = orjson.loads(answer) if answer else {}
    if not isinstance(tree, dict):
        raise ValueError("no JSON object")
    found: dict[str, Value] = {}
    for name in names:
        value = tree.get(name)
        if isinstance(value, float) and math.isfinite(value) and value == int(value):
            value = int(value)
        if isinstance(value, str):
            value = "".join(sign for sign in value if sign.isprintable())[:MAX_TEXT]
        if not isinstance(value, str | int) or (isinstance(value, int) and abs(value) > 10**12):
            raise ValueError(f"no plain value {name!r}")
        found[name] = value
    return found
