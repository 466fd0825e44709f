"""The demo's CRM: a small server of its own, as docs/webhook-crm.md describes one. It can be made to fail."""

from __future__ import annotations

import hmac
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import orjson
from aiohttp import web
from sqlalchemy import select

from crm_bridge.adapters.embedded import EmbeddedAdapter
from crm_bridge.adapters.webhook import sign
from crm_bridge.database import Database
from crm_bridge.ports import CallReport
from crm_bridge.samples import load_samples
from crm_bridge.tables import Activity, table_of
from telephony import migrations

OLDEST_SECONDS = 300.0


class DemoCrm:
    """Serves the sample customers; ``out_of_order`` makes it answer 503 to everything."""

    def __init__(self, url: str, port: int, secret: str) -> None:
        self.out_of_order = False
        self.refused = 0
        """Requests answered with 503."""
        self._port = port
        self._secret = secret.encode()
        self._database = Database(url)
        self._adapter = EmbeddedAdapter(self._database)
        self._runner: web.AppRunner | None = None
        self._requests: dict[str, Callable[[dict[str, Any], str], Awaitable[dict[str, Any]]]] = {
            "lookup": self._lookup,
            "card": self._card,
            "calls": self._calls,
            "check": self._check,
        }

    async def start(self) -> None:
        await migrations.upgrade(self._database)
        await load_samples(self._database, now=time.time())
        app = web.Application()
        app.router.add_post("/{request}", self._serve)
        app.router.add_post("/ivr/trace", self._trace)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        await self._database.close()

    async def calls_with_code(self) -> int:
        """How many calls with a wrap-up code this CRM has on file."""
        table = table_of(Activity)
        async with self._database.connection() as connection:
            rows = (await connection.execute(select(table.c.payload).where(table.c.kind == "call"))).scalars()
            return sum(bool(payload.get("code")) for payload in rows)

    async def _trace(self, request: web.Request) -> web.Response:
        """The parcel service that the flow asks: a number for each order that is to be traced."""
        body = await request.read()
        if not self._is_signed(request, body):
            return web.Response(status=401)
        order = str(orjson.loads(body).get("order", ""))
        return web.json_response({"case": str(zlib.crc32(order.encode()) % 900_000 + 100_000)})

    def _is_signed(self, request: web.Request, body: bytes) -> bool:
        stamp = request.headers.get("X-Callfloor-Timestamp", "")
        given = request.headers.get("X-Callfloor-Signature", "")
        fresh = stamp.isdigit() and abs(time.time() - int(stamp)) < OLDEST_SECONDS
        return fresh and hmac.compare_digest(given, f"v1={sign(self._secret, stamp, body)}")

    async def _serve(self, request: web.Request) -> web.Response:
        if self.out_of_order:
            self.refused += 1
            return web.Response(status=503, headers={"Retry-After": "1"})
        body = await request.read()
        if not self._is_signed(request, body):
            return web.Response(status=401)
        question = orjson.loads(body)
        name = request.match_info["request"]
        handler = self._requests.get(name)
        if handler is None or question.get("request") != name:
            return web.Response(status=404)
        answer = await handler(question, request.headers.get("Idempotency-Key", ""))
        return web.Response(body=orjson.dumps(answer), content_type="application/json")

    async def _lookup(self, question: dict[str, Any], _key: str) -> dict[str, Any]:
        if "number" in question:
            found = await self._adapter.find_by_number(question["number"])
            return {"customers": [asdict(one) for one in found]}
        customer = await self._adapter.find_by_customer_number(question["customer_number"])
        return {"customers": [] if customer is None else [asdict(customer)]}

    async def _card(self, question: dict[str, Any], _key: str) -> dict[str, Any]:
        card = await self._adapter.card(question["customer"])
        return {"card": None if card is None else asdict(card)}

    async def _calls(self, question: dict[str, Any], key: str) -> dict[str, Any]:
        call = question["call"]
        report = CallReport(**{**call, "path": tuple(call["path"])})
        return {"reference": await self._adapter.record_call(report, key)}

    async def _check(self, _question: dict[str, Any], _key: str) -> dict[str, Any]:
        return {"ok": True}
