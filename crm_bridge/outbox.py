"""Writes the CRM is owed: delivered in the background, with backoff, each exactly once in effect.

A row is put here in the same transaction as the wrap-up it tells of (``records.save_wrap_up``). A worker claims rows
for a while, delivers them and notes the result. A worker that dies in between leaves a claim that runs out; the row is
then delivered again under the same idempotency key, which the CRM answers with the reference it gave before.

When the CRM cannot be reached the worker holds back as a whole and then tries one row: an hour's outage must neither
hammer the CRM nor use up every row's attempts.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import and_, func, or_, select, update
from sqlmodel import select as select_model

from crm_bridge.database import Database, DatabaseError, announce, storable
from crm_bridge.ports import CallReport, CrmAdapter, CrmError, CrmRefused, CrmUnavailable
from crm_bridge.tables import OutboxRow, table_of

OUTBOX_TOPIC = "crm_outbox"
"""The topic announced (``Database.signal``) when there is something to deliver."""
MAX_RETRY_AFTER = 3600.0
"""Seconds of a CRM's ``Retry-After`` that are believed."""
MAX_ERROR = 500
"""Characters kept of a failure's text."""

WAITING, CLAIMED, DONE, DEAD = "waiting", "claimed", "done", "dead"

log = structlog.get_logger(__name__)
_TABLE = table_of(OutboxRow)
_ROW = _TABLE.c


