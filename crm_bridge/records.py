"""Our own records: conversations, the agents' stints in them, wrap-ups and notes.

Conversations and stints come in batches (``write_records``), as whole rows that replace what was there: the tracker
knows the whole truth of a conversation each time. A wrap-up is one transaction with the CRM's outbox row
(``save_wrap_up``): either both are there or neither is.

Texts are cleaned here (``database.storable``): they come from callers and CRMs, and one stray byte must not keep a
conversation out of the records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Table, delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import select as select_model
from sqlmodel.ext.asyncio.session import AsyncSession

from crm_bridge.database import Database, announce, storable
from crm_bridge.numbers import format_number
from crm_bridge.outbox import OUTBOX_TOPIC, WAITING
from crm_bridge.ports import CallReport
from crm_bridge.tables import Conversation, OutboxRow, Talk, WrapUp, WrapUpDraft, table_of

MAX_NOTE = 8000
"""Characters of a note."""
CALL_KIND = "call"

_CONVERSATION = table_of(Conversation)
_TALK = table_of(Talk)
_WRAP_UP = table_of(WrapUp)
_DRAFT = table_of(WrapUpDraft)
_OUTBOX = table_of(OutboxRow)


class RecordError(Exception):
    """The root of what a record can refuse."""


class AlreadyWrappedUp(RecordError):
    """This agent closed this conversation before, with another code. ``code``: that one."""

    def __init__(self, code: str) -> None:
        super().__init__(f"already wrapped up with {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class ConversationRecord:
    """A row of ``conversation``; see ``tables.Conversation`` for what each field means."""

    id: str
    started_at: float
    number: str | None = None
    raw: str = ""
    direction: str = "in"
    customer_id: str | None = None
    customer_name: str = ""
    certainty: str = ""
    reason: str = ""
    level: str = "none"
    queue: str = ""
    agent: str = ""
    interface: str = ""
    path: tuple[str, ...] = ()
    language: str = ""
    queued_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    talked: float = 0.0
    outcome: str = ""
    lost: bool = False


@dataclass(frozen=True, slots=True)
class TalkRecord:
    """A row of ``talk``: one agent's stint, known by conversation, interface and the moment it began."""

    conversation_id: str
    interface: str
    answered_at: float
    agent: str = ""
    queue: str = ""
    ended_at: float | None = None
    talked: float = 0.0


@dataclass(frozen=True, slots=True)
class OwedWrapUp:
    """A stint that ended and was not wrapped up."""

    conversation: str
    agent: str
    interface: str
    queue: str
    ended_at: float


@dataclass(frozen=True, slots=True)
class RecentCall:
    """One agent's part of one conversation, or a conversation no agent had, as the desk lists it."""

    conversation: str
    started_at: float
    answered_at: float | None
    ended_at: float | None
    talked: float
    queue: str
    agent: str
    number_display: str
    customer_name: str
    certainty: str
    code: str
    note: str
    crm_state: str
    """State of the outbox row; empty when there is none."""
    crm_reference: str
    path: tuple[str, ...]
    """Through the flow; of one who hung up there, as far as it was."""


def wrap_up_kind(agent: str) -> str:
    """The outbox kind of one agent's wrap-up: after a transfer each agent writes an own part of the call."""
    return f"wrap_up:{agent}"


def worth_a_call_record(report: CallReport) -> bool:
    """Whether a call that no agent had is written to the CRM: yes when we know whose file it belongs to."""
    return report.customer is not None and not report.agent


async def write_records(
    database: Database, conversations: Sequence[ConversationRecord], talks: Sequence[TalkRecord] = ()
) -> None:
    """Write or replace these rows in one transaction. Raises ``DatabaseError``; then nothing was written."""
    kind = database.is_sqlite
    await database.write_rows(
        [
            (_UPSERT[kind, Conversation], [_row(record) for record in conversations]),
            (_UPSERT[kind, Talk], [_row(talk) for talk in talks]),
        ]
    )


