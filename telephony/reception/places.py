"""The place keeper: who was cut off and calls again soon has the old place back.

Kept by number, so it gives back a place and nothing that was proven: a caller ID is easily forged.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import delete
from sqlmodel import col

from crm_bridge.database import Database
from telephony.reception.tables import KeptPlace

RETURN_PRIORITY = 100
"""Added in the queue for one who comes back: before those who joined meanwhile."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a caller was. ``queue`` is empty for one who was in the flow, ``checkpoint`` for one who was not."""

    conversation: str
    checkpoint: str = ""
    queue: str = ""
    joined_at: float | None = None
    priority: int = 0
    agent: str = ""


class Places:
    """``seconds``: for how long a place is kept; 0: never. ``clock``: Unix seconds."""

    def __init__(self, database: Database, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._seconds = seconds
        self._clock = clock

    async def keep(self, number: str, place: Place) -> None:
        """Keep it; what was kept for this number before is replaced. Raises ``DatabaseError``."""
        if not self._seconds or not number:
            return
        async with self._database.transaction() as session:
            row = await session.get(KeptPlace, number) or KeptPlace(
                number=number, conversation_id=place.conversation, kept_at=0.0
            )
            row.conversation_id, row.checkpoint, row.queue = place.conversation, place.checkpoint, place.queue
            row.joined_at, row.priority, row.agent = place.joined_at, place.priority, place.agent
            row.kept_at = self._clock()
            session.add(row)

    async def take(self, number: str) -> Place | None:
        """The place kept for this number, given out once. Raises ``DatabaseError``."""
        if not self._seconds or not number:
            return None
        async with self._database.session() as session:
            if await session.get(KeptPlace, number) is None:
                # Nearly everybody: who reads waits for nobody who writes.
                return None
        async with self._database.transaction() as session:
            row = await session.get(KeptPlace, number, with_for_update=True)
            if row is None:
                return None
            await session.delete(row)
        if self._clock() - row.kept_at > self._seconds:
            return None
        return Place(row.conversation_id, row.checkpoint, row.queue, row.joined_at, row.priority, row.agent)

    async def forget(self) -> None:
        """Delete what nobody came back for: it names people."""
        async with self._database.transaction() as session:
            await session.exec(delete(KeptPlace).where(col(KeptPlace.kept_at) < self._clock() - self._seconds))
