"""The show: brings up everything, plays the story, prints what came of it, and clears away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import click

from crm_bridge.database import Database
from crm_bridge.pins import Lock, Pins
from crm_bridge.samples import SAMPLES
from telephony import migrations
from telephony.conversations.history import History
from telephony.conversations.replay import replay
from telephony.demo.agents import DemoAgent
from telephony.demo.crm import DemoCrm
from telephony.demo.house import PEOPLE, VISITOR, DemoError, House, claim, furnish
from telephony.demo.story import PIN, PIN_OF, STORY, UNHURRIED, USUAL, Result, Scene, judge
from telephony.floor.accounts import Accounts, Membership
from telephony.logs import configure
from telephony.pbx.callers import Phone, call
from telephony.pbx.errors import PbxError
from telephony.pbx.image import Image
from telephony.pbx.process import Asterisk, die_with
from telephony.pbx.provision import provision
from telephony.pbx.scenarios import PhoneScript
from telephony.settings import Log

READY_SECONDS = 180.0
"""The first start of all renders some hundred phrases."""
SCENE_SECONDS = 90.0
UNHURRIED_SECONDS = 150.0
RECORDED_SECONDS = 5.0
BETWEEN_ROUNDS = 5.0
TYPES_SECONDS = 8.0
"""How long an unhurried agent writes a call up."""
HOST = "127.0.0.1"
LISTENS = b'"event": "service_up"'


async def show(folder: Path, *, once: bool, port: int | None) -> int:
    """Play the demo; return the exit status. Raises the errors of its parts (see ``cli.ERRORS``)."""
    configure(Log(level="warning", format="console"))
    started = time.monotonic()
    house = await asyncio.to_thread(_clear_and_furnish, folder, port)
    image = await asyncio.to_thread(provision, house.settings.pbx, lambda line: click.echo(f"  {line}"))
    with _told_to_end() as told:
        async with contextlib.AsyncExitStack() as stack:
            crm = DemoCrm(f"sqlite+aiosqlite:///{house.folder / 'crm.db'}", house.crm_port, house.crm_secret)
            stack.push_async_callback(crm.stop)
            await crm.start()
            await hire(house)
            click.echo("  starting Asterisk")
            asterisk = await stack.enter_async_context(Asterisk(house.settings, image))
            await asterisk.wait_booted()
            click.echo("  starting Callfloor (the first time it renders its prompts, which takes up to a minute)")
            service = Service(house)
            stack.push_async_callback(service.stop)
            await service.start()
            stage = await stack.enter_async_context(_stage(house, image, crm, service))
            _announce(house, time.monotonic() - started)
            return await stage.play_once() if once else await stage.play_on()
    return 128 + told[0]


@contextlib.contextmanager
def _told_to_end() -> Iterator[list[int]]:
    """SIGINT and SIGTERM end what is in here in good order; gives the signal that did, as shells count them.

    Only the first counts: whoever sends two, as a terminal and make do together, wants no less tidying.
    """
    told: list[int] = []
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def end(number: int) -> None:
        if not told:
            told.append(number)
            task.cancel()
            with contextlib.suppress(OSError):  # nobody may be left to read it
                click.echo("\n  clearing away")

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, end, number)
    try:
        yield told
    except asyncio.CancelledError:
        if not told:
            raise
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _clear_and_furnish(folder: Path, port: int | None) -> House:
    claim(folder)
    return furnish(folder, port)


def _announce(house: House, seconds: float) -> None:
    address = f"http://{HOST}:{house.settings.http.port}"
    click.echo(f"\nCallfloor is up after {seconds:.0f} s. The desk: {address}")
    for person in PEOPLE:
        click.echo(f"  {person.login:<8} {house.password}   {person.name}, {person.role}")
    click.echo(f"Its settings: {house.config}\n")


async def hire(house: House) -> None:
    """Give everybody of the house an account."""
    database = Database(house.settings.storage.url)
    accounts = Accounts(database)
    try:
        await migrations.upgrade(database)
        for person in PEOPLE:
            await accounts.create(
                person.login,
                person.name,
                house.password,
                person.role,
                person.language,
                phone=person.phone,
                queues=[Membership(queue, penalty) for queue, penalty in person.queues],
            )
        pins = Pins(database, Lock())
        try:
            customer = next(one for one in SAMPLES if one.number == PIN_OF)
            await pins.set("webhook", customer.id, PIN)
        finally:
            pins.close()
    finally:
        accounts.close()
        await database.close()


class Service:
    """``callfloor serve`` as a process of its own, so that it can be killed."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._process: asyncio.subprocess.Process | None = None
        self._said_before = 0

    async def start(self) -> None:
        """Start it and wait until it is connected and in sync."""
        with (self._house.folder / "service.log").open("ab") as log:
            self._said_before = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "telephony.cli",
                "--config",
                str(self._house.config),
                "serve",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with(os.getpid()),
            )
        await self._ready()

    async def _ready(self) -> None:
        assert self._process is not None
        url = f"http://{HOST}:{self._house.settings.http.port}/readyz"
        async with aiohttp.ClientSession() as http, asyncio.timeout(READY_SECONDS):
            while True:
                if self._process.returncode is not None:
                    raise DemoError(f"the service has ended: {self._last_words()}")
                # What answers at that port could be somebody else's service: ours says when it listens.
                if LISTENS in self._log()[self._said_before :]:
                    with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                        async with http.get(url) as answer:
                            if answer.status == 200:
                                return
                await asyncio.sleep(0.05)

    def _log(self) -> bytes:
        return (self._house.folder / "service.log").read_bytes()

    def _last_words(self) -> str:
        lines = self._log().decode(errors="replace").splitlines()
        said = (lines[-1] if lines else "it said nothing").removeprefix("callfloor: ")
        return f"{said} (all of it: {self._house.folder / 'service.log'})"

    async def kill(self) -> None:
        """The hard way: no goodbye, nothing flushed."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(10):
                    await self._process.wait()
            except TimeoutError:
                await self.kill()


@contextlib.asynccontextmanager
async def _stage(house: House, image: Image, crm: DemoCrm, service: Service) -> AsyncIterator[Stage]:
    base = f"http://{HOST}:{house.settings.http.port}"
    stage = Stage(house, image, crm, service)
    people = {person.login: DemoAgent(base, person.login, house.password, stage.wrap_up) for person in PEOPLE}
    try:
        for person in people.values():
            await person.start()
        stage.supervisor = people.pop("sabine")
        stage.agents = people
        yield stage
    finally:
        for person in (*people.values(), *filter(None, [stage.supervisor])):
            await person.stop()


class Stage:
    """Plays scenes, one after the other."""

    def __init__(self, house: House, image: Image, crm: DemoCrm, service: Service) -> None:
        self.agents: dict[str, DemoAgent] = {}
        self.supervisor: DemoAgent | None = None
        self._house = house
        self._image = image
        self._crm = crm
        self._service = service
        self._scene: Scene = STORY[0]

    async def play_once(self) -> int:
        """The whole story; 0 when everything was as it says."""
        results = []
        for number, scene in enumerate(STORY, 1):
            click.echo(f"  {number}/{len(STORY)} {scene.title} …", nl=False)
            result = await self._play(scene)
            results.append(result)
            click.echo(" ok" if not result.remarks else " NOT as the story says")
        await self._complete(results)
        for result, scene in zip(results, STORY, strict=True):
            judge(result, scene.expected)
        failures = [line for agent in self.agents.values() for line in agent.failures]
        click.echo("\n" + table(results, whole=not sys.stdout.isatty()))
        for result in results:
            for remark in result.remarks:
                click.echo(f"  {result.title}: {remark}", err=True)
        for line in failures:
            click.echo(f"  {line}", err=True)
        pops = sum(agent.pops for agent in self.agents.values())
        written = await self._crm.calls_with_code()
        wanted = sum(bool(scene.expected.code) for scene in STORY)
        if written != wanted:
            click.echo(f"  the CRM has {written} calls with a code, the story has {wanted}", err=True)
        good = not failures and written == wanted and not any(result.remarks for result in results)
        click.echo(f"demo: {len(results)} calls, {pops} pops, {written} wrap-ups in the CRM")
        return 0 if good else 1

    async def play_on(self) -> int:
        """Over and over, without the scenes that break things, until Ctrl-C."""
        click.echo(
            f"Calls come in until you press Ctrl-C. Log in as {VISITOR}, and press F2 to be ready: her phone answers"
        )
        click.echo(
            "by itself, the rest is yours. Nobody ready? Then the others take the call. As sabine you see them all.\n"
        )
        await self.agents.pop(VISITOR).stop()
        for agent in self.agents.values():
            agent.types_for = TYPES_SECONDS
        while True:
            for scene in STORY:
                if not scene.trouble:
                    click.echo(f"  {time.strftime('%H:%M:%S')} {scene.title}")
                    click.echo(f"           {await self._play_unhurried(scene)}")
                    await asyncio.sleep(BETWEEN_ROUNDS)

    async def _play_unhurried(self, scene: Scene) -> str:
        """One call at a pace to watch it, whoever takes it; what came of it, on a line."""
        try:
            async with asyncio.timeout(UNHURRIED_SECONDS):
                for agent in self.agents.values():
                    free = lambda agent=agent: agent.presence in ("ready", "paused", "offline")  # noqa: E731
                    await agent.until(free, "the end of the last call", UNHURRIED_SECONDS)
                self._scene = scene
                before = self._conversations()
                async with self._phones({**UNHURRIED, **scene.unhurried}):
                    await self._take_places(scene)
                    await self._call(scene)
                return await self._what_came_of_it(self._conversations() - before)
        except (TimeoutError, RuntimeError, PbxError) as late:
            return str(late) or f"was not over after {UNHURRIED_SECONDS:.0f} s"

    async def _what_came_of_it(self, new: set[str]) -> str:
        assert self.supervisor is not None
        deadline = time.monotonic() + RECORDED_SECONDS
        while time.monotonic() < deadline:
            answer = await self.supervisor.ask("GET", "/api/v1/conversations?limit=10")
            call = next((one for one in answer["items"] if one["conversation"] in new and one["ended_at"]), None)
            if call is not None:
                return self._as_told(call)
            await asyncio.sleep(0.2)
        return "is over, and not in the records yet"

    def _as_told(self, call: dict[str, Any]) -> str:
        who = f"{call['customer_name'] or 'nobody we know'}, {call['certainty']}"
        if not call["agent"]:
            return f"nobody answered; {who}"
        if call["agent"] == VISITOR:
            return f"{VISITOR} answered: the code and the note are yours; {who}"
        seen = self.agents[call["agent"]].seen.get(call["conversation"])
        reason = f" ({seen.value['match']['reason']})" if seen is not None else ""
        return f"{call['agent']} answered; {who}{reason}"

    def wrap_up(self, _pop: dict[str, Any]) -> tuple[str, str] | None:
        """What the agents of the story type."""
        scene = self._scene
        return (scene.expected.code or "OTHER", scene.note) if scene.expected.agent else ("OTHER", "")

    async def _play(self, scene: Scene) -> Result:
        self._scene = scene
        result = Result(scene.title)
        before = self._conversations()
        async with self._phones({**USUAL, **scene.phones}):
            try:
                async with asyncio.timeout(SCENE_SECONDS):
                    await self._take_places(scene)
                    await self._call(scene)
                    await self._finish(scene, before, result)
            except (TimeoutError, RuntimeError, PbxError) as late:
                result.remarks.append(str(late) or f"was not over after {SCENE_SECONDS:.0f} s")
        return result

    @contextlib.asynccontextmanager
    async def _phones(self, scripts: dict[str, PhoneScript]) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for name, port in self._house.phone_ports.items():
                await stack.enter_async_context(Phone(self._image, HOST, port, scripts[name]))
            yield

    def _conversations(self) -> set[str]:
        """All that anybody has seen so far."""
        return {conversation for agent in self._everyone() for conversation in (*agent.seen, *agent.waiting_seen)}

    async def _take_places(self, scene: Scene) -> None:
        for login, agent in self.agents.items():
            agent.picks = lambda pop: next(
                (one["id"] for one in pop["candidates"] if one["name"] == self._scene.picks), None
            )
            wanted = "ready" if login in scene.ready else "paused"
            if agent.presence != wanted:
                await agent.be(wanted, "" if wanted == "ready" else "break")
        # The queue's own short pause after a call (wrapuptime) must be over, or the first ring goes past somebody.
        await asyncio.sleep(2.2)

    async def _call(self, scene: Scene) -> None:
        if scene.trouble == "service":
            await self._service.kill()
        self._crm.out_of_order = scene.trouble == "crm"
        self._called_at = time.time()
        calling = asyncio.create_task(
            call(
                self._house.settings,
                self._image,
                dial=scene.line,
                number=scene.number,
                name=scene.name,
                withheld=scene.withheld,
                keys=scene.keys,
                hang_up_after=scene.hang_up_after,
                deadline=UNHURRIED_SECONDS,
            ),
            name="caller",
        )
        try:
            if scene.trouble == "service":
                await asyncio.sleep(3.0)  # the phone is answered while nobody of ours is there
                await self._service.start()
            if scene.trouble == "crm":
                await self._someone(lambda agent: agent.presence == "talking", "somebody to answer")
                self._crm.out_of_order = False
            await calling
        finally:
            self._crm.out_of_order = False
            if not calling.done():
                calling.cancel()
                await asyncio.gather(calling, return_exceptions=True)

    async def _finish(self, scene: Scene, before: set[str], result: Result) -> None:
        """Wait until the office is done with this call, and note what it was."""
        if scene.expected.agent:
            agent = self.agents[scene.expected.agent]
            await agent.until(lambda: bool(set(agent.wrapped) - before), "the wrap-up to be accepted", 20)
            result.conversation = next(iter(set(agent.wrapped) - before))
        elif not scene.expected.queue:
            result.conversation = await self._settled_alone()
        else:
            assert self.supervisor is not None
            watcher = self.supervisor
            await watcher.until(lambda: bool(set(watcher.waiting_seen) - before), "a waiting caller", 20)
            result.conversation = next(iter(set(watcher.waiting_seen) - before))
            await watcher.until(lambda: result.conversation not in watcher.entities.get("waiting", {}), "the end", 20)
        saw = [agent.seen[result.conversation] for agent in self.agents.values() if result.conversation in agent.seen]
        result.rang = tuple(login for login, agent in self.agents.items() if result.conversation in agent.seen)
        if saw and scene.trouble != "service":
            result.pop_ms = max(seen.latency for seen in saw) * 1000
        owner = self.agents[scene.expected.agent].seen.get(result.conversation) if scene.expected.agent else None
        if owner is not None:
            result.reason = owner.value["match"]["reason"]
        self._check_screens(scene, result)

    async def _settled_alone(self) -> str:
        """The conversation that no screen has seen: the newest in the supervisor's list."""
        assert self.supervisor is not None
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            answer = await self.supervisor.ask("GET", "/api/v1/conversations?limit=5")
            for item in answer["items"]:
                if item["started_at"] >= self._called_at and item["ended_at"] is not None:
                    return str(item["conversation"])
            await asyncio.sleep(0.2)
        raise TimeoutError("the call is not in the records")

    def _check_screens(self, scene: Scene, result: Result) -> None:
        """The card stays with the one who answered, and is gone from everybody else's screen."""
        for login, agent in self.agents.items():
            seen = agent.seen.get(result.conversation)
            if seen is None:
                continue
            if login == scene.expected.agent:
                if "talking" not in seen.states or "wrap_up" not in seen.states:
                    result.remarks.append(f"{login} saw only {seen.states}")
            elif "talking" in seen.states or seen.states[-1] != "gone":
                result.remarks.append(f"{login} kept the card: {seen.states}")

    async def _complete(self, results: Sequence[Result]) -> None:
        """Fill in what the records and the journal say, once the CRM has everything."""
        assert self.supervisor is not None
        wanted = {result.conversation for result in results}
        items: dict[str, dict[str, Any]] = {}
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            answer = await self.supervisor.ask("GET", "/api/v1/conversations?limit=50")
            items = {item["conversation"]: item for item in answer["items"] if item["conversation"] in wanted}
            if len(items) == len(wanted) and all(item["crm_state"] == "delivered" for item in items.values()):
                break
            await asyncio.sleep(0.2)
        histories = {one.conversation: one for one in replay(self._house.folder / "journal")}
        for result in results:
            _fill(result, items.get(result.conversation), histories.get(result.conversation))

    def _everyone(self) -> list[DemoAgent]:
        return [*self.agents.values(), *filter(None, [self.supervisor])]

    async def _someone(self, test: Callable[[DemoAgent], bool], what: str) -> None:
        waiting = [
            asyncio.create_task(agent.until(lambda agent=agent: test(agent), what, SCENE_SECONDS))  # type: ignore[misc]
            for agent in self.agents.values()
        ]
        _, late = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in late:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _fill(result: Result, item: dict[str, Any] | None, history: History | None) -> None:
    if item is None:
        result.remarks.append("the call is not in the records")
        return
    result.certainty, result.customer = item["certainty"], item["customer_name"]
    result.queue, result.agent, result.code = item["queue"], item["agent"], item["code"]
    result.reference = item["crm_reference"]
    if history is None:
        result.remarks.append("the journal does not have the call")
        return
    result.path, result.outcome = tuple(item["path"]), history.outcome
    result.reason = result.reason or ("number_unique" if history.reason == "" else history.reason)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


COLUMNS = ("call", "identity", "certainty", "IVR path", "queue", "agent", "pop", "wrap-up", "CRM")


def table(results: Sequence[Result], *, whole: bool) -> str:
    """What came of the calls. ``whole``: nothing is cut to fit on a screen."""
    most = (10_000, 10_000) if whole else (36, 52)
    rows = [COLUMNS] + [
        (
            _short(result.title, most[0]),
            result.customer or "–",
            f"{result.certainty} ({result.reason})",
            _short(" › ".join(node for node in result.path if not node.startswith("to_")), most[1]) or "–",
            f"{result.queue} {result.outcome}",
            result.agent or "–",
            "–" if result.pop_ms is None else f"{result.pop_ms:.0f} ms",
            result.code or "–",
            result.reference or "–",
        )
        for result in results
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