async def save_wrap_up(
    database: Database, report: CallReport, *, adapter: str, at: float, expired: bool = False
) -> bool:
    """Close a conversation for one agent: wrap-up, outbox row and the end of the draft, in one transaction.

    ``at``: Unix seconds. Returns whether it is new; the same code once more changes nothing and returns False.
    Raises ``AlreadyWrappedUp`` for another code, ``ValueError`` for a note above ``MAX_NOTE``, ``DatabaseError``.
    """
    _check_note(report.note)
    report = replace(report, note=storable(report.note))
    async with database.transaction() as session:
        put = (
            _insert(database, _WRAP_UP)
            .values(
                conversation_id=report.conversation,
                agent=report.agent,
                code=report.code,
                note=report.note,
                at=at,
                expired=expired,
            )
            .on_conflict_do_nothing()
            .returning(_WRAP_UP.c.code)
        )
        fresh = (await session.exec(put)).first() is not None
        if not fresh:
            held = await session.get_one(WrapUp, (report.conversation, report.agent))
            if held.code != report.code:
                raise AlreadyWrappedUp(held.code)
            return False
        await _enqueue(database, session, report, wrap_up_kind(report.agent), adapter, at)
        await session.exec(
            delete(_DRAFT).where(_DRAFT.c.conversation_id == report.conversation, _DRAFT.c.agent == report.agent)
        )
    return True


async def save_call(database: Database, report: CallReport, *, adapter: str, at: float) -> bool:
    """Owe the CRM a call that no agent had. Returns whether it is new. Raises ``DatabaseError``."""
    async with database.transaction() as session:
        return await _enqueue(database, session, report, CALL_KIND, adapter, at)


async def open_conversations(database: Database) -> list[Conversation]:
    """Conversations whose end was not recorded, oldest first: what a new start asks Asterisk about."""
    query = select_model(Conversation).where(_CONVERSATION.c.ended_at.is_(None)).order_by(_CONVERSATION.c.started_at)
    async with database.session() as session:
        return list((await session.exec(query)).all())


async def owed_wrap_ups(database: Database, agent: str | None = None, *, since: float = 0.0) -> list[OwedWrapUp]:
    """Stints of one agent (or of all) that ended after ``since`` and were not wrapped up; one per conversation."""
    query = (
        select(
            _TALK.c.conversation_id,
            _TALK.c.agent,
            func.max(_TALK.c.interface),
            func.max(_TALK.c.queue),
            func.max(_TALK.c.ended_at).label("ended"),
        )
        .outerjoin(
            _WRAP_UP,
            (_WRAP_UP.c.conversation_id == _TALK.c.conversation_id) & (_WRAP_UP.c.agent == _TALK.c.agent),
        )
        .where(_TALK.c.ended_at > since, _TALK.c.agent != "", _WRAP_UP.c.code.is_(None))
        .group_by(_TALK.c.conversation_id, _TALK.c.agent)
        .order_by("ended")
    )
    if agent is not None:
        query = query.where(_TALK.c.agent == agent)
    async with database.session() as session:
        return [OwedWrapUp(*row) for row in await (await session.connection()).execute(query)]


async def save_draft(database: Database, conversation: str, agent: str, note: str, *, at: float) -> None:
    """Keep a note in the making. After the wrap-up it is dropped without a word: a late autosave is no error.

    Raises ``ValueError`` above ``MAX_NOTE``, ``DatabaseError``.
    """
    _check_note(note)
    async with database.transaction() as session:
        if await session.get(WrapUp, (conversation, agent)) is not None:
            return
        values = {"conversation_id": conversation, "agent": agent, "note": note, "at": at}
        await (await session.connection()).execute(_UPSERT[database.is_sqlite, WrapUpDraft], [values])


async def draft(database: Database, conversation: str, agent: str) -> str:
    """The note in the making; empty when there is none."""
    async with database.session() as session:
        kept = await session.get(WrapUpDraft, (conversation, agent))
    return kept.note if kept is not None else ""


