"""Record what the packaged Asterisk says in each situation that the tracker must understand.

    tests/integration/in-namespace .venv/bin/python -m tests.captures.record [situation ...]

Writes ``tests/captures/conversations/<situation>.ami``: the journal of the real ``Watch`` over the real ``AmiClient``,
from its first resync on. What each must rebuild is written by hand, next to it. The pauses are the calls' lengths.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
from asterisk.ami import SimpleAction

from telephony.ami.client import AmiClient, LinkState
from telephony.ami.codec import Event
from telephony.conversations.journal import Journal
from telephony.conversations.watch import Watch
from telephony.pbx.callers import Outcome, call, free_udp_port
from telephony.pbx.process import Asterisk
from telephony.pbx.provision import provision
from telephony.settings import Pbx, Settings
from tests.captures.softphone import SipPhone

FOLDER = Path(__file__).parent / "conversations"
LIMIT = 60.0
"""Seconds one situation may take."""
CALLER = "+493023125001"
NAME = "Jürgen Müller"
# What is dialled says which queue the flow chooses.
SERVICE, RINGALL, SHORT, STAY = "+4930230001", "+4930230002", "+4930230003", "+4930230009"
ROUTES = {SERVICE: "service", RINGALL: "sales", SHORT: "short"}
PHONES = ("phone1", "phone2", "phone3")


def settings_in(folder: Path) -> Settings:
    """One queue for each way of ringing, and one that its callers soon leave."""
    ports = [free_udp_port() for _ in range(2 + 2 * len(PHONES))]
    labels = {"de": "Dienst", "en": "Service"}
    queues: list[dict[str, Any]] = [
        {"name": "service", "label": labels, "strategy": "linear", "ring_seconds": 3, "wrap_up": "none"},
        {"name": "sales", "label": labels, "strategy": "ringall", "ring_seconds": 15, "wrap_up": "none"},
        {
            "name": "short",
            "label": labels,
            "ring_seconds": 3,
            "wait_limit": 5,
            "overflow": "service",
            "wrap_up": "none",
        },
    ]
    return Settings.model_validate(
        {
            "pbx": {"folder": folder / "pbx", "sip_port": ports[0], "ws_port": ports[1], "fallback_queue": "service"},
            "ami": {"port": free_udp_port(), "reconnect_first": 0.1, "reconnect_cap": 0.2},
            "agi": {"port": free_udp_port()},
            "storage": {"folder": folder, "url": f"sqlite+aiosqlite:///{folder}/callfloor.db"},
            "queues": queues,
            "phones": [
                {"name": name, "contact": f"sip:{name}@127.0.0.1:{port}"}
                for name, port in zip(PHONES, ports[2::2], strict=True)
            ],
        }
    )


class Rig:
    """An Asterisk with phones, a flow, and one recording at a time."""

    def __init__(self, asterisk: Asterisk, phones: dict[str, SipPhone]) -> None:
        self.asterisk, self.phones = asterisk, phones
        self.events: list[Event] = []
        self.watch: Watch
        self.client: AmiClient
        self._in_sync = asyncio.Event()
        self._news = asyncio.Event()
        self._taken: set[int] = set()

    @contextlib.asynccontextmanager
    async def recording(self, folder: Path) -> AsyncIterator[None]:
        self.events.clear()
        self._taken.clear()
        journal = Journal(folder, 1 << 30, 2)
        self.watch = Watch(
            journal=journal, listener=lambda _: None, on_link=self._link, clock=time.time, interval=3600.0
        )
        self.client = AmiClient(
            self.asterisk.settings.ami, self.asterisk.secrets.ami, on_batch=self._batch, on_link=self._state
        )
        tasks = [asyncio.create_task(self.client.run()), asyncio.create_task(self.watch.run(self.client))]
        try:
            await self.in_sync()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            journal.close()

    def _state(self, state: LinkState) -> None:
        self.watch.on_state(state)

    def _link(self, link: str) -> None:
        if link == "in_sync":
            self._in_sync.set()
        else:
            self._in_sync.clear()

    def _batch(self, events: list[Event], raw: bytes, at: float) -> None:
        self.watch.on_batch(events, raw, at)
        self.events += events
        self._news.set()

    async def in_sync(self) -> None:
        async with asyncio.timeout(30.0):
            await self._in_sync.wait()

    async def event(self, name: str, **headers: str) -> Event:
        """The first event of that name with these headers, since the recording began; each is given once."""
        async with asyncio.timeout(20.0):
            while True:
                self._news.clear()
                for event in self.events:
                    if (
                        event.name == name
                        and id(event) not in self._taken
                        and all(event.get(key) == value for key, value in headers.items())
                    ):
                        self._taken.add(id(event))
                        return event
                await self._news.wait()

    async def quiet(self) -> None:
        """All calls are over, and Asterisk has said all about them."""
        async with asyncio.timeout(20.0):
            while self.watch.tracker.channels:
                self._news.clear()
                await self._news.wait()
        # AgentComplete comes when it pleases; what is asked for now is answered after it.
        await self.client.send(SimpleAction("Ping"), timeout=5.0)
        await asyncio.sleep(0.3)

    async def member(self, phone: str, queue: str = "service", interface: str = "") -> None:
        action = SimpleAction("QueueAdd", Queue=queue, Interface=interface or f"PJSIP/{phone}", MemberName=phone)
        if interface:
            action.keys["StateInterface"] = f"PJSIP/{phone}"
        await self.client.send(action, timeout=5.0)

    def calling(self, dial: str = SERVICE, **more: Any) -> asyncio.Task[Outcome]:
        asterisk = self.asterisk
        more = {"number": CALLER, "name": NAME, **more}
        return asyncio.create_task(call(asterisk.settings, asterisk.image, dial=dial, deadline=40.0, **more))


Situation = Callable[[Rig], Awaitable[None]]
SITUATIONS: dict[str, Situation] = {}


def situation(play: Situation) -> Situation:
    SITUATIONS[play.__name__.replace("_", "-")] = play
    return play


@situation
async def answered(rig: Rig) -> None:
    await rig.member("phone1")
    caller = rig.calling()
    agent = await rig.phones["phone1"].rung()
    await agent.answer()
    await asyncio.sleep(2.0)
    await agent.hang_up()
    await caller


@situation
async def abandoned(rig: Rig) -> None:
    await rig.member("phone1")
    caller = rig.calling(hang_up_after=1.5)
    await rig.phones["phone1"].rung()
    await caller


@situation
async def overflow(rig: Rig) -> None:
    """Nobody in the queue ``short`` answers; after five seconds the call goes to ``service``."""
    await rig.member("phone1", "short")
    await rig.member("phone2", "service")
    caller = rig.calling(SHORT)
    await rig.phones["phone1"].rung()
    agent = await rig.phones["phone2"].rung()
    await agent.answer()
    await asyncio.sleep(1.0)
    await agent.hang_up()
    await caller


@situation
async def no_answer_then_next(rig: Rig) -> None:
    await rig.member("phone1")
    caller = rig.calling()
    await rig.phones["phone1"].rung()
    await rig.member("phone2")
    # Linear: the first one is tried again first, so he goes for a coffee.
    await rig.event("DialEnd", DialStatus="NOANSWER")
    pause = SimpleAction("QueuePause", Interface="PJSIP/phone1", Paused="true", Reason="coffee")
    await rig.client.send(pause, timeout=5.0)
    agent = await rig.phones["phone2"].rung()
    await agent.answer()
    await asyncio.sleep(1.0)
    await agent.hang_up()
    await caller


@situation
async def rejected(rig: Rig) -> None:
    await rig.member("phone1")
    await rig.member("phone2")
    caller = rig.calling()
    agent = await rig.phones["phone1"].rung()
    pause = SimpleAction("QueuePause", Interface="PJSIP/phone1", Paused="true", Reason="busy")
    await rig.client.send(pause, timeout=5.0)
    agent.reject("486 Busy Here")
    agent = await rig.phones["phone2"].rung()
    await agent.answer()
    await asyncio.sleep(1.0)
    await agent.hang_up()
    await caller


@situation
async def ringall(rig: Rig) -> None:
    for phone in PHONES:
        await rig.member(phone, "sales")
    caller = rig.calling(RINGALL)
    ringing = [await rig.phones[phone].rung() for phone in PHONES]
    await ringing[1].answer()
    await asyncio.sleep(1.0)
    await ringing[1].hang_up()
    await caller


@situation
async def ringall_abandoned(rig: Rig) -> None:
    for phone in PHONES[:2]:
        await rig.member(phone, "sales")
    caller = rig.calling(RINGALL, hang_up_after=1.5)
    await rig.phones["phone1"].rung()
    await caller


@situation
async def withheld(rig: Rig) -> None:
    await rig.member("phone1")
    caller = rig.calling(withheld="privacy", hang_up_after=2.2)
    agent = await rig.phones["phone1"].rung()
    await agent.answer()
    await caller


@situation
async def blind_to_queue(rig: Rig) -> None:
    await rig.member("phone1")
    await rig.member("phone2", "sales")
    caller = rig.calling()
    first = await rig.phones["phone1"].rung()
    await first.answer()
    await asyncio.sleep(1.0)
    await first.refer("q-sales")
    second = await rig.phones["phone2"].rung()
    await second.answer()
    await asyncio.sleep(2.0)
    await second.hang_up()
    await caller


@situation
async def blind_to_phone(rig: Rig) -> None:
    await rig.member("phone1")
    caller = rig.calling()
    first = await rig.phones["phone1"].rung()
    await first.answer()
    await asyncio.sleep(1.0)
    await first.refer("phone2")
    second = await rig.phones["phone2"].rung()
    await second.answer()
    await asyncio.sleep(2.0)
    await second.hang_up()
    await caller


@situation
async def attended_by_refer(rig: Rig) -> None:
    """Phone 1 holds the caller, asks phone 2 on a second call, and joins the two."""
    await rig.member("phone1")
    caller = rig.calling()
    phone1, phone2 = rig.phones["phone1"], rig.phones["phone2"]
    first = await phone1.rung()
    await first.answer()
    await asyncio.sleep(1.0)
    await first.hold()
    dialling = asyncio.create_task(phone1.dial("phone2"))
    second = await phone2.rung()
    await second.answer()
    consultation = await dialling
    await asyncio.sleep(1.0)
    await first.refer("phone2", replaces=consultation)
    await rig.event("AttendedTransfer")
    await asyncio.sleep(2.0)
    await second.hang_up()
    await caller


@situation
async def attended_by_feature(rig: Rig) -> None:
    """Phone 1 keys ``*2`` and the extension, talks, and hangs up."""
    await rig.member("phone1")
    caller = rig.calling()
    phone1, phone2 = rig.phones["phone1"], rig.phones["phone2"]
    first = await phone1.rung()
    await first.answer()
    connected = await rig.event("AgentConnect")
    await asyncio.sleep(1.0)
    await rig.client.send(
        SimpleAction("Atxfer", Channel=connected.get("DestChannel"), Exten="702", Context="callfloor-phones"),
        timeout=5.0,
    )
    second = await phone2.rung()
    await second.answer()
    await asyncio.sleep(1.0)
    await first.hang_up()
    await asyncio.sleep(2.0)
    await second.hang_up()
    await caller


@situation
async def attended_to_queue(rig: Rig) -> None:
    """Phone 1 asks a queue's agent first; so its leg into the queue is a Local channel."""
    await rig.member("phone1")
    await rig.member("phone2", "sales")
    caller = rig.calling()
    phone1, phone2 = rig.phones["phone1"], rig.phones["phone2"]
    first = await phone1.rung()
    await first.answer()
    connected = await rig.event("AgentConnect")
    await asyncio.sleep(1.0)
    await rig.client.send(
        SimpleAction("Atxfer", Channel=connected.get("DestChannel"), Exten="802", Context="callfloor-phones"),
        timeout=5.0,
    )
    second = await phone2.rung()
    await second.answer()
    await asyncio.sleep(1.0)
    await first.hang_up()
    await asyncio.sleep(2.0)
    await second.hang_up()
    await caller