# Policy: pure


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``first`` and ``cap``: shortest and longest wait in seconds; ``attempts``: failures until a row is dead."""

    first: float = 2.0
    cap: float = 300.0
    attempts: int = 60


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """What becomes of a row that could not be delivered: ``dead``, or ``waiting`` for ``delay`` seconds."""

    state: str
    delay: float = 0.0


def decide(failure: CrmError, attempt: int, policy: RetryPolicy, jitter: float) -> RetryDecision:
    """Judge a failed attempt.

    ``attempt``: which one it was, from 1. ``jitter``: 0 to 1; spreads the wait over its upper half, so that the rows of
    one outage do not all come back in the same instant.
    """
    if isinstance(failure, CrmRefused) or attempt >= policy.attempts:
        return RetryDecision(DEAD)
    asked = failure.retry_after if isinstance(failure, CrmUnavailable) else None
    return RetryDecision(WAITING, backoff(attempt, policy, jitter, asked))


def backoff(failures: int, policy: RetryPolicy, jitter: float, asked: float | None = None) -> float:
    """Seconds to wait after so many failures in a row; never less than what the CRM asked for."""
    # The exponent is bounded because a float overflows at 2.0 ** 1024.
    grown = min(policy.cap, policy.first * 2.0 ** min(failures - 1, 60))
    return max(grown * (0.5 + 0.5 * jitter), min(asked or 0.0, MAX_RETRY_AFTER))


def idempotency_key(conversation: str, kind: str) -> str:
    """The key under which the CRM sees one write, however often it is repeated."""
    return f"{conversation}/{kind}"


# What people see and do


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """``oldest``: when the oldest undelivered row was made; Unix seconds."""

    waiting: int
    dead: int
    oldest: float | None


async def counts(database: Database, adapter: str) -> OutboxCounts:
    """How many writes are owed (being delivered included), and how many were given up."""
    owed = _ROW.state.in_((WAITING, CLAIMED))
    query = select(
        func.count().filter(owed), func.count().filter(_ROW.state == DEAD), func.min(_ROW.created_at).filter(owed)
    ).where(_ROW.adapter == adapter, _ROW.state.in_((WAITING, CLAIMED, DEAD)))
    async with database.session() as session:
        waiting, dead, oldest = (await (await session.connection()).execute(query)).one()
    return OutboxCounts(waiting, dead, oldest)


async def items(database: Database, adapter: str, *, limit: int = 200) -> list[OutboxRow]:
    """The writes that are owed or given up, the dead ones first, then the oldest."""
    query = (
        select_model(OutboxRow)
        .where(_ROW.adapter == adapter, _ROW.state.in_((WAITING, CLAIMED, DEAD)))
        .order_by((_ROW.state == DEAD).desc(), _ROW.id)
        .limit(limit)
    )
    async with database.session() as session:
        return list((await session.exec(query)).all())


async def retry(database: Database, row: int, *, now: float) -> bool:
    """Have a dead or waiting row tried at once, its attempts forgotten. False when there is no such row."""
    if not 0 < row < 2**63:  # more than the column holds: the database would call it an error
        return False
    change = (
        update(OutboxRow)
        .where(_ROW.id == row, _ROW.state.in_((DEAD, WAITING)))
        .values(state=WAITING, attempts=0, next_at=now)
        .returning(_ROW.id)
    )
    async with database.transaction() as session:
        changed = (await session.exec(change)).first() is not None
        if changed:
            announce(session, OUTBOX_TOPIC)
    return changed


async def retry_dead(database: Database, adapter: str, *, now: float) -> int:
    """Have every dead row tried at once, as after a log-in at the CRM was mended. Returns how many."""
    change = (
        update(OutboxRow)
        .where(_ROW.adapter == adapter, _ROW.state == DEAD)
        .values(state=WAITING, attempts=0, next_at=now)
        .returning(_ROW.id)
    )
    async with database.transaction() as session:
        changed = len((await session.exec(change)).all())
        if changed:
            announce(session, OUTBOX_TOPIC)
    return changed


# Delivery


@dataclass(frozen=True, slots=True)
class _Claim:
    id: int
    conversation: str
    kind: str
    payload: dict[str, Any]
    attempts: int
    until: float


class OutboxWorker:
    """Delivers one adapter's rows. Several workers, in several processes, may share one database.

    ``clock``: Unix seconds. ``jitter``: 0 to 1. ``observe``: told each time the CRM answered (None) or could not.
    """

    def __init__(
        self,
        database: Database,
        adapter: CrmAdapter,
        policy: RetryPolicy,
        *,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
        observe: Callable[[CrmError | None], None] = lambda _: None,
        batch: int = 4,
        claim_seconds: float = 60.0,
        poll_seconds: float = 5.0,
    ) -> None:
        self._database = database
        self._adapter = adapter
        self._policy = policy
        self._clock = clock
        self._jitter = jitter
        self._observe = observe
        self._batch = batch
        self._claim_seconds = claim_seconds
        self._poll_seconds = poll_seconds
        self._failures = 0
        self._hold_until = 0.0

    async def run(self) -> None:
        """Deliver for ever; ends by cancellation alone. A database that is locked or gone delays, as does any fault."""
        news = self._database.signal(OUTBOX_TOPIC)
        while True:
            news.clear()
            try:
                await self.turn()
                delay = await self.idle_for()
            except DatabaseError as failed:
                log.warning("outbox_database_failed", error=str(failed))
                delay = self._poll_seconds
            except Exception:
                # The last fence: one row that nobody foresaw must not keep back all the others, or end the service.
                log.exception("outbox_turn_failed")
                delay = self._poll_seconds
            if delay > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), delay)

    def hurry(self) -> None:
        """Forget that the CRM was down: somebody asked for a retry."""
        self._failures = 0
        self._hold_until = 0.0
        self._database.signal(OUTBOX_TOPIC).set()

    async def turn(self) -> int:
        """Deliver what is due now, at most one batch; return how many rows were tried. Raises ``DatabaseError``."""
        if self._clock() < self._hold_until or not await self._due():
            return 0
        claims = await self._claim(1 if self._failures else self._batch)
        ends = await asyncio.gather(*(self._deliver(claim) for claim in claims), return_exceptions=True)
        # Only now: while one row fails, none of the others is left behind in mid-delivery.
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return len(claims)

    async def idle_for(self) -> float:
        """Seconds until there may be something to do: 0 now, at most the polling interval. Raises ``DatabaseError``."""
        query = select(func.min(_ROW.next_at).filter(_ROW.state == WAITING), func.min(_ROW.claimed_until)).where(
            _ROW.adapter == self._adapter.name, _ROW.state.in_((WAITING, CLAIMED))
        )
        async with self._database.session() as session:
            moments = (await (await session.connection()).execute(query)).one()
        due: float | None = min((moment for moment in moments if moment is not None), default=None)
        if due is None:
            return self._poll_seconds
        return min(max(max(due, self._hold_until) - self._clock(), 0.0), self._poll_seconds)

    async def _due(self) -> bool:
        # Looking first is cheap; claiming takes the write lock.
        query = select(_ROW.id).where(self._is_due()).limit(1)
        async with self._database.session() as session:
            return (await (await session.connection()).execute(query)).first() is not None

    def _is_due(self) -> Any:
        now = self._clock()
        return and_(
            _ROW.adapter == self._adapter.name,
            or_(
                and_(_ROW.state == WAITING, _ROW.next_at <= now),
                and_(_ROW.state == CLAIMED, _ROW.claimed_until <= now),
            ),
        )

    async def _claim(self, most: int) -> list[_Claim]:
        until = self._clock() + self._claim_seconds
        # One statement, so that two workers never get the same row; PostgreSQL steps over what another one is claiming.
        chosen = select(_ROW.id).where(self._is_due()).order_by(_ROW.id).limit(most).with_for_update(skip_locked=True)
        take = (
            update(_TABLE)
            .where(_ROW.id.in_(chosen.scalar_subquery()))
            .values(state=CLAIMED, claimed_until=until, attempts=_ROW.attempts + 1)
            .returning(_ROW.id, _ROW.conversation_id, _ROW.kind, _ROW.payload, _ROW.attempts, _ROW.claimed_until)
        )
        async with self._database.connection() as connection:
            return sorted((_Claim(*row) for row in await connection.execute(take)), key=lambda claim: claim.id)

    async def _deliver(self, claim: _Claim) -> None:
        facts = {"outbox": claim.id, "conversation": claim.conversation, "attempt": claim.attempts}
        try:
            report = report_from(claim.payload)
            # Shorter than the claim: nobody else may hold the row while this attempt can still arrive.
            async with asyncio.timeout(self._claim_seconds * 0.8):
                reference = await self._adapter.record_call(report, idempotency_key(claim.conversation, claim.kind))
        except TimeoutError:
            await self._failed(claim, CrmUnavailable("the CRM did not answer in time"), facts)
        except CrmError as failure:
            await self._failed(claim, failure, facts)
        except Exception as surprise:  # a fault in an adapter must not end the delivery of everything else
            log.exception("outbox_adapter_fault", **facts)
            await self._failed(claim, CrmUnavailable(f"fault in the adapter: {type(surprise).__name__}"), facts)
        else:
            self._failures, self._hold_until = 0, 0.0
            self._observe(None)
            log.info("outbox_delivered", reference=reference, **facts)
            await self._note(
                claim,
                {"state": DONE, "external_id": reference, "last_error": "", "done_at": self._clock()},
                late=True,
            )

    async def _failed(self, claim: _Claim, failure: CrmError, facts: dict[str, Any]) -> None:
        decision = decide(failure, claim.attempts, self._policy, self._jitter())
        if isinstance(failure, CrmUnavailable):
            self._observe(failure)
            self._failures += 1
            hold = backoff(self._failures, self._policy, self._jitter(), failure.retry_after)
            self._hold_until = max(self._hold_until, self._clock() + hold)
        tell = log.error if decision.state == DEAD else log.info
        tell("outbox_given_up" if decision.state == DEAD else "outbox_delayed", error=str(failure), **facts)
        await self._note(
            claim,
            {
                "state": decision.state,
                "next_at": self._clock() + decision.delay,
                "last_error": str(failure)[:MAX_ERROR],
            },
            late=False,
        )

    async def _note(self, claim: _Claim, values: dict[str, Any], *, late: bool) -> None:
        """Write a result. ``late``: it holds even when the claim ran out and somebody else has the row.

        One that the database will not take leaves a dead letter: people see it, and waiting would not mend it.
        """
        try:
            await self._write(claim, values, late=late)
        except DatabaseError:
            raise
        except Exception as refused:
            kind = type(refused).__name__
            log.error("outbox_result_refused", outbox=claim.id, conversation=claim.conversation, error=kind)
            why = f"the database does not take what became of this delivery ({kind}); look at the CRM, then retry"
            await self._write(claim, {"state": DEAD, "last_error": why}, late=late)

    async def _write(self, claim: _Claim, values: dict[str, Any], *, late: bool) -> None:
        values = {key: storable(value) if isinstance(value, str) else value for key, value in values.items()}
        ours = _ROW.state != DONE if late else and_(_ROW.state == CLAIMED, _ROW.claimed_until == claim.until)
        change = update(_TABLE).where(_ROW.id == claim.id, ours).values(claimed_until=None, **values)
        async with self._database.connection() as connection:
            await connection.execute(change)


def report_from(payload: dict[str, Any]) -> CallReport:
    """The report in a row. Raises ``CrmRefused`` when it is none: waiting will not mend it."""
    try:
        return CallReport(**{**payload, "path": tuple(payload.get("path", ()))})
    except TypeError as wrong:
        raise CrmRefused(f"the outbox row holds no report: {wrong}") from wrong
