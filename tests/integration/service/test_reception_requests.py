"""What callers ask for and say in the IVR: bank details that nobody else sees, returns, complaints, greetings."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from telephony.demo.agents import DemoAgent
from telephony.pbx.process import Asterisk
from telephony.pbx.scenarios import Keys, PhoneScript

from .conftest import REAL_KEYS, House, eventually, seen_of

pytestmark = pytest.mark.asterisk

Furnish = Callable[..., Awaitable[House]]

ACCOUNT = "89370400440532013000"
WRONG = "89370400440532013001"
FLOW = """
callfloor_flow: 1
name: wishes
languages: [de]
default: {queue: service}
start: ask
nodes:
  ask: {type: authenticate, text: {de: Nummer}, pin_text: {de: Pin}, next: choose, no_pin: choose}
  choose:
    type: menu
    text: {de: Wahl}
    choices: {1: iban, 2: order_number, 3: complaint, 4: extension}
  iban: {type: collect, into: iban, secure: true, form: iban_de, text: {de: Konto}, wrong: {de: falsch}, next: right}
  right: {type: menu, text: {de: "{{ iban | digits }}"}, choices: {1: bank, 2: away}, error: away}
  bank: {type: request, kind: bank_details, fields: {iban: "{{ iban }}"}, next: filed}
  filed: {type: say, text: {de: "{{ request_reference | digits }}"}, next: away}
  order_number: {type: collect, into: typed, least: 4, most: 16, text: {de: Bestellung}, next: order}
  order: {type: lookup, what: orders, arguments: {number: "{{ typed }}"}, into: order, next: back}
  back: {type: request, kind: return, fields: {order: "{{ order.number }}"}, next: bye}
  complaint:
    type: message
    kind: complaint
    recipient: "'service'"
    text: {de: bitte}
    silence: 2
    next: wrong
    hangup: wrong
    empty: away
  wrong: {type: request, kind: complaint, next: bye}
  extension: {type: collect, into: extension, least: 3, most: 3, text: {de: Durchwahl}, next: greet}
  greet: {type: message, kind: greeting, recipient: extension, text: {de: bitte}, next: bye, empty: away, refused: away}
  bye: {type: hangup}
  away: {type: route, queue: service}