@situation
async def hold(rig: Rig) -> None:
    await rig.member("phone1")
    caller = rig.calling()
    agent = await rig.phones["phone1"].rung()
    await agent.answer()
    await rig.event("AgentConnect")
    await asyncio.sleep(1.0)
    for _ in range(2):
        await agent.hold()
        await rig.event("Hold")
        await asyncio.sleep(1.0)
        await agent.resume()
        await rig.event("Unhold")
    await agent.hang_up()
    await caller


@situation
async def hang_up_on_hold(rig: Rig) -> None:
    await rig.member("phone1")
    caller = rig.calling(hang_up_after=4.2)
    agent = await rig.phones["phone1"].rung()
    await agent.answer()
    await rig.event("AgentConnect")
    await asyncio.sleep(1.0)
    await agent.hold()
    await caller


@situation
async def pickup(rig: Rig) -> None:
    """Phone 1 rings; phone 2 dials ``*8`` and has the caller."""
    await rig.member("phone1", "sales")
    caller = rig.calling(RINGALL)
    await rig.phones["phone1"].rung()
    picked = await rig.phones["phone2"].dial("*8")
    await rig.event("AgentConnect")
    await asyncio.sleep(2.0)
    await picked.hang_up()
    await caller


async def _local(rig: Rig, options: str) -> None:
    await rig.member("phone1", interface=f"Local/phone1@callfloor-phones{options}")
    caller = rig.calling()
    agent = await rig.phones["phone1"].rung()
    await agent.answer()
    await rig.event("AgentConnect")
    await asyncio.sleep(2.0)
    await agent.hang_up()
    await caller


