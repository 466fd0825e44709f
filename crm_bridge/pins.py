"""PINs that customers type on the telephone: argon2id hashes, and a lock after wrong ones.

A PIN has few digits, so the lock is what protects it: by customer, so that nobody tries all PINs of one; and by the
number that calls, so that nobody tries one PIN at all customers. An attempt is counted before it is judged: a thousand
calls at once must not all find the door open.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel.ext.asyncio.session import AsyncSession

from crm_bridge.database import Database
from crm_bridge.tables import CallerPin, PinGuard, table_of

LEAST = 4
MOST = 8
NUMBER_FACTOR = 3
"""A number may try so many times as often as one customer's PIN: families share telephones."""

Answer = TypeVar("Answer")
Verdict = Literal["right", "wrong", "locked", "none"]


class PinInvalid(ValueError):
    """Not a PIN; the text is fit to be shown."""


@dataclass(frozen=True, slots=True)
class Lock:
    """``tries``: wrong PINs in a row that lock; ``seconds``: for how long."""

    tries: int = 5
    seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class Guard:
    """Attempts that were not right, in a row."""

    count: int = 0
    last: float = 0.0
    locked_until: float = 0.0


def attempted(guard: Guard, tries: int, lock: Lock, now: float) -> Guard | None:
    """The guard after one more attempt; none where it may not be made. Pure.

    After a quiet time as long as the lock, earlier attempts are forgotten.
    """
    if now < guard.locked_until:
        return None
    count = 1 if now - guard.last >= lock.seconds else guard.count + 1
    # The attempt that uses up the tries is still judged; the lock is there for the next one.
    return Guard(count, now, now + lock.seconds if count >= tries else 0.0)


class Pins:
    """``hasher``: with what strength; ``clock``: Unix seconds."""

    def __init__(
        self,
        database: Database,
        lock: Lock,
        *,
        hasher: PasswordHasher | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._lock = lock
        self._hasher = hasher or PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._clock = clock
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="callfloor-pins")

    async def set(self, source: str, customer: str, pin: str) -> None:
        """Give a customer a PIN; the lock is lifted. Raises ``PinInvalid`` and ``DatabaseError``."""
        if not (LEAST <= len(pin) <= MOST and pin.isascii() and pin.isdigit()):
            raise PinInvalid(f"a PIN has {LEAST} to {MOST} digits")
        if len(set(pin)) == 1 or pin in "01234567890" or pin in "09876543210":
            raise PinInvalid("this PIN is the first that anybody would try; use another")
        hashed = await self._run(self._hasher.hash, pin)
        async with self._database.transaction() as session:
            row = await session.get(CallerPin, (source, customer))
            if row is None:
                row = CallerPin(source=source, customer_id=customer, pin_hash=hashed, set_at=self._clock())
            row.pin_hash, row.set_at = hashed, self._clock()
            session.add(row)
            guard = await session.get(PinGuard, _customer_key(source, customer))
            if guard is not None:
                await session.delete(guard)

    async def check(self, source: str, customer: str, pin: str, number: str = "") -> Verdict:
        """Judge a PIN. ``number``: who calls, E.164, if that is known. Raises ``DatabaseError``."""
        async with self._database.session() as session:
            row = await session.get(CallerPin, (source, customer))
        if row is None:
            return "none"
        keys = [(_customer_key(source, customer), self._lock.tries)]
        if number:
            keys.append((_number_key(number), self._lock.tries * NUMBER_FACTOR))
        if not await self._counted(keys):
            return "locked"
        if not await self._run(self._fits, row.pin_hash, pin[:MOST]):
            return "wrong"
        await self._forget(keys)
        return "right"

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    async def _counted(self, keys: Sequence[tuple[str, int]]) -> bool:
        """Count the attempt on all keys; False, and nothing counted, where one of them is locked."""
        now = self._clock()
        async with self._database.transaction() as session:
            # A row must be there to be locked: else all who come first at once would find nothing, and count one.
            insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
            rows = [{"key": key, "count": 0, "last": 0.0, "locked_until": 0.0} for key, _ in sorted(keys)]
            await session.exec(insert(table_of(PinGuard)).values(rows).on_conflict_do_nothing())
            changed = []
            for key, tries in sorted(keys):
                row = await session.get(PinGuard, key, with_for_update=True)
                before = Guard() if row is None else Guard(row.count, row.last, row.locked_until)
                after = attempted(before, tries, self._lock, now)
                if after is None:
                    return False
                changed.append((key, after))
            for key, after in changed:
                await _put(session, key, after)
        return True

    async def _forget(self, keys: Sequence[tuple[str, int]]) -> None:
        """The customer's attempts are forgotten; the number's one is taken back.

        Otherwise one's own PIN would buy tries at others'.
        """
        async with self._database.transaction() as session:
            for key, _ in keys:
                row = await session.get(PinGuard, key, with_for_update=True)
                if row is None:
                    continue
                row.count = 0 if key.startswith("customer:") else max(0, row.count - 1)
                row.locked_until = 0.0
                session.add(row)

    def _fits(self, stored: str, pin: str) -> bool:
        try:
            return self._hasher.verify(stored, pin)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[..., Answer], *arguments: str) -> Answer:
        # In a thread of its own: argon2 is slow by design, and calls go on meanwhile.
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


async def _put(session: AsyncSession, key: str, guard: Guard) -> None:
    row = await session.get(PinGuard, key) or PinGuard(key=key, last=guard.last)
    row.count, row.last, row.locked_until = guard.count, guard.last, guard.locked_until
    session.add(row)


def _customer_key(source: str, customer: str) -> str:
    return f"customer:{source}:{customer}"


def _number_key(number: str) -> str:
    """The number itself need not lie there."""
    return f"number:{hashlib.sha256(number.encode()).hexdigest()[:32]}"
