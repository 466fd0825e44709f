"""Flows over FastAGI on the packaged Asterisk, with callers over real SIP."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ivr_flows import FRONT_DESK, ports
from ivr_flows.phrases import phrases
from ivr_flows.ports import CallFacts, Finding, Question, Recognition, Route, Standing
from ivr_flows.prompts import Espeak, PromptLibrary
from ivr_flows.runner import run
from ivr_flows.schema import Flow, load, parse
from ivr_flows.state import Outcome
from telephony.agi import AgiCaller, AgiServer
from telephony.pbx.callers import call, raw_rtp_allowed
from telephony.pbx.image import Image
from telephony.pbx.process import Asterisk
from telephony.pbx.scenarios import Keys
from telephony.settings import Settings

pytestmark = pytest.mark.asterisk

DESK = load(FRONT_DESK)
ONE_QUESTION = """
callfloor_flow: 1
name: question
languages: [de]
default: {queue: service}
start: ask
nodes:
  ask:
    type: authenticate
    text: {de: Bitte geben Sie jetzt in aller Ruhe Ihre Kundennummer ein und schließen Sie mit der Raute-Taste ab.}
    seconds: 3
    skip: SKIP
    next: done
  done: {type: route, queue: service, priority: 7}
"""
ASK = parse(ONE_QUESTION.replace("SKIP", "null"))
ASK_OR_SKIP = parse(ONE_QUESTION.replace("SKIP", '"*"'))
CUSTOMER = Recognition("certain", "customer number", "id-1", "Erika", "de")


def tcp_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Book:
    """An office that knows one number, and every customer number that is typed."""

    typed: list[str] = field(default_factory=list)

    async def answer(self, standing: Standing, question: Question) -> Finding:
        if isinstance(question, ports.WhoHasNumber):
            self.typed.append(question.digits)
            return Finding("known", {}, CUSTOMER)
        if standing.facts.presentation.startswith("prohib"):
            return Finding("withheld", {}, Recognition("withheld", "number not shown"))
        if standing.facts.number == "+4930555010":
            return Finding("known", {}, Recognition("certain", "number", "id-2", "Eric", "en"))
        return Finding("unknown", {}, Recognition("none", "unknown number"))


@dataclass
class Office:
    """An Asterisk, its settings, and the prompts of all flows."""

    asterisk: Asterisk
    settings: Settings
    image: Image
    prompts: PromptLibrary
    book: Book = field(default_factory=Book)
    outcomes: asyncio.Queue[Outcome] = field(default_factory=asyncio.Queue)

    def handler(self, flow: Flow) -> Callable[[AgiCaller, CallFacts], Awaitable[None]]:
        async def lead(caller: AgiCaller, facts: CallFacts) -> None:
            self.outcomes.put_nowait(await run(flow, facts, caller, self.book, self.prompts.sound))

        return lead

    @asynccontextmanager
    async def serving(self, flow: Flow) -> AsyncIterator[AgiServer]:
        server = AgiServer(self.settings.agi, self.handler(flow))
        await server.start()
        try:
            yield server
        finally:
            await server.stop()

    async def outcome(self) -> Outcome:
        async with asyncio.timeout(60):
            return await self.outcomes.get()

    async def priority_in_queue(self) -> int:
        """The priority of the one caller who waits."""
        async with asyncio.timeout(20):
            while True:
                found = re.search(r"prio: (\d+)\)", await self.asterisk.cli("queue show service"))
                if found:
                    return int(found[1])
                await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def sounds() -> Iterator[Path]:
    """Rendered prompts, kept for all tests; a missing one is rendered again."""
    folder = Path(tempfile.mkdtemp(prefix="callfloor-sounds-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def office(
    image: Image,
    sounds: Path,
    pbx_settings: Callable[..., Settings],
    start_asterisk: Callable[..., Awaitable[Asterisk]],
) -> Office:
    settings = pbx_settings(agi={"second": f"127.0.0.1:{tcp_port()}"})
    espeak = Espeak(command=image.command("espeak-ng"), environment=image.env)
    prompts = PromptLibrary(sounds, espeak, espeak.voice)
    for flow in (DESK, ASK, ASK_OR_SKIP):
        await prompts.prepare(flow)
    return Office(await start_asterisk(settings), settings, image, prompts)


@asynccontextmanager
async def caller(office: Office, number: str | None, *keys: Keys, **how: object) -> AsyncIterator[None]:
    """Someone who calls, presses keys, and stays on the line until the block ends."""
    task = asyncio.create_task(
        call(office.settings, office.image, dial="+4930123456", number=number, keys=keys, **how),  # type: ignore[arg-type]
        name="caller",
    )
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_synthesiser_made_a_sound_for_every_phrase(office: Office) -> None:
    sizes = {phrase: os.stat(office.prompts.sound(phrase) + ".wav").st_size for phrase in phrases(DESK)}
    assert all(8000 < size < 400_000 for size in sizes.values()), sizes


async def test_a_known_caller_goes_to_the_queue_in_her_language(
    office: Office, raw_ami: Callable[[Asterisk], Awaitable[Any]]
) -> None:
    ami = await raw_ami(office.asterisk)
    async with office.serving(DESK), caller(office, "+4930555010"):
        outcome = await office.outcome()
        assert outcome.path == ("greeting", "recognise", "privacy", "to_service")
        identity = await ami.event("UserEvent", UserEvent="CallfloorIdentity")
        assert (identity["customer"], identity["certainty"]) == (["id-2"], ["certain"])
        told = await ami.event("UserEvent", UserEvent="CallfloorFlow")
        assert told["callid"] == identity["callid"] == told["uniqueid"]
        assert (told["path"], told["route"]) == (["greeting>recognise>privacy>to_service"], ["service"])
        assert (outcome.route, outcome.ended) == (Route("service", 5, "en"), "routed")
        assert await office.priority_in_queue() == 5


async def test_a_withheld_caller_types_her_number_ahead(office: Office) -> None:
    # Every key falls into a prompt: language, notice (which none ends), question.
    keys = (Keys(4.5, "1"), Keys(11.0, "4711#"))
    async with office.serving(DESK), caller(office, "+4930555011", *keys, withheld="privacy"):
        outcome = await office.outcome()
        assert office.book.typed == ["4711"]
        assert (outcome.route, outcome.recognition) == (Route("service", 10, "de"), CUSTOMER)
        assert await office.priority_in_queue() == 10


@pytest.mark.parametrize("flow", [ASK, ASK_OR_SKIP], ids=["get-data", "stop-key"])
@pytest.mark.parametrize("way", ["info", "rtp"])
async def test_every_digit_typed_into_the_prompt_counts(office: Office, flow: Flow, way: str) -> None:
    if way == "rtp" and not raw_rtp_allowed():
        pytest.skip("digits in RTP need a raw socket: run as root")
    async with office.serving(flow), caller(office, "+4930555011", Keys(0.5, "1234567890#"), dtmf=way):
        assert (await office.outcome()).ended == "routed"
        assert office.book.typed == ["1234567890"]


async def test_hanging_up_in_the_prompt_ends_the_flow(office: Office) -> None:
    async with office.serving(ASK) as server:
        await call(office.settings, office.image, dial="+4930123456", number="+4930555011", hang_up_after=0.5)
        assert (await office.outcome()).ended == "gone"
        assert server.counters.failed == 0


async def test_a_sound_that_is_missing_costs_nobody_the_queue(office: Office) -> None:
    os.unlink(office.prompts.sound(next(phrases(ASK))) + ".wav")
    async with office.serving(ASK), caller(office, "+4930555011"):
        outcome = await office.outcome()
        assert (outcome.route, outcome.error) == (Route("service", 0, "de"), "ask: SoundError")
        assert await office.priority_in_queue() == 0


async def test_the_second_server_goes_on_where_the_first_one_died(office: Office) -> None:
    assert office.settings.agi.second is not None
    second = AgiServer(office.settings.agi, office.handler(DESK))
    await second.start(port=int(office.settings.agi.second.rpartition(":")[2]))
    heard = asyncio.Event()

    class Listening(AgiCaller):
        async def collect(self, *args: object, **kwargs: object) -> str:
            heard.set()
            return await super().collect(*args, **kwargs)  # type: ignore[arg-type]

    first = AgiServer(
        office.settings.agi,
        lambda line, facts: run(DESK, facts, Listening(line._ask), office.book, office.prompts.sound),
    )
    await first.start()
    try:
        async with caller(office, "+4930555011", Keys(7.0, "2"), Keys(9.0, "4711#")):
            async with asyncio.timeout(20):
                await heard.wait()
            await first.stop()
            outcome = await office.outcome()
            # The greeting was not said again.
            assert outcome.path.count("greeting") == 1
            assert outcome.path[:3] == ("greeting", "recognise", "language")
            assert outcome.language == "en"
            assert outcome.ended == "routed"
    finally:
        await first.stop()
        await second.stop()