@situation
async def local_member(rig: Rig) -> None:
    await _local(rig, "")


@situation
async def local_member_n(rig: Rig) -> None:
    await _local(rig, "/n")


@situation
async def hang_up_in_ivr(rig: Rig) -> None:
    await rig.calling(STAY, hang_up_after=1.0)


@situation
async def restart_in_call(rig: Rig) -> None:
    """Asterisk dies in mid-call and comes again."""
    await rig.member("phone1")
    caller = rig.calling(hang_up_after=8.0)
    agent = await rig.phones["phone1"].rung()
    await agent.answer()
    await rig.event("AgentConnect")
    await asyncio.sleep(1.0)
    began = time.time()
    await rig.asterisk.kill()
    # Its start is told in whole seconds.
    await asyncio.sleep(max(0.0, 1.1 - (time.time() - began)))
    await rig.asterisk.start()
    await rig.asterisk.wait_booted()
    await rig.event("FullyBooted")
    await rig.event("FullyBooted")
    await rig.in_sync()
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)


async def resync_in_call(rig: Rig, folder: Path) -> None:
    """One call talks, one rings, one waits when the client connects. (It does what ``recording`` does, but later.)"""
    with tempfile.TemporaryDirectory() as unused:
        async with rig.recording(Path(unused)):
            await rig.member("phone1")
            callers = [rig.calling(number="+493023125001")]
            first = await rig.phones["phone1"].rung()
            await first.answer()
            await rig.event("AgentConnect")
            await rig.member("phone2", "sales")
            callers.append(rig.calling(RINGALL, number="+493023125002"))
            second = await rig.phones["phone2"].rung()
            callers.append(rig.calling(number="+493023125003", hang_up_after=3.5))
            await rig.event("QueueCallerJoin", CallerIDNum="+493023125003")
    async with rig.recording(folder):
        await asyncio.sleep(1.0)
        await second.answer()
        await asyncio.sleep(1.0)
        await first.hang_up()
        await second.hang_up()
        await asyncio.gather(*callers)
        await rig.quiet()


