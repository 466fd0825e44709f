"""People who mean harm can reach the service's ports; callers and agents must not notice."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import pytest

from .conftest import KNOWN, SLOW, House, eventually, pop_of

pytestmark = pytest.mark.asterisk

Furnish = Callable[..., Awaitable[House]]


async def test_idle_connections_take_neither_the_callers_their_pops_nor_the_log_its_disk(furnish: Furnish) -> None:
    house = await furnish()
    await house.serve()
    assert house.service is not None
    pid = house.service.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    assert soft == hard
    (anna,) = await house.at_work("anna")
    await house.phone("phone1", SLOW)
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (256, 256))
    before = len(house.log)
    with ExitStack() as stack:
        for _ in range(400):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", house.settings.http.port)))
            line.send(b"GET / HTTP/1.1\r\nX")
        calling = house.call()
        await pop_of(anna, "ringing", 5)
        assert await house.figure("desk_connections") <= 128
        assert len(house.log) - before < 10_000

        async def all_gone() -> bool:
            return await house.figure("desk_strangers") <= 1

        await eventually(all_gone, "the strangers to be cut off", 15)
        calling.cancel()
    assert not anna.failures


@pytest.mark.parametrize("script", ["ivr", "ivr/", "ivr/a-guess-of-thirty-two-signs-or-so"])
async def test_nobody_but_the_dialplan_can_say_who_is_calling(furnish: Furnish, script: str) -> None:
    house = await furnish()
    await house.serve()
    (anna,) = await house.at_work("anna")
    await house.phone("phone1", SLOW)
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    house.call(withheld="privacy")
    ringing = await pop_of(anna, "ringing")
    # The caller herself came by way of the menu.
    await anna.until(lambda: anna.entities["pop"][ringing["conversation"]]["path"] == ["who", "away"], "her way")
    reader, writer = await asyncio.open_connection("127.0.0.1", house.settings.agi.port)
    said = {"network": "yes", "network_script": script, "uniqueid": ringing["conversation"], "callerid": KNOWN}
    said |= {"callingpres": "0", "arg_1": ringing["conversation"], "arg_2": "+493023125000"}
    writer.write("".join(f"agi_{name}: {value}\n" for name, value in said.items()).encode() + b"\n")
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    await eventually(lambda: "wrong_secret" in house.log, "the refusal to be logged")
    now = anna.entities["pop"][ringing["conversation"]]
    assert (now["customer"], now["match"]["certainty"], now["caller"]["number"]) == (None, "withheld", "")
