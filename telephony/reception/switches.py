"""Switches that people throw for the whole house: the emergency closure."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from crm_bridge.database import Database
from telephony.reception.tables import HouseSwitch

CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Closure:
    """The office is closed, whatever its hours say."""

    reason: str
    by: str
    at: float


class Switches:
    """``clock``: Unix seconds."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def closure(self) -> Closure | None:
        """The emergency closure, if there is one. Raises ``DatabaseError``."""
        async with self._database.session() as session:
            row = await session.get(HouseSwitch, CLOSED)
        return Closure(row.reason, row.by, row.at) if row is not None and row.on else None

    async def close(self, reason: str, by: str) -> None:
        await self._throw(True, reason, by)

    async def reopen(self, by: str) -> None:
        await self._throw(False, "", by)

    async def _throw(self, on: bool, reason: str, by: str) -> None:
        async with self._database.transaction() as session:
            row = await session.get(HouseSwitch, CLOSED) or HouseSwitch(name=CLOSED, at=self._clock())
            row.on, row.reason, row.by, row.at = on, reason[:80], by, self._clock()
            session.add(row)