async def _tidy(rig: Rig) -> None:
    for phone in PHONES:
        for queue in ("service", "sales", "short"):
            for interface in (f"PJSIP/{phone}", *(f"Local/{phone}@callfloor-phones{end}" for end in ("", "/n"))):
                with contextlib.suppress(Exception):
                    await rig.client.send(SimpleAction("QueueRemove", Queue=queue, Interface=interface), timeout=5.0)


async def flow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The smallest flow that says who calls and where to."""
    environment = {}
    while line := (await reader.readline()).decode().strip():
        key, _, value = line.partition(": ")
        environment[key] = value
    id_, dialled = environment["agi_arg_1"], environment["agi_arg_2"]
    known = environment["agi_callerid"].startswith("+")

    async def command(text: str) -> None:
        writer.write(f"{text}\n".encode())
        await reader.readline()

    if dialled == STAY:
        await command("EXEC Wait 30")
    else:
        certainty = "certain" if known else "none"
        await command(
            f'EXEC UserEvent "CallfloorIdentity,CallId: {id_},Customer: c-1,Certainty: {certainty},Reason: number"'
        )
        await command("SET VARIABLE CALLFLOOR_LANGUAGE en")
        await command(f"SET VARIABLE CALLFLOOR_ROUTE {ROUTES[dialled]}")
        await command(
            f'EXEC UserEvent "CallfloorFlow,CallId: {id_},Path: welcome>menu,Language: en,Route: {ROUTES[dialled]}"'
        )
    writer.close()


async def record(rig: Rig, name: str) -> None:
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        try:
            if name == "resync-in-call":
                await resync_in_call(rig, folder)
            else:
                async with rig.recording(folder):
                    await SITUATIONS[name](rig)
                    if name != "restart-in-call":
                        await rig.quiet()
        finally:
            async with rig.recording(folder / "unused"):
                await _tidy(rig)
        print(f"{name}: {_keep(folder, name)} bytes", flush=True)


def _keep(folder: Path, name: str) -> int:
    (made,) = folder.glob("journal-*.ami")
    return (FOLDER / f"{name}.ami").write_bytes(made.read_bytes())


async def main(names: list[str]) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    image = provision(Pbx(), print)
    with tempfile.TemporaryDirectory(prefix="callfloor-record-") as work:
        settings = settings_in(Path(work))
        server = await asyncio.start_server(flow, "127.0.0.1", settings.agi.port)
        asterisk = Asterisk(settings, image)
        phones = {
            phone.name: SipPhone(
                phone.name,
                asterisk.secrets.phones[phone.name],
                int((phone.contact or "").rpartition(":")[2]),
                settings.pbx.sip_port,
            )
            for phone in settings.phones
        }
        for phone in phones.values():
            await phone.start()
        async with asterisk:
            for name in names or [*SITUATIONS, "resync-in-call"]:
                try:
                    async with asyncio.timeout(LIMIT):
                        await record(Rig(asterisk, phones), name)
                except (TimeoutError, RuntimeError) as failed:
                    print(f"{name}: NOT RECORDED: {failed!r}", flush=True)
                for phone in phones.values():
                    phone.forget()
        for phone in phones.values():
            phone.stop()
        server.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