async def recent_calls(database: Database, *, agent: str | None = None, limit: int = 50) -> list[RecentCall]:
    """The newest conversations, of one agent or of everyone, with their wrap-up and where the CRM's write stands."""
    chosen = select(_CONVERSATION.c.id).order_by(_CONVERSATION.c.started_at.desc()).limit(limit)
    if agent is not None:
        talked = select(_TALK.c.conversation_id).where(_TALK.c.agent == agent)
        chosen = chosen.where(or_(_CONVERSATION.c.agent == agent, _CONVERSATION.c.id.in_(talked)))
    newest = chosen.cte("newest")
    parts = (
        select(
            _TALK.c.conversation_id,
            _TALK.c.agent,
            func.max(_TALK.c.queue).label("queue"),
            func.min(_TALK.c.answered_at).label("answered_at"),
            func.max(_TALK.c.ended_at).label("ended_at"),
            func.sum(_TALK.c.talked).label("talked"),
        )
        .where(_TALK.c.conversation_id.in_(select(newest.c.id)))
        .group_by(_TALK.c.conversation_id, _TALK.c.agent)
        .subquery("parts")
    )
    call = _CONVERSATION.c
    who = func.coalesce(parts.c.agent, call.agent)
    query = (
        select(
            call.id,
            call.started_at,
            func.coalesce(parts.c.answered_at, call.answered_at),
            func.coalesce(parts.c.ended_at, call.ended_at),
            func.coalesce(parts.c.talked, call.talked),
            func.coalesce(parts.c.queue, call.queue),
            who,
            func.coalesce(call.number, call.raw),
            call.customer_name,
            call.certainty,
            func.coalesce(_WRAP_UP.c.code, ""),
            func.coalesce(_WRAP_UP.c.note, ""),
            func.coalesce(_OUTBOX.c.state, ""),
            func.coalesce(_OUTBOX.c.external_id, ""),
            call.path,
        )
        .join(newest, newest.c.id == call.id)
        .outerjoin(parts, parts.c.conversation_id == call.id)
        .outerjoin(_WRAP_UP, (_WRAP_UP.c.conversation_id == call.id) & (_WRAP_UP.c.agent == who))
        .outerjoin(
            _OUTBOX,
            (_OUTBOX.c.conversation_id == call.id)
            & (_OUTBOX.c.kind == func.coalesce("wrap_up:" + func.nullif(who, ""), CALL_KIND)),
        )
        .order_by(call.started_at.desc(), func.coalesce(parts.c.answered_at, 0.0).desc())
    )
    if agent is not None:
        query = query.where(who == agent)
    async with database.session() as session:
        rows = (await (await session.connection()).execute(query)).all()
    found = [RecentCall(*tuple(row)) for row in rows]
    return [replace(call, number_display=format_number(call.number_display), path=tuple(call.path)) for call in found]


async def _enqueue(
    database: Database, session: AsyncSession, report: CallReport, kind: str, adapter: str, at: float
) -> bool:
    values: dict[str, Any] = {
        "adapter": adapter,
        "conversation_id": report.conversation,
        "kind": kind,
        "payload": {name: _clean(value) for name, value in asdict(report).items()},
        "state": WAITING,
        "attempts": 0,
        "next_at": at,
        "last_error": "",
        "created_at": at,
    }
    put = _insert(database, _OUTBOX).values(**values).on_conflict_do_nothing().returning(_OUTBOX.c.id)
    fresh = (await session.exec(put)).first() is not None
    if fresh:
        announce(session, OUTBOX_TOPIC)
    return fresh


def _row(record: ConversationRecord | TalkRecord) -> dict[str, Any]:
    # Not asdict: it copies every value, and costs more than the write.
    return {name: _clean(getattr(record, name)) for name in record.__slots__}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    return [storable(part) for part in value] if isinstance(value, tuple) else value


def _check_note(note: str) -> None:
    if len(note) > MAX_NOTE:
        raise ValueError(f"a note has at most {MAX_NOTE} characters")


def _insert(database: Database, table: Table) -> Any:
    return sqlite.insert(table) if database.is_sqlite else postgresql.insert(table)


def _upsert(is_sqlite: bool, table: Table, keys: tuple[str, ...]) -> Any:
    insert: Any = sqlite.insert(table) if is_sqlite else postgresql.insert(table)
    kept = {*keys, "id"}
    replaced = {column.name: insert.excluded[column.name] for column in table.columns if column.name not in kept}
    return insert.on_conflict_do_update(index_elements=keys, set_=replaced)


_KEYS: dict[type[Conversation] | type[Talk] | type[WrapUpDraft], tuple[str, ...]] = {
    Conversation: ("id",),
    Talk: ("conversation_id", "interface", "answered_at"),
    WrapUpDraft: ("conversation_id", "agent"),
}
# Built once: at 200 calls/s composing the statement would cost more than running it.
_UPSERT = {
    (is_sqlite, model): _upsert(is_sqlite, table_of(model), keys)
    for is_sqlite in (True, False)
    for model, keys in _KEYS.items()
}
