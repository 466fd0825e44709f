"""The whole service as a process of its own, on the packaged Asterisk, with people at its desks and at real phones."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from argon2 import PasswordHasher
from sqlmodel import select

from crm_bridge.database import Database
from crm_bridge.pins import Lock, Pins
from crm_bridge.samples import SAMPLES, load_samples
from crm_bridge.tables import Conversation
from telephony import migrations
from telephony.demo.agents import DemoAgent
from telephony.demo.crm import DemoCrm
from telephony.floor.accounts import Accounts, Membership
from telephony.pbx.callers import Outcome, Phone, call, free_udp_port, raw_rtp_allowed
from telephony.pbx.process import Asterisk, die_with
from telephony.pbx.scenarios import DtmfWay, PhoneScript
from telephony.settings import Settings, load

PASSWORD = "a good password"
KNOWN = "+493023125042"
LINE = "+493023125000"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
CRM_SECRET = "between the two of us"
SLOW = PhoneScript(answer_after=30.0, talk=0.3)
SOUNDS = Path(tempfile.gettempdir()) / f"callfloor-test-sounds-{os.getuid()}"
"""Rendered prompts of all tests, by their content: a flow that speaks numbers has more than a hundred."""
REAL_KEYS: DtmfWay = "rtp" if raw_rtp_allowed() else "info"
"""Keys as telephones send them (RFC 4733), where this machine lets SIPp do so."""
FLOW = """
callfloor_flow: 1
name: short
languages: [de]
default: {queue: service}
start: who
nodes:
  who: {type: recognise, known: away, shared: away, withheld: away, unknown: away}
  away: {type: route, queue: service}
