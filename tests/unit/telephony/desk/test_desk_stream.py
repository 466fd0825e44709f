"""The stream over real WebSockets: who sees what, coming back, being cut off, being sent away."""

from __future__ import annotations

import asyncio
import socket as sockets_of_the_system
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from sqlalchemy import text

from telephony.desk import sockets
from telephony.desk.sockets import SESSION_ENDED, TOO_MANY_SOCKETS, text_frame
from telephony.desk.stream import EVERYONE, PACED_KINDS, SUPERVISION, Board, only

if TYPE_CHECKING:
    from tests.unit.telephony.desk.conftest import Desk, OpenDesk

STREAM = "/api/v1/stream"
DEADLINE = 5.0
Ws = aiohttp.ClientWebSocketResponse


async def frame(ws: Ws) -> dict[str, Any]:
    return dict(await ws.receive_json(timeout=DEADLINE))


async def close_code(ws: Ws) -> int | None:
    """Read to the end; the code the server closed with."""
    async with asyncio.timeout(DEADLINE):
        async for _ in ws:
            pass
    return ws.close_code


async def opened(desk: Desk, login: str, **query: str) -> tuple[Ws, dict[str, Any]]:
    client = await desk.signed_in(login)
    ws = await client.ws_connect(STREAM, params=query)
    return ws, await frame(ws)


async def until_open(desk: Desk, count: int) -> None:
    """Return when so many desks are open."""
    async with asyncio.timeout(DEADLINE):
        while len(desk.server.sockets) != count or desk.board.viewers != count:  # noqa: ASYNC110
            # A turn of the loop, not a guess at a time: only sockets' own events change the number.
            await asyncio.sleep(0)


async def test_a_desk_gets_a_snapshot_and_then_every_change(desk: Desk) -> None:
    desk.board.put("queue", "service", {"waiting": 1}, EVERYONE)
    ws, first = await opened(desk, "anna")
    assert first["type"] == "snapshot"
    assert first["entities"]["queue"] == {"service": {"waiting": 1}}
    assert first["entities"]["me"]["anna"]["login"] == "anna"
    desk.board.put("pop", "pbx1-1.1", {"state": "ringing", "name": "Jürgen „J“"}, only("anna"))
    desk.board.drop("pop", "pbx1-1.1")
    put, drop = await frame(ws), await frame(ws)
    assert put == {
        "type": "put", "seq": first["seq"] + 1, "kind": "pop", "id": "pbx1-1.1",
        "value": {"state": "ringing", "name": "Jürgen „J“"},
    }  # fmt: skip
    assert drop == {"type": "drop", "seq": first["seq"] + 2, "kind": "pop", "id": "pbx1-1.1"}


async def test_nobody_sees_what_is_another_s(desk: Desk) -> None:
    anna, _ = await opened(desk, "anna")
    ben, _ = await opened(desk, "ben")
    sue, seen = await opened(desk, "sue")
    assert list(seen["entities"]["me"]) == ["sue"]
    desk.board.put("pop", "1", {"customer": "hers"}, only("anna"))
    desk.board.put("waiting", "1", {"name": "caller"}, SUPERVISION)
    desk.board.put("office", "office", {"pbx": "down"}, EVERYONE)
    assert [(await frame(anna))["kind"] for _ in range(2)] == ["pop", "office"]
    assert (await frame(ben))["kind"] == "office"
    assert [(await frame(sue))["kind"] for _ in range(2)] == ["waiting", "office"]
    for login, expected in (("ben", {"me", "office"}), ("sue", {"me", "waiting", "office"})):
        client = await desk.signed_in(login)
        answer = await client.get("/api/v1/snapshot")
        assert set((await answer.json())["entities"]) == expected


async def test_one_who_comes_back_is_told_what_he_missed(desk: Desk) -> None:
    ws, first = await opened(desk, "anna")
    await ws.close()
    await until_open(desk, 0)
    desk.board.put("pop", "1", {"state": "ringing"}, only("anna"))
    desk.board.put("pop", "2", {"state": "ringing"}, only("ben"))
    desk.board.put("pop", "1", {"state": "talking"}, only("anna"))
    # signed in again: the office puts the same ``me``, which is no change
    ws, hello = await opened(desk, "anna", since=str(first["seq"]), epoch=first["epoch"])
    assert hello == {"type": "hello", "epoch": first["epoch"], "seq": first["seq"], "resumed": True}
    states = [await frame(ws) for _ in range(2)]
    assert [(put["seq"] - first["seq"], put["value"]["state"]) for put in states] == [(1, "ringing"), (3, "talking")]


