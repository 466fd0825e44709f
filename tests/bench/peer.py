"""The peer: what one would write today. Started by ``pop.py``, with its order as JSON on the command line."""

import asyncio
import json
import sqlite3
import sys

from aiohttp import web
from panoramisk import Manager

QUERY = (
    "SELECT c.id, c.number, c.name, c.company, c.language "
    "FROM customer c JOIN customer_phone p ON p.customer_id = c.id WHERE p.e164 = ?"
)


async def main(order: dict) -> None:
    customers = sqlite3.connect(":memory:")
    sqlite3.connect(order["database"]).backup(customers)
    desks: dict[str, web.WebSocketResponse] = {}

    async def stream(request: web.Request) -> web.WebSocketResponse:
        desk = web.WebSocketResponse()
        await desk.prepare(request)
        desks[request.query["desk"]] = desk
        async for _ in desk:
            pass
        return desk

    async def agent_called(manager: Manager, event: dict) -> None:
        desk = desks.get(order["desks"].get(event["Interface"], ""))
        if desk is not None:
            found = customers.execute(QUERY, (event["CallerIDNum"],)).fetchall()
            await desk.send_json(
                {
                    "id": event["Uniqueid"],
                    "timestamp": event["Timestamp"],
                    "queue": event["Queue"],
                    "number": event["CallerIDNum"],
                    "customers": found,
                }
            )

    app = web.Application()
    app.router.add_get("/stream", stream)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", order["port"]).start()
    manager = Manager(loop=asyncio.get_running_loop(), host="127.0.0.1", **order["ami"])
    manager.register_event("AgentCalled", agent_called)
    await manager.connect()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__" and len(sys.argv) > 1:
    asyncio.run(main(json.loads(sys.argv[1])))
