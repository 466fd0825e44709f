from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from ivr_flows.engine import Outcome
from ivr_flows.phrases import Phrase
from ivr_flows.ports import CallerGone, CallFacts, Recognition, Route
from ivr_flows.runner import run
from ivr_flows.schema import parse

FLOW = parse(
    """
callfloor_flow: 1
name: t
languages: [de, en]
default: {queue: service, priority: 1}
start: hello
nodes:
  hello: {type: say, text: {de: hallo, en: hello}, next: who}
  who: {type: recognise, known: vip, unknown: ask}
  ask: {type: collect, text: {de: nummer, en: number}, wrong: {de: falsch, en: wrong}, next: vip, invalid: vip}
  vip: {type: route, queue: sales, priority: 10 if caller.proven else 5 if caller.known else 0}
"""
)
FACTS = CallFacts("pbx1-1.1", "+49301234567", "Erika", "allowed", "030123", "de")
KNOWN = Recognition("certain", "number", "id-1", "Erika", "en")
NONE = Recognition("none", "not found")


@dataclass
class Script:
    """A caller who does what is written down, and whose line breaks where it is written."""

    plays: list[str] = field(default_factory=list)
    collects: list[str] = field(default_factory=list)
    break_at: int = 1000
    error: type[Exception] = CallerGone
    heard: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    checkpoints: list[str] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    events: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    asked: list[tuple[int, float, str]] = field(default_factory=list)
    hung_up: bool = False
    acts: int = 0

    def _act(self) -> None:
        self.acts += 1
        if self.acts > self.break_at:
            raise self.error

    async def play(self, sounds: Sequence[str], interrupt: str = "") -> str:
        self._act()
        self.heard += sounds
        return self.plays.pop(0) if self.plays else ""

    async def collect(
        self, sounds: Sequence[str], most: int, seconds: float, secure: bool = False, stop: str = ""
    ) -> str:
        self._act()
        self.heard += sounds
        self.asked.append((most, seconds, stop))
        return self.collects.pop(0) if self.collects else ""

    async def set_variables(self, values: Mapping[str, str]) -> None:
        self._act()
        if values.get("CALLFLOOR_CHECKPOINT"):
            self.checkpoints.append(values["CALLFLOOR_CHECKPOINT"])
        self.variables |= values

    async def set_language(self, language: str) -> None:
        self._act()
        self.languages.append(language)

    async def tell(self, event: str, values: Mapping[str, str]) -> None:
        self._act()
        self.events.append((event, dict(values)))

    async def hang_up(self) -> None:
        self._act()
        self.hung_up = True


@dataclass
class Book:
    """A directory with one number and one customer number in it."""

    by_number: Recognition = NONE
    by_digits: Mapping[str, Recognition] = field(default_factory=dict)
    error: type[Exception] | None = None
    hangs: bool = False

    async def recognise(self, facts: CallFacts) -> Recognition:
        if self.error is not None:
            raise self.error
        if self.hangs:
            await asyncio.Event().wait()
        return self.by_number

    async def by_customer_number(self, facts: CallFacts, digits: str) -> Recognition:
        return self.by_digits.get(digits, NONE)


def name(phrase: Phrase) -> str:
    return f"/s/{phrase.language}/{phrase.text}"


async def go(caller: Script, book: Book, facts: CallFacts = FACTS) -> Outcome:
    return await run(FLOW, facts, caller, book, name, look_up_seconds=0.05)


async def test_a_known_caller() -> None:
    caller = Script()
    outcome = await go(caller, Book(KNOWN))
    assert outcome == Outcome(Route("sales", 5, "en"), ("hello", "who", "vip"), "en", KNOWN, "routed")
    assert caller.heard == ["/s/de/hallo"]
    assert caller.languages == ["en"]
    assert caller.events == [
        ("CallfloorIdentity", {"CallId": "pbx1-1.1", "Customer": "id-1", "Certainty": "certain", "Reason": "number"}),
        ("CallfloorFlow", {"CallId": "pbx1-1.1", "Path": "hello>who>vip", "Language": "en", "Route": "sales"}),
    ]
    assert caller.variables == {
        "CALLFLOOR_ROUTE": "sales",
        "CALLFLOOR_PRIORITY": "5",
        "CALLFLOOR_LANGUAGE": "en",
        "CALLFLOOR_CHECKPOINT": "",
    }
    # What the dialplan waits for is written last.
    assert list(caller.variables)[-1] == "CALLFLOOR_ROUTE"


