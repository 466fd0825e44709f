"""A caller reaches a person, whatever state Callfloor is in. Real SIP calls through the real dialplan."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from telephony.pbx.callers import Keys, Phone, call, raw_rtp_allowed
from telephony.pbx.process import Asterisk
from telephony.pbx.scenarios import DtmfWay, PhoneScript
from telephony.settings import Settings

pytestmark = pytest.mark.asterisk

Connect = Callable[[Asterisk], Awaitable[Any]]
StartAsterisk = Callable[..., Awaitable[Asterisk]]
DID = "+4930230000"
CALLER = "+493023125001"
ANSWERS = PhoneScript(answer_after=0.1, talk=0.3)


def _phone(asterisk: Asterisk, name: str = "phone1", script: PhoneScript = ANSWERS) -> Phone:
    contact = next(phone.contact for phone in asterisk.settings.phones if phone.name == name)
    assert contact is not None
    return Phone(asterisk.image, "127.0.0.1", int(contact.rpartition(":")[2]), script)


async def _member(ami: Any, queue: str = "service", phone: str = "phone1") -> None:
    said = await ami.action("QueueAdd", Queue=queue, Interface=f"PJSIP/{phone}", MemberName=f"agent-{phone}")
    assert said["response"] == ["Success"]


@dataclass
class _Ivr:
    """A FastAGI server that plays one part, and remembers what it was told."""

    port: int
    play: Callable[[_Ivr, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    environments: list[dict[str, str]] = field(default_factory=list)
    digits: str = ""

    async def command(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: str) -> str:
        writer.write(f"{line}\n".encode())
        return (await reader.readline()).decode().strip()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        environment = {}
        while line := (await reader.readline()).decode().strip():
            key, _, value = line.partition(": ")
            environment[key] = value
        self.environments.append(environment)
        with contextlib.suppress(ConnectionError):
            await self.play(self, reader, writer)
        writer.close()


@contextlib.asynccontextmanager
async def _ivr(port: int, play: Any) -> AsyncIterator[_Ivr]:
    ivr = _Ivr(port, play)
    server = await asyncio.start_server(ivr.serve, "127.0.0.1", port)
    try:
        yield ivr
    finally:
        server.close()


def _sets(**variables: str) -> Any:
    async def play(ivr: _Ivr, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for name, value in variables.items():
            await ivr.command(reader, writer, f'SET VARIABLE {name} "{value}"')

    return play


async def _hangs(ivr: _Ivr, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()  # until Asterisk gives up


def _variables(event: dict[str, list[str]], header: str = "chanvariable") -> dict[str, str]:
    return dict(text.partition("=")[::2] for text in event[header])


async def test_without_callfloor_the_caller_reaches_the_fallback_queue(pbx: Asterisk, raw_ami: Connect) -> None:
    ami = await raw_ami(pbx)
    await _member(ami)
    async with _phone(pbx) as phone:
        outcome = await call(pbx.settings, pbx.image, dial=DID, number=CALLER, name="Anna Ångström", deadline=20)
        assert [event.what for event in phone.events] == ["rang", "answered", "hung-up"]
    assert (outcome.status, outcome.ended_by) == (200, "far-end")

    arrived = await ami.event("Newchannel", Exten=DID)
    assert arrived["calleridnum"] == [CALLER]
    assert arrived["uniqueid"][0].startswith("pbx1-")
    fallback = await ami.event("UserEvent", UserEvent="CallfloorFallback")
    assert fallback["callid"] == arrived["uniqueid"]
    assert fallback["why"] == ["agi-FAILURE"]
    rung = await ami.event("AgentCalled")
    assert rung["queue"] == ["service"]
    assert rung["interface"] == ["PJSIP/phone1"]
    assert _variables(rung)["CALLFLOOR_ID"] == arrived["uniqueid"][0]
    assert _variables(rung, "destchanvariable")["CALLFLOOR_ID"] == arrived["uniqueid"][0]
    assert _variables(rung)["CALLERID(pres)"].startswith("allowed")
    left = await ami.event("UserEvent", UserEvent="CallfloorQueueExit")
    assert (left["callid"], left["queue"], left["status"]) == (arrived["uniqueid"], ["service"], ["CONTINUE"])


async def test_the_ivr_decides_queue_priority_and_language(pbx: Asterisk, raw_ami: Connect) -> None:
    ami = await raw_ami(pbx)
    await _member(ami, "sales", "phone2")
    play = _sets(CALLFLOOR_ROUTE="sales", CALLFLOOR_PRIORITY="7", CALLFLOOR_LANGUAGE="en")
    async with _ivr(pbx.settings.agi.port, play) as ivr, _phone(pbx, "phone2"):
        await call(pbx.settings, pbx.image, dial=DID, number=CALLER, deadline=20)
    joined = await ami.event("QueueCallerJoin")
    assert (joined["queue"], joined["language"]) == (["sales"], ["en"])
    assert [ivr.environments[0].get(f"agi_arg_{number}", "") for number in (1, 2, 3)] == [
        joined["uniqueid"][0],
        DID,
        "",
    ]
    assert ivr.environments[0]["agi_network_script"] == f"ivr/{pbx.secrets.agi}"
    assert len(pbx.secrets.agi) >= 24


@pytest.mark.parametrize(
    ("route", "why"), [("nowhere", "unknown-route"), ("", "agi-SUCCESS"), ("x${SHELL(id)},1", "unknown-route")]
)
async def test_a_route_that_leads_nowhere_is_the_fallback(
    pbx: Asterisk, raw_ami: Connect, route: str, why: str
) -> None:
    ami = await raw_ami(pbx)
    async with _ivr(pbx.settings.agi.port, _sets(CALLFLOOR_ROUTE=route)):
        await call(pbx.settings, pbx.image, dial=DID, number=CALLER, hang_up_after=0.2, deadline=20)
    assert (await ami.event("UserEvent", UserEvent="CallfloorFallback"))["why"] == [why]
    assert (await ami.event("QueueCallerJoin"))["queue"] == ["service"]


async def test_the_second_server_is_tried_with_the_checkpoint_of_the_first(
    start_asterisk: StartAsterisk, raw_ami: Connect, pbx_settings: Callable[..., Settings]
) -> None:
    second = pbx_settings().agi.port
    asterisk = await start_asterisk(agi={"second": f"127.0.0.1:{second}"})
    ami = await raw_ami(asterisk)
    first_dies = _sets(CALLFLOOR_CHECKPOINT="main.7=ask")
    async with (
        _ivr(asterisk.settings.agi.port, first_dies) as first,
        _ivr(second, _sets(CALLFLOOR_ROUTE="sales")) as other,
    ):
        await call(asterisk.settings, asterisk.image, dial=DID, number=CALLER, hang_up_after=0.2, deadline=20)
    assert len(first.environments) == 1
    assert other.environments[0]["agi_arg_3"] == "main.7=ask"
    assert (await ami.event("QueueCallerJoin"))["queue"] == ["sales"]


async def test_a_server_that_hangs_is_cut_off(start_asterisk: StartAsterisk, raw_ami: Connect) -> None:
    asterisk = await start_asterisk(pbx={"ivr_limit": 10})
    ami = await raw_ami(asterisk)
    await _member(ami)
    async with _ivr(asterisk.settings.agi.port, _hangs), _phone(asterisk):
        outcome = await call(asterisk.settings, asterisk.image, dial=DID, number=CALLER, deadline=30)
    assert outcome.ended_by == "far-end"
    assert 10 <= outcome.seconds < 13
    assert (await ami.event("UserEvent", UserEvent="CallfloorFallback"))["why"] == ["ivr-limit"]
    assert (await ami.event("AgentConnect"))["queue"] == ["service"]


@pytest.mark.parametrize("withheld", ["privacy", "anonymous"])
async def test_a_withheld_number_stays_withheld(pbx: Asterisk, raw_ami: Connect, withheld: Any) -> None:
    ami = await raw_ami(pbx)
    await call(pbx.settings, pbx.image, dial=DID, number=CALLER, withheld=withheld, hang_up_after=0.2, deadline=20)
    joined = await ami.event("QueueCallerJoin")
    assert _variables(joined)["CALLERID(pres)"].startswith("prohib")
    # The network hands over the number it was asked to keep quiet; nobody may show it.
    assert joined["calleridnum"] == ([CALLER] if withheld == "privacy" else ["<unknown>"])


@pytest.mark.parametrize(
    ("privacy", "presentation"),
    [
        (["id"], "prohib"),
        (["user;header"], "prohib"),
        (["none"], "allowed"),
        (["none", "none"], "allowed"),
        (["none", "id"], "prohib"),
        (["none", "none", "none", "user"], "prohib"),
        (["none, id"], "prohib"),
    ],
)
@pytest.mark.parametrize("asserted", [False, True])
async def test_privacy_is_kept_in_whatever_line_and_without_an_asserted_identity(
    pbx: Asterisk, raw_ami: Connect, privacy: list[str], presentation: str, asserted: bool
) -> None:
    ami = await raw_ami(pbx)
    headers = [f"Privacy: {line}" for line in privacy]
    headers += [f"P-Asserted-Identity: sip:{CALLER}@example.invalid"] if asserted else []
    await call(pbx.settings, pbx.image, dial=DID, number=CALLER, headers=headers, hang_up_after=0.2, deadline=20)
    joined = await ami.event("QueueCallerJoin")
    assert _variables(joined)["CALLERID(pres)"].startswith(presentation)
    # Nor was it told as a number to be shown by any event that already names the conversation.
    told = [event for event in ami.events if _variables({"chanvariable": [], **event}).get("CALLFLOOR_ID")]
    assert {_variables(event)["CALLERID(pres)"].startswith(presentation) for event in told} == {True}


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+49-30-2312.5045", "+493023125045"),
        ("+49%2030%2023125045", "+493023125045"),
        ("*21#", "*21#"),
        ("4930%22%24%7BSHELL%28id%29%7D5", None),
        ("+4930%ff%c3%bc23125045", None),
        ("+4930a23125045", None),
        ("+49%20%280%293023125045", None),
        ("-.-", None),
    ],
)
async def test_only_what_is_a_number_is_told_as_one(
    pbx: Asterisk, raw_ami: Connect, number: str, shown: str | None
) -> None:
    ami = await raw_ami(pbx)
    await call(pbx.settings, pbx.image, dial=DID, number=number, hang_up_after=0.2, deadline=20)
    joined = await ami.event("QueueCallerJoin")
    assert joined["calleridnum"] == [shown or "<unknown>"]
    allowed = shown is not None
    assert _variables(joined)["CALLERID(pres)"].startswith("allowed") is allowed
    told = [event for event in ami.events if _variables({"chanvariable": [], **event}).get("CALLFLOOR_ID")]
    assert {_variables(event)["CALLERID(pres)"].startswith("allowed") for event in told} == {allowed}


FORGED = "4930%0d%0a%0d%0aEvent%3a%20Hangup%0d%0aUniqueid%3a%20pbx1-1.1"


@pytest.mark.parametrize(
    ("number", "dial", "headers"),
    [
        (FORGED, DID, ()),
        ("%0AEvent%3A%20Hangup", DID, ()),
        ("%00", DID, ()),
        (CALLER, f"+{FORGED}", ()),
        (CALLER, DID, (f"P-Asserted-Identity: sip:{FORGED}@example.invalid",)),
        (CALLER, DID, ("P-Asserted-Identity: tel:+493023125001", f"P-Asserted-Identity: sip:{FORGED}@example.invalid")),
        (CALLER, DID, (f"Remote-Party-ID: sip:{FORGED}@example.invalid",)),
    ],
)
async def test_a_caller_who_writes_lines_into_a_number_does_not_get_in(
    pbx: Asterisk, raw_ami: Connect, number: str, dial: str, headers: tuple[str, ...]
) -> None:
    ami = await raw_ami(pbx)
    outcome = await call(pbx.settings, pbx.image, dial=dial, number=number, headers=headers, deadline=20)
    assert (outcome.status, outcome.ended_by) == (404, "refused")
    # Not a byte of it is in the manager's stream: the next caller is the first of whom it tells.
    await call(pbx.settings, pbx.image, dial=DID, number=CALLER, hang_up_after=0.2, deadline=20)
    assert (await ami.event("Newchannel"))["calleridnum"] == [CALLER]
    assert not [event for event in ami.events if "privilege" not in event]


async def test_nor_does_one_from_a_providers_address(start_asterisk: StartAsterisk) -> None:
    asterisk = await start_asterisk(pbx={"trunk_addresses": ["127.0.0.1"]})
    outcome = await call(asterisk.settings, asterisk.image, dial=DID, number=FORGED, deadline=20)
    assert (outcome.status, outcome.ended_by) == (404, "refused")
    outcome = await call(asterisk.settings, asterisk.image, dial=DID, number=CALLER, hang_up_after=0.2, deadline=20)
    assert outcome.status == 200


async def test_the_dialplans_own_extensions_are_no_numbers_to_dial(pbx: Asterisk) -> None:
    for inside in ("T", "h", "i", "start"):
        outcome = await call(pbx.settings, pbx.image, dial=inside, number=CALLER, deadline=20)
        assert (outcome.status, outcome.ended_by) == (404, "refused"), inside


async def test_a_caller_nobody_answers_goes_on_to_the_next_queue(
    start_asterisk: StartAsterisk, raw_ami: Connect
) -> None:
    queues: Sequence[dict[str, Any]] = [
        {"name": "service", "label": {}, "wrap_up": "none", "wait_limit": 5, "overflow": "sales"},
        {"name": "sales", "label": {}, "wrap_up": "none", "wait_limit": 5, "overflow": "service"},
    ]
    asterisk = await start_asterisk(queues=queues)
    ami = await raw_ami(asterisk)
    outcome = await call(asterisk.settings, asterisk.image, dial=DID, number=CALLER, deadline=40)
    for queue in ("service", "sales"):
        left = await ami.event("UserEvent", UserEvent="CallfloorQueueExit", Queue=queue)
        assert left["status"] == ["TIMEOUT"]
    # Not sent round again, but told good-bye: the prompts take some seconds.
    assert outcome.ended_by == "far-end"
    assert outcome.seconds > 12


async def test_the_conversation_goes_along_with_a_blind_transfer(pbx: Asterisk, raw_ami: Connect) -> None:
    ami = await raw_ami(pbx)
    await _member(ami)
    await _member(ami, "sales", "phone2")
    transfers = PhoneScript(answer_after=0.1, talk=0.3, transfer_to="q-sales")
    async with _phone(pbx, "phone1", transfers) as first, _phone(pbx, "phone2") as second:
        await call(pbx.settings, pbx.image, dial=DID, number=CALLER, deadline=20)
        assert [event.what for event in second.events] == ["rang", "answered", "hung-up"]
        assert [event.what for event in first.events][:3] == ["rang", "answered", "transferred"]
    there = await ami.event("QueueCallerJoin", Queue="service")
    transferred = await ami.event("BlindTransfer")
    assert (transferred["result"], transferred["extension"]) == (["Success"], ["q-sales"])
    again = await ami.event("QueueCallerJoin", Queue="sales")
    assert _variables(again)["CALLFLOOR_ID"] == _variables(there)["CALLFLOOR_ID"] == there["uniqueid"][0]


async def test_busy_and_silent_phones(pbx: Asterisk, raw_ami: Connect) -> None:
    ami = await raw_ami(pbx)
    await _member(ami)
    await _member(ami, phone="phone2")
    async with _phone(pbx, "phone1", PhoneScript(reject=486)) as busy:
        silent = _phone(pbx, "phone2", PhoneScript(answer_after=None))
        async with silent:
            outcome = await call(pbx.settings, pbx.image, dial=DID, number=CALLER, hang_up_after=1.0, deadline=20)
            await silent.wait_for("cancelled")
            assert {event.what for event in busy.events} == {"rang"}
    assert outcome.ended_by == "caller"
    assert (await ami.event("QueueCallerAbandon"))["queue"] == ["service"]


@pytest.mark.parametrize("way", ["info", "rtp"])
async def test_keys_reach_the_ivr(pbx: Asterisk, way: DtmfWay) -> None:
    if way == "rtp" and not raw_rtp_allowed():
        pytest.skip("digits in RTP need a raw socket: run in tests/integration/in-namespace")

    async def play(ivr: _Ivr, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(4):
            said = await ivr.command(reader, writer, "WAIT FOR DIGIT 5000")
            ivr.digits += chr(int(said.partition("result=")[2]))
        await ivr.command(reader, writer, "HANGUP")

    async with _ivr(pbx.settings.agi.port, play) as ivr:
        keys = [Keys(0.5, "19"), Keys(0.3, "0#")]
        outcome = await call(pbx.settings, pbx.image, dial=DID, number=CALLER, keys=keys, dtmf=way, deadline=20)
    assert ivr.digits == "190#"
    assert outcome.ended_by == "far-end"


async def test_agents_cannot_dial_out_and_strangers_not_in(pbx: Asterisk) -> None:
    for number in ("004930230000", "+4930230000", "110"):
        assert "no existence" in await pbx.cli(f"dialplan show {number}@callfloor-phones")
    assert "Queue(sales" in await pbx.cli("dialplan show sales@callfloor-route")
    # Without the trunk's mark nobody is let in.
    settings = pbx.settings
    stranger = settings.model_copy(update={"pbx": settings.pbx.model_copy(update={"trunk_match_header": None})})
    outcome = await call(stranger, pbx.image, dial=DID, number=CALLER, deadline=10)
    assert (outcome.status, outcome.ended_by) == (401, "refused")