"""
SETTINGS = """
[pbx]
folder = "{folder}/pbx"
sip_port = {sip}
ws_port = {ws}
rtp_start = {rtp}
rtp_end = {rtp_end}
[ami]
port = {ami}
ping_interval = 0.3
ping_timeout = 0.7
reconnect_first = 0.05
reconnect_cap = 0.5
resync_interval = 2
[agi]
port = {agi}
[http]
port = {http}
[storage]
folder = "{folder}"
url = "{database}"
[crm]
retry_first = 0.2
retry_cap = 0.5
[flows]
file = "{folder}/flow.yaml"
rendered = "{sounds}"
[log]
format = "json"
[[queues]]
name = "service"
label = {{ de = "Kundenservice", en = "Customer care" }}
ring_seconds = {ring}
wrap_up_codes = [
  {{ code = "PARCEL", label = {{ de = "Paket", en = "Parcel" }} }},
  {{ code = "OTHER", label = {{ de = "Sonstiges", en = "Other" }} }},
]
[[phones]]
name = "phone1"
contact = "sip:phone1@127.0.0.1:{phone1}"
[[phones]]
name = "phone2"
contact = "sip:phone2@127.0.0.1:{phone2}"
"""
WEBHOOK = """
[crm.adapter]
kind = "webhook"
url = "http://127.0.0.1:{port}"
secret = "{secret}"
timeout = 1
"""


async def eventually(test: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """Wait until ``test`` gives something true; it may be a coroutine function."""
    deadline = time.monotonic() + seconds
    while True:
        found = test()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(0.02)


@dataclass(repr=False)
class House:
    """One office: its Asterisk, its service, the people and the phones in it."""

    folder: Path
    config: Path
    settings: Settings
    asterisk: Asterisk
    service: asyncio.subprocess.Process | None = None
    agents: dict[str, DemoAgent] = field(default_factory=dict)
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    crm: DemoCrm | None = None
    readers: list[asyncio.Task[None]] = field(default_factory=list)
    penalties: Mapping[str, int] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.settings.http.port}"

    @property
    def log(self) -> str:
        return (self.folder / "service.log").read_text()

    # --- the service ---

    async def serve(self, file_bytes: int | None = None) -> None:
        """Start ``callfloor serve`` and wait until it is in sync. ``file_bytes``: no file of its own gets larger."""
        die = die_with(os.getpid())

        def prepare() -> None:
            die()
            if file_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

        environment = {key: value for key, value in os.environ.items() if not key.startswith("CALLFLOOR_")}
        self.service = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "telephony.cli", "--config", str(self.config), "serve"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            preexec_fn=prepare,
        )
        # Through us: a limit on files is to hit the journal, not the log.
        reading = asyncio.create_task(self._keep_log(self.service), name="service log")
        self.readers.append(reading)
        await eventually(self.ready, "the service to be in sync", 60)

    async def _keep_log(self, service: asyncio.subprocess.Process) -> None:
        assert service.stderr is not None
        with (self.folder / "service.log").open("ab", buffering=0) as log:
            while data := await service.stderr.read(65536):
                log.write(data)

    async def ready(self) -> bool:
        assert self.service is not None
        assert self.service.returncode is None, self.log
        with contextlib.suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as http, http.get(f"{self.base}/readyz") as answer:
                return answer.status == 200
        return False

    async def kill(self) -> None:
        """``kill -9``."""
        assert self.service is not None
        self.service.kill()
        await self.service.wait()

    async def stop(self) -> None:
        if self.service is not None and self.service.returncode is None:
            self.service.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(15):
                    await self.service.wait()
            except TimeoutError:
                await self.kill()
        await asyncio.gather(*self.readers)

    async def figure(self, name: str) -> float:
        """A metric of the running service."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.base}/metrics") as answer:
            for line in (await answer.text()).splitlines():
                if line.startswith((f"callfloor_{name} ", f"callfloor_{name}{{")):
                    return float(line.rpartition(" ")[2])
        raise AssertionError(f"no metric {name}")

    # --- people ---

    async def people(self) -> None:
        database = Database(self.settings.storage.url)
        accounts = Accounts(database, hasher=CHEAP)
        await migrations.upgrade(database)
        for login, role, phone in (
            ("anna", "agent", "phone1"),
            ("ben", "agent", "phone2"),
            ("sue", "supervisor", None),
        ):
            queues = [Membership("service", self.penalties.get(login, 0))] if phone else []
            await accounts.create(login, login.title(), PASSWORD, role, phone=phone, queues=queues)
        if self.crm is None:
            await load_samples(database, now=time.time())
        accounts.close()
        await database.close()

    async def pins(self, given: Mapping[str, str], wrong: Mapping[str, int] | None = None, by: str = "") -> None:
        """PINs by customer number, and how often somebody typed a wrong one from the number ``by`` before."""
        customers = {sample.number: sample.id for sample in SAMPLES}
        flows = self.settings.flows
        database = Database(self.settings.storage.url)
        pins = Pins(database, Lock(flows.pin_tries, flows.pin_lock_minutes * 60.0), hasher=CHEAP)
        for number, pin in given.items():
            await pins.set("embedded", customers[number], pin)
        for number, times in (wrong or {}).items():
            assert [await pins.check("embedded", customers[number], "0000", by) for _ in range(times)] == [
                "wrong"
            ] * times
        pins.close()
        await database.close()

    async def paths(self) -> list[list[str]]:
        """The way through the flow of every conversation, as it was written down."""
        database = Database(self.settings.storage.url)
        async with database.session() as session:
            found = (await session.exec(select(Conversation.path))).all()
        await database.close()
        return [list(path) for path in found]

    async def callfloor(self, *words: str) -> tuple[int, str]:
        """Run the command line; its exit status, and what it says."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "telephony.cli", "--config", str(self.config), *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={key: value for key, value in os.environ.items() if not key.startswith("CALLFLOOR_")},
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    async def at_work(self, *logins: str) -> list[DemoAgent]:
        """These people open their desks; who has a phone gets ready."""
        for login in logins:
            agent = self.agents[login] = DemoAgent(self.base, login, PASSWORD, lambda _pop: None)
            self.stack.push_async_callback(agent.stop)
            await agent.start()
            if login != "sue":
                await agent.be("ready")
        return [self.agents[login] for login in logins]

    async def member(self, phone: str, test: Callable[[str], bool], what: str) -> None:
        """Wait until Asterisk believes this of a queue member."""

        shown = ""

        async def so() -> bool:
            nonlocal shown
            shown = await self.asterisk.cli("queue show service")
            return any(f"PJSIP/{phone}" in line and test(line) for line in shown.splitlines())

        try:
            await eventually(so, f"{phone}: {what}")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{shown}\n{self.log[-4000:]}") from None

    async def phone(self, name: str, script: PhoneScript) -> Phone:
        contact = next(one.contact for one in self.settings.phones if one.name == name)
        assert contact is not None
        phone = Phone(self.asterisk.image, "127.0.0.1", int(contact.rpartition(":")[2]), script)
        return await self.stack.enter_async_context(phone)

    def call(self, number: str = KNOWN, **options: Any) -> asyncio.Task[Outcome]:
        calling = asyncio.create_task(
            call(self.settings, self.asterisk.image, dial=LINE, number=number, deadline=60, **options)
        )
        self.stack.push_async_callback(asyncio.gather, calling, return_exceptions=True)
        self.stack.callback(calling.cancel)
        return calling

    async def calls(self) -> dict[str, dict[str, Any]]:
        """All conversations, as the supervisor's list has them."""
        answer = await self.agents["sue"].ask("GET", "/api/v1/conversations?limit=100")
        return {item["conversation"]: item for item in answer["items"] if item["agent"] or not item["answered_at"]}