async def test_a_customer_number_at_the_second_try() -> None:
    caller = Script(collects=["999", "4711"])
    outcome = await go(caller, Book(by_digits={"4711": KNOWN}))
    assert outcome.route == Route("sales", 10, "de")
    assert caller.heard == ["/s/de/hallo", "/s/de/nummer", "/s/de/falsch", "/s/de/nummer"]
    identities = [values["Certainty"] for event, values in caller.events if event == "CallfloorIdentity"]
    assert identities == ["none", "certain"]


async def test_a_key_typed_ahead_is_the_first_digit() -> None:
    caller = Script(plays=["4"], collects=["711"])
    outcome = await go(caller, Book(by_digits={"4711": KNOWN}))
    assert outcome.route == Route("sales", 10, "de")
    assert caller.heard == ["/s/de/hallo"]
    assert caller.asked == [(11, 6, "")]


async def test_the_server_dies_and_the_next_one_goes_on() -> None:
    first = Script(break_at=6, error=ConnectionError)
    await go(first, Book())
    assert first.heard[-1] == "/s/de/nummer"
    second = Script(collects=["4711"])
    facts = replace(FACTS, checkpoint=first.checkpoints[-1])
    outcome = await go(second, Book(by_digits={"4711": KNOWN}), facts)
    assert second.heard == ["/s/de/nummer"]
    assert outcome.path == ("hello", "who", "ask", "vip")
    assert outcome.route == Route("sales", 10, "de")


async def test_a_bad_checkpoint_is_a_fresh_start() -> None:
    caller = Script()
    assert (await go(caller, Book(KNOWN), replace(FACTS, checkpoint="1.x.y"))).ended == "routed"
    assert caller.heard == ["/s/de/hallo"]


async def test_another_language_on_the_line_is_set_right() -> None:
    caller = Script()
    await go(caller, Book(), replace(FACTS, language="fr"))
    assert caller.languages == ["de"]


@pytest.mark.parametrize("book", [Book(error=ValueError), Book(hangs=True)], ids=["raises", "hangs"])
async def test_a_broken_directory_means_not_recognised(book: Book) -> None:
    outcome = await go(Script(), book)
    assert (outcome.route, outcome.ended) == (Route("sales", 0, "de"), "routed")


async def test_a_broken_sound_takes_the_default_route() -> None:
    def missing(phrase: Phrase) -> str:
        raise LookupError(phrase.id)

    outcome = await run(FLOW, FACTS, (caller := Script()), Book(), missing)
    assert (outcome.route, outcome.ended, outcome.error) == (Route("service", 1, "de"), "error", "hello: LookupError")
    assert caller.variables["CALLFLOOR_ROUTE"] == "service"


async def test_a_flow_that_hangs_up_ends_the_call() -> None:
    flow = parse(
        "callfloor_flow: 1\nname: t\nlanguages: [de]\ndefault: {queue: service}\nstart: a\n"
        "nodes:\n  a: {type: hangup}\n"
    )
    outcome = await run(flow, FACTS, (caller := Script()), Book(), name)
    assert (outcome.route, outcome.ended, caller.hung_up) == (None, "hung_up", True)
    assert "CALLFLOOR_ROUTE" not in caller.variables


@pytest.mark.parametrize("moment", range(13))
async def test_hanging_up_at_any_moment_is_an_outcome(moment: int) -> None:
    caller = Script(break_at=moment)
    outcome = await go(caller, Book())
    if caller.acts > moment:
        assert outcome.ended == "gone"
        assert outcome.route is None
    else:
        assert outcome.ended == "routed"


@pytest.mark.parametrize("moment", range(13))
async def test_a_fault_at_any_moment_is_an_outcome(moment: int) -> None:
    caller = Script(break_at=moment, error=RuntimeError)
    outcome = await go(caller, Book())
    if caller.acts > moment:
        assert outcome.ended == "error"
        assert outcome.route is not None
    else:
        assert outcome.ended == "routed"
