"""The office at work: on the telephone, on the screens and on disk. Only Asterisk and the CRM are played."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from asterisk.ami import SimpleAction
from sqlalchemy import delete, select, update

from crm_bridge.bridge import Bridge
from crm_bridge.database import Database
from crm_bridge.ports import ActivityLine, CallReport, Card, Certainty, CrmUnavailable, CustomerRef, Match
from crm_bridge.tables import Conversation, OutboxRow, Talk, WrapUp, table_of
from telephony.app import queue_rules
from telephony.conversations.aftermath import Aftermath
from telephony.conversations.events import (
    AgentRinging,
    Anomaly,
    CallerIdentified,
    ConversationEnded,
    ConversationOpened,
    FlowLeft,
    Happening,
    HoldStarted,
    Merged,
    QueueJoined,
    QueueLeft,
    Resynced,
    RingEnd,
    RingEnded,
    StintEnd,
    TalkEnded,
    TalkStarted,
)
from telephony.conversations.history import History, StintRecord, TalkRecord
from telephony.conversations.journal import JournalError
from telephony.desk import identities
from telephony.desk import office as office_module
from telephony.desk import records as records_module
from telephony.desk.entities import SHAPES
from telephony.desk.lobby import Lobby
from telephony.desk.office import LiveOffice
from telephony.desk.pops import Pops
from telephony.desk.ports import Conflict, NotFound, Refused, Unavailable
from telephony.desk.records import Records
from telephony.desk.stream import Audience, Board
from telephony.floor.accounts import Accounts, Membership, Role
from telephony.floor.keeper import Keeper
from telephony.floor.policy import Floor
from telephony.settings import Settings

CALL = "pbx1-1700000000.1"
NUMBER = "+493023125042"
ANNA, BEN = "PJSIP/phone1", "PJSIP/phone2"
ERIKA = CustomerRef("id-erika", "204117", "Erika Sommer", language="de")
KONRAD = CustomerRef("id-konrad", "204118", "Konrad Weber")
MIRA = CustomerRef("id-mira", "204119", "Mira Weber", "Atelier Weber")
START = 1_700_000_000.0


class CheckedBoard(Board):
    """A board that takes nothing the stream's document does not promise."""

    def put(self, kind: str, id: str, value: Any, audience: Audience) -> None:
        super().put(kind, id, value, audience)
        SHAPES[kind].model_validate(self.value(kind, id))


class Crm:
    """A CRM whose answers come when the test says so."""

    name = "played"

    def __init__(self) -> None:
        self.numbers: dict[str, tuple[CustomerRef, ...]] = {NUMBER: (ERIKA,)}
        self.down = False
        self.open = asyncio.Event()
        self.open.set()
        self.asked: list[str] = []

    async def _answer(self, what: str) -> None:
        self.asked.append(what)
        await self.open.wait()
        if self.down:
            raise CrmUnavailable("503")

    async def find_by_number(self, e164: str) -> tuple[CustomerRef, ...]:
        await self._answer("number")
        return self.numbers.get(e164, ())

    async def find_by_customer_number(self, number: str) -> CustomerRef | None:
        await self._answer("customer number")
        return ERIKA if number == ERIKA.number else None

    async def card(self, customer_id: str) -> Card | None:
        await self._answer("card")
        known = {one.id: one for one in (ERIKA, KONRAD, MIRA)}
        customer = known.get(customer_id)
        if customer is None:
            return None
        contacts = [ActivityLine(START, "call", "asked for the parcel", by) for by in ("anna", "another house")]
        phones = (NUMBER, "ask at the desk")
        return Card(customer, "e@example.org", phones, activities=tuple(contacts), source=self.name, fetched_at=START)

    async def record_call(self, report: CallReport, key: str) -> str:
        raise AssertionError("the outbox has a worker of its own")

    async def check(self) -> None:
        await self._answer("check")