@pytest.mark.parametrize("epoch", ["another", "", None])
async def test_numbers_of_another_epoch_mean_nothing(desk: Desk, epoch: str | None) -> None:
    query = {"since": "0"} if epoch is None else {"since": "0", "epoch": epoch}
    _, first = await opened(desk, "anna", **query)
    assert first["type"] == "snapshot"


async def test_another_person_on_the_same_browser_resumes_nothing(desk: Desk) -> None:
    _, annas = await opened(desk, "anna")
    desk.board.put("pop", "1", {"customer": "hers"}, only("anna"))
    _, bens = await opened(desk, "ben", since=str(annas["seq"]), epoch=annas["epoch"])
    assert bens["type"] == "snapshot"
    assert "pop" not in bens["entities"]


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"Origin": "https://evil.example"}, {}, 403),
        ({}, {"since": "-1"}, 422),
        ({}, {"since": "x"}, 422),
        ({"Cookie": "callfloor_session=guess"}, {}, 401),
    ],
)
async def test_a_stream_is_refused_before_it_begins(
    desk: Desk, headers: dict[str, str], query: dict[str, str], status: int
) -> None:
    client = desk.browser() if "Cookie" in headers else await desk.signed_in("anna")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect(STREAM, headers=headers, params=query)
    assert refused.value.status == status
    assert len(desk.server.sockets) == 0


async def test_a_plain_get_is_told_to_speak_websocket(desk: Desk) -> None:
    client = await desk.signed_in("anna")
    answer = await desk.call(client, "GET", STREAM)
    assert (answer.status, answer.problem) == (426, "websocket-only")
    answer = await desk.call(client, "GET", STREAM, headers={"Upgrade": "websocket", "Connection": "Upgrade"})
    assert (answer.status, answer.problem) == (400, "bad-request")


async def test_a_pop_on_the_screen_is_acknowledged(desk: Desk) -> None:
    ws, _ = await opened(desk, "anna")
    await ws.send_json({"type": "shown", "conversation": "a;b|c"})
    await ws.send_json({"type": "shown", "conversation": "pbx1-1.1"})
    await desk.office.until("pop_shown", "anna", "pbx1-1.1")
    assert ("pop_shown", "anna", "a;b|c") not in desk.office.asked


@pytest.mark.parametrize(
    "said",
    ["{", "[]", '{"type": "put"}', '{"type": "shown", "conversation": "1", "as": "ben"}',
     '{"type": "shown", "conversation": 1}', b"\x00", "x" * 2000],
)  # fmt: skip
async def test_whoever_says_anything_else_is_sent_away(desk: Desk, said: str | bytes) -> None:
    ws, _ = await opened(desk, "anna")
    await (ws.send_bytes(said) if isinstance(said, bytes) else ws.send_str(said))
    assert await close_code(ws) in (1008, 1009)
    await until_open(desk, 0)


async def test_whoever_says_too_much_is_sent_away(desk: Desk) -> None:
    ws, _ = await opened(desk, "anna")
    for _ in range(sockets.MESSAGES_PER_WINDOW + 1):
        await ws.send_json({"type": "shown", "conversation": "1"})
    assert await close_code(ws) == 1008


async def test_a_fault_of_ours_closes_the_stream_and_no_other(desk: Desk) -> None:
    anna, _ = await opened(desk, "anna")
    ben, _ = await opened(desk, "ben")
    desk.office.failure = RuntimeError("a fault of ours")
    await anna.send_json({"type": "shown", "conversation": "1"})
    assert await close_code(anna) == 1011
    desk.board.put("pop", "1", {}, only("ben"))
    assert (await frame(ben))["kind"] == "pop"


async def test_signing_out_closes_the_desks_of_that_session_only(desk: Desk) -> None:
    client = await desk.signed_in("anna")
    mine, (elsewhere, _) = await client.ws_connect(STREAM), await opened(desk, "anna")
    await client.delete("/api/v1/session")
    assert await close_code(mine) == SESSION_ENDED
    await until_open(desk, 1)
    desk.board.put("pop", "1", {}, only("anna"))
    assert (await frame(elsewhere))["kind"] == "pop"


