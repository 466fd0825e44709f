"""Who may keep a connection to the desk, for how long, and what is said to those who send no request."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from telephony.desk.connections import Patience
from telephony.settings import Http

if TYPE_CHECKING:
    from tests.unit.telephony.desk.conftest import Desk, OpenDesk

DEADLINE = 5.0
ALIVE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
SHORT = 0.1


class Line:
    """A bare connection: what a browser would never send can be sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(DEADLINE):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-1])}
            return int(head[0].split()[1]), headers, await self._reader.readexactly(int(headers["content-length"]))

    async def asked(self, data: bytes = ALIVE) -> int:
        self.send(data)
        return (await self.answer())[0]

    async def gone(self) -> bool:
        """Wait for its end; it says nothing before."""
        async with asyncio.timeout(DEADLINE):
            try:
                return await self._reader.read() == b""
            except ConnectionError:
                return True

    async def close(self) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)


Connect = Callable[["Desk"], Awaitable[Line]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        async def connected(desk: Desk) -> Line:
            line = Line(*await asyncio.open_connection("127.0.0.1", desk.server.port))
            stack.push_async_callback(line.close)
            return line

        yield connected


async def cookie(desk: Desk) -> str:
    client = await desk.signed_in("anna")
    return next(f"{one.key}={one.value}" for one in client.cookie_jar)


def post(desk: Desk, length: int, body: bytes, *more: str) -> bytes:
    lines = ["POST /api/v1/session HTTP/1.1", f"Host: 127.0.0.1:{desk.server.port}", f"Origin: {desk.base}"]
    lines += ["Content-Type: application/json", f"Content-Length: {length}", *more]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize("first", ["nothing", "half a head", "half a body"])
async def test_a_stranger_without_a_whole_request_is_cut_off(open_desk: OpenDesk, connect: Connect, first: str) -> None:
    desk = await open_desk(patience=Patience(request=SHORT))
    line = await connect(desk)
    sent = {"nothing": b"", "half a head": ALIVE[:-2], "half a body": post(desk, 100, b'{"login":')}
    line.send(sent[first])
    assert await line.gone()
    assert len(desk.server.connections) == 0


async def test_a_stranger_may_not_stay_after_his_answer(open_desk: OpenDesk, connect: Connect) -> None:
    desk = await open_desk(patience=Patience(idle=SHORT))
    line = await connect(desk)
    assert await line.asked() == 200
    line.send(ALIVE[:10])
    assert await line.gone()


async def test_a_stranger_who_does_not_take_his_answer_is_cut_off(
    open_desk: OpenDesk, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await open_desk(patience=Patience(answer=SHORT))
    hanging = asyncio.Event()

    async def never(*_: Any) -> Any:
        await hanging.wait()

    monkeypatch.setattr(desk.accounts, "authenticate", never)
    line = await connect(desk)
    body = json.dumps({"login": "anna", "password": "x"}).encode()
    line.send(post(desk, len(body), body))
    assert await line.gone()
    hanging.set()


async def test_who_has_a_session_may_stay(open_desk: OpenDesk, connect: Connect) -> None:
    desk = await open_desk(patience=Patience(request=SHORT, answer=SHORT))
    request = f"GET /api/v1/session HTTP/1.1\r\nHost: x\r\nCookie: {await cookie(desk)}\r\n\r\n".encode()
    line, stranger = await connect(desk), await connect(desk)
    assert await line.asked(request) == 200
    assert await stranger.gone()
    assert await line.asked(request) == 200


async def test_a_body_that_does_not_come_is_not_waited_for_long(open_desk: OpenDesk, connect: Connect) -> None:
    desk = await open_desk(patience=Patience(body=SHORT))
    line = await connect(desk)
    line.send(post(desk, 100, b'{"login":', f"Cookie: {await cookie(desk)}"))
    status, _, body = await line.answer()
    assert (status, json.loads(body)["type"]) == (408, "urn:callfloor:problem:body-late")


async def test_of_too_many_strangers_the_longest_idle_goes(open_desk: OpenDesk, connect: Connect) -> None:
    desk = await open_desk(http={"strangers_per_address": 8})
    lines = [await connect(desk) for _ in range(8)]
    assert await lines[0].asked() == 200  # it is the last in the row now
    assert await (await connect(desk)).asked() == 200
    assert await lines[1].gone()
    assert [await line.asked() for line in (lines[0], *lines[2:])] == [200] * 7
    cut = desk.server.registry.get_sample_value("callfloor_desk_connections_cut_total", {"why": "address"})
    assert cut == 1


async def test_a_trusted_proxy_is_not_one_address_among_others(open_desk: OpenDesk, connect: Connect) -> None:
    desk = await open_desk(http={"strangers_per_address": 8, "trust_proxy": True})
    lines = [await connect(desk) for _ in range(12)]
    assert [await line.asked() for line in lines] == [200] * 12


async def test_people_keep_their_places_and_strangers_do_not(open_desk: OpenDesk, connect: Connect) -> None:
    desk = await open_desk(http={"connections": 16})
    client = await desk.signed_in("anna")
    request = f"GET /api/v1/session HTTP/1.1\r\nHost: x\r\nCookie: {await cookie(desk)}\r\n\r\n".encode()
    people = []
    for _ in range(14):  # her browsers' own connections are the other two
        people.append(await connect(desk))
        assert await people[-1].asked(request) == 200
    async with client.get("/api/v1/session") as answer:
        assert answer.status == 200
    for _ in range(20):
        stranger = await connect(desk)
        stranger.send(ALIVE[:4])
    assert [await line.asked(request) for line in people] == [200] * 14
    assert len(desk.server.connections) <= 16


def test_desks_take_no_more_than_their_share_of_what_the_system_gives(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for given, places in ((256, 128), (100_000, Http().connections), (resource.RLIM_INFINITY, Http().connections)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, given=given: (given, given))
        assert desk.server.connections.places == places


CHUNKED = (
    "POST /api/v1/session HTTP/1.1\r\nHost: HOST\r\nOrigin: http://HOST\r\nContent-Type: application/json\r\n"
    "Transfer-Encoding: chunked\r\n\r\n"
)


@pytest.mark.parametrize(
    "sent",
    [
        "GET / HTTP/9.9\r\n\r\n",
        "\x16\x03\x01\x02 evil\xff\r\n\r\n",
        "GET http://[::1evil HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: evil" + "a" * 70_000 + "\r\n\r\n",
        "POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: -4evil\r\n\r\n",
        CHUNKED + "evil\r\n\r\n",
        CHUNKED + "5\r\nevil!evil!\r\n",
    ],
)
async def test_what_is_no_request_is_answered_as_such_and_repeated_nowhere(
    desk: Desk, connect: Connect, caplog: pytest.LogCaptureFixture, sent: str
) -> None:
    line = await connect(desk)
    with structlog.testing.capture_logs() as events, caplog.at_level(logging.WARNING):
        line.send(sent.replace("HOST", f"127.0.0.1:{desk.server.port}").encode("latin-1"))
        status, headers, body = await line.answer()
    problem = json.loads(body)
    assert (status, problem["type"]) == (400, "urn:callfloor:problem:bad-request")
    assert (headers["server"], headers["x-content-type-options"]) == ("Callfloor", "nosniff")
    assert headers["content-type"].startswith("application/problem+json")
    assert "evil" not in body.decode()
    assert caplog.records == []
    assert [event for event in events if event["log_level"] not in ("debug", "info")] == []
    assert "evil" not in str(events)


@pytest.mark.parametrize("encoding", ["gzip", "br", "bogus"])
async def test_a_compressed_body_is_refused_unread(desk: Desk, encoding: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    answer = await desk.call(desk.browser(), "POST", "/api/v1/session", data=b"no gzip at all", headers=headers)
    assert (answer.status, answer.problem) == (415, "body-encoded")
