"""What customers ask for on the telephone: filed once, encrypted, shown masked, decided by a person.

A request's fields never leave here in the clear but through ``opened``, for what carries an approved request out.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col
from sqlmodel import select as select_model

from crm_bridge.database import Database
from crm_bridge.sealing import Sealer
from crm_bridge.tables import ServiceRequest

State = Literal["pending", "approved", "rejected"]
MASKED: Mapping[str, frozenset[str]] = {"bank_details": frozenset({"iban"})}
"""Fields of each kind of which people see the last four characters only."""
MAX_LISTED = 200
_TRIES = 5
"""References drawn before it is given up: with seven digits a second one is rare."""


class RequestUnknown(Exception):
    """There is no such request."""


class RequestLocked(Exception):
    """New bank details that were asked for without a PIN: nobody approves them unless she vouches for the caller."""


class RequestDecided(Exception):
    """Somebody was quicker; ``state`` and ``by`` say who decided what."""

    def __init__(self, state: str, by: str) -> None:
        super().__init__(state)
        self.state = state
        self.by = by


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request as the flow files it."""

    conversation: str
    node: str
    kind: str
    source: str
    customer: str
    customer_name: str
    level: str
    fields: Mapping[str, str | int | bool] = field(repr=False)


class Requests:
    """The requests of all customers. ``clock``: Unix seconds."""

    def __init__(self, database: Database, sealer: Sealer, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def file(self, new: NewRequest) -> str:
        """Store it; return its reference. The same node of the same conversation again: the reference it has.

        Raises ``DatabaseError``.
        """
        for _ in range(_TRIES):
            found = await self._reference_of(new)
            if found is not None:
                return found
            # Without a leading zero: it is read out, typed and written into tables.
            reference = str(1_000_000 + secrets.randbelow(9_000_000))
            row = ServiceRequest(
                reference=reference,
                conversation_id=new.conversation,
                node=new.node,
                kind=new.kind,
                source=new.source,
                customer_id=new.customer,
                customer_name=new.customer_name,
                level=new.level,
                shown=masked(new.kind, new.fields),
                sealed=self._sealer.seal(json.dumps(dict(new.fields)), reference),
                filed_at=self._clock(),
            )
            try:
                async with self._database.transaction() as session:
                    session.add(row)
                return reference
            except IntegrityError:
                continue  # the reference is taken, or the same request was filed meanwhile
        raise RuntimeError("no free reference was found")

    async def of(self, source: str, customer: str) -> Sequence[ServiceRequest]:
        """A customer's requests, the newest first."""
        query = (
            select_model(ServiceRequest)
            .where(ServiceRequest.source == source, ServiceRequest.customer_id == customer)
            .order_by(col(ServiceRequest.filed_at).desc())
            .limit(MAX_LISTED)
        )
        async with self._database.session() as session:
            return (await session.exec(query)).all()

    async def pending(self) -> Sequence[ServiceRequest]:
        """What waits for a decision, the oldest first."""
        query = (
            select_model(ServiceRequest)
            .where(ServiceRequest.state == "pending")
            .order_by(col(ServiceRequest.filed_at))
            .limit(MAX_LISTED)
        )
        async with self._database.session() as session:
            return (await session.exec(query)).all()

    async def count(self) -> int:
        """How many wait for a decision."""
        query = select(func.count()).where(col(ServiceRequest.state) == "pending")
        async with self._database.session() as session:
            return int((await (await session.connection()).execute(query)).scalar_one())

    async def decide(
        self, reference: str, state: State, by: str, note: str = "", vouched: bool = False
    ) -> ServiceRequest:
        """Approve or reject. ``vouched``: who decides has checked by other means who had called.

        Raises ``RequestUnknown``, ``RequestDecided``, ``RequestLocked`` and ``DatabaseError``.
        """
        async with self._database.transaction() as session:
            row = await session.get(ServiceRequest, reference, with_for_update=True)
            if row is None:
                raise RequestUnknown(reference)
            if row.state != "pending":
                raise RequestDecided(row.state, row.decided_by)
            if state == "approved" and row.kind in MASKED and row.level != "pin" and not vouched:
                raise RequestLocked(reference)
            row.vouched = vouched
            row.state, row.decided_by, row.decided_at, row.note = state, by, self._clock(), note
            session.add(row)
        return row

    async def opened(self, reference: str) -> Mapping[str, str | int | bool]:
        """All fields in the clear, of an approved request. Raises ``RequestUnknown`` and ``SealError``."""
        async with self._database.session() as session:
            row = await session.get(ServiceRequest, reference)
        if row is None or row.state != "approved":
            raise RequestUnknown(reference)
        fields: Mapping[str, str | int | bool] = json.loads(self._sealer.open(row.sealed, reference))
        return fields

    async def _reference_of(self, new: NewRequest) -> str | None:
        query = select(col(ServiceRequest.reference)).where(
            col(ServiceRequest.conversation_id) == new.conversation, col(ServiceRequest.node) == new.node
        )
        async with self._database.session() as session:
            return (await (await session.connection()).execute(query)).scalar_one_or_none()


def masked(kind: str, fields: Mapping[str, str | int | bool]) -> dict[str, str | int | bool]:
    """The fields as people may see them. Pure."""
    secret = MASKED.get(kind, frozenset())
    return {name: f"•••• {str(value)[-4:]}" if name in secret else value for name, value in fields.items()}