class Stage:
    """One office, everything in it real but Asterisk and the CRM."""

    def __init__(self, database: Database, settings: Settings, seen: Aftermath = Aftermath()) -> None:  # noqa: B008
        self.now = START
        self.settings = settings
        self.database = database
        self.crm = Crm()
        self.sent: list[SimpleAction] = []
        self.board = CheckedBoard()
        self.accounts = Accounts(database, clock=self.clock)
        self.floor = Floor(queue_rules(settings))
        self.lobby = Lobby(self.board, settings)
        self.bridge = Bridge(self.crm, budget=0.02, clock=self.clock, on_health=lambda one: self.lobby.crm(one.up))
        self.records = Records(database, settings, self.crm.name, self.login_at)
        self.pops = Pops(self.board)
        self.office = LiveOffice(
            settings=settings,
            floor=self.floor,
            pops=self.pops,
            lobby=self.lobby,
            keeper=Keeper(self.floor, self.send),
            bridge=self.bridge,
            records=self.records,
            accounts=self.accounts,
            clock=self.clock,
            why_down=lambda: "Asterisk closed the connection",
            recorded=lambda: self.recorded,
            aftermath=lambda: seen,
        )
        self.writing: asyncio.Task[None] | None = None
        self.recorded = True

    def clock(self) -> float:
        return self.now

    def login_at(self, interface: str) -> str:
        agent = self.floor.agent_at(interface)
        return agent.login if agent is not None else ""

    async def send(self, action: SimpleAction) -> object:
        self.sent.append(action)
        return None

    async def open(self) -> None:
        for login, phone, role in (("anna", "phone1", Role.AGENT), ("ben", "phone2", Role.AGENT),
                                   ("sue", None, Role.SUPERVISOR)):  # fmt: skip
            queues = [Membership("service"), Membership("limit")] if phone else []
            await self.accounts.create(login, login.title(), "a good password", role, phone=phone, queues=queues)
        await self.begin()

    async def begin(self) -> None:
        await self.office.begin()
        self.writing = asyncio.create_task(self.records.run())
        for user in await self.accounts.list():
            await self.office.signed_in(user)

    async def close(self) -> None:
        await self.office.close()
        assert self.writing is not None
        self.writing.cancel()
        await asyncio.gather(self.writing, return_exceptions=True)
        await self.bridge.close()
        self.accounts.close()

    def happen(self, *happenings: Happening) -> None:
        self.office.happened(happenings)

    def pop(self, id_: str = CALL) -> Any:
        return self.board.value("pop", id_)

    def me(self, login: str = "anna") -> Any:
        return self.board.value("me", login)

    async def until(self, test: Callable[[], object], what: str = "") -> None:
        async with asyncio.timeout(5):
            while not test():  # noqa: ASYNC110 - many parts change what is awaited
                await asyncio.sleep(0.002)

    async def rows(self, model: Any) -> Sequence[Any]:
        async with self.database.session() as session:
            return (await (await session.connection()).execute(select(table_of(model)))).all()

    def call(self, number: str = NUMBER, presentation: str = "allowed", name: str = "E. Sommer") -> None:
        self.happen(ConversationOpened(CALL, self.now, number, name, presentation, "+493023125000", True))

    def ring(self, *interfaces: str, queue: str = "service") -> None:
        self.happen(QueueJoined(CALL, self.now, queue, 1))
        self.happen(*(AgentRinging(CALL, self.now, one, queue) for one in interfaces or (ANNA, BEN)))

    def answer(self, interface: str = ANNA, queue: str = "service") -> None:
        others = [one for one in (ANNA, BEN) if one != interface]
        self.happen(
            QueueLeft(CALL, self.now, queue, StintEnd.ANSWERED, 1.0),
            RingEnded(CALL, self.now, interface, queue, RingEnd.ANSWERED, 1.0),
            TalkStarted(CALL, self.now, interface, queue),
            *(RingEnded(CALL, self.now, one, queue, RingEnd.ELSEWHERE, 1.0) for one in others),
        )

    def hang_up(self, interface: str = ANNA, queue: str = "service") -> None:
        self.happen(
            TalkEnded(CALL, self.now, interface, queue, 5.0), ConversationEnded(CALL, self.now, "Normal Clearing")
        )


def office_settings() -> Settings:
    codes = [{"code": code, "label": {"de": code.title(), "en": code.title()}} for code in ("PARCEL", "OTHER")]
    label = {"de": "x", "en": "x"}
    return Settings.model_validate(
        {
            "queues": [
                {"name": "service", "label": label, "wrap_up_codes": codes},
                {"name": "limit", "label": label, "wrap_up_seconds": 30, "wrap_up_codes": codes},
                {"name": "may", "label": label, "wrap_up": "optional", "wrap_up_codes": codes},
            ]
        }
    )


@pytest.fixture
async def stage(migrated_file: Path, tmp_path: Path) -> AsyncIterator[Stage]:
    shutil.copy(migrated_file, tmp_path / "office.db")
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/office.db", busy_seconds=0.1)
    made = Stage(database, office_settings())
    await made.open()
    for login in ("anna", "ben"):
        await made.office.set_presence(login, "ready", "")
    yield made
    await made.close()
    await database.close()


# --- pops --------------------------------------------------------------------------------------------------------


async def test_the_pop_is_there_in_the_same_step_and_filled_in_when_the_crm_has_answered(stage: Stage) -> None:
    stage.crm.open.clear()
    stage.call()
    stage.ring()
    pop = stage.pop()  # no turn of the event loop has passed
    assert (pop["state"], pop["card_state"], pop["customer"]) == ("ringing", "none", None)
    assert pop["caller"] == {
        "number": NUMBER,
        "display": "+49 30 23125042",
        "name": "E. Sommer",
        "withheld": False,
    }
    await stage.until(lambda: stage.pop()["match"]["reason"] == "crm_unavailable", "the budget to be over")
    stage.crm.open.set()
    await stage.until(lambda: stage.pop()["card_state"] == "ready")
    assert stage.pop()["match"] == {"certainty": "certain", "reason": "number_unique", "source": "played"}
    assert stage.pop()["card"]["customer"]["name"] == "Erika Sommer"
    assert stage.crm.asked == ["number", "card"]
    assert stage.pop()["card"]["phones"] == ["+49 30 23125042", "ask at the desk"]
    assert [one["agent"] for one in stage.pop()["card"]["activities"]] == ["Anna", "another house"]


