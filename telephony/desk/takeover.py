"""The takeover: a new process goes on where an earlier one stopped, however that one stopped.

Who was signed in and what they owe is in the database. Conversations that were open then are either alive, which the
first resync tells, or ended while nobody looked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import structlog

from crm_bridge.database import DatabaseError
from crm_bridge.ports import Certainty
from telephony.conversations.events import TalkStarted
from telephony.conversations.history import History
from telephony.desk.cases import Case
from telephony.desk.records import Records
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

    def reopen(self, login: str, due: WrapUpDue, history: History | None, note: str) -> None:
        """Show a call that this agent still owes, with what its record says."""
        ...

    def confirm(self, case: Case, customer: str, reason: str) -> None: ...


class Takeover:
    """``begin`` before the watch starts, ``inherit`` as conversations turn up, ``finish`` after the first resync."""

    def __init__(
        self, floor: Floor, records: Records, accounts: Accounts, office: Office, clock: Callable[[], float]
    ) -> None:
        self._floor = floor
        self._records = records
        self._accounts = accounts
        self._office = office
        self._clock = clock
        self._earlier: dict[str, History] = {}
        """Open when an earlier run ended; empty once the first resync has told what became of them."""

    async def begin(self) -> None:
        """Who was here, and what they still owe."""
        states, here = await self._records.agents(), await self._accounts.signed_in()
        for user in await self._accounts.list():
            if not user.active:
                continue
            self._office.enrol(user)
            kept = states.get(user.login)
            if kept is None:
                continue
            owed = await self._owed(user.login)
            pause = kept.reason if kept.presence == "paused" else None
            # Whose last session ran out while we were away has gone home.
            signed_in = kept.logged_in and user.login in here
            self._office.follow(self._floor.restore(user.login, signed_in, pause, owed, kept.since))
            for due in owed:
                await self._reopen(user.login, due)
        for conversation in await self._records.unfinished():
            history = await self._records.history(conversation)
            if history is not None:
                self._earlier[conversation] = history

    def inherit(self, case: Case) -> None:
        """What Asterisk cannot tell again: when it began, who it is, which way it came, who had it before.

        Done before anything of this run is written: the record holds it and would be written over.
        """
        earlier = self._earlier.get(case.id)
        if earlier is None:
            return
        live = case.history
        live.opened_at, live.path, live.language = earlier.opened_at, earlier.path, earlier.language
        live.stints, live.level = earlier.stints, earlier.level
        live.talks = [talk for talk in earlier.talks if talk.ended_at is not None]
        if earlier.customer and earlier.certainty == Certainty.CERTAIN and not case.settled:
            self._office.confirm(case, earlier.customer, earlier.reason)

    def inherit_talk(self, one: TalkStarted, case: Case) -> None:
        """A talk that was going on before goes on: it did not begin when we came back."""
        earlier = self._earlier.get(one.conversation)
        for talk in earlier.talks if earlier is not None else ():
            if talk.interface == one.interface and talk.ended_at is None:
                case.history.talks[-1].answered_at = talk.answered_at

    async def finish(self, live: Callable[[str], Collection[str] | None]) -> None:
        """After the first resync. ``live`` gives the interfaces that talk in a conversation, or none if it is over."""
        earlier, self._earlier = self._earlier, {}
        for conversation in earlier:
            talking = live(conversation)
            still = set(talking) if talking is not None else set()
            while True:
                try:
                    lost = await self._records.close_lost(conversation, self._clock(), still, talking is None)
                    for login, queue in lost:
                        await self._owe(login, queue, conversation)
                    break
                except DatabaseError as failed:
                    log.warning("conversation_not_adopted", conversation=conversation, why=str(failed))
                    await asyncio.sleep(STORE_RETRY_SECONDS)

    async def _owe(self, login: str, queue: str, conversation: str) -> None:
        """This agent was in the call when we last looked, and has not written it up."""
        due, desk = self._due(conversation, queue, self._clock()), self._floor.desks.get(login)
        if due is not None and desk is not None and all(one.conversation != conversation for one in desk.owed):
            owed = [*desk.owed, due]
            self._office.follow(self._floor.restore(login, desk.signed_in, desk.pause, owed, desk.since))
            await self._reopen(login, due)

    async def _owed(self, login: str) -> list[WrapUpDue]:
        found = await self._records.owed(login, self._clock())
        return [due for entry in found if (due := self._due(*entry)) is not None]

    def _due(self, conversation: str, queue: str, ended_at: float) -> WrapUpDue | None:
        rule = self._floor.rules.get(queue)
        if rule is None or rule.wrap_up != "required":
            return None
        deadline = ended_at + rule.seconds if rule.seconds is not None else None
        return WrapUpDue(conversation, queue, True, deadline)

    async def _reopen(self, login: str, due: WrapUpDue) -> None:
        history = await self._records.history(due.conversation)
        self._office.reopen(login, due, history, await self._records.note(due.conversation, login))
