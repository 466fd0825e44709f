"""Calls from flows to web services: only where allowed, signed, bounded."""

from __future__ import annotations

import asyncio

import httpx
import orjson
import pytest
import respx

from crm_bridge.adapters.webhook import sign
from ivr_flows.ports import CallHttp
from telephony.reception.web_calls import MAX_ANSWER, NotAllowed, WebCalls, allowed, taken

ALLOW = ("https://erp.example.org/ivr/",)
URL = "https://erp.example.org/ivr/trace"
ASK = CallHttp(URL, "POST", {"order": "B1"}, ("case",), 1)


@pytest.fixture
def web() -> WebCalls:
    return WebCalls(httpx.AsyncClient(), ALLOW, b"secret", clock=lambda: 1000.0)


@pytest.mark.parametrize(
    "url",
    [
        "https://erp.example.org/other",
        "https://erp.example.org.evil.example/ivr/x",
        "https://user:word@erp.example.org/ivr/x",
        "https://erp.example.org/ivr/../secret",
        "https://erp.example.org/ivr/%2e%2e/secret",
        "https://erp.example.org/ivr/..",
        "https://erp.example.org/ivr/x y",
        "https://erp.example.org/ivr/x\n",
        "https://erp.example.org/ivr/x#y",
        "https://erp.example.org/ivr/\\..",
        "http://erp.example.org/ivr/x",
        "file:///etc/passwd",
        "https://[::1/ivr/",
        "",
    ],
)
def test_addresses_that_are_not_allowed(url: str) -> None:
    with pytest.raises(NotAllowed):
        allowed(url, ALLOW)


@respx.mock
async def test_a_call_is_signed_and_its_answer_taken(web: WebCalls) -> None:
    route = respx.post(URL).respond(json={"case": 4711, "more": "x" * 999})
    finding = await web.call(ASK, "pbx1-1.1", "pbx1-1.1/trace")
    assert (finding.branch, finding.values) == ("next", {"case": 4711})
    request = route.calls.last.request
    assert orjson.loads(request.content) == {"conversation": "pbx1-1.1", "order": "B1"}
    assert request.headers["X-Callfloor-Signature"] == f"v1={sign(b'secret', '1000', request.content)}"
    assert request.headers["Idempotency-Key"] == "pbx1-1.1/trace"


@respx.mock
async def test_one_that_is_slow_takes_the_time_out_branch(web: WebCalls) -> None:
    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    respx.post(URL).mock(side_effect=never)
    assert (await web.call(ASK, "c", "k")).branch == "timeout"
    respx.post(URL).mock(side_effect=httpx.ReadTimeout("slow"))
    assert (await web.call(ASK, "c", "k")).branch == "timeout"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(302, headers={"Location": "https://elsewhere.example/"}),
        httpx.Response(200, content=b"no json"),
        httpx.Response(200, content=b"[1]"),
        httpx.Response(200, json={}),
        httpx.Response(200, json={"case": {"a": 1}}),
        httpx.Response(200, json={"case": 1e300}),
        httpx.Response(200, json={"case": 1.5}),
        httpx.Response(200, json={"case": None}),
        httpx.Response(200, json={"case": "x", "pad": "y" * MAX_ANSWER}),
    ],
)
@respx.mock
async def test_answers_that_are_none(web: WebCalls, answer: httpx.Response) -> None:
    respx.post(URL).mock(return_value=answer)
    with pytest.raises(ValueError, match="."):
        await web.call(ASK, "c", "k")


def test_what_is_taken_is_cut_and_printable() -> None:
    assert taken(b'{"a": "x\\n\\u0000y", "b": true, "c": 2.0}', ("a", "b", "c")) == {"a": "xy", "b": True, "c": 2}
    assert len(str(taken(orjson.dumps({"a": "x" * 999}), ("a",))["a"])) == 64
    assert taken(b"", ()) == {}