"""
MORE = {"[[queues]]": 'wrap_up = "none"'}
TONE = b"\x2a" * 10 + b"\xaa" * 10
"""A-law: 400 Hz, loud."""


def bytes_below(folder: Path, *apart: str) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name not in apart}


@contextlib.asynccontextmanager
async def listening(asterisk: Asterisk, ami: Any) -> AsyncIterator[list[str]]:
    """What Asterisk tells about its channels meanwhile, on its console and over AMI."""
    told: list[str] = []

    async def ask() -> None:
        while True:
            for line in (await asterisk.cli("core show channels concise")).splitlines():
                told.append(await asterisk.cli(f"core show channel {line.partition('!')[0]}"))
            await asyncio.sleep(0.3)

    async def hear() -> None:
        while True:
            told.append(str(await ami._read()))

    tasks = [asyncio.create_task(ask(), name="console"), asyncio.create_task(hear(), name="ami")]
    try:
        yield told
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_new_bank_details_are_read_back_sealed_and_decided_once(
    furnish: Furnish, raw_ami: Callable[[Asterisk], Awaitable[Any]]
) -> None:
    house = await furnish(flow=FLOW, more=MORE)
    await house.pins({"204117": "2580"})
    await house.serve()
    anna, ben, _ = await house.at_work("anna", "ben", "sue")
    await ben.be("paused", "lunch")
    await house.phone("phone1", PhoneScript(answer_after=0.1, talk=0.3))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    typed = ("204117#", "2580#", "1", WRONG, ACCOUNT, "1")
    keys = tuple(Keys(1.4, digits) for digits in typed)
    async with listening(house.asterisk, await raw_ami(house.asterisk)) as told:
        calling = house.call("+493023125501", keys=keys, dtmf=REAL_KEYS)
        pop = await seen_of(anna, "+493023125501", seconds=60)
        await calling
    assert pop["path"] == ["ask", "choose", "iban", "right", "bank", "filed", "away"]
    assert (pop["level"], pop["filed"]) == ("pin", 1)
    (request,) = (await anna.ask("GET", "/api/v1/requests"))["items"]
    assert (request["kind"], request["fields"], request["level"]) == ("bank_details", {"iban": "•••• 3000"}, "pin")
    assert (request["conversation"], request["customer_name"]) == (pop["conversation"], "Annegret Sommerfeld")
    decision = f"/api/v1/requests/{request['reference']}/decision"
    decided = await anna.ask("POST", decision, {"decision": "approved", "note": "am Telefon geprüft"})
    assert (decided["state"], decided["decided_by"]) == ("approved", "anna")
    with pytest.raises(RuntimeError, match="409.*request-decided"):
        await ben.ask("POST", decision, {"decision": "rejected", "note": ""})
    # Nobody else has seen it.
    assert any("CALLFLOOR_CHECKPOINT" in one for one in told)
    assert any("CallfloorSecure" in one for one in told)
    kept = bytes_below(house.folder, "keys.json")
    assert {"callfloor.db", "service.log", "messages.log"} <= {path.name for path in kept}
    assert any("journal" in path.parts for path in kept)
    for secret in (ACCOUNT, WRONG, ACCOUNT[2:], "2580#"):
        assert secret not in "".join(told)
        assert [path for path, data in kept.items() if secret.encode() in data] == []


async def sound_of(agent: DemoAgent, message: str) -> tuple[int, bytes]:
    assert agent._http is not None
    async with agent._http.get(f"/api/v1/messages/{message}/audio") as answer:
        return answer.status, await answer.read()


async def test_returns_complaints_and_greetings_come_to_those_they_are_for(furnish: Furnish) -> None:
    house = await furnish(flow=FLOW, more=MORE)
    await house.serve()
    anna, ben, sue = await house.at_work("anna", "ben", "sue")
    await ben.be("paused", "lunch")
    await house.phone("phone1", PhoneScript(answer_after=0.1, talk=0.3))
    await house.member("phone1", lambda line: "Not in use" in line, "may be rung")
    who = (Keys(1.2, "204117#"), Keys(1.0, "1111#"))
    calls = [
        house.call("+493023125501", keys=(*who, Keys(1.2, "2"), Keys(1.2, "20411701#"))),
        # She hangs up while she speaks: how most people end.
        house.call("+493023125502", keys=(*who, Keys(1.2, "3")), says=TONE, hang_up_after=4.0),
        house.call("+493023125503", keys=(*who, Keys(1.2, "4"), Keys(1.2, "702"), Keys(3.5, "#")), says=TONE),
        # He says nothing.
        house.call("+493023125504", keys=(*who, Keys(1.2, "3"))),
    ]
    silent = await seen_of(anna, "+493023125504")
    assert silent["path"] == ["ask", "choose", "complaint", "away"]
    assert silent["filed"] == 0
    await asyncio.gather(*calls)

    async def filed() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await sue.ask("GET", "/api/v1/requests"))["items"]
        return items if len(items) == 2 else []

    requests = {one["kind"]: one for one in await eventually(filed, "a return and a complaint")}
    assert requests["return"]["fields"] == {"order": "B204117-01"}
    (said,) = (await anna.ask("GET", "/api/v1/messages"))["items"]
    assert (said["kind"], said["for_queue"], said["conversation"]) == (
        "complaint",
        "service",
        requests["complaint"]["conversation"],
    )
    assert 1 <= said["seconds"] <= 4
    greeting, same = sorted(
        (await ben.ask("GET", "/api/v1/messages"))["items"], key=lambda one: str(one["kind"]) == "complaint"
    )
    assert same == said
    assert (greeting["kind"], greeting["for_queue"], greeting["customer_name"]) == (
        "greeting",
        "",
        "Annegret Sommerfeld",
    )
    assert 1 <= greeting["seconds"] <= 5
    status, sound = await sound_of(ben, greeting["id"])
    assert status == 200
    with wave.open(io.BytesIO(sound)) as opened:
        assert opened.getframerate() == 8000
        assert opened.getnframes() >= 8000
        assert max(opened.readframes(8000)) > 0
    # A greeting is nobody else's business.
    assert (await sound_of(anna, greeting["id"]))[0] == 404
    assert (await sound_of(sue, greeting["id"]))[0] == 404
    await ben.until(lambda: ben.entities["me"]["ben"]["messages"] == 2, "the lamp of two messages")
    await ben.ask("PUT", f"/api/v1/messages/{greeting['id']}/heard")
    await ben.until(lambda: ben.entities["me"]["ben"]["messages"] == 1, "the lamp of one message")
    assert not re.search("flow_office_failed|flow_prompt_failed", house.log)
