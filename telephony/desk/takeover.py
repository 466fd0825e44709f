"""The takeover: a new process goes on where an earlier one stopped, however that one stopped.

Who was signed in and what they owe is in the database; what it does not have yet is in the journal's end. Conversations
that were open then are either alive, which the first resync tells, or ended while nobody looked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import structlog

from crm_bridge.database import DatabaseError, storable
from crm_bridge.numbers import parse_number
from crm_bridge.ports import Certainty, CustomerRef, Match
from telephony.conversations.aftermath import Aftermath, add
from telephony.conversations.events import TalkStarted
from telephony.conversations.history import History, TalkRecord
from telephony.conversations.journal import JournalError
from telephony.desk.cases import Case
from telephony.desk.records import OWED_FOR_SECONDS, Records
from telephony.floor.accounts import Accounts, User
from telephony.floor.model import FloorEffect, WrapUpDue
from telephony.floor.policy import Floor

log = structlog.get_logger(__name__)

STORE_RETRY_SECONDS = 1.0
"""How long after a database has failed it is asked again for what must not be lost."""


class Office(Protocol):
    """What the takeover needs done."""

    def enrol(self, user: User) -> None: ...

    def follow(self, effects: Sequence[FloorEffect]) -> None: ...

    def reopen(self, login: str, due: WrapUpDue, case: Case | None, note: str) -> None:
        """Show a call that this agent still owes, with what is known of it."""
        ...

    def confirm(self, case: Case, customer: str, reason: str) -> None: ...


class Takeover:
    """``begin`` before the watch starts, ``inherit`` as conversations turn up, ``close`` and ``ask`` after the first
    resync.

    What is found out is told to the records like any news, and so is written however long the database is locked.
    """

    def __init__(
        self,
        floor: Floor,
        records: Records,
        accounts: Accounts,
        office: Office,
        clock: Callable[[], float],
        *,
        region: str,
        aftermath: Callable[[], Aftermath],
    ) -> None:
        self._floor = floor
        self._records = records
        self._accounts = accounts
        self._office = office
        self._clock = clock
        self._region = region
        self._aftermath = aftermath
        self._seen_until: float | None = None
        self._earlier: dict[str, Case] = {}
        """Open when an earlier run ended; empty once the first resync has told what became of them."""
        self._live: dict[str, Case] = {}
        """Those of them that are alive, as this run knows them."""
        self._resumed: set[tuple[str, str]] = set()
        """Conversation and interface of talks that go on."""

    async def begin(self) -> None:
        """Who was here, and what they still owe."""
        states, here = await self._records.agents(), await self._accounts.signed_in()
        users = [user for user in await self._accounts.list() if user.active]
        owed = {user.login: await self._owed(user.login) for user in users if user.login in states}
        seen = await self._read_aftermath()
        self._seen_until = seen.seen_until
        cases = await self._records.kept(
            [
                *await self._records.unfinished(),
                *(due.conversation for dues in owed.values() for due in dues),
                *(one.conversation for one in seen.histories),
            ]
        )
        for user in users:
            self._office.enrol(user)
            kept = states.get(user.login)
            if kept is None:
                continue
            pause = kept.reason if kept.presence == "paused" else None
            # Whose last session ran out while we were away has gone home.
            signed_in = kept.logged_in and user.login in here
            self._office.follow(self._floor.restore(user.login, signed_in, pause, owed[user.login], kept.since))
            for due in owed[user.login]:
                await self._reopen(user.login, due, cases.get(due.conversation))
        for history in seen.histories:
            try:
                await self._take_in(cases, history)
            except DatabaseError:
                raise
            except Exception:
                # One that we stumble over must not keep the service from starting, now and at every other try.
                log.exception("conversation_not_taken_over", conversation=history.conversation)
        self._earlier = {id_: case for id_, case in cases.items() if case.history.ended_at is None}

    async def _read_aftermath(self) -> Aftermath:
        try:
            seen = await asyncio.to_thread(self._aftermath)
        except JournalError as failed:
            log.warning("journal_not_taken_over", why=str(failed))
            return Aftermath()
        # Under an id that is no text the records hold nothing.
        histories = tuple(one for one in seen.histories if storable(one.conversation) == one.conversation)
        if histories:
            log.info("journal_taken_over", conversations=len(histories))
        return Aftermath(histories, seen.seen_until)

    async def _take_in(self, cases: dict[str, Case], seen: History) -> None:
        """Put what the journal tells to what the records have, and owe what follows from it."""
        case = cases.get(seen.conversation)
        ended: set[int] = set()
        if case is None:
            number = parse_number(seen.number, region=self._region, presentation=seen.presentation)
            case = cases[seen.conversation] = Case(seen, number)
        else:
            ended = {id(talk) for talk in case.history.talks if talk.ended_at is not None}
            if not add(case.history, seen):
                return
        history = case.history
        if history.certainty == Certainty.CERTAIN and (case.customer is None or case.customer.id != history.customer):
            proven = (CustomerRef(history.customer, "", ""),)
            case.match = Match(Certainty.CERTAIN, history.reason, proven)
        for talk in history.talks:
            agent = self._floor.agent_at(talk.interface)
            if agent is not None:
                case.agents = {talk.interface: agent.login, **(case.agents or {})}
        self._records.touch(case)
        for talk in history.talks:
            if talk.ended_at is not None and id(talk) not in ended:
                await self._owe(case, talk, talk.ended_at)

    def inherit(self, case: Case) -> None:
        """What Asterisk cannot tell again: when it began, who it is, which way it came, who had it before.

        Done before anything of this run is written: the record holds it and would be written over.
        """
        earlier = self._earlier.get(case.id)
        if earlier is None:
            return
        known, live = earlier.history, case.history
        live.opened_at, live.path, live.language = known.opened_at, known.path, known.language
        live.stints, live.talks = known.stints, known.talks
        case.agents = dict(earlier.agents or {})
        self._live[case.id] = case
        if known.customer and known.certainty == Certainty.CERTAIN and not case.settled:
            self._office.confirm(case, known.customer, known.reason)

    def inherit_talk(self, one: TalkStarted, case: Case) -> None:
        """A talk that was going on before goes on: it did not begin when we came back."""
        if one.conversation not in self._earlier:
            return
        talks = case.history.talks
        going_on = next((talk for talk in talks if talk.interface == one.interface and talk.ended_at is None), None)
        if going_on is not None and going_on is not talks[-1]:
            talks.pop()
            going_on.talked = max(0.0, one.at - going_on.answered_at)
            self._resumed.add((one.conversation, one.interface))

    def close(self, is_live: Callable[[str], bool]) -> list[tuple[Case, TalkRecord]]:
        """After the first resync: end what ended while nobody looked. Returns those talks.

        When it ended nobody knows; it was going on when we last looked, which is what is said of it.
        """
        earlier, self._earlier = self._earlier, {}
        live, self._live = self._live, {}
        lost: list[tuple[Case, TalkRecord]] = []
        for id_, before in earlier.items():
            case = live.get(id_, before)
            history, over = case.history, not is_live(id_)
            for talk in history.talks:
                if talk.ended_at is None and (over or (id_, talk.interface) not in self._resumed):
                    self._end(talk)
                    lost.append((case, talk))
            if over and history.ended_at is None:
                last = max((talk.ended_at or 0.0 for talk in history.talks), default=history.opened_at)
                history.ended_at, history.lost = max(last, self._last_seen()), True
            self._records.touch(case)
        self._resumed.clear()
        return lost

    def _end(self, talk: TalkRecord) -> None:
        talk.ended_at = max(talk.answered_at, self._last_seen())
        if self._seen_until is not None:
            talk.talked = max(talk.talked, talk.ended_at - talk.answered_at)

    def _last_seen(self) -> float:
        return self._clock() if self._seen_until is None else self._seen_until

    async def ask(self, lost: Collection[tuple[Case, TalkRecord]]) -> None:
        """Ask for the codes of talks whose end nobody saw."""
        for case, talk in lost:
            while True:
                try:
                    await self._owe(case, talk, self._clock())
                    break
                except DatabaseError as failed:
                    log.warning("conversation_not_adopted", conversation=case.id, why=str(failed))
                    await asyncio.sleep(STORE_RETRY_SECONDS)

    async def _owe(self, case: Case, talk: TalkRecord, ended_at: float) -> None:
        """This agent was in the call, and has not written it up."""
        login = (case.agents or {}).get(talk.interface, "")
        due, desk = self._due(case.id, talk.queue, ended_at), self._floor.desks.get(login)
        if due is None or desk is None or any(one.conversation == case.id for one in desk.owed):
            return
        if ended_at < self._clock() - OWED_FOR_SECONDS or await self._records.wrapped_up(case.id, login) is not None:
            return
        owed = [*desk.owed, due]
        self._office.follow(self._floor.restore(login, desk.signed_in, desk.pause, owed, desk.since))
        await self._reopen(login, due, case)

    async def _owed(self, login: str) -> list[WrapUpDue]:
        found = await self._records.owed(login, self._clock())
        return [due for entry in found if (due := self._due(*entry)) is not None]

    def _due(self, conversation: str, queue: str, ended_at: float) -> WrapUpDue | None:
        rule = self._floor.rules.get(queue)
        if rule is None or rule.wrap_up != "required":
            return None
        deadline = ended_at + rule.seconds if rule.seconds is not None else None
        return WrapUpDue(conversation, queue, True, deadline)

    async def _reopen(self, login: str, due: WrapUpDue, case: Case | None) -> None:
        self._office.reopen(login, due, case, await self._records.note(due.conversation, login))
