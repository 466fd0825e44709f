"""Records: what the office puts on disk, and finds there after a restart. A shell over ``crm_bridge.records``.

Conversations are written in batches a few times a second, always as whole rows, so a late batch corrects an early one
and a failed batch is simply tried again. After each batch the journal is told how far the database has got: a new start
looks at the rest there (``conversations.aftermath``). A wrap-up is never batched: the agent's key press is answered
when the transaction is through.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable, Collection, Sequence, Set
from contextlib import suppress
from dataclasses import replace

import sqlmodel
import structlog
from sqlalchemy import select

from crm_bridge import outbox as crm_outbox
from crm_bridge import records
from crm_bridge.database import Database, DatabaseError
from crm_bridge.numbers import NumberStatus, parse_number
from crm_bridge.ports import CallReport, Certainty, CustomerRef, Match
from crm_bridge.tables import Conversation, Talk, WrapUp, table_of
from telephony.conversations.history import History, StintRecord, TalkRecord
from telephony.conversations.journal import Journal
from telephony.desk.cases import Case
from telephony.desk.ports import Conflict, OutboxItem, RecentConversation, Unavailable
from telephony.floor.model import Desk, Presence, WrapUpDue
from telephony.floor.tables import AgentState
from telephony.settings import Settings

log = structlog.get_logger(__name__)
_CONVERSATION = table_of(Conversation)

BATCH_SECONDS = 0.25
RETRY_SECONDS = 1.0
REFUSED_KEPT = 1000
KEPT_AT_ONCE = 500
"""Conversations read in one go; databases bound the values of one statement."""
OWED_FOR_SECONDS = 12 * 3600.0
"""A wrap-up that nobody wrote in a whole shift is not asked for again after a restart."""

CRM_STATES = {"": "", "waiting": "waiting", "claimed": "waiting", "done": "delivered", "dead": "dead"}


class Records:
    """The database as the office uses it.

    ``adapter``: the name of the CRM the outbox writes to. ``agent_at``: who sits at an interface. ``journal``: is told
    how far the database has got.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        adapter: str,
        agent_at: Callable[[str], str],
        journal: Journal | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._adapter = adapter
        self._agent_at = agent_at
        self._journal = journal
        self._dirty: dict[str, Case] = {}
        self._on_the_way: Set[str] = frozenset()
        self._unsaved: dict[str, Desk] = {}
        """Agents whose latest wish could not be stored yet."""
        self._refused: dict[str, None] = {}
        """Conversations whose record the database did not take, in order; said once of each."""
        self._codes: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self.failures = 0

    @property
    def backlog(self) -> int:
        """Conversations whose latest state is not on disk yet."""
        return len(self._dirty.keys() | self._on_the_way)

    # --- conversations, in batches ----------------------------------------------------------------------------

    def touch(self, case: Case) -> None:
        """This conversation has changed. Calls between agents are not kept."""
        if case.history.inbound:
            self._dirty[case.id] = case
            self._wake.set()

    def hurry(self) -> None:
        """What has changed is nowhere else: the next batch does not wait for company."""
        self._urgent.set()
        self._wake.set()

    async def run(self) -> None:
        """Write batches until cancelled, then write what is left."""
        writing: asyncio.Task[bool] | None = None
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                self._urgent.clear()
                # Shielded: a batch on its way to the disk gets there, also when we are told to stop.
                writing = asyncio.create_task(self._flush(), name="batch of records")
                if not await asyncio.shield(writing):
                    self._wake.set()
                    await asyncio.sleep(RETRY_SECONDS)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._urgent.wait(), BATCH_SECONDS)
        finally:
            if writing is not None:
                await asyncio.wait({writing})
            await self._flush()

    async def _flush(self) -> bool:
        batch, self._dirty = self._dirty, {}
        place = self._journal.place() if self._journal is not None else None
        self._on_the_way = batch.keys()
        try:
            await self._write(list(batch.values()))
            while self._unsaved:
                login, desk = next(iter(self._unsaved.items()))
                try:
                    await self._save_agent(desk, time.time())
                except DatabaseError:
                    raise
                except Exception:
                    log.exception("agent_not_stored", agent=login)  # not this one; it must not keep out the others
                self._unsaved.pop(login, None)
        except DatabaseError as failed:
            self.failures += 1
            log.warning("records_not_written", conversations=len(batch), why=str(failed))
            self._dirty = {**batch, **self._dirty}
            return False
        finally:
            self._on_the_way = frozenset()
        if self._journal is not None and place is not None:
            with suppress(OSError):  # the watch says so when its own records cannot be written
                self._journal.saved(place, time.time())
        return True

    async def _write(self, cases: Sequence[Case]) -> None:
        if not cases:
            return
        try:
            await records.write_records(
                self._database,
                [self._row(case) for case in cases],
                [row for case in cases for row in self._talks(case)],
            )
            for case in cases:
                if case.history.ended_at is not None and not case.history.talks:
                    report = self._report(case, "", "", None, "", "")
                    if records.worth_a_call_record(report):
                        await records.save_call(self._database, report, adapter=self._adapter, at=case.history.ended_at)
        except DatabaseError:
            raise
        except Exception as refused:
            # Something in one of them that the database will never take; it must not keep the others out.
            if len(cases) == 1:
                self._refuse(cases[0], refused)
                return
            for case in cases:
                await self._write([case])

    def _refuse(self, case: Case, refused: Exception) -> None:
        self.failures += 1
        if case.id in self._refused:
            return  # it is tried again at each of its changes
        self._refused[case.id] = None
        while len(self._refused) > REFUSED_KEPT:
            del self._refused[next(iter(self._refused))]
        why = f"{type(refused).__name__}: {(str(refused).splitlines() or [''])[0][:200]}"
        log.error("record_refused", conversation=case.id, why=why, what="the call goes on; its record is missing")

    def _row(self, case: Case) -> records.ConversationRecord:
        history, customer = case.history, case.customer
        stint = history.stints[-1] if history.stints else None
        talk = history.talks[-1] if history.talks else None
        return records.ConversationRecord(
            id=case.id,
            started_at=history.opened_at,
            number=case.number.e164,
            raw=case.number.raw,
            customer_id=customer.id if customer is not None else None,
            customer_name=customer.name if customer is not None else "",
            certainty=str(case.match.certainty),
            reason=case.match.reason,
            level=history.level,
            queue=stint.queue if stint is not None else talk.queue if talk is not None else "",
            agent=self._login(case, talk.interface) if talk is not None else "",
            interface=talk.interface if talk is not None else "",
            path=history.path,
            language=history.language,
            queued_at=history.stints[0].joined_at if stint is not None else None,
            answered_at=history.talks[0].answered_at if talk is not None else None,
            ended_at=history.ended_at,
            talked=sum(one.talked for one in history.talks),
            outcome=history.outcome,
            lost=history.lost,
        )

    def _talks(self, case: Case) -> list[records.TalkRecord]:
        return [
            records.TalkRecord(
                conversation_id=case.id,
                interface=talk.interface,
                answered_at=talk.answered_at,
                agent=self._login(case, talk.interface),
                queue=talk.queue,
                ended_at=talk.ended_at,
                talked=talk.talked,
            )
            for talk in case.history.talks
        ]

    def _login(self, case: Case, interface: str) -> str:
        return (case.agents or {}).get(interface) or self._agent_at(interface)

    async def last_agent(self, customer: str) -> str:
        """Who talked to this customer last; empty: nobody. Raises ``DatabaseError``."""
        query = (
            select(_CONVERSATION.c.agent)
            .where(_CONVERSATION.c.customer_id == customer, _CONVERSATION.c.agent != "")
            .order_by(_CONVERSATION.c.started_at.desc())
            .limit(1)
        )
        async with self._database.session() as session:
            return str((await (await session.connection()).execute(query)).scalar() or "")

    # --- wrap-ups ---------------------------------------------------------------------------------------------

    async def save_wrap_up(
        self,
        case: Case | None,
        login: str,
        name: str,
        due: WrapUpDue,
        code: str,
        note: str,
        at: float,
        *,
        expired: bool,
    ) -> None:
        """One transaction: the wrap-up and what the CRM is owed for it. Raises ``Conflict`` or ``Unavailable``."""
        known = case or (await self.kept([due.conversation])).get(due.conversation)
        if known is None:  # nothing is known but that it is owed
            known = Case(History(due.conversation, at), parse_number("", region=self._settings.office.region))
        report = self._report(known, login, name, due, code, note)
        # First come, first stored: a time limit that passes meanwhile does not overtake what the agent typed.
        lock = self._codes.setdefault(due.conversation, asyncio.Lock())
        try:
            async with lock:
                if case is not None and self._dirty.pop(case.id, None) is not None:
                    await self._write_first(case)
                await records.save_wrap_up(self._database, report, adapter=self._adapter, at=at, expired=expired)
        except records.AlreadyWrappedUp as already:
            raise Conflict("already-wrapped-up", code=already.code) from None
        except DatabaseError as failed:
            log.error("wrap_up_not_stored", conversation=due.conversation, why=str(failed))
            raise Unavailable("database-down") from failed

    async def _write_first(self, case: Case) -> None:
        """The talk's end comes before its code, or a restart in between would find a talk that still goes on."""
        try:
            await self._write([case])
        except BaseException:
            self._dirty.setdefault(case.id, case)
            self._wake.set()
            raise

    def _report(self, case: Case, login: str, name: str, due: WrapUpDue | None, code: str, note: str) -> CallReport:
        history, customer = case.history, case.customer
        talks = [talk for talk in history.talks if not login or self._login(case, talk.interface) == login]
        queue = due.queue if due is not None else (history.stints[-1].queue if history.stints else "")
        # Of a call that ended behind our back nobody knows when, nor whether somebody picked up.
        unseen = history.lost and not talks
        ended = talks[-1].ended_at if talks else None if unseen else history.ended_at
        return CallReport(
            conversation=case.id,
            customer=customer.id if customer is not None else None,
            direction="in",
            number=case.number.e164 if case.number.status is NumberStatus.OK else None,
            queue=queue,
            agent=login,
            agent_name=name,
            started_at=history.opened_at,
            answered_at=talks[0].answered_at if talks else None,
            ended_at=ended,
            talked=sum(talk.talked for talk in talks),
            code=code,
            code_label=self._label(queue, code),
            note=note,
            path=history.path,
            certainty=str(case.match.certainty),
        )

    def _label(self, queue: str, code: str) -> str:
        rules = self._settings.queue(queue)
        codes = rules.wrap_up_codes if rules is not None else ()
        language = self._settings.office.language
        return next((one.label.get(language, code) for one in codes if one.code == code), code)

    async def wrapped_up(self, conversation: str, login: str) -> str | None:
        """The code this agent closed the conversation with, if any."""
        async with self._database.session() as session:
            held = await session.get(WrapUp, (conversation, login))
        return held.code if held is not None else None

    async def save_note(self, conversation: str, login: str, note: str, at: float) -> None:
        try:
            await records.save_draft(self._database, conversation, login, note, at=at)
        except DatabaseError as failed:
            raise Unavailable("database-down") from failed

    async def note(self, conversation: str, login: str) -> str:
        return await records.draft(self._database, conversation, login)

    async def owed(self, login: str, now: float) -> list[tuple[str, str, float]]:
        """Conversation, queue and end of each call that this agent has not written up."""
        found = await records.owed_wrap_ups(self._database, login, since=now - OWED_FOR_SECONDS)
        return [(one.conversation, one.queue, one.ended_at) for one in found]

    # --- lists for people -------------------------------------------------------------------------------------

    async def recent(self, agent: str | None, limit: int) -> list[RecentConversation]:
        found = await records.recent_calls(self._database, agent=agent, limit=limit)
        return [
            RecentConversation(
                conversation=one.conversation,
                started_at=one.started_at,
                answered_at=one.answered_at,
                ended_at=one.ended_at,
                talked=one.talked,
                queue=one.queue,
                agent=one.agent,
                number_display=one.number_display,
                customer_name=one.customer_name,
                certainty=one.certainty,
                code=one.code,
                note=one.note,
                crm_state=CRM_STATES[one.crm_state],
                crm_reference=one.crm_reference,
                path=one.path,
            )
            for one in found
        ]

    async def outbox(self) -> list[OutboxItem]:
        return [
            OutboxItem(
                id=str(row.id),
                conversation=row.conversation_id,
                agent=str(row.payload.get("agent", "")),
                code=str(row.payload.get("code", "")),
                created_at=row.created_at,
                attempts=row.attempts,
                next_at=None if row.state == crm_outbox.DEAD else row.next_at,
                dead=row.state == crm_outbox.DEAD,
                error=row.last_error,
            )
            for row in await crm_outbox.items(self._database, self._adapter)
        ]

    async def retry(self, id: str, now: float) -> bool:
        return id.isascii() and id.isdigit() and await crm_outbox.retry(self._database, int(id), now=now)

    # --- across restarts --------------------------------------------------------------------------------------

    async def save_agent(self, desk: Desk, now: float) -> None:
        """Keep what an agent wants, so that a killed service goes on where it was; later, if it cannot be done now."""
        try:
            await self._save_agent(desk, now)
        except DatabaseError as failed:
            log.warning("agent_not_stored_yet", agent=desk.agent.login, why=str(failed))
            self._unsaved[desk.agent.login] = desk
            self._wake.set()

    async def _save_agent(self, desk: Desk, now: float) -> None:
        state = AgentState(
            login=desk.agent.login,
            presence=str(Presence.PAUSED if desk.pause is not None else desk.presence),
            reason=desk.pause or "",
            since=desk.since,
            logged_in=desk.signed_in,
            updated_at=now,
        )
        async with self._database.transaction() as session:
            await session.merge(state)

    async def agents(self) -> dict[str, AgentState]:
        async with self._database.session() as session:
            return {one.login: one for one in await session.exec(sqlmodel.select(AgentState))}

    async def unfinished(self) -> Sequence[str]:
        return [one.id for one in await records.open_conversations(self._database)]

    async def kept(self, conversations: Collection[str]) -> dict[str, Case]:
        """What the records say of earlier conversations; those they do not know are left out."""
        found: dict[str, Case] = {}
        chosen = list(dict.fromkeys(conversations))
        for start in range(0, len(chosen), KEPT_AT_ONCE):
            some = chosen[start : start + KEPT_AT_ONCE]
            talk = table_of(Talk)
            async with self._database.session() as session:
                rows = (
                    await session.exec(sqlmodel.select(Conversation).where(sqlmodel.col(Conversation.id).in_(some)))
                ).all()
                connection = await session.connection()
                talks = (
                    await connection.execute(
                        select(
                            *(talk.c.conversation_id, talk.c.agent),
                            *(talk.c.interface, talk.c.queue, talk.c.answered_at, talk.c.ended_at, talk.c.talked),
                        )
                        .where(talk.c.conversation_id.in_(some))
                        .order_by(talk.c.answered_at)
                    )
                ).all()
            found |= {row.id: self._case(row) for row in rows}
            for conversation, agent, *one in talks:
                case = found.get(conversation)
                if case is not None:
                    record = TalkRecord(*one)
                    case.history.talks.append(record)
                    if agent:
                        case.agents = {**(case.agents or {}), record.interface: agent}
        return found

    def _case(self, row: Conversation) -> Case:
        history = History(
            row.id,
            row.started_at,
            number=row.number or row.raw,
            presentation="prohib" if row.reason == "number_withheld" else "",
            customer=row.customer_id or "",
            certainty=row.certainty,
            reason=row.reason,
            level=row.level,
            path=tuple(row.path),
            language=row.language,
            stints=[StintRecord(row.queue, row.queued_at)] if row.queue and row.queued_at is not None else [],
            ended_at=row.ended_at,
            lost=row.lost,
        )
        number = parse_number(history.number, region=self._settings.office.region, presentation=history.presentation)
        known = (CustomerRef(row.customer_id, "", row.customer_name),) if row.customer_id else ()
        certainty = next((one for one in Certainty if one == row.certainty), Certainty.NONE)
        return Case(history, replace(number, raw=row.raw), Match(certainty, row.reason, known, self._adapter))