@pytest.mark.parametrize("how", ["expired", "revoked", "closed", "promoted", "promoted by hand", "new password"])
async def test_a_session_that_ends_behind_our_back_closes_its_desk(desk: Desk, how: str) -> None:
    ws, _ = await opened(desk, "anna")
    ben, _ = await opened(desk, "ben")
    match how:
        case "expired":
            desk.clock.now += 12 * 3600
        case "revoked":
            await desk.accounts.revoke("anna")
        case "closed":
            await desk.accounts.update("anna", active=False)
        case "promoted":
            await desk.accounts.update("anna", role="supervisor")
        case "promoted by hand":
            # As somebody does it in SQL: the session is left, but not what it may see.
            async with desk.database.connection() as connection:
                await connection.execute(text("UPDATE user_account SET role = 'supervisor' WHERE login = 'anna'"))
        case "new password":
            await desk.accounts.update("anna", password="quite another one")
    await desk.server.sweep()
    assert await close_code(ws) == SESSION_ENDED
    assert (("signed_out", "anna") in desk.office.asked) is (how != "promoted by hand")
    assert (("signed_out", "ben") in desk.office.asked) is (how == "expired")
    assert ben.closed is False


async def test_the_oldest_desk_of_a_person_goes_when_there_are_too_many(open_desk: OpenDesk) -> None:
    desk = await open_desk(sockets_per_person=2)
    client = await desk.signed_in("anna")
    desks = [await client.ws_connect(STREAM) for _ in range(3)]
    assert await close_code(desks[0]) == TOO_MANY_SOCKETS
    await until_open(desk, 2)
    for ws in desks[1:]:
        assert (await frame(ws))["type"] == "snapshot"


async def test_one_who_does_not_read_is_cut_off_and_the_others_are_served(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "OUTGOING_LIMIT", 64 * 1024)
    client = await desk.signed_in("anna")
    cookie = {cookie.key: cookie.value for cookie in client.cookie_jar}["callfloor_session"]
    ben, _ = await opened(desk, "ben")
    # A client of our own, because a library would read ahead.
    with sockets_of_the_system.socket() as slow:
        slow.setsockopt(sockets_of_the_system.SOL_SOCKET, sockets_of_the_system.SO_RCVBUF, 4096)
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(slow, ("127.0.0.1", desk.server.port))
        request = (
            f"GET {STREAM} HTTP/1.1\r\nHost: 127.0.0.1:{desk.server.port}\r\nOrigin: {desk.base}\r\n"
            f"Cookie: callfloor_session={cookie}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await loop.sock_sendall(slow, request.encode())
        await until_open(desk, 2)
        for number in range(400):
            desk.board.put("pop", "1", {"number": number, "text": "x" * 60_000}, only("anna"))
        await until_open(desk, 1)
    assert desk.server.registry.get_sample_value("callfloor_desk_slow_cut_total") == 1
    desk.board.put("pop", "2", {}, only("ben"))
    assert (await frame(ben))["id"] == "2"


async def test_a_first_frame_may_be_as_large_as_it_must(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "OUTGOING_LIMIT", 1024)
    desk.board.put("pop", "1", {"text": "x" * 8_000_000}, only("anna"))
    client = await desk.signed_in("anna")
    ws = await client.ws_connect(STREAM, max_msg_size=0)
    desk.board.put("pop", "2", {}, only("anna"))
    assert len((await frame(ws))["entities"]["pop"]["1"]["text"]) == 8_000_000
    assert (await frame(ws))["id"] == "2"


async def test_what_everyone_watches_is_paced_and_arrives_by_itself(open_desk: OpenDesk) -> None:
    desk = await open_desk(board=Board(frame=text_frame, paced=PACED_KINDS))
    ws, first = await opened(desk, "anna")
    for waiting in range(100):
        desk.board.put("queue", "service", {"waiting": waiting}, EVERYONE)
    seen = await frame(ws)
    assert (seen["seq"], seen["value"]) == (first["seq"] + 1, {"waiting": 99})
    desk.board.put("queue", "service", {"waiting": 0}, EVERYONE)
    assert (await frame(ws))["value"] == {"waiting": 0}


async def test_going_down_says_goodbye(desk: Desk) -> None:
    ws, _ = await opened(desk, "anna")
    closing = asyncio.create_task(close_code(ws))
    await desk.server.stop()
    assert await closing == 1001
    assert desk.server.port == 0


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
async def test_frames_of_every_length_are_read_by_a_foreign_client(desk: Desk, size: int) -> None:
    ws, _ = await opened(desk, "anna")
    (socket,) = desk.server.sockets.of("anna")
    socket.send(text_frame(b"x" * size))
    message = await ws.receive(timeout=DEADLINE)
    assert (message.type, len(message.data)) == (aiohttp.WSMsgType.TEXT, size)
