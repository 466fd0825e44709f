"""The reception over HTTP: who sees and does what, with real stores behind it."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from argon2 import PasswordHasher

from crm_bridge.database import Database
from crm_bridge.pins import Lock, Pins
from crm_bridge.requests import NewRequest, Requests
from crm_bridge.sealing import Sealer
from ivr_flows import FRONT_DESK
from ivr_flows.checks import House
from ivr_flows.ports import CallFacts
from ivr_flows.schema import Flow, load
from ivr_flows.state import Outcome, State
from telephony.desk.reception_api import ReceptionApi, Stores
from telephony.reception.callbacks import CallBacks
from telephony.reception.counts import FlowCounts
from telephony.reception.library import Library
from telephony.reception.messages import Left, Messages, Recipient
from telephony.reception.shelf import Shelf
from telephony.reception.switches import Switches
from telephony.settings import Settings

from .conftest import Desk, OpenDesk

SETTINGS = Settings.model_validate(
    {
        "pbx": {"trunk_out": "sip:127.0.0.1:5070"},
        "callbacks": {"web_token": "a long and secret word"},
    }
)
BANK = NewRequest("pbx1-1.1", "n", "bank_details", "crm", "c1", "Erika", "pin", {"iban": "DE89370400440532013000"})
HOUSE = House(queues=["service"], hours=["service"])


@dataclass
class Reception:
    desk: Desk
    stores: Stores
    changes: list[None]


@pytest.fixture
async def reception(open_desk: OpenDesk, accounts_database: Database, tmp_path: Path) -> AsyncIterator[Reception]:
    def clock() -> float:
        return 1_790_000_000.0

    async def prepare(_: Flow) -> None:
        pass

    database = accounts_database
    library = Library(database, clock)
    stores = Stores(
        requests=Requests(database, Sealer({"k1": bytes(32)}), clock),
        messages=Messages(database, tmp_path / "messages", clock),
        callbacks=CallBacks(database, SETTINGS.callbacks, clock),
        switches=Switches(database, clock),
        library=library,
        shelf=Shelf(library, load(FRONT_DESK), HOUSE, prepare),
        counts=FlowCounts(database, ZoneInfo("Europe/Berlin"), clock),
        pins=Pins(database, Lock(), hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1), clock=clock),
        source="crm",
    )
    changes: list[None] = []
    api = ReceptionApi(SETTINGS, stores, lambda: changes.append(None))
    yield Reception(await open_desk(more=api.routes()), stores, changes)
    stores.pins.close()


async def ask(reception: Reception, login: str, method: str, path: str, body: object = None) -> Any:
    client = await reception.desk.signed_in(login)
    options = {} if body is None else {"json": body}
    return await reception.desk.call(client, method, path, **options)


async def test_a_request_is_seen_masked_and_decided_once(reception: Reception) -> None:
    reference = await reception.stores.requests.file(BANK)
    for path in ("/api/v1/requests", "/api/v1/requests?customer=c1"):
        (item,) = (await ask(reception, "anna", "GET", path)).json["items"]
        assert (item["reference"], item["fields"], item["state"]) == (reference, {"iban": "•••• 3000"}, "pending")
    assert (await ask(reception, "anna", "GET", "/api/v1/requests?customer=c2")).json["items"] == []
    decide = f"/api/v1/requests/{reference}/decision"
    done = await ask(reception, "anna", "POST", decide, {"decision": "approved", "note": "Ausweis"})
    assert (done.json["state"], done.json["decided_by"], len(reception.changes)) == ("approved", "anna", 1)
    again = await ask(reception, "ben", "POST", decide, {"decision": "rejected"})
    assert (again.status, again.problem) == (409, "request-decided")
    unknown = await ask(reception, "ben", "POST", "/api/v1/requests/1234567/decision", {"decision": "rejected"})
    assert (unknown.status, unknown.problem) == (404, "request-unknown")


async def test_bank_details_without_a_pin_are_approved_only_by_who_vouches(reception: Reception) -> None:
    reference = await reception.stores.requests.file(replace(BANK, level="number"))
    decide = f"/api/v1/requests/{reference}/decision"
    locked = await ask(reception, "anna", "POST", decide, {"decision": "approved"})
    assert (locked.status, locked.problem) == (403, "request-locked")
    done = await ask(reception, "anna", "POST", decide, {"decision": "approved", "vouched": True})
    assert (done.json["state"], done.json["vouched"], done.json["decided_by"]) == ("approved", True, "anna")
    # To turn it down does no harm.
    other = await reception.stores.requests.file(replace(BANK, level="number", node="again"))
    turned_down = await ask(reception, "anna", "POST", f"/api/v1/requests/{other}/decision", {"decision": "rejected"})
    assert (turned_down.json["state"], turned_down.json["vouched"]) == ("rejected", False)


async def test_a_message_is_heard_by_those_it_is_for(reception: Reception) -> None:
    messages = reception.stores.messages
    name, path = messages.place()
    with wave.open(f"{path}.wav", "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    await messages.keep(Left("pbx1-1.1", "greeting", Recipient(agent="anna"), name, 1, "+493023125042"))
    (item,) = (await ask(reception, "anna", "GET", "/api/v1/messages")).json["items"]
    assert (item["number_display"], item["seconds"]) == ("+49 30 23125042", 1)
    audio = f"/api/v1/messages/{item['id']}/audio"
    played = await ask(reception, "anna", "GET", audio)
    assert (played.status, played.headers["Content-Type"], played.raw[:4]) == (200, "audio/wav", b"RIFF")
    for path_ in (audio, audio.replace("audio", "heard")):
        method = "GET" if path_ == audio else "PUT"
        assert (await ask(reception, "ben", method, path_)).status == 404
    assert (await ask(reception, "anna", "PUT", audio.replace("audio", "heard"))).status == 204
    (item,) = (await ask(reception, "anna", "GET", "/api/v1/messages")).json["items"]
    assert item["heard_by"] == "anna"


async def test_call_backs_are_promised_once_and_withdrawn(reception: Reception) -> None:
    wish = {"queue": "service", "number": "030 23125042"}
    assert (await ask(reception, "anna", "POST", "/api/v1/callbacks", wish)).json == {
        "promised": True,
        "already": False,
    }
    assert (await ask(reception, "ben", "POST", "/api/v1/callbacks", wish)).json == {"promised": True, "already": True}
    (item,) = (await ask(reception, "ben", "GET", "/api/v1/callbacks")).json["items"]
    assert item["number_display"] == "+49 30 23125042"
    withdraw = f"/api/v1/callbacks/{item['id']}"
    assert [(await ask(reception, "ben", "DELETE", withdraw)).status for _ in range(2)] == [204, 404]


@pytest.mark.parametrize(
    ("wish", "problem"),
    [
        ({"queue": "golf", "number": "030 23125042"}, "queue-unknown"),
        ({"queue": "service", "number": "+1 202 555 0100"}, "number-not-callable"),
        ({"queue": "service", "number": "110"}, "number-not-callable"),
        ({"queue": "service", "number": "anonymous"}, "number-not-callable"),
    ],
)
async def test_call_backs_that_are_not_promised(reception: Reception, wish: dict[str, str], problem: str) -> None:
    answer = await ask(reception, "anna", "POST", "/api/v1/callbacks", wish)
    assert (answer.status, answer.problem) == (422, problem)


@pytest.mark.parametrize(
    ("header", "status"),
    [("Bearer a long and secret word", 200), ("Bearer wrong", 401), ("", 401), ("Bearer é", 401)],
)
async def test_a_website_asks_with_its_token_alone(reception: Reception, header: str, status: int) -> None:
    client = reception.desk.browser(origin=False)
    body = {"queue": "service", "number": "+493023125042", "language": "de"}
    answer = await reception.desk.call(
        client, "POST", "/api/v1/web/callbacks", json=body, headers={"Authorization": header}
    )
    assert answer.status == status
    assert len(await reception.stores.callbacks.open()) == (1 if status == 200 else 0)


async def test_the_office_is_closed_and_opened_by_supervision_alone(reception: Reception) -> None:
    body = {"closed": True, "reason": "Wasserschaden"}
    assert (await ask(reception, "anna", "PUT", "/api/v1/closure", body)).problem == "role-missing"
    closed = (await ask(reception, "sue", "PUT", "/api/v1/closure", body)).json
    assert (closed["closed"], closed["reason"], closed["by"]) == (True, "Wasserschaden", "sue")
    assert (await ask(reception, "anna", "GET", "/api/v1/closure")).json == closed
    assert not (await ask(reception, "sue", "PUT", "/api/v1/closure", {"closed": False})).json["closed"]


async def test_the_flow_shows_who_is_where_and_where_they_give_up(reception: Reception) -> None:
    counts, live = reception.stores.counts, reception.stores.shelf.live
    facts = CallFacts("c1", "", "", "", "", "de")
    counts.watch(live, State(facts=facts, language="de", node="language"))
    for _ in range(3):
        trail = (("greeting", "next"), ("recognise", "unknown"), ("language", "hangup"))
        counts.left(live, "c2", Outcome(None, (), "de", None, "gone", trail=trail))
    writing = asyncio.create_task(counts.run())
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert (await ask(reception, "anna", "GET", "/api/v1/flow")).problem == "role-missing"
    shown = (await ask(reception, "sue", "GET", "/api/v1/flow")).json
    nodes = {one["node"]: (one["here"], one["passed"], one["gave_up"]) for one in shown["nodes"]}
    assert (nodes["greeting"], nodes["language"], nodes["to_service"]) == ((0, 3, 0), (1, 3, 3), (0, 0, 0))
    picture = await ask(reception, "sue", "GET", "/api/v1/flow/drawing?days=1")
    assert (picture.headers["Content-Type"], picture.raw[:4]) == ("image/svg+xml; charset=utf-8", b"<svg")


async def test_only_an_admin_makes_another_version_live(reception: Reception) -> None:
    await reception.stores.library.publish(FRONT_DESK, HOUSE, "sue", None)
    body = {"flow": "front-desk", "version": 1}
    assert (await ask(reception, "sue", "PUT", "/api/v1/flow/live", body)).problem == "role-missing"
    assert (await ask(reception, "adi", "PUT", "/api/v1/flow/live", body)).status == 204
    await reception.stores.shelf.look()
    assert reception.stores.shelf.shown == "front-desk version 1"
    unknown = await ask(reception, "adi", "PUT", "/api/v1/flow/live", {"flow": "front-desk", "version": 9})
    assert (unknown.status, unknown.problem) == (404, "flow-version-unknown")


async def test_supervision_gives_customers_a_pin(reception: Reception) -> None:
    path = "/api/v1/customers/c1/pin"
    assert (await ask(reception, "anna", "PUT", path, {"pin": "4719"})).problem == "role-missing"
    assert (await ask(reception, "sue", "PUT", path, {"pin": "1111"})).problem == "pin-too-simple"
    assert (await ask(reception, "sue", "PUT", path, {"pin": "4719"})).status == 204
    assert await reception.stores.pins.check("crm", "c1", "4719") == "right"
