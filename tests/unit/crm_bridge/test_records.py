"""Our records: whole rows replaced, wrap-ups once, nothing half written."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlmodel import select

from crm_bridge.database import Database
from crm_bridge.outbox import items
from crm_bridge.ports import CallReport
from crm_bridge.records import (
    MAX_NOTE,
    AlreadyWrappedUp,
    ConversationRecord,
    OwedWrapUp,
    TalkRecord,
    draft,
    open_conversations,
    owed_wrap_ups,
    recent_calls,
    save_call,
    save_draft,
    save_wrap_up,
    worth_a_call_record,
    wrap_up_kind,
    write_records,
)
from crm_bridge.tables import Conversation, Talk, WrapUp


def report(conversation: str = "pbx1-1.1", agent: str = "eva", code: str = "PARCEL", note: str = "n") -> CallReport:
    return CallReport(
        conversation, "c1", "in", "+493023125042", "service", agent, "Eva", 100.0, 105.0, 165.0, 60.0, code, "Paket",
        note, ("hello", "route"), "certain",
    )  # fmt: skip


def conversation(identity: str = "pbx1-1.1", at: float = 100.0, **more: object) -> ConversationRecord:
    values: dict[str, object] = {"number": "+493023125042", "customer_name": "Anna", "queue": "service", **more}
    return ConversationRecord(identity, at, **values)  # type: ignore[arg-type]


async def test_a_record_written_again_replaces_the_row(database: Database) -> None:
    await write_records(database, [conversation(path=("a", "b"))], [TalkRecord("pbx1-1.1", "PJSIP/1", 105.0)])
    await write_records(
        database,
        [conversation(path=("a", "b", "c"), ended_at=170.0, lost=True)],
        [TalkRecord("pbx1-1.1", "PJSIP/1", 105.0, "eva", "service", 165.0, 60.0)],
    )
    async with database.session() as session:
        (kept,) = (await session.exec(select(Conversation))).all()
        (talk,) = (await session.exec(select(Talk))).all()
    assert (kept.path, kept.ended_at, kept.lost, kept.customer_name) == (["a", "b", "c"], 170.0, True, "Anna")
    assert (talk.agent, talk.ended_at, talk.talked) == ("eva", 165.0, 60.0)


async def test_texts_that_no_database_takes_are_cleaned_not_refused(database: Database) -> None:
    bad, good = "a\0b\udcffc", "a\ufffdb\ufffdc"
    await write_records(
        database,
        [conversation(customer_name=bad, queue=bad, raw=bad, language=bad, customer_id=bad, path=(bad, "b"))],
        [TalkRecord("pbx1-1.1", bad, 105.0, "eva", bad, 165.0, 60.0)],
    )
    owed = replace(report(note=bad), queue=bad, number=bad, path=(bad,), agent_name=bad)
    await save_wrap_up(database, owed, adapter="embedded", at=1.0)
    async with database.session() as session:
        (kept,) = (await session.exec(select(Conversation))).all()
        (talk,) = (await session.exec(select(Talk))).all()
        (written,) = (await session.exec(select(WrapUp))).all()
    assert (kept.customer_name, kept.queue, kept.raw, kept.language, kept.customer_id) == (good,) * 5
    assert kept.path == [good, "b"]
    assert (talk.interface, talk.queue, written.note) == (good, good, good)
    (row,) = await items(database, "embedded")
    assert {row.payload[name] for name in ("queue", "number", "note", "agent_name")} == {good}
    assert row.payload["path"] == [good]


async def test_one_batch_may_hold_a_row_twice_and_the_last_one_counts(database: Database) -> None:
    await write_records(database, [conversation(outcome="first"), conversation(outcome="last")])
    async with database.session() as session:
        assert [row.outcome for row in (await session.exec(select(Conversation))).all()] == ["last"]


async def test_open_conversations(database: Database) -> None:
    await write_records(
        database, [conversation("b", 2.0), conversation("a", 1.0), conversation("c", 3.0, ended_at=4.0)]
    )
    assert [row.id for row in await open_conversations(database)] == ["a", "b"]


async def test_a_wrap_up_and_its_outbox_row_are_written_together_and_once(database: Database) -> None:
    signal = database.signal("crm_outbox")
    await save_draft(database, "pbx1-1.1", "eva", "half a no", at=160.0)
    assert await draft(database, "pbx1-1.1", "eva") == "half a no"
    assert await save_wrap_up(database, report(), adapter="embedded", at=170.0)
    assert signal.is_set()
    assert not await save_wrap_up(database, report(), adapter="embedded", at=180.0)
    with pytest.raises(AlreadyWrappedUp) as refused:
        await save_wrap_up(database, report(code="OTHER"), adapter="embedded", at=190.0)
    assert refused.value.code == "PARCEL"
    (row,) = await items(database, "embedded")
    assert (row.kind, row.state, row.next_at, row.payload["code"]) == (wrap_up_kind("eva"), "waiting", 170.0, "PARCEL")
    async with database.session() as session:
        assert [(kept.code, kept.at) for kept in (await session.exec(select(WrapUp))).all()] == [("PARCEL", 170.0)]
    assert await draft(database, "pbx1-1.1", "eva") == ""


async def test_the_same_wrap_up_from_many_places_at_once_is_written_once(database: Database) -> None:
    fresh = await asyncio.gather(
        *(save_wrap_up(database, report(), adapter="embedded", at=float(at)) for at in range(8))
    )
    assert fresh.count(True) == 1
    assert len(await items(database, "embedded")) == 1


async def test_after_a_transfer_each_agent_writes_an_own_part(database: Database) -> None:
    assert await save_wrap_up(database, report(agent="eva"), adapter="embedded", at=1.0)
    assert await save_wrap_up(database, report(agent="ben", code="OTHER"), adapter="embedded", at=2.0)
    assert [row.kind for row in await items(database, "embedded")] == ["wrap_up:eva", "wrap_up:ben"]


async def test_a_late_autosave_does_not_bring_a_draft_back(database: Database) -> None:
    await save_wrap_up(database, report(), adapter="embedded", at=1.0)
    await save_draft(database, "pbx1-1.1", "eva", "too late", at=2.0)
    assert await draft(database, "pbx1-1.1", "eva") == ""


async def test_a_note_that_is_too_long_changes_nothing(database: Database) -> None:
    with pytest.raises(ValueError, match=str(MAX_NOTE)):
        await save_wrap_up(database, report(note="x" * (MAX_NOTE + 1)), adapter="embedded", at=1.0)
    with pytest.raises(ValueError, match=str(MAX_NOTE)):
        await save_draft(database, "c", "eva", "x" * (MAX_NOTE + 1), at=1.0)
    assert await items(database, "embedded") == []


async def test_owed_wrap_ups_are_the_ended_stints_without_one(database: Database) -> None:
    talks = [
        TalkRecord("a", "PJSIP/1", 10.0, "eva", "service", 20.0, 10.0),
        TalkRecord("a", "PJSIP/1", 30.0, "eva", "service", 40.0, 10.0),
        TalkRecord("b", "PJSIP/1", 50.0, "eva", "service", 60.0, 10.0),
        TalkRecord("c", "PJSIP/1", 70.0, "eva", "service", None),
        TalkRecord("d", "PJSIP/2", 70.0, "ben", "vip", 75.0),
        TalkRecord("e", "PJSIP/3", 70.0, "", "vip", 75.0),
    ]
    await write_records(database, [], talks)
    await save_wrap_up(database, report("b"), adapter="embedded", at=61.0)
    assert await owed_wrap_ups(database, "eva") == [OwedWrapUp("a", "eva", "PJSIP/1", "service", 40.0)]
    assert [owed.conversation for owed in await owed_wrap_ups(database)] == ["a", "d"]
    assert await owed_wrap_ups(database, "eva", since=40.0) == []


@pytest.mark.parametrize(
    ("customer", "agent", "worth"), [("c1", "", True), (None, "", False), ("c1", "eva", False), (None, "eva", False)]
)
def test_which_calls_without_an_agent_are_recorded(customer: str | None, agent: str, worth: bool) -> None:
    lost = CallReport("a", customer, "in", None, "q", agent, "", 1.0, None, 2.0, 0.0, "", "", "")
    assert worth_a_call_record(lost) is worth


async def test_the_desk_lists_recent_calls_with_wrap_up_and_the_state_of_the_write(database: Database) -> None:
    await write_records(
        database,
        [
            conversation("a", 100.0, agent="ben", answered_at=105.0, ended_at=165.0, talked=60.0, certainty="certain"),
            conversation("b", 200.0, ended_at=230.0, outcome="abandoned", number=None),
            conversation("c", 300.0, agent="eva", answered_at=305.0),
        ],
        [
            TalkRecord("a", "PJSIP/1", 105.0, "eva", "service", 125.0, 20.0),
            TalkRecord("a", "PJSIP/2", 126.0, "ben", "vip", 165.0, 39.0),
        ],
    )
    await save_wrap_up(database, report("a", "eva"), adapter="embedded", at=170.0)
    lost = CallReport("b", "c1", "in", None, "service", "", "", 200.0, None, 230.0, 0.0, "", "", "")
    assert await save_call(database, lost, adapter="embedded", at=231.0)
    listed = await recent_calls(database)
    assert [(call.conversation, call.agent, call.code, call.crm_state, call.talked) for call in listed] == [
        ("c", "eva", "", "", 0.0),
        ("b", "", "", "waiting", 0.0),
        ("a", "ben", "", "", 39.0),
        ("a", "eva", "PARCEL", "waiting", 20.0),
    ]
    assert {call.conversation: call.number_display for call in listed} == {
        "a": "+49 30 23125042",
        "b": "",
        "c": "+49 30 23125042",
    }
    assert [call.conversation for call in await recent_calls(database, agent="eva")] == ["c", "a"]
    assert [call.conversation for call in await recent_calls(database, limit=1)] == ["c"]
