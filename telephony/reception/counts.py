"""How callers go through the flows: counted edge by edge, written in batches, read for the drawing."""

from __future__ import annotations

import asyncio
import datetime
from collections import Counter
from collections.abc import Callable
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import func
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select

from crm_bridge.database import Database, DatabaseError
from crm_bridge.tables import table_of
from ivr_flows.schema import Flow
from ivr_flows.state import Outcome, State
from telephony.reception.tables import FlowCount

log = structlog.get_logger(__name__)

WRITE_SECONDS = 2.0
_TABLE = table_of(FlowCount)
_KEYS = ["flow", "fingerprint", "day", "node", "branch"]

Edge = tuple[str, str]
"""A node, and the branch it was left by."""


class FlowCounts:
    """``clock``: Unix seconds; ``zone``: whose days they are."""

    def __init__(self, database: Database, zone: ZoneInfo, clock: Callable[[], float]) -> None:
        self._database = database
        self._zone = zone
        self._clock = clock
        self._unwritten: Counter[tuple[str, str, str, str, str]] = Counter()
        self.here: dict[str, tuple[str, str]] = {}
        """Conversation to the flow's name and the node it is in now."""

    def watch(self, flow: Flow, state: State) -> None:
        """A caller is at a node."""
        self.here[state.facts.conversation] = (flow.document.name, state.node)

    def left(self, flow: Flow, conversation: str, outcome: Outcome) -> None:
        """A caller has left the flow."""
        self.here.pop(conversation, None)
        day = datetime.datetime.fromtimestamp(self._clock(), self._zone).date().isoformat()
        for node, branch in outcome.trail:
            self._unwritten[flow.document.name, flow.fingerprint, day, node, branch] += 1

    def now(self, flow: str) -> dict[str, int]:
        """How many callers are at each node."""
        return dict(Counter(node for name, node in self.here.values() if name == flow))

    async def run(self) -> None:
        """Write until cancelled, then write what is left."""
        try:
            while True:
                await asyncio.sleep(WRITE_SECONDS)
                await self._write()
        finally:
            await self._write()

    async def _write(self) -> None:
        batch, self._unwritten = self._unwritten, Counter()
        if not batch:
            return
        insert = sqlite.insert(_TABLE) if self._database.is_sqlite else postgresql.insert(_TABLE)
        change = insert.on_conflict_do_update(
            index_elements=_KEYS, set_={"count": _TABLE.c.count + insert.excluded.count}
        )
        rows = [{**dict(zip(_KEYS, key, strict=True)), "count": count} for key, count in batch.items()]
        try:
            async with self._database.connection() as connection:
                await connection.execute(change, rows)
        except DatabaseError as failed:
            log.warning("flow_counts_not_written", why=str(failed))
            self._unwritten.update(batch)

    def since(self, days: int) -> str:
        """The first of so many days, today included, in the office's calendar; for ``edges``."""
        today = datetime.datetime.fromtimestamp(self._clock(), self._zone).date()
        return (today - datetime.timedelta(days=days - 1)).isoformat()

    async def edges(self, flow: Flow, since: str = "") -> dict[Edge, int]:
        """How often each edge of this version was taken, from a day on (ISO date). Raises ``DatabaseError``."""
        query = (
            select(FlowCount.node, FlowCount.branch, func.sum(FlowCount.count))
            .where(
                FlowCount.flow == flow.document.name,
                FlowCount.fingerprint == flow.fingerprint,
                col(FlowCount.day) >= since,
            )
            .group_by(col(FlowCount.node), col(FlowCount.branch))
        )
        async with self._database.session() as session:
            return {(node, branch): int(count) for node, branch, count in (await session.exec(query)).all()}