async def test_supervisors_see_who_talks_to_whom_as_soon_as_that_is_known(stage: Stage) -> None:
    def seen(login: str = "anna") -> tuple[str, str, str]:
        stage.board.flush()
        agent = stage.board.value("agent", login)
        return agent["presence"], agent["caller"], agent["queue"]

    stage.crm.open.clear()
    stage.call()
    stage.ring()
    assert seen() == ("ringing", "", "")
    stage.answer()
    assert seen() == ("talking", "E. Sommer", "service")
    # As a record of before a restart may have it: somebody who does not work here any more.
    stage.office.cases[CALL].agents["PJSIP/phone9"] = "leaver"
    stage.crm.open.set()
    await stage.until(lambda: stage.pop()["card_state"] == "ready")
    assert (seen(), seen("ben")) == (("talking", "Erika Sommer", "service"), ("ready", "", ""))
    stage.hang_up()
    assert seen() == ("after_call_work", "Erika Sommer", "service")
    await stage.office.wrap_up("anna", CALL, "OTHER", "")
    assert seen() == ("ready", "", "")
    assert stage.board.value("agent", "sue") is None, "who has no phone is no agent"


async def test_a_wish_during_a_call_is_shown_while_it_is_kept(stage: Stage) -> None:
    stage.call()
    stage.ring()
    stage.answer()
    for wish, reason in (("paused", "lunch"), ("offline", ""), ("ready", ""), ("paused", "lunch")):
        await stage.office.set_presence("anna", wish, reason)
        me = stage.me()
        assert (me["presence"], me["wish"], me["reason"]) == ("talking", wish, reason)
    stage.hang_up()
    assert (stage.me()["presence"], stage.me()["wish"]) == ("after_call_work", "paused")
    await stage.office.wrap_up("anna", CALL, "OTHER", "")
    assert (stage.me()["presence"], stage.me()["wish"]) == ("paused", "paused")


async def test_the_hot_path_waits_for_nothing(stage: Stage) -> None:
    """From the happening to the frames without one turn of the event loop, with CRM and database both stuck."""
    stage.crm.open.clear()
    async with stage.database.connection():
        stage.call()
        stage.ring()
        assert stage.pop()["state"] == "ringing"
        stage.answer()
        assert (stage.pop()["state"], stage.me()["presence"]) == ("talking", "talking")
        stage.hang_up()
        assert (stage.pop()["state"], stage.me()["presence"]) == ("wrap_up", "after_call_work")


async def test_a_crm_that_is_down_and_comes_back(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "CARD_RETRY_SECONDS", 0.01)
    stage.crm.down = True
    stage.call()
    stage.ring()
    await stage.until(lambda: stage.board.value("office", "office")["crm"] == "down")
    assert stage.pop()["match"]["reason"] == "crm_unavailable"
    stage.answer()
    stage.crm.down = False
    await stage.until(lambda: stage.pop()["card_state"] == "ready")
    assert stage.board.value("office", "office")["crm"] == "up"


@pytest.mark.parametrize("before", [True, False])
async def test_an_identity_proven_in_the_ivr_outranks_the_caller_id(stage: Stage, before: bool) -> None:
    proven = Match(Certainty.CERTAIN, "customer_number", (KONRAD,), "played")
    if before:
        stage.office.prove(CALL, proven, "number")
    stage.call()
    if not before:
        stage.office.prove(CALL, proven, "number")
    stage.ring()
    await stage.until(lambda: stage.pop()["card_state"] == "ready")
    assert stage.pop()["customer"] == KONRAD.id
    assert stage.pop()["match"]["reason"] == "customer_number"


async def test_an_identity_proven_before_a_restart_is_taken_up(stage: Stage) -> None:
    stage.call(number="", presentation="prohib", name="")
    stage.ring()
    stage.happen(CallerIdentified(CALL, stage.now, MIRA.id, "certain", "customer_number"))
    await stage.until(lambda: stage.pop()["card_state"] == "ready")
    assert (stage.pop()["customer"], stage.pop()["match"]["reason"]) == (MIRA.id, "customer_number")


async def test_of_a_withheld_number_nothing_is_shown_or_asked(stage: Stage) -> None:
    stage.call(presentation="prohib_passed_screen", name="Erika Sommer")
    stage.ring()
    await stage.until(lambda: stage.pop()["match"]["certainty"] == "withheld")
    assert stage.pop()["caller"] == {"number": "", "display": "", "name": "", "withheld": True}
    stage.board.flush()
    for kind in ("pop", "waiting"):
        shown = str([stage.board.value(kind, one) for one in stage.board.ids(kind)])
        assert "3023125042" not in shown
        assert "Sommer" not in shown
    assert stage.crm.asked == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\udcff\udcfe", ""),
        ("a\u202eb\x00c\r\nd", "abcd"),
        ("x" * 500, "x" * 80),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("  Zoë   van Zijl ", "Zoë van Zijl"),
    ],
)
async def test_hostile_names_reach_the_screen_as_text_or_not_at_all(stage: Stage, name: str, shown: str) -> None:
    stage.call(name=name)
    stage.ring()
    assert stage.pop()["caller"]["name"] == shown
    assert stage.office.anomalies == {}


