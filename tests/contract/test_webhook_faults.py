"""The webhook adapter against a CRM that fails in every way HTTP has, and against a real server on loopback."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from aiohttp import web
from contract.subjects import NOW, SECRET, URL, sample_crm
from contract.webhook_crm import WebhookCrm

from crm_bridge.adapters.webhook import MAX_ANSWER, WebhookAdapter, sign
from crm_bridge.database import Database
from crm_bridge.outbox import OutboxWorker, RetryPolicy, items
from crm_bridge.ports import CallReport, CrmError, CrmRefused, CrmUnavailable
from crm_bridge.records import MAX_NOTE, save_wrap_up
from crm_bridge.samples import SAMPLES

CUSTOMER = {"id": "1", "number": "204117", "name": "Anna"}
CARD = {"customer": CUSTOMER}
DOCUMENT = Path(__file__).parents[2] / "docs/webhook-crm.md"


def said(body: Any, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, content=body if isinstance(body, bytes) else json.dumps(body), headers=headers)


@pytest.mark.parametrize(
    ("response", "error", "says"),
    [
        (said({}, 401), CrmRefused, "does not let us in"),
        (said({}, 403), CrmRefused, "does not let us in"),
        (said({}, 400), CrmRefused, "400"),
        (said({}, 404), CrmRefused, "404"),
        (said({}, 204), CrmRefused, "204"),
        (said({}, 301, Location="http://127.0.0.1/"), CrmRefused, "redirect"),
        (said({}, 307, Location=URL), CrmRefused, "redirect"),
        (said({}, 429), CrmUnavailable, "429"),
        (said({}, 408), CrmUnavailable, "408"),
        (said({}, 500), CrmUnavailable, "500"),
        (said({}, 503), CrmUnavailable, "503"),
        (said(b""), CrmRefused, "json_invalid"),
        (said(b"<html>502 Bad Gateway</html>"), CrmRefused, "json_invalid"),
        (said(b"\xff\xfe\x00"), CrmRefused, "cannot be read"),
        (said([]), CrmRefused, "cannot be read"),
        (said({"customers": None}), CrmRefused, "customers"),
        (said({"customers": [{"id": 7, "name": "x"}]}), CrmRefused, "customers.0.id"),
        (said({"customers": [{"id": "", "name": "x"}]}), CrmRefused, "customers.0.id"),
        (said({"customers": [{"id": "K\n1", "name": "x"}]}), CrmRefused, "customers.0.id"),
        (said({"customers": [{"id": "x" * 201, "name": "x"}]}), CrmRefused, "customers.0.id"),
        (said({"customers": [{"id": "1", "name": "x" * 201}]}), CrmRefused, "customers.0.name"),
        (said({"customers": [CUSTOMER] * 101}), CrmRefused, "too_long"),
        (said(b"[" * 500_000), CrmRefused, "cannot be read"),
        (said(b" " * (10 * 1024 * 1024)), CrmRefused, "longer than"),
        (said(gzip.compress(b"{}"), **{"Content-Encoding": "gzip"}), CrmRefused, "compressed"),
    ],
)
async def test_answers_that_are_no_answer(
    wire: respx.MockRouter,
    webhook: WebhookAdapter,
    response: httpx.Response,
    error: type[CrmError],
    says: str,
) -> None:
    wire["crm"].mock(return_value=response)
    with pytest.raises(error, match=says):
        await webhook.find_by_number("+493023125042")
    assert len(wire.calls) == 1, "nothing was followed or repeated"


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"),
        httpx.RemoteProtocolError("server disconnected"),
        httpx.ReadError("reset"),
    ],
)
async def test_a_line_that_fails_is_worth_another_try(
    wire: respx.MockRouter, webhook: WebhookAdapter, fault: Exception
) -> None:
    wire["crm"].mock(side_effect=fault)
    with pytest.raises(CrmUnavailable):
        await webhook.record_call(report("a"), "a/call")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("9" * 400, None),
    ],
)
async def test_retry_after(wire: respx.MockRouter, webhook: WebhookAdapter, header: str, seconds: float | None) -> None:
    wire["crm"].mock(return_value=said({}, 429, **{"Retry-After": header}))
    with pytest.raises(CrmUnavailable) as raised:
        await webhook.find_by_number("+493023125042")
    assert raised.value.retry_after == seconds


@pytest.mark.parametrize(
    "card",
    [
        {"customer": {**CUSTOMER, "id": "2"}},
        {"customer": CUSTOMER, "orders": [{"number": "1", "status": "x", "placed_at": 1, "total_minor": 12.5}]},
        {"customer": CUSTOMER, "phones": "030"},
        {"customer": CUSTOMER, "blocked": "no"},
        {
            "customer": CUSTOMER,
            "invoices": [
                {
                    "number": "1", "status": "open", "issued": "yesterday",
                    "total_minor": 1, "residual_minor": 1, "currency": "EUR",
                }
            ],
        },
    ],
)  # fmt: skip
async def test_a_card_that_is_not_what_was_asked_for(
    wire: respx.MockRouter, webhook: WebhookAdapter, card: dict[str, Any]
) -> None:
    wire["crm"].mock(return_value=said({"card": card}))
    with pytest.raises(CrmRefused):
        await webhook.card("1")


CONTROL = ["\0", "\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\u202a", "\u202e", "\u2066", "\u2069"]


@pytest.mark.parametrize("sign", CONTROL)
async def test_control_characters_in_names_and_ids_are_refused(
    wire: respx.MockRouter, webhook: WebhookAdapter, sign: str
) -> None:
    for field in ("id", "number", "name", "company"):
        wire["crm"].mock(return_value=said({"customers": [{**CUSTOMER, field: f"a{sign}b"}]}))
        with pytest.raises(CrmRefused, match=rf"customers\.0\.{field}"):
            await webhook.find_by_number("+493023125042")
    for reference in (f"R{sign}1", f"R1{sign}"):
        wire["crm"].mock(return_value=said({"reference": reference}))
        with pytest.raises(CrmRefused, match="reference"):
            await webhook.record_call(report("a"), "a/call")
    wire["crm"].mock(return_value=said({"card": {"customer": CUSTOMER, "phones": [f"030{sign}1"]}}))
    with pytest.raises(CrmRefused, match="phones"):
        await webhook.card("1")


async def test_a_lone_surrogate_is_no_text(wire: respx.MockRouter, webhook: WebhookAdapter) -> None:
    wire["crm"].mock(return_value=said(b'{"reference": "R\\ud800"}'))
    with pytest.raises(CrmRefused):
        await webhook.record_call(report("a"), "a/call")


async def test_in_a_long_text_only_the_control_characters_are_lost(
    wire: respx.MockRouter, webhook: WebhookAdapter
) -> None:
    text = "first\r\nsecond\tcolumn\r\0third\u202efourth"
    activity = {"at": 1, "kind": "note", "text": text}
    wire["crm"].mock(return_value=said({"card": {"customer": CUSTOMER, "activities": [activity]}}))
    card = await webhook.card("1")
    assert card is not None
    assert card.activities[0].text == "first\nsecond\tcolumn\n\ufffdthird\ufffdfourth"


async def test_a_reference_with_a_nul_is_a_dead_letter_and_the_next_call_is_delivered(
    wire: respx.MockRouter, webhook: WebhookAdapter, database: Database
) -> None:
    references = iter(["REF\0-1", "REF-2"])
    wire["crm"].mock(side_effect=lambda _: said({"reference": next(references)}))
    worker = OutboxWorker(database, webhook, RetryPolicy(), clock=lambda: NOW)
    for conversation in ("a", "b"):
        await save_wrap_up(database, report(conversation), adapter="webhook", at=NOW)
        assert await worker.turn() == 1
    (row,) = await items(database, "webhook")
    assert (row.conversation_id, row.state) == ("a", "dead")
    assert "reference" in row.last_error


async def test_two_customers_of_one_customer_number_open_nothing(
    wire: respx.MockRouter, webhook: WebhookAdapter
) -> None:
    wire["crm"].mock(return_value=said({"customers": [CUSTOMER, {**CUSTOMER, "id": "2"}]}))
    assert await webhook.find_by_customer_number("204117") is None


async def test_what_goes_out_is_signed_and_names_its_key(wire: respx.MockRouter, webhook: WebhookAdapter) -> None:
    await webhook.record_call(report("a"), "a/wrap_up:eva")
    request = wire.calls.last.request
    assert request.headers["Idempotency-Key"] == "a/wrap_up:eva"
    stamp = request.headers["X-Callfloor-Timestamp"]
    assert stamp == str(int(NOW))
    assert request.headers["X-Callfloor-Signature"] == f"v1={sign(SECRET.encode(), stamp, request.content)}"
    body = json.loads(request.content)
    assert (body["request"], body["call"]["conversation"], body["call"]["path"]) == ("calls", "a", ["hello"])


async def test_the_longest_note_goes_out_whole_and_is_as_long_as_the_document_says(
    wire: respx.MockRouter, webhook: WebhookAdapter
) -> None:
    wire["crm"].mock(return_value=said({"reference": "1"}))
    note = "ä" * MAX_NOTE
    await webhook.record_call(replace(report("a"), note=note), "a/call")
    assert json.loads(wire.calls.last.request.content)["call"]["note"] == note
    (promised,) = re.findall(r"`note` is an agent's text of at most ([0-9,]+) characters", DOCUMENT.read_text())
    assert int(promised.replace(",", "")) == MAX_NOTE


def test_the_signature_of_the_documents_example() -> None:
    expected = "48795b1c90a1403f4cd360903407a1550959d3652ca9f58df8c4e9e6136f84ab"
    assert sign(b"top secret", "1700000000", b'{"request":"check"}') == expected


async def test_neither_secret_nor_number_is_in_an_error_or_a_log(
    wire: respx.MockRouter, webhook: WebhookAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wire["crm"].mock(return_value=said({"customers": [{"id": "1", "name": 5, "x": "+493023125042"}]}))
    with pytest.raises(CrmRefused) as raised:
        await webhook.find_by_number("+493023125042")
    told = caplog.text + str(raised.value) + repr(webhook)
    assert SECRET not in told
    assert "23125042" not in told


# A real server


def report(conversation: str) -> CallReport:
    return CallReport(
        conversation, SAMPLES[0].id, "in", "+493023125042", "service", "eva", "Eva", NOW, NOW, NOW, 1.0, "PARCEL",
        "Paket", "", ("hello",), "certain",
    )  # fmt: skip


Behaviour = Callable[[web.Request, bytes], Awaitable[web.StreamResponse | None]]


class Server:
    """The CRM on loopback; ``behaviour`` may answer in its place, and the CRM has then already done its work."""

    def __init__(self, crm: WebhookCrm) -> None:
        self.crm = crm
        self.behaviour: Behaviour | None = None
        self.url = ""
        self.processes_first = True

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = self.crm.answer(request.path, headers, body, NOW)
        if self.behaviour is not None:
            instead = await self.behaviour(request, body)
            if instead is not None:
                return instead
        return web.Response(status=answer.status, body=answer.body, content_type="application/json")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    one = Server(sample_crm())
    app = web.Application(client_max_size=MAX_ANSWER)
    app.router.add_post("/{path:.*}", one.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.url = f"{runner.addresses[0][0]}:{runner.addresses[0][1]}"
    yield one
    await runner.cleanup()


async def unavailable(_request: web.Request, _body: bytes) -> web.StreamResponse:
    return web.Response(status=503, headers={"Retry-After": "1"})


async def dropped(request: web.Request, _body: bytes) -> web.StreamResponse | None:
    assert request.transport is not None
    request.transport.abort()
    return None


async def silent(_request: web.Request, _body: bytes) -> web.StreamResponse | None:
    await asyncio.Event().wait()
    return None


async def dripping(request: web.Request, _body: bytes) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    never = asyncio.Event()
    while True:
        await answer.write(b" ")
        try:
            await asyncio.wait_for(never.wait(), 0.05)
        except TimeoutError:
            continue


@pytest.mark.parametrize("behaviour", [unavailable, dropped, silent, dripping])
async def test_a_call_the_crm_took_without_saying_so_is_written_once(
    server: Server, database: Database, behaviour: Behaviour
) -> None:
    now = NOW
    server.behaviour = behaviour
    await save_wrap_up(database, report("a"), adapter="webhook", at=NOW)
    async with httpx.AsyncClient() as client:
        adapter = WebhookAdapter(client, url=f"http://{server.url}/x", secret=SECRET, timeout=0.3, clock=lambda: NOW)
        worker = OutboxWorker(database, adapter, RetryPolicy(), clock=lambda: now, jitter=lambda: 1.0)
        assert await worker.turn() == 1
        (row,) = await items(database, "webhook")
        assert (row.state, row.attempts) == ("waiting", 1)
        assert row.last_error
        now += 3
        server.behaviour = None
        assert await worker.turn() == 1
    assert await items(database, "webhook") == []
    assert server.crm.attempts == 2
    assert list(server.crm.calls) == ["a/wrap_up:eva"]


async def test_an_answer_of_ten_megabytes_is_not_read_to_its_end(server: Server) -> None:
    sent = 0

    async def flood(request: web.Request, _body: bytes) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(640):
            await answer.write(b" " * 16384)
            sent += 16384
        return answer

    server.behaviour = flood
    async with httpx.AsyncClient() as client:
        adapter = WebhookAdapter(client, url=f"http://{server.url}", secret=SECRET, timeout=5, clock=lambda: NOW)
        with pytest.raises(CrmRefused, match="longer than"):
            await adapter.find_by_number("+493023125042")
    assert sent < 10 * 1024 * 1024


async def test_a_wrong_secret_and_a_wrong_clock_are_refused(server: Server) -> None:
    async with httpx.AsyncClient() as client:
        for secret, clock in ((SECRET + "!", NOW), (SECRET, NOW + 3600)):
            adapter = WebhookAdapter(client, url=f"http://{server.url}", secret=secret, clock=lambda at=clock: at)
            with pytest.raises(CrmRefused, match="does not let us in"):
                await adapter.check()
