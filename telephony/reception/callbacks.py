"""Call-backs: who was promised one, when it is due, and who is called now.

A promise keeps the caller's place: it is due when nobody who joined the queue before it still waits, and when an agent
is free for it. One number has one open promise, a promise has one lease: so nobody is called twice, whoever asks, and
whichever process died in the middle of a call.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from crm_bridge.database import Database
from telephony.reception.tables import CallBackPromise
from telephony.settings import CallBacks as Rules

LEASE_SECONDS = 180.0
"""How long a call-back is ours before it counts as lost; while its call lives the lease is renewed."""
MAX_LISTED = 500

WAITING, CALLING = "waiting", "calling"
Promised = Literal["next", "already", "refused"]
Ended = Literal["kept", "unreached", "expired", "withdrawn"]


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue as it is now."""

    waiting: Sequence[float]
    """When those who wait joined, Unix seconds."""
    ready: int
    """Agents who could take a call at once."""
    staffed: int = 0
    """Agents at work, those included who talk or write up a call."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller, an agent or a web page asks for."""

    queue: str
    number: str
    """E.164."""
    language: str = ""
    customer: str = ""
    customer_name: str = ""
    conversation: str = ""


def due(promises: Sequence[CallBackPromise], queues: Mapping[str, QueueView], now: float) -> list[CallBackPromise]:
    """Which promises to keep now, the oldest place first. Pure.

    No more than there are agents without a call for each queue, those being called counted; and none before a caller
    who joined earlier and still waits.
    """
    chosen: list[CallBackPromise] = []
    for name, queue in queues.items():
        ours = sorted((one for one in promises if one.queue == name), key=lambda one: one.place_at)
        # A caller who waits takes one of the free agents, too.
        free = queue.ready - sum(one.state == CALLING for one in ours)
        first = min(queue.waiting, default=None)
        for promise in ours:
            if free <= 0:
                break
            if promise.state != WAITING or now < promise.next_at or now >= promise.expires_at:
                continue
            if first is not None and first < promise.place_at:
                break
            chosen.append(promise)
            free -= 1
    return chosen


def may_call(number: str, rules: Rules) -> bool:
    """Whether the settings allow calls to this number. Pure."""
    return any(number.startswith(beginning) for beginning in rules.allow)


class CallBacks:
    """The promises of the office. ``clock``: Unix seconds."""

    def __init__(self, database: Database, rules: Rules, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._rules = rules
        self._clock = clock

    async def promise(self, wanted: Wanted) -> Promised:
        """Promise a call-back. Raises ``DatabaseError``."""
        if not may_call(wanted.number, self._rules):
            return "refused"
        now = self._clock()
        row = CallBackPromise(
            id=secrets.token_hex(8),
            queue=wanted.queue,
            number=wanted.number,
            open_number=wanted.number,
            language=wanted.language,
            customer_id=wanted.customer,
            customer_name=wanted.customer_name,
            conversation_id=wanted.conversation,
            place_at=now,
            expires_at=now + self._rules.valid_hours * 3600.0,
            next_at=now,
        )
        try:
            async with self._database.transaction() as session:
                session.add(row)
        except IntegrityError:
            return "already"
        return "next"

    async def open(self) -> Sequence[CallBackPromise]:
        """Every promise that is not done with, the oldest place first. Raises ``DatabaseError``."""
        query = (
            select(CallBackPromise)
            .where(col(CallBackPromise.state).in_((WAITING, CALLING)))
            .order_by(col(CallBackPromise.place_at))
            .limit(MAX_LISTED)
        )
        async with self._database.session() as session:
            return (await session.exec(query)).all()

    async def claim(self, id: str) -> CallBackPromise | None:
        """Take a promise to call it now; none when somebody else has it. Raises ``DatabaseError``."""
        now = self._clock()
        change = (
            update(CallBackPromise)
            .where(col(CallBackPromise.id) == id, col(CallBackPromise.state) == WAITING)
            .values(state=CALLING, leased_until=now + LEASE_SECONDS, attempts=CallBackPromise.attempts + 1)
            .returning(col(CallBackPromise.id))
        )
        async with self._database.transaction() as session:
            if (await session.exec(change)).first() is None:
                return None
            return await session.get(CallBackPromise, id, populate_existing=True)

    async def renew(self, ids: Collection[str]) -> None:
        """Their calls live: the leases go on."""
        if not ids:
            return
        change = (
            update(CallBackPromise)
            .where(col(CallBackPromise.id).in_(list(ids)), col(CallBackPromise.state) == CALLING)
            .values(leased_until=self._clock() + LEASE_SECONDS)
        )
        async with self._database.transaction() as session:
            await session.exec(change)

    async def missed(self, id: str) -> None:
        """Nobody answered, or no agent was had: it is tried again, or given up after the last attempt."""
        async with self._database.transaction() as session:
            row = await session.get(CallBackPromise, id, with_for_update=True)
            if row is None or row.state != CALLING:
                return
            if row.attempts >= self._rules.attempts:
                _end(row, "unreached", self._clock())
            else:
                row.state, row.leased_until = WAITING, None
                row.next_at = self._clock() + self._rules.retry_minutes * 60.0
            session.add(row)

    async def end(self, id: str, how: Ended, agent: str = "") -> bool:
        """The promise is done with. False when it was so already, or never was."""
        async with self._database.transaction() as session:
            row = await session.get(CallBackPromise, id, with_for_update=True)
            if row is None or row.open_number is None:
                return False
            _end(row, how, self._clock())
            row.agent = agent
            session.add(row)
        return True

    async def tidy(self) -> None:
        """Give up what is too old, and free what a process that died had claimed."""
        now = self._clock()
        old = (
            update(CallBackPromise)
            .where(col(CallBackPromise.state) == WAITING, col(CallBackPromise.expires_at) <= now)
            .values(state="expired", open_number=None, done_at=now)
        )
        left = (
            update(CallBackPromise)
            .where(col(CallBackPromise.state) == CALLING, col(CallBackPromise.leased_until) <= now)
            .values(state=WAITING, leased_until=None)
        )
        async with self._database.transaction() as session:
            await session.exec(old)
            await session.exec(left)


def _end(row: CallBackPromise, how: Ended, now: float) -> None:
    row.state, row.open_number, row.leased_until, row.done_at = how, None, None, now