async def test_a_number_of_two_customers_opens_nothing_until_the_agent_chooses(stage: Stage) -> None:
    stage.crm.numbers[NUMBER] = (KONRAD, MIRA)
    stage.call()
    stage.ring(ANNA)
    await stage.until(lambda: stage.pop()["match"]["certainty"] == "shared")
    assert [one["name"] for one in stage.pop()["candidates"]] == ["Konrad Weber", "Mira Weber"]
    assert (stage.pop()["customer"], stage.pop()["card"], stage.crm.asked) == (None, None, ["number"])
    with pytest.raises(NotFound):  # not before it is hers
        await stage.office.choose_customer("anna", CALL, MIRA.id)
    stage.answer()
    with pytest.raises(NotFound):
        await stage.office.choose_customer("ben", CALL, MIRA.id)
    with pytest.raises(Refused):
        await stage.office.choose_customer("anna", CALL, ERIKA.id)
    await stage.office.choose_customer("anna", CALL, MIRA.id)
    await stage.until(lambda: stage.pop()["card_state"] == "ready")
    assert (stage.pop()["customer"], stage.pop()["match"]["reason"]) == (MIRA.id, "chosen_by_agent")


async def test_queue_waiting_path_language_and_hold_are_shown(stage: Stage) -> None:
    stage.call()
    stage.happen(FlowLeft(CALL, stage.now, ("greeting", "recognise"), "en", "service"))
    stage.ring()
    stage.lobby.known(stage.office.cases[CALL])
    stage.board.flush()
    assert stage.board.value("queue", "service")["waiting"] == 1
    assert stage.board.value("waiting", CALL)["display"] == "+49 30 23125042"
    assert (stage.pop()["path"], stage.pop()["language"], stage.pop()["joined_at"]) == (
        ["greeting", "recognise"], "en", START,
    )  # fmt: skip
    stage.answer()
    stage.happen(HoldStarted(CALL, stage.now, ANNA))
    assert stage.pop()["held"] is True
    assert (stage.board.value("waiting", CALL), stage.board.value("queue", "service")["waiting"]) == (None, 0)


# --- after the call ----------------------------------------------------------------------------------------------


async def test_the_wrap_up_and_what_the_crm_is_owed_are_written_and_the_agent_is_free(stage: Stage) -> None:
    stage.call()
    stage.ring()
    stage.answer()
    await stage.until(lambda: stage.pop()["customer"] is not None)
    await stage.office.save_note("anna", CALL, "parcel is")
    assert stage.pop()["note"] == "parcel is"
    stage.hang_up()
    assert stage.me()["wrap_up"] == {"conversation": CALL, "queue": "service", "required": True, "deadline": None}
    with pytest.raises(Conflict) as owed:
        await stage.office.set_presence("anna", "ready", "")
    assert owed.value.id == "wrap-up-open"
    await stage.office.wrap_up("anna", CALL, "PARCEL", "parcel is under way")
    assert (stage.pop(), stage.me()["presence"], stage.me()["wrap_up"]) == (None, "ready", None)
    assert stage.office.cases == {}
    (row,) = await stage.rows(OutboxRow)
    assert (row.payload["code"], row.payload["note"], row.payload["customer"], row.payload["talked"]) == (
        "PARCEL", "parcel is under way", ERIKA.id, 5.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("login", "conversation", "code", "error", "problem"),
    [
        ("anna", CALL, "NOPE", Refused, "code-unknown"),
        ("ben", CALL, "PARCEL", NotFound, "wrap-up-not-open"),
        ("anna", "pbx1-9.9", "PARCEL", NotFound, "wrap-up-not-open"),
        ("sue", CALL, "PARCEL", NotFound, "wrap-up-not-open"),
        ("nobody", CALL, "PARCEL", NotFound, "wrap-up-not-open"),
    ],
)
async def test_wrap_ups_that_are_refused(
    stage: Stage, login: str, conversation: str, code: str, error: type[Exception], problem: str
) -> None:
    stage.call()
    stage.ring()
    stage.answer()
    stage.hang_up()
    with pytest.raises(error) as refused:
        await stage.office.wrap_up(login, conversation, code, "")
    assert refused.value.id == problem  # type: ignore[attr-defined]
    assert await stage.rows(WrapUp) == []
    assert stage.pop()["state"] == "wrap_up"


async def test_the_same_code_again_is_fine_and_another_one_is_a_conflict(stage: Stage) -> None:
    stage.call()
    stage.ring()
    stage.answer()
    stage.hang_up()
    both = [stage.office.wrap_up("anna", CALL, "PARCEL", "n") for _ in range(2)]  # two presses of the key
    assert await asyncio.gather(*both, return_exceptions=True) == [None, None]
    await stage.office.wrap_up("anna", CALL, "PARCEL", "n")  # its answer got lost, says the browser
    with pytest.raises(Conflict):
        await stage.office.wrap_up("anna", CALL, "OTHER", "n")
    assert len(await stage.rows(OutboxRow)) == 1


async def test_at_the_limit_the_queues_own_code_is_written_with_the_draft(stage: Stage) -> None:
    stage.call()
    stage.ring(queue="limit")
    stage.answer(queue="limit")
    stage.now += 10
    stage.hang_up(queue="limit")
    await stage.office.save_note("anna", CALL, "half a sen")
    assert stage.me()["wrap_up"]["deadline"] == START + 40
    stage.now += 31
    stage.office._tick()
    await stage.until(lambda: stage.pop() is None)
    (kept,) = await stage.rows(WrapUp)
    assert (kept.code, kept.note, kept.expired) == ("EXPIRED", "half a sen", True)
    assert stage.me()["presence"] == "ready"


