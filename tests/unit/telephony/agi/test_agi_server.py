from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import structlog

from ivr_flows import FRONT_DESK, runner, schema
from ivr_flows.ports import CallFacts, Finding, Question, Recognition, Standing
from telephony.agi import AgiCaller, AgiError, AgiServer, Handler
from telephony.settings import Agi

ENVIRONMENT = (
    b"agi_network: yes\nagi_uniqueid: pbx1-1.1\nagi_callerid: +49301\nagi_callingpres: 0\nagi_arg_1: pbx1-1.1\n\n"
)
DEADLINE = 5.0


@asynccontextmanager
async def serving(
    handler: Handler,
    allow: tuple[str, ...] = ("127.0.0.0/8",),
    environment_seconds: float = 5.0,
    max_sessions: int = 10,
    secret: str = "",
) -> AsyncIterator[AgiServer]:
    server = AgiServer(
        Agi(allow=allow),
        handler,
        secret=secret,
        environment_seconds=environment_seconds,
        max_sessions=max_sessions,
    )
    await server.start(port=0)
    try:
        yield server
    finally:
        async with asyncio.timeout(DEADLINE):
            await server.stop()
        assert server.sessions == 0


class Pbx:
    """The other end of the line: a connection as Asterisk makes it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.port: int = writer.get_extra_info("peername")[1]

    async def command(self) -> bytes:
        async with asyncio.timeout(DEADLINE):
            return await self.reader.readline()

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def closed(self) -> bool:
        async with asyncio.timeout(DEADLINE):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def calling(server: AgiServer, first: bytes = ENVIRONMENT) -> AsyncIterator[Pbx]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(first)
        yield Pbx(reader, writer)
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not true():  # noqa: ASYNC110  # counters change without telling anyone
            await asyncio.sleep(0)


class Nobody:
    """An office that knows nobody."""

    async def answer(self, standing: Standing, question: Question) -> Finding:
        return Finding("unknown", {}, Recognition("none", ""))


async def greet(caller: AgiCaller, facts: CallFacts) -> None:
    assert facts.conversation == "pbx1-1.1"
    digit = await caller.play(["/s/hello"], "1")
    digits = await caller.collect(["/s/ask"], 4, 1)
    await caller.set_variables({"CALLFLOOR_ROUTE": digit + digits})


def never(why: str) -> Callable[[AgiCaller, CallFacts], Awaitable[None]]:
    async def handler(caller: AgiCaller, facts: CallFacts) -> None:
        raise AssertionError(why)

    return handler


async def test_a_call() -> None:
    async with serving(greet) as server, calling(server) as pbx:
        assert await pbx.command() == b"STREAM FILE /s/hello 1\n"
        pbx.say(b"200 result=49 endpos=800\n")
        assert await pbx.command() == b"GET DATA /s/ask 1000 4\n"
        pbx.say(b"200 result=234\n")
        assert await pbx.command() == b"SET VARIABLE CALLFLOOR_ROUTE 1234\n"
        pbx.say(b"200 result=1\n")
        assert await pbx.closed()
        assert (server.counters.accepted, server.counters.gone, server.counters.failed) == (1, 0, 0)


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("how", ["HANGUP line", "HANGUP and reply", "end", "reset"])
async def test_a_hang_up_at_any_moment_ends_the_session(after: int, how: str) -> None:
    replies = [b"200 result=49 endpos=800\n", b"200 result=234\n"]
    async with serving(greet) as server, calling(server) as pbx:
        for reply in replies[:after]:
            await pbx.command()
            pbx.say(reply)
        await pbx.command()
        if how == "end":
            pbx.writer.close()
        elif how == "reset":
            pbx.writer.transport.abort()
        else:
            pbx.say(b"HANGUP\n" + (b"200 result=-1\n" if "reply" in how else b""))
        await until(lambda: server.sessions == 0)
        assert (server.counters.gone, server.counters.failed, server.counters.cut) == (1, 0, 0)


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"x" * 20_000, b"\n", b"agi_a: 1\nagi_a: 2\n"])
async def test_garbage_is_cut_off_before_the_handler_sees_it(first: bytes) -> None:
    async with serving(never("garbage got through")) as server, calling(server, first) as pbx:
        assert await pbx.closed()
        await until(lambda: server.counters.cut == 1)


async def test_garbage_for_a_reply_is_cut_off() -> None:
    async with serving(greet) as server, calling(server) as pbx:
        await pbx.command()
        pbx.say(b"\x00\xff nonsense\n")
        assert await pbx.closed()
        await until(lambda: server.counters.cut == 1)


@pytest.mark.parametrize(
    "garbage", [b"\x00\xff nonsense\n", b"200 no result\n", b"200 result=" + b"9" * 9000 + b"\n", b"510 Invalid\n",
                b"520-x\n" * 300, b"520-Invalid\n520 End\n", b"200 result=0\n200 result=0\n"],
)  # fmt: skip
async def test_garbage_from_the_peer_is_one_line_in_the_log_and_no_fault_of_the_flow(garbage: bytes) -> None:
    """With the real flow: what a handler of ours would call a fault is none when the peer is to blame."""
    flow = schema.load(FRONT_DESK)

    async def lead(caller: AgiCaller, facts: CallFacts) -> None:
        await runner.run(flow, facts, caller, Nobody(), lambda _: "/s/any")

    with structlog.testing.capture_logs() as logs:
        async with serving(lead) as server, calling(server) as pbx:
            while await pbx.command():
                pbx.say(garbage)
            await until(lambda: server.sessions == 0)
    worse = [one for one in logs if one["log_level"] in ("warning", "error")]
    assert [one["event"] for one in worse] == ["agi_session_cut"]
    assert worse[0]["conversation"] == "pbx1-1.1"
    assert (server.counters.cut, server.counters.gone, server.counters.failed) == (1, 0, 0)


async def test_a_reply_nobody_asked_for_is_cut_off() -> None:
    async with serving(greet) as server, calling(server, ENVIRONMENT + b"200 result=1\n") as pbx:
        assert await pbx.closed()
        await until(lambda: server.counters.cut == 1)


@pytest.mark.parametrize("first", [b"", b"agi_network: yes\nagi_uniq"])
async def test_silence_is_cut_off(first: bytes) -> None:
    async with serving(never("silence got through"), environment_seconds=0.05) as server:
        async with calling(server, first) as pbx:
            assert await pbx.closed()
        assert server.counters.cut == 1


async def test_a_peer_that_is_not_on_the_list_is_refused() -> None:
    async with serving(never("a stranger got through"), allow=("192.0.2.0/24", "::1/128")) as server:
        async with calling(server) as pbx:
            assert await pbx.closed()
        assert (server.counters.refused, server.counters.accepted) == (1, 0)


@pytest.mark.parametrize("script", [None, "", "ivr", "ivr/", "ivr/not-it", "the-secret", "ivr/the-secret/", "é"])
async def test_a_peer_that_does_not_know_the_secret_is_refused(script: str | None) -> None:
    said = b"" if script is None else f"agi_network_script: {script}\n".encode()
    async with serving(never("a stranger got through"), secret="the-secret") as server:
        async with calling(server, said + ENVIRONMENT) as pbx:
            assert await pbx.closed()
        assert (server.counters.refused, server.counters.failed) == (1, 0)


@pytest.mark.parametrize("secret", ["", "the-secret"])
async def test_a_peer_that_knows_it_is_served(secret: str) -> None:
    said = b"agi_network_script: ivr/the-secret\n" + ENVIRONMENT
    async with serving(greet, secret=secret) as server, calling(server, said) as pbx:
        assert (await pbx.command()).startswith(b"STREAM FILE")


async def test_who_is_refused_over_and_over_does_not_fill_the_log() -> None:
    with structlog.testing.capture_logs() as events:
        async with serving(never("a stranger got through"), secret="the-secret") as server:
            for _ in range(20):
                async with calling(server) as pbx:
                    assert await pbx.closed()
            assert server.counters.refused == 20
    assert [event["why"] for event in events if event["event"] == "agi_refused"] == ["wrong_secret"]


async def test_one_too_many_is_left_to_the_next_address() -> None:
    async with serving(greet, max_sessions=1) as server, calling(server) as first:
        await first.command()
        async with calling(server) as second:
            assert await second.closed()
        assert (server.counters.refused, server.sessions) == (1, 1)


async def test_a_handler_that_raises_gives_the_caller_back() -> None:
    async def broken(caller: AgiCaller, facts: CallFacts) -> None:
        raise RuntimeError("a defect")

    async with serving(broken) as server, calling(server) as pbx:
        assert await pbx.closed()
        await until(lambda: server.counters.failed == 1)


async def test_stopping_lets_callers_finish() -> None:
    async with serving(greet) as server, calling(server) as pbx:
        await pbx.command()
        stopping = asyncio.create_task(server.stop(drain_seconds=DEADLINE))
        for reply in (b"200 result=0\n", b"200 result=1\n"):
            pbx.say(reply)
            await pbx.command()
        assert not stopping.done()
        with pytest.raises(OSError, match=r"Connect|refused"):
            await asyncio.open_connection("127.0.0.1", pbx.port)
        pbx.say(b"200 result=1\n")
        async with asyncio.timeout(DEADLINE):
            await stopping
        assert await pbx.closed()


async def test_stopping_gives_the_rest_back() -> None:
    async with serving(greet) as server, calling(server) as pbx:
        await pbx.command()
        async with asyncio.timeout(DEADLINE):
            await server.stop(drain_seconds=0.01)
        assert await pbx.closed()
        assert server.sessions == 0


async def test_sessions_are_named_tasks() -> None:
    async with serving(greet) as server, calling(server) as pbx:
        await pbx.command()
        assert "agi-1" in {task.get_name() for task in asyncio.all_tasks()}


async def test_a_port_that_is_taken_is_one_line() -> None:
    async with serving(greet) as server:
        with pytest.raises(AgiError, match=r"^agi\.host, agi\.port: cannot listen on 127\.0\.0\.1:\d+ "):
            await AgiServer(Agi(), greet).start(port=server.port)


def test_a_network_that_is_none_is_one_line() -> None:
    with pytest.raises(AgiError, match=r"agi\.allow: 'home' is no network"):
        AgiServer(Agi(allow=("home",)), greet)
