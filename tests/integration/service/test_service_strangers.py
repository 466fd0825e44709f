"""People who mean harm can reach the service's ports; callers and agents must not notice."""

from __future__ import annotations

import resource
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import pytest

from .conftest import SLOW, House, eventually, pop_of

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