async def test_who_types_the_code_at_the_very_limit_keeps_it(stage: Stage) -> None:
    stage.call()
    stage.ring(queue="limit")
    stage.answer(queue="limit")
    stage.hang_up(queue="limit")
    typing = asyncio.create_task(stage.office.wrap_up("anna", CALL, "PARCEL", "just in time"))
    await asyncio.sleep(0)
    stage.now += 31
    stage.office._tick()
    await typing
    await stage.until(lambda: stage.pop() is None)
    (kept,) = await stage.rows(WrapUp)
    assert (kept.code, kept.expired) == ("PARCEL", False)
    assert len(await stage.rows(OutboxRow)) == 1


async def test_an_expired_code_waits_for_a_database_that_is_locked(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office_module, "STORE_RETRY_SECONDS", 0.05)
    stage.call()
    stage.ring(queue="limit")
    stage.answer(queue="limit")
    stage.hang_up(queue="limit")
    other = Database(stage.database.url, busy_seconds=0.1)
    async with other.connection():
        stage.now += 31
        stage.office._tick()
        await stage.office.set_presence("ben", "paused", "lunch")  # a locked database keeps nobody from lunch
        assert stage.me("ben")["presence"] == "paused"
    await stage.until(lambda: stage.pop() is None)
    await other.close()
    assert [one.code for one in await stage.rows(WrapUp)] == ["EXPIRED"]
    await stage.until(lambda: stage.records._unsaved == {})
    states = await stage.records.agents()
    assert (states["ben"].presence, states["ben"].reason) == ("paused", "lunch")


async def test_an_optional_code_that_nobody_wants_leaves_the_screen(stage: Stage) -> None:
    stage.call()
    stage.ring(queue="may")
    stage.answer(queue="may")
    stage.hang_up(queue="may")
    assert stage.pop()["state"] == "wrap_up"
    await stage.office.set_presence("anna", "ready", "")
    assert (stage.pop(), stage.office.cases) == (None, {})


async def test_a_consultation_that_becomes_the_call_is_written_up_as_the_call(stage: Stage) -> None:
    consult = "pbx1-1700000001.9"
    stage.call()
    stage.ring(ANNA)
    stage.answer()
    stage.happen(
        ConversationOpened(consult, stage.now, "phone1", "Anna", "", "q-service", False),
        AgentRinging(consult, stage.now, BEN, "service"),
        TalkStarted(consult, stage.now, BEN, "service"),
    )
    assert stage.pop(consult)["state"] == "talking"
    stage.happen(
        TalkEnded(CALL, stage.now, ANNA, "service", 4.0),
        TalkEnded(consult, stage.now, BEN, "service", 2.0),
        Merged(CALL, consult, stage.now),
        TalkStarted(CALL, stage.now, BEN, ""),
    )
    mine = {one["state"] for one in map(stage.pop, stage.board.ids("pop")) if one["conversation"] == CALL}
    assert mine == {"wrap_up", "talking"}
    assert stage.pop(consult) is None
    stage.hang_up(BEN, "")
    for login in ("anna", "ben"):
        assert stage.me(login)["wrap_up"]["conversation"] == CALL
        await stage.office.wrap_up(login, CALL, "OTHER", login)
        assert stage.me(login)["presence"] == "ready"
    assert stage.board.ids("pop") == []


# --- people ------------------------------------------------------------------------------------------------------


async def test_everybody_can_sign_out_with_or_without_a_phone(stage: Stage) -> None:
    for user in await stage.accounts.list():
        await stage.office.signed_out(user)
        assert stage.me(user.login) is None
    assert stage.floor.desks["anna"].presence == "offline"


@pytest.mark.parametrize(
    ("login", "presence", "reason", "problem"),
    [
        ("anna", "paused", "golf", "pause-unknown"),
        ("anna", "paused", "", "pause-unknown"),
        ("sue", "ready", "", "no-phone"),
    ],
)
async def test_wishes_that_are_refused(stage: Stage, login: str, presence: str, reason: str, problem: str) -> None:
    before = stage.me(login)
    with pytest.raises((Refused, Conflict)) as refused:
        await stage.office.set_presence(login, presence, reason)
    assert refused.value.id == problem
    assert stage.me(login) == before


async def test_readiness_says_why_not(stage: Stage) -> None:
    assert stage.office.readiness().reasons == ("not connected to Asterisk: Asterisk closed the connection",)
    stage.office.link("in_sync")
    assert stage.office.readiness().ready
    assert stage.board.value("office", "office")["pbx"] == "in_sync"


# --- what must not happen ----------------------------------------------------------------------------------------