async def pop_of(agent: DemoAgent, state: str, seconds: float = 20.0) -> dict[str, Any]:
    """The agent's pop that is in this state, as soon as there is one."""

    def shown() -> dict[str, Any] | None:
        return next((pop for pop in agent.entities.get("pop", {}).values() if pop["state"] == state), None)

    await agent.until(lambda: shown() is not None, f"a pop that is {state}", seconds)
    found = shown()
    assert found is not None
    return found


async def seen_of(agent: DemoAgent, number: str, what: str = "route", seconds: float = 30.0) -> dict[str, Any]:
    """What the agent's screen shows, or showed last, of the caller with this number, once it is her turn."""

    def shown() -> dict[str, Any] | None:
        values = [one.value for one in agent.seen.values()]
        return next((value for value in reversed(values) if value["caller"]["number"] == number), None)

    await agent.until(lambda: shown() is not None, f"the pop of {number} ({what})", seconds)
    found = shown()
    assert found is not None
    return found


async def passed(supervisor: DemoAgent, node: str, what: str = "passed") -> int:
    """How many callers have left this node of the live flow; ``what``: ``here`` or ``gave_up`` in its place."""
    answer = await supervisor.ask("GET", "/api/v1/flow")
    return int(next(one[what] for one in answer["nodes"] if one["node"] == node))


async def wrap_up(agent: DemoAgent, conversation: str, code: str = "PARCEL", note: str = "") -> None:
    await agent.ask("POST", f"/api/v1/conversations/{conversation}/wrap-up", {"code": code, "note": note})


def _free_tcp() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


Furnish = Callable[..., Awaitable[House]]


@pytest.fixture
async def furnish(start_asterisk: Callable[..., Awaitable[Asterisk]], tmp_path: Path) -> AsyncIterator[Furnish]:
    """Makes a house with a running Asterisk.

    ``database``: its URL; ``webhook``: its CRM is one over HTTP; ``flow``: the text of its flow, ``files``: those of
    its sub-flows, by name; ``more``: settings, by the header under which they go (empty: at the end); ``penalties``: of
    agents in the queue; ``ring``: seconds that it rings their phones.
    """
    houses: list[House] = []

    async def made(
        database: str | None = None,
        *,
        webhook: bool = False,
        flow: str = FLOW,
        files: Mapping[str, str] | None = None,
        more: Mapping[str, str] | None = None,
        penalties: Mapping[str, int] | None = None,
        ring: int = 30,
    ) -> House:
        rtp = free_udp_port() // 2 * 2 % 40000 + 10000
        text = SETTINGS.format(
            folder=tmp_path,
            database=database or f"sqlite+aiosqlite:///{tmp_path}/callfloor.db",
            rtp=rtp,
            rtp_end=rtp + 400,
            sip=free_udp_port(),
            ring=ring,
            sounds=SOUNDS,
            **{name: _free_tcp() for name in ("ws", "ami", "agi", "http")},
            **{name: free_udp_port() for name in ("phone1", "phone2")},
        )
        port = _free_tcp()
        if webhook:
            text += WEBHOOK.format(port=port, secret=CRM_SECRET)
        for header, lines in (more or {}).items():
            text = text.replace(f"{header}\n", f"{header}\n{lines}\n", 1) if header else f"{text}{lines}\n"
        tomllib.loads(text)
        SOUNDS.mkdir(mode=0o700, exist_ok=True)
        for name, content in {"flow.yaml": flow, **(files or {})}.items():
            (tmp_path / name).write_text(content)
        config = tmp_path / "callfloor.toml"
        config.write_text(text)
        settings = load(config, {})
        house = House(tmp_path, config, settings, await start_asterisk(settings), penalties=penalties or {})
        houses.append(house)
        if webhook:
            house.crm = DemoCrm(f"sqlite+aiosqlite:///{tmp_path}/crm.db", port, CRM_SECRET)
            house.stack.push_async_callback(house.crm.stop)
            await house.crm.start()
        await house.people()
        house.stack.push_async_callback(house.stop)
        return house

    yield made
    for house in houses:
        await house.stack.aclose()
        log = house.folder / "service.log"
        if log.exists():
            assert "Traceback" not in log.read_text(), log.read_text()
            assert KNOWN not in log.read_text()
