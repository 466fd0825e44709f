"""A link to Asterisk for a moment: to ask it something, or to see whether it lets us in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from telephony.ami.client import AmiClient, LinkState
from telephony.ami.errors import AmiError
from telephony.settings import Ami


@contextlib.asynccontextmanager
async def linked(settings: Ami, secret: str, seconds: float) -> AsyncIterator[AmiClient]:
    """A client that is logged in. Raises ``AmiError`` for whatever the first attempt meets, ``TimeoutError``."""
    trouble: asyncio.Future[AmiError] = asyncio.get_running_loop().create_future()

    def note(state: LinkState) -> None:
        if state.problem is not None and not trouble.done():
            trouble.set_result(state.problem)

    client = AmiClient(settings, secret, on_batch=lambda *_: None, on_link=note)
    running = asyncio.create_task(client.run(fail_fast=True), name="probe's link")
    ready = asyncio.create_task(client.wait_ready(), name="probe waits")
    try:
        first: set[asyncio.Future[Any]] = {running, ready, trouble}
        await asyncio.wait(first, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        if trouble.done():
            raise trouble.result()
        if not ready.done():
            raise TimeoutError
        yield client
    finally:
        for task in (running, ready):
            task.cancel()
        await asyncio.gather(running, ready, return_exceptions=True)