async def test_one_happening_that_fails_costs_no_other(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setitem(stage.office._by_type, FlowLeft, breaks)
    stage.happen(
        ConversationOpened(CALL, stage.now, NUMBER, "", "allowed", "1", True),
        FlowLeft(CALL, stage.now, (), "de", "service"),
        AgentRinging(CALL, stage.now, ANNA, "service"),
    )
    assert stage.pop()["state"] == "ringing"
    assert stage.office.anomalies == {"failed": 1}
    assert stage.office.counts["FlowLeft"] == 1


async def test_anomalies_are_counted(stage: Stage) -> None:
    stage.happen(Anomaly("bad_timestamp", "Hangup"), Anomaly("bad_timestamp", "Hangup"))
    assert stage.office.anomalies == {"bad_timestamp": 2}


async def test_nothing_is_kept_of_calls_that_are_over(stage: Stage) -> None:
    for number in range(20):
        id_ = f"pbx1-17{number}.1"
        stage.happen(
            ConversationOpened(id_, stage.now, NUMBER, "", "allowed", "1", True),
            QueueJoined(id_, stage.now, "service", 1),
            AgentRinging(id_, stage.now, ANNA, "service"),
            RingEnded(id_, stage.now, ANNA, "service", RingEnd.CALLER_LEFT, 1.0),
            QueueLeft(id_, stage.now, "service", StintEnd.ABANDONED, 1.0),
            ConversationEnded(id_, stage.now, "hung up"),
        )
    assert (stage.office.cases, stage.pops._pops, stage.pops._facts) == ({}, {}, {})
    await stage.until(lambda: stage.records.backlog == 0 and not len(stage.office._chores))
    stage.board.flush()
    assert (stage.board.ids("pop"), stage.board.ids("waiting")) == ([], [])
    assert stage.floor._involved == {}


async def test_resync_news_are_taken_once(stage: Stage) -> None:
    stage.happen(Resynced(stage.now, 0), Resynced(stage.now, 0))
    assert len(stage.office._chores) == 1


# --- after a restart of ours -------------------------------------------------------------------------------------


@pytest.fixture
async def again(stage: Stage) -> AsyncIterator[Callable[[], Any]]:
    """A second office on what the first one left on disk, as after ``kill -9``: nothing is handed over in memory."""
    others: list[Stage] = []

    async def start(seen: Aftermath | None = None) -> Stage:
        """``seen``: what the journal's end tells, in place of what the first office would still have written."""
        if seen is None:
            await stage.until(lambda: stage.records.backlog == 0)
        for user in await stage.accounts.list():  # their browsers still have a session
            await stage.accounts.open_session(user)
        other = Stage(Database(stage.database.url), stage.settings, seen or Aftermath())
        other.now = stage.now + 60
        others.append(other)
        await other.begin()
        return other

    yield start
    for other in others:
        await other.close()
        await other.database.close()


async def test_an_owed_code_is_asked_for_again_with_caller_and_draft(stage: Stage, again: Any) -> None:
    stage.call()
    stage.ring()
    stage.answer()
    stage.hang_up()
    await stage.office.save_note("anna", CALL, "half a sen")
    other = await again()
    assert (other.me()["presence"], other.me()["wrap_up"]["conversation"]) == ("after_call_work", CALL)
    assert (other.pop()["state"], other.pop()["note"], other.pop()["queue"]) == ("wrap_up", "half a sen", "service")
    await other.until(lambda: other.pop()["card_state"] == "ready")
    await other.office.wrap_up("anna", CALL, "PARCEL", "half a sentence")
    assert other.me()["presence"] == "ready"
    (row,) = await other.rows(OutboxRow)
    assert (row.payload["customer"], row.payload["talked"], row.payload["agent"]) == (ERIKA.id, 5.0, "anna")


async def test_what_was_written_before_is_not_asked_for_again(stage: Stage, again: Any) -> None:
    stage.call()
    stage.ring()
    stage.answer()
    stage.hang_up()
    await stage.office.wrap_up("anna", CALL, "PARCEL", "done")
    await stage.office.set_presence("anna", "paused", "lunch")
    other = await again()
    assert (other.me()["presence"], other.me()["reason"], other.pop()) == ("paused", "lunch", None)
    await other.office.wrap_up("anna", CALL, "PARCEL", "done")  # the answer had not reached the browser


async def test_a_call_whose_end_nobody_saw_is_closed_and_written_up(stage: Stage, again: Any) -> None:
    stage.call()
    stage.ring()
    stage.answer()
    other = await again()
    assert other.pop() is None
    other.happen(Resynced(other.now, 0))
    await other.until(lambda: other.me()["presence"] == "after_call_work")
    await other.until(lambda: other.pop() is not None)
    assert other.me()["wrap_up"]["conversation"] == CALL
    await other.office.wrap_up("anna", CALL, "OTHER", "")
    await other.until(lambda: other.records.backlog == 0)
    assert await other.records.unfinished() == []


# --- what the database did not have yet -------------------------------------------------------------------------


def told_by_the_journal(ended: float | None = START + 8, **more: Any) -> Aftermath:
    """A call that was answered by Anna and is over, in whole or but for the caller's hang-up."""
    talk = TalkRecord(ANNA, "service", START + 3, START + 7, 4.0)
    seen = History(CALL, START, NUMBER, "E. Sommer", "allowed", ended_at=ended, talks=[talk],
                   stints=[StintRecord("service", START + 1, "answered", 2.0)], **more)  # fmt: skip
    return Aftermath((seen,), START + 9)


@pytest.mark.parametrize("ended", [START + 8, None])
async def test_a_code_that_only_the_journal_knows_to_be_owed_is_asked_for(
    stage: Stage, again: Any, ended: float | None
) -> None:
    other = await again(told_by_the_journal(ended))
    assert (other.me()["presence"], other.me()["wrap_up"]["conversation"]) == ("after_call_work", CALL)
    assert (other.pop()["state"], other.pop()["queue"], other.pop()["ended_at"]) == ("wrap_up", "service", START + 7)
    await other.until(lambda: other.pop()["card_state"] == "ready")
    other.happen(Resynced(other.now, 0))
    await other.until(lambda: not len(other.office._chores))
    assert other.board.ids("pop") == [CALL]
    await other.office.wrap_up("anna", CALL, "PARCEL", "n")
    (row,) = await other.rows(OutboxRow)
    assert [row.payload[name] for name in ("customer", "agent", "talked", "answered_at", "ended_at", "number")] == [
        ERIKA.id, "anna", 4.0, START + 3, START + 7, NUMBER,
    ]  # fmt: skip
    await other.until(lambda: other.records.backlog == 0)
    assert await other.records.unfinished() == []
    (call,) = await other.records.recent("anna", 10)
    assert (call.queue, call.started_at, call.talked, call.code) == ("service", START, 4.0, "PARCEL")
    third = await again(told_by_the_journal(ended))  # as when it is killed before it has noted how far it has got
    assert (third.me()["presence"], third.pop()) == ("ready", None)


async def test_a_locked_database_keeps_nobody_from_what_the_journal_tells(stage: Stage) -> None:
    for user in await stage.accounts.list():
        await stage.accounts.open_session(user)
    lock = Database(stage.database.url)
    other = Stage(Database(stage.database.url, busy_seconds=0.1), stage.settings, told_by_the_journal())
    await other.office.begin()
    async with lock.connection():
        other.writing = asyncio.create_task(other.records.run())
        await other.office.signed_in(next(user for user in await other.accounts.list() if user.login == "anna"))
        assert (other.pop()["state"], other.me()["wrap_up"]["conversation"]) == ("wrap_up", CALL)
        other.happen(Resynced(other.now, 0))
        with pytest.raises(Unavailable):
            await other.office.wrap_up("anna", CALL, "PARCEL", "n")
        assert other.me()["presence"] == "after_call_work"
    await other.office.wrap_up("anna", CALL, "PARCEL", "n")
    await other.until(lambda: other.records.backlog == 0)
    (row,) = await other.rows(Talk)
    assert (row.agent, row.ended_at) == ("anna", START + 7)
    await other.close()
    await other.database.close()
    await lock.close()


async def test_the_record_knows_more_of_a_talk_than_the_journals_end(stage: Stage, again: Any) -> None:
    """Its reading began in the middle of the talk; the path and the customer are in the record alone."""
    stage.office.prove(CALL, Match(Certainty.CERTAIN, "customer_number", (MIRA,), "played"), "number")
    stage.call()
    stage.happen(FlowLeft(CALL, stage.now, ("greeting",), "en", "service"))
    stage.ring()
    stage.now += 3
    stage.answer()
    await stage.until(lambda: stage.pop()["card_state"] == "ready")
    await stage.until(lambda: stage.records.backlog == 0)
    talk = TalkRecord(ANNA, "service", START + 10, START + 20, 10.0)
    other = await again(Aftermath((History(CALL, START + 10, NUMBER, talks=[talk], ended_at=START + 20),), START + 21))
    await other.until(lambda: other.pop()["card_state"] == "ready")
    assert (other.pop()["customer"], other.pop()["path"], other.pop()["ended_at"]) == (
        MIRA.id,
        ["greeting"],
        START + 20,
    )
    await other.office.wrap_up("anna", CALL, "PARCEL", "n")
    (row,) = await other.rows(OutboxRow)
    assert [row.payload[name] for name in ("customer", "started_at", "answered_at", "talked")] == [
        MIRA.id, START, START + 3, 17.0,
    ]  # fmt: skip


async def test_what_was_written_up_is_not_asked_for_though_the_journal_tells_of_it(stage: Stage, again: Any) -> None:
    stage.call()
    stage.ring()
    stage.answer()
    stage.hang_up()
    await stage.office.wrap_up("anna", CALL, "PARCEL", "done")
    await stage.until(lambda: stage.records.backlog == 0)
    async with stage.database.connection() as connection:
        await connection.execute(delete(table_of(Talk)))
    other = await again(told_by_the_journal())
    assert (other.me()["presence"], other.pop()) == ("ready", None)


async def test_a_call_whose_end_nobody_saw_is_told_as_long_as_it_was_seen(stage: Stage, again: Any) -> None:
    stage.call()
    stage.ring()
    stage.now += 5
    stage.answer()
    await stage.until(lambda: stage.records.backlog == 0)
    other = await again(Aftermath((), START + 12))
    other.happen(Resynced(other.now, 0))
    await other.until(lambda: other.pop() is not None)
    await other.office.wrap_up("anna", CALL, "OTHER", "")
    (row,) = await other.rows(OutboxRow)
    assert [row.payload[name] for name in ("answered_at", "ended_at", "talked")] == [START + 5, START + 12, 7.0]


async def test_a_code_owed_since_yesterday_is_not_asked_for(stage: Stage, again: Any) -> None:
    stage.now += records_module.OWED_FOR_SECONDS
    other = await again(told_by_the_journal())
    assert (other.me()["presence"], other.pop()) == ("ready", None)
    await other.until(lambda: other.records.backlog == 0)
    assert [one.id for one in await other.rows(Conversation)] == [CALL]


@pytest.mark.parametrize("what", ["id", "time"])
async def test_nonsense_in_a_journal_keeps_no_service_from_starting(stage: Stage, again: Any, what: str) -> None:
    odd = History("pbx1-2.2", START, NUMBER)
    if what == "id":
        odd.conversation = "\udcff\0"
    else:
        odd.talks = [TalkRecord(ANNA, "service", "soon", "late")]  # type: ignore[arg-type]
    other = await again(Aftermath((odd, *told_by_the_journal().histories), START + 9))
    assert (other.me()["presence"], other.pop()["state"]) == ("after_call_work", "wrap_up")


async def test_a_journal_that_cannot_be_read_keeps_no_service_from_starting(stage: Stage) -> None:
    def gone() -> Aftermath:
        raise JournalError("the folder is gone")

    for user in await stage.accounts.list():
        await stage.accounts.open_session(user)
    other = Stage(Database(stage.database.url), stage.settings)
    other.office._takeover._aftermath = gone
    await other.begin()
    assert other.me()["presence"] == "ready"
    await other.close()
    await other.database.close()


@pytest.mark.parametrize("recorded", [True, False])
async def test_without_a_journal_what_is_owed_does_not_wait_for_the_next_batch(
    stage: Stage, recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried: list[int] = []
    monkeypatch.setattr(stage.records, "hurry", lambda: hurried.append(stage.records.backlog))
    stage.recorded = recorded
    stage.call()
    stage.ring()
    assert hurried == []
    stage.answer()
    stage.hang_up()
    assert hurried == ([] if recorded else [1, 1])


async def test_a_call_that_went_on_keeps_its_beginning_path_and_identity(stage: Stage, again: Any) -> None:
    stage.call(presentation="prohib", name="")
    stage.office.prove(CALL, Match(Certainty.CERTAIN, "customer_number", (MIRA,), "played"), "number")
    stage.happen(FlowLeft(CALL, stage.now, ("greeting", "customer_number"), "en", "service"))
    stage.ring()
    stage.now += 5
    stage.answer()
    await stage.until(lambda: stage.pop()["card_state"] == "ready")
    other = await again()
    # What the resync finds of it: a caller and an agent in one bridge.
    other.happen(
        ConversationOpened(CALL, other.now, NUMBER, "", "prohib", "1", True),
        TalkStarted(CALL, other.now, ANNA, "service"),
        Resynced(other.now, 2),
    )
    assert other.pop()["state"] == "talking"
    await other.until(lambda: other.pop()["customer"] == MIRA.id and other.pop()["card_state"] == "ready")
    assert (other.pop()["path"], other.pop()["language"]) == (["greeting", "customer_number"], "en")
    other.now += 30
    other.hang_up()
    await other.office.wrap_up("anna", CALL, "OTHER", "")
    (row,) = await other.rows(OutboxRow)
    assert (row.payload["started_at"], row.payload["answered_at"]) == (START, START + 5)
    await other.until(lambda: other.records.backlog == 0)
    (call,) = await other.records.recent("anna", 10)
    assert (call.queue, call.started_at, call.answered_at) == ("service", START, START + 5)


async def test_who_handed_the_call_on_while_we_were_away_still_owes_the_code(stage: Stage, again: Any) -> None:
    stage.call()
    stage.ring()
    stage.answer()
    other = await again()
    other.happen(
        ConversationOpened(CALL, other.now, NUMBER, "", "", "1", True),
        TalkStarted(CALL, other.now, BEN, "service"),
        Resynced(other.now, 2),
    )
    await other.until(lambda: other.me()["wrap_up"] is not None)
    assert (other.me()["presence"], other.me("ben")["presence"]) == ("after_call_work", "talking")


async def test_a_code_on_file_is_not_asked_for_again_though_the_end_of_the_talk_is_missing(
    stage: Stage, again: Any
) -> None:
    stage.call()
    stage.ring()
    stage.answer()
    await stage.until(lambda: stage.records.backlog == 0)
    stage.writing.cancel()  # type: ignore[union-attr]
    await asyncio.gather(stage.writing, return_exceptions=True)  # type: ignore[arg-type]
    stage.hang_up()
    await stage.office.wrap_up("anna", CALL, "PARCEL", "done")
    assert stage.records.backlog == 0  # the talk's end went before the code
    async with stage.database.connection() as connection:
        await connection.execute(update(table_of(Talk)).values(ended_at=None))
        await connection.execute(update(table_of(Conversation)).values(ended_at=None))
    other = await again()
    other.happen(Resynced(other.now, 0))
    await other.until(lambda: not len(other.office._chores))
    assert (other.me()["presence"], other.me()["wrap_up"], other.pop()) == ("ready", None, None)
    await other.until(lambda: other.records.backlog == 0)
    assert await other.records.unfinished() == []
