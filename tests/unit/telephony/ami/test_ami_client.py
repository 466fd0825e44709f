"""The client against a server on loopback that behaves, misbehaves and goes away."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from asterisk.ami import Action, EventListener, SimpleAction

from telephony.ami.client import AmiClient, LinkState, LinkStatus
from telephony.ami.codec import Event, FrameDecoder, Limits
from telephony.ami.errors import (
    ActionTimeout,
    AmiError,
    AuthFailed,
    CertificateRefused,
    EncodeError,
    LinkLost,
    NotReady,
    ProtocolError,
    Rejected,
    TlsRequired,
    TooOld,
)
from telephony.settings import Ami

if TYPE_CHECKING:
    from conftest import FakeAsterisk, Peer

DEADLINE = 10.0


def settings(asterisk: FakeAsterisk, **changes: Any) -> Ami:
    quick: dict[str, Any] = {"port": asterisk.port, "reconnect_first": 0.01, "reconnect_cap": 0.05}
    return Ami(**(quick | changes))


class Recorder:
    """What a consumer is told, and a client around it."""

    def __init__(self, asterisk: FakeAsterisk, secret: str = "s3cret", **changes: Any) -> None:
        self.events: list[Event] = []
        self.raw = b""
        self.times: list[float] = []
        self.links: list[LinkState] = []
        self.watch = type(asterisk.watch)()
        extra = {key: changes.pop(key) for key in ("limits", "clock", "login_timeout") if key in changes}
        self.client = AmiClient(
            settings(asterisk, **changes), secret, on_batch=self.on_batch, on_link=self.on_link, **extra
        )

    def on_batch(self, events: list[Event], raw: bytes, at: float) -> None:
        self.events += events
        self.raw += raw
        self.times.append(at)
        self.watch.touch()

    def on_link(self, state: LinkState) -> None:
        self.links.append(state)
        self.watch.touch()

    def names(self) -> list[str]:
        return [event.name for event in self.events]

    async def until_up(self, epoch: int) -> None:
        await self.watch.until(lambda: (self.client.state.status, self.client.state.epoch) == (LinkStatus.UP, epoch))

    async def until_problem(self, kind: type[AmiError]) -> LinkState:
        await self.watch.until(lambda: any(isinstance(state.problem, kind) for state in self.links))
        return next(state for state in self.links if isinstance(state.problem, kind))


@asynccontextmanager
async def running(recorder: Recorder) -> AsyncIterator[AmiClient]:
    task = asyncio.create_task(recorder.client.run())
    try:
        yield recorder.client
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("login", ["md5", "plain"])
async def test_two_connections_log_in(asterisk: FakeAsterisk, login: str) -> None:
    await asterisk.start()
    recorder = Recorder(asterisk, login=login)
    async with running(recorder) as client:
        state = await asyncio.wait_for(client.wait_ready(), DEADLINE)
        assert (state.status, state.epoch, state.reason, state.problem) == (LinkStatus.UP, 1, "", None)
        await asterisk.watch.until(lambda: any(peer.did("CoreSettings") for peer in asterisk.peers))
        assert sorted(peer.events_mask for peer in asterisk.peers) == ["off", "on"]
        assert [peer.before_login for peer in asterisk.peers] == [[], []]
        secrets = [
            action.get("Secret") for peer in asterisk.peers for action in peer.actions if action["Action"] == "Login"
        ]
        assert secrets == (["s3cret"] * 2 if login == "plain" else [None] * 2)
        await client.send(SimpleAction("Ping"))
        assert client.release == "22.10.1"
    assert client.state.status is LinkStatus.DOWN
    assert client.stats.reconnects == 0


async def test_the_end_of_run_ends_everything(asterisk: FakeAsterisk) -> None:
    await asterisk.start()
    recorder = Recorder(asterisk)
    others = asyncio.all_tasks()
    async with running(recorder) as client:
        await recorder.until_up(1)
        await client.send(SimpleAction("Ping"))
    await asterisk.watch.until(lambda: not any(peer.open for peer in asterisk.peers))
    assert [peer.actions[-1]["Action"] for peer in asterisk.peers] == ["Logoff", "Logoff"]
    assert [task for task in asyncio.all_tasks() - others if task.get_name().startswith("ami")] == []
    with pytest.raises(NotReady):
        await client.send(SimpleAction("Ping"))


async def test_batches_hold_events_raw_bytes_and_time(asterisk: FakeAsterisk) -> None:
    await asterisk.start()
    recorder = Recorder(asterisk, clock=lambda: 1000.75)
    async with running(recorder) as client:
        peer = await asterisk.peer("on")
        sent = peer.say("Event: Newchannel", "Timestamp: 1000.500000", "Uniqueid: 1")
        sent += peer.say("Event: Hangup", "Timestamp: 1000.625000", "Uniqueid: 1", "ActionID: of-somebody")
        peer.writer.write(b"nonsense\r\n\r\n")
        await recorder.watch.until(lambda: len(recorder.events) == 2)
        assert recorder.names() == ["Newchannel", "Hangup"]
        assert recorder.raw == sent
        assert recorder.times == [1000.75] * len(recorder.times)
        sent += peer.say("Event: UserEvent", "Timestamp: 1000.000000")
        await recorder.watch.until(lambda: len(recorder.events) == 3)
        assert [event.raw for event in FrameDecoder().feed(recorder.raw)] == [event.raw for event in recorder.events]
        assert recorder.raw == sent
        assert client.stats.lag == 0.75
        assert client.stats.events == 3
        assert client.stats.messages >= 3 + 4
        assert client.stats.malformed == {"no_header": 1}


async def test_a_raising_consumer_does_not_harm_the_link(asterisk: FakeAsterisk) -> None:
    await asterisk.start()
    heard: list[str] = []
    watch = type(asterisk.watch)()

    def on_batch(events: list[Event], raw: bytes, at: float) -> None:
        heard.extend(event.name for event in events)
        watch.touch()
        raise RuntimeError("consumer")

    def on_link(state: LinkState) -> None:
        raise RuntimeError("consumer")

    client = AmiClient(settings(asterisk), "s3cret", on_batch=on_batch, on_link=on_link)
    task = asyncio.create_task(client.run())
    peer = await asterisk.peer("on")
    peer.say("Event: A")
    await watch.until(lambda: heard == ["A"])
    peer.say("Event: B")
    await watch.until(lambda: heard == ["A", "B"])
    assert client.state.epoch == 1
    assert client.stats.consumer_errors >= 3
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_send_returns_a_list_among_other_answers(asterisk: FakeAsterisk) -> None:
    def queue_status(peer: Peer, action_id: str) -> None:
        peer.say("Response: Success", action_id, "EventList: start")
        peer.say("Event: QueueParams", "Queue: service", action_id)
        peer.say("Response: Success", "ActionID: nobody-asked")
        peer.say("Event: QueueMember", "Queue: service", action_id)
        peer.say("Event: QueueStatusComplete", "EventList: Complete", "ListItems: 2", action_id)

    await asterisk.start()
    asterisk.answers["QueueStatus"] = queue_status
    recorder = Recorder(asterisk)
    async with running(recorder) as client:
        await recorder.until_up(1)
        first, second = await asyncio.gather(
            client.send(SimpleAction("QueueStatus")), client.send(Action("Ping", {"ActionID": "own-1"}))
        )
        assert [item.name for item in first.items] == ["QueueParams", "QueueMember"]
        assert [message.raw for message in FrameDecoder().feed(first.raw)][1:3] == [item.raw for item in first.items]
        assert (second.action_id, second.response.status) == ("own-1", "Success")
        assert recorder.events == []
        assert client.stats.unmatched == 1


async def test_send_tells_failures_apart(asterisk: FakeAsterisk) -> None:
    await asterisk.start()
    asterisk.answers["Hangup"] = lambda peer, action_id: void(
        peer.say("Response: Error", action_id, "Message: No such channel")
    )
    asterisk.mute = {"Slow"}
    recorder = Recorder(asterisk)
    with pytest.raises(NotReady, match="Ping was not sent"):
        await recorder.client.send(SimpleAction("Ping"))
    async with running(recorder) as client:
        await recorder.until_up(1)
        with pytest.raises(Rejected, match="No such channel") as rejected:
            await client.send(SimpleAction("Hangup", Channel="PJSIP/x"))
        assert rejected.value.no_such_channel
        with pytest.raises(EncodeError):
            await client.send(SimpleAction("Hangup", Channel="a\r\nAction: Originate"))
        with pytest.raises(ActionTimeout, match="Slow"):
            await client.send(SimpleAction("Slow"), timeout=0.01)
        peer = await asterisk.peer("off")
        (late,) = (action["ActionID"] for action in peer.actions if action["Action"] == "Slow")
        peer.say("Response: Success", f"ActionID: {late}")
        await client.send(SimpleAction("Ping"))
        assert client.stats.unmatched == 1
        waiting = asyncio.create_task(client.send(SimpleAction("Slow")))
        await asterisk.watch.until(lambda: peer.did("Slow") == 2)
        peer.writer.transport.abort()
        with pytest.raises(LinkLost):
            await waiting


async def test_a_cancelled_send_leaves_nothing_behind(asterisk: FakeAsterisk) -> None:
    await asterisk.start()
    asterisk.mute = {"Slow"}
    recorder = Recorder(asterisk)
    async with running(recorder) as client:
        await recorder.until_up(1)
        peer = await asterisk.peer("off")
        waiting = asyncio.create_task(client.send(Action("Slow", {"ActionID": "again"})))
        await asterisk.watch.until(lambda: peer.did("Slow") == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await client.send(Action("Ping", {"ActionID": "again"}))).action_id == "again"


async def test_a_lost_event_connection_begins_a_new_epoch(asterisk: FakeAsterisk) -> None:
    await asterisk.start()
    recorder = Recorder(asterisk)
    async with running(recorder) as client:
        await recorder.until_up(1)
        actions = await asterisk.peer("off")
        (await asterisk.peer("on")).writer.close()
        await recorder.until_up(2)
        assert await asterisk.peer("off") is actions
        down = [state for state in recorder.links if state.status is LinkStatus.DOWN]
        assert "closed the connection" in down[-1].reason
        assert client.stats.reconnects == 1
        (await asterisk.peer("on")).say("Event: Again")
        await recorder.watch.until(lambda: recorder.names() == ["Again"])


async def test_a_lost_action_connection_keeps_the_epoch(asterisk: FakeAsterisk) -> None:
    await asterisk.start()
    recorder = Recorder(asterisk)
    async with running(recorder) as client:
        await recorder.until_up(1)
        listening = await asterisk.peer("on")
        (await asterisk.peer("off")).writer.close()
        await recorder.watch.until(lambda: recorder.client.state.status is not LinkStatus.UP)
        await recorder.until_up(1)
        assert await asterisk.peer("on") is listening
        assert (await client.send(SimpleAction("Ping"))).response.status == "Success"


async def test_a_restarted_server_is_found_again(asterisk: FakeAsterisk) -> None:
    await asterisk.start()
    recorder = Recorder(asterisk)
    async with running(recorder):
        await recorder.until_up(1)
        await asterisk.stop()
        await recorder.watch.until(lambda: "cannot be reached" in recorder.links[-1].reason)
        await asterisk.start()
        await recorder.until_up(2)


@pytest.mark.parametrize("mask", ["on", "off"])
async def test_an_unanswered_ping_drops_the_link(asterisk: FakeAsterisk, mask: str) -> None:
    await asterisk.start()
    recorder = Recorder(asterisk, ping_interval=0.05, ping_timeout=0.2)
    async with running(recorder) as client:
        await recorder.until_up(1)
        await asterisk.watch.until(lambda: all(peer.did("Ping") for peer in asterisk.peers))
        assert client.stats.reconnects == 0
        hanging = await asterisk.peer(mask)
        asterisk.answers["Ping"] = lambda peer, action_id: void(
            None if peer is hanging else peer.say("Response: Success", action_id, "Ping: Pong")
        )
        await recorder.until_problem(ProtocolError)
        await recorder.until_up(2 if mask == "on" else 1)
        assert any("did not answer a ping" in state.reason for state in recorder.links)
        assert client.stats.reconnects == 1
        assert client.stats.ping_rtt is not None


async def test_garbage_drops_the_link(asterisk: FakeAsterisk) -> None:
    await asterisk.start()
    recorder = Recorder(asterisk, limits=Limits(line=1000, malformed=5))
    async with running(recorder) as client:
        await recorder.until_up(1)
        (await asterisk.peer("on")).writer.write(b"Event: Before\r\n\r\nKey: " + b"x" * 2000)
        assert "a line of more than 1000 bytes" in (await recorder.until_problem(ProtocolError)).reason
        await recorder.until_up(2)
        assert recorder.names() == ["Before"]
        (await asterisk.peer("on")).writer.write(b"junk\r\n\r\n" * 10)
        await recorder.until_up(3)
        assert client.stats.malformed == {"no_header": 6}


async def test_malformed_frames_are_counted_and_logged_once_a_kind(asterisk: FakeAsterisk) -> None:
    await asterisk.start()
    recorder = Recorder(asterisk, limits=Limits(malformed=5))
    with structlog.testing.capture_logs() as logs:
        async with running(recorder) as client:
            await recorder.until_up(1)
            for number in range(2):
                peer = await asterisk.peer("on")
                peer.writer.write(b"junk\r\n\r\nEvent: A\r\nB: \0\r\n\r\nEvent: Good\r\n\r\n")
                await recorder.watch.until(lambda number=number: recorder.names().count("Good") > number)
            peer.writer.write(b"junk\r\n\r\n" * 10)
            await recorder.until_up(2)  # of another connection it is no news either
            (await asterisk.peer("on")).writer.write(b"junk\r\n\r\nEvent: Last\r\n\r\n")
            await recorder.watch.until(lambda: recorder.names()[-1] == "Last")
            assert client.stats.malformed == {"no_header": 5, "nul": 2}
    said = [(one["kind"], one["log_level"]) for one in logs if one["event"] == "ami_malformed"]
    assert said == [("no_header", "warning"), ("nul", "warning")]


async def test_a_server_that_says_nothing_is_given_up(asterisk: FakeAsterisk) -> None:
    await asterisk.start()
    asterisk.mute = {"Challenge"}
    recorder = Recorder(asterisk, login_timeout=0.05)
    async with running(recorder):
        await recorder.watch.until(lambda: any("no log-in" in state.reason for state in recorder.links))
        asterisk.mute = set()
        await recorder.until_up(1)


@pytest.mark.parametrize(
    ("secret", "banner", "failure"),
    [("wrong", "Asterisk Call Manager/11.0.0", AuthFailed), ("s3cret", "Asterisk Call Manager/5.0.2", TooOld)],
)
async def test_misconfiguration_fails_fast_or_waits_for_people(
    asterisk: FakeAsterisk, secret: str, banner: str, failure: type[AmiError]
) -> None:
    await asterisk.start()
    asterisk.banner = banner
    recorder = Recorder(asterisk, secret)
    with pytest.raises(failure):
        await asyncio.wait_for(recorder.client.run(fail_fast=True), DEADLINE)
    async with running(recorder):
        state = await recorder.until_problem(failure)
        assert state.status is not LinkStatus.UP
        assert secret not in state.reason
        asterisk.secret, asterisk.banner = secret, "Asterisk Call Manager/11.0.0"
        await recorder.until_up(1)


async def test_no_password_without_tls_to_another_machine(asterisk: FakeAsterisk) -> None:
    recorder = Recorder(asterisk, host="192.0.2.1", port=5038, require_tls=True)
    with pytest.raises(TlsRequired, match=r"ami\.tls"):
        await asyncio.wait_for(recorder.client.run(fail_fast=True), DEADLINE)
    await asterisk.start()
    near = Recorder(asterisk, require_tls=True)
    async with running(near):
        await near.until_up(1)


def void(_: object) -> None:
    """Lets a lambda say something and return nothing."""


class Authority:
    """A certificate authority, and a certificate for ``pbx.test`` that it signed."""

    def __init__(self, folder: Path) -> None:
        self.ca = folder / "ca.pem"
        self._openssl(
            "req", "-x509", "-days", "2", "-subj", "/CN=test authority", "-keyout", folder / "ca.key", "-out", self.ca
        )
        self._openssl("req", "-subj", "/CN=pbx.test", "-keyout", folder / "key.pem", "-out", folder / "request.pem")
        (folder / "names").write_text("subjectAltName=DNS:pbx.test\n")
        subprocess.run(
            ["openssl", "x509", "-req", "-days", "2", "-in", folder / "request.pem", "-CA", self.ca, "-CAkey"]
            + [folder / "ca.key", "-CAcreateserial", "-extfile", folder / "names", "-out", folder / "certificate.pem"],
            check=True,
            capture_output=True,
        )
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(folder / "certificate.pem", folder / "key.pem")

    @staticmethod
    def _openssl(command: str, *arguments: object) -> None:
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        subprocess.run(["openssl", command, *key, *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def test_tls_with_a_trusted_certificate(asterisk: FakeAsterisk, authority: Authority) -> None:
    await asterisk.start(authority.server)
    recorder = Recorder(asterisk, tls=True, tls_ca=authority.ca, tls_server_name="pbx.test", require_tls=True)
    async with running(recorder) as client:
        await recorder.until_up(1)
        (await asterisk.peer("on")).say("Event: Secretly")
        await recorder.watch.until(lambda: recorder.names() == ["Secretly"])
        assert (await client.send(SimpleAction("Ping"))).response.status == "Success"


@pytest.mark.parametrize(
    "change",
    [
        lambda tmp_path: {"tls_server_name": "other.test"},
        lambda tmp_path: {"tls_server_name": None},
        lambda tmp_path: {"tls_ca": None},
        lambda tmp_path: {"tls_ca": Authority(tmp_path).ca},
        lambda tmp_path: {"tls_ca": tmp_path / "missing.pem"},
        lambda tmp_path: {"tls_ca": Path(__file__)},
    ],
    ids=["other name", "address as name", "system's authorities", "other authority", "missing", "no certificate"],
)
async def test_tls_with_a_certificate_that_is_not_trusted(
    asterisk: FakeAsterisk, authority: Authority, tmp_path: Path, change: Callable[[Path], dict[str, Any]]
) -> None:
    await asterisk.start(authority.server)
    trusted = {"tls": True, "tls_ca": authority.ca, "tls_server_name": "pbx.test"}
    recorder = Recorder(asterisk, **(trusted | change(tmp_path)))
    with pytest.raises(CertificateRefused, match="ami.tls_ca"):
        await asyncio.wait_for(recorder.client.run(fail_fast=True), DEADLINE)
    assert [action for peer in asterisk.peers for action in peer.actions] == []


async def test_tls_to_a_port_without(asterisk: FakeAsterisk, authority: Authority) -> None:
    await asterisk.start()
    recorder = Recorder(asterisk, tls=True, tls_ca=authority.ca)
    async with running(recorder):
        assert "does not speak TLS" in (await recorder.until_problem(ProtocolError)).reason
    assert [action for peer in asterisk.peers for action in peer.actions] == []


async def test_listeners_filter_as_in_the_peer_library(asterisk: FakeAsterisk) -> None:
    await asterisk.start()
    recorder = Recorder(asterisk)
    client, heard, watch = recorder.client, [], type(asterisk.watch)()

    def note(label: str) -> Callable[..., None]:
        def listener(event: Event, source: AmiClient) -> None:
            assert source is client
            heard.append(f"{label}:{event.name}")
            watch.touch()

        return listener

    class Own(EventListener):  # type: ignore[misc]
        def on_Hangup(self, event: Event, source: AmiClient) -> None:  # noqa: N802
            note("own")(event, source)

    client.add_event_listener(note("listed"), white_list=["Newchannel", re.compile("^Queue")], black_list="QueueParams")
    client.add_event_listener(note("keyed"), white_list="Hangup", Uniqueid=["2"])
    client.add_event_listener(EventListener(on_event=note("ready-made"), white_list="Hangup"))
    client.add_event_listener(Own())
    client.add_event_listener(on_Hangup=note("method"))
    every = client.add_event_listener(note("every"))
    async with running(recorder):
        peer = await asterisk.peer("on")
        for name, uniqueid in (("Newchannel", "1"), ("QueueParams", "1"), ("Hangup", "1"), ("Hangup", "2")):
            peer.say(f"Event: {name}", f"Uniqueid: {uniqueid}")
        await watch.until(lambda: heard.count("every:Hangup") == 2)
        assert heard == [
            *("listed:Newchannel", "every:Newchannel", "every:QueueParams"),
            *("ready-made:Hangup", "own:Hangup", "method:Hangup", "every:Hangup"),
            *("keyed:Hangup", "ready-made:Hangup", "own:Hangup", "method:Hangup", "every:Hangup"),
        ]
        client.remove_event_listener(every)
        with pytest.raises(ValueError, match="not in list"):
            client.remove_event_listener(every)
        peer.say("Event: Newchannel", "Uniqueid: 3")
        await watch.until(lambda: heard[-1] == "listed:Newchannel")


async def test_raising_and_slow_listeners_harm_nobody(asterisk: FakeAsterisk) -> None:
    await asterisk.start()
    recorder = Recorder(asterisk)
    heard: list[str] = []
    watch, gate = type(asterisk.watch)(), asyncio.Event()

    def raising(event: Event, source: AmiClient) -> None:
        raise RuntimeError("listener")

    async def slow(event: Event, source: AmiClient) -> None:
        await gate.wait()
        heard.append(event.name)
        watch.touch()

    recorder.client.add_event_listener(raising)
    recorder.client.add_event_listener(slow)
    async with running(recorder) as client:
        peer = await asterisk.peer("on")
        for number in range(3):
            peer.say(f"Event: E{number}")
        await recorder.watch.until(lambda: len(recorder.events) == 3)
        assert heard == []
        assert (await client.send(SimpleAction("Ping"))).response.status == "Success"
        gate.set()
        await watch.until(lambda: heard == ["E0", "E1", "E2"])
        assert client.stats.listener_errors == 3
        assert client.state.epoch == 1
