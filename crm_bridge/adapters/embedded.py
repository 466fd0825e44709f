"""The embedded CRM: the customer tables of our own database, behind the same port as every other CRM."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from crm_bridge.database import Database, DatabaseError, Question
from crm_bridge.ports import (
    ActivityLine,
    CallReport,
    Card,
    CrmRefused,
    CrmUnavailable,
    CustomerRef,
    InvoiceLine,
    OrderLine,
)
from crm_bridge.tables import Activity, Customer, CustomerPhone, Invoice, SalesOrder, table_of

MAX_LINES = 50
"""The newest orders, invoices and activities on a card; an agent reads no more during a call."""
MAX_FOUND = 50
"""Customers returned for one number."""

_CUSTOMER = table_of(Customer).c
_PHONE = table_of(CustomerPhone).c
_ORDER = table_of(SalesOrder).c
_INVOICE = table_of(Invoice).c
_ACTIVITY = table_of(Activity).c

_REF = (_CUSTOMER.id, _CUSTOMER.number, _CUSTOMER.name, _CUSTOMER.company, _CUSTOMER.language)
_WHO = bindparam("who", type_=_CUSTOMER.id.type)
# Compiled once and prepared once: what a look-up costs is then what the index costs.
_BY_E164 = (
    select(*_REF)
    .join(table_of(CustomerPhone), _PHONE.customer_id == _CUSTOMER.id)
    .where(_PHONE.e164 == bindparam("e164", type_=_PHONE.e164.type))
    .order_by(_PHONE.is_primary.desc(), _CUSTOMER.number)
    .limit(bindparam("most", type_=_ORDER.total_minor.type))
)
_BY_NUMBER = select(*_REF).where(_CUSTOMER.number == bindparam("number", type_=_CUSTOMER.number.type))
_HEAD = select(*_REF, _CUSTOMER.email, _CUSTOMER.blocked).where(_CUSTOMER.id == _WHO)
_PHONES = select(_PHONE.e164).where(_PHONE.customer_id == _WHO).order_by(_PHONE.is_primary.desc(), _PHONE.id)
_MOST = bindparam("most", type_=_ORDER.total_minor.type)
_ORDERS = (
    select(_ORDER.number, _ORDER.status, _ORDER.placed_at, _ORDER.total_minor, _ORDER.currency, _ORDER.tracking)
    .where(_ORDER.customer_id == _WHO)
    .order_by(_ORDER.placed_at.desc())
    .limit(_MOST)
)
_INVOICES = (
    select(
        _INVOICE.number,
        _INVOICE.status,
        _INVOICE.issued,
        _INVOICE.due,
        _INVOICE.total_minor,
        _INVOICE.residual_minor,
        _INVOICE.currency,
    )
    .where(_INVOICE.customer_id == _WHO)
    .order_by(_INVOICE.issued.desc())
    .limit(_MOST)
)
_ACTIVITIES = (
    select(_ACTIVITY.at, _ACTIVITY.kind, _ACTIVITY.text, _ACTIVITY.agent)
    .where(_ACTIVITY.customer_id == _WHO)
    .order_by(_ACTIVITY.at.desc())
    .limit(_MOST)
)


_MISSED = {"de": "verpasst nach {}", "en": "missed after {}"}
_UNSEEN = {"de": "ohne Verbindung zu Callfloor beendet", "en": "ended while Callfloor was not connected"}


class EmbeddedAdapter:
    """Customers in our own tables. ``now``: the clock that stamps ``Card.fetched_at``.

    ``language``: the office's (``de`` or ``en``). What is written about a call is data and stays as it was written.
    """

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time, language: str = "de") -> None:
        self._database = database
        self._now = now
        self._language = language

    @property
    def name(self) -> str:
        return "embedded"

    async def find_by_number(self, e164: str) -> tuple[CustomerRef, ...]:
        """Every customer with this number, at most ``MAX_FOUND``; those whose main number it is come first."""
        rows = await self._rows(_BY_E164, e164=e164, most=MAX_FOUND)
        return tuple(CustomerRef(*row) for row in rows)

    async def find_by_customer_number(self, number: str) -> CustomerRef | None:
        rows = await self._rows(_BY_NUMBER, number=number)
        return CustomerRef(*rows[0]) if rows else None

    async def card(self, customer_id: str) -> Card | None:
        who = {"who": customer_id}
        newest = {**who, "most": MAX_LINES}
        head, phones, orders, invoices, activities = await self._asked(
            (_HEAD, who), (_PHONES, who), (_ORDERS, newest), (_INVOICES, newest), (_ACTIVITIES, newest)
        )
        if not head:
            return None
        *ref, email, blocked = head[0]
        return Card(
            CustomerRef(*ref),
            email=email,
            phones=tuple(row[0] for row in phones),
            blocked=bool(blocked),
            orders=tuple(OrderLine(*row) for row in orders),
            invoices=tuple(InvoiceLine(*row) for row in invoices),
            activities=tuple(ActivityLine(*row) for row in activities),
            source=self.name,
            fetched_at=self._now(),
        )

    async def record_call(self, report: CallReport, key: str) -> str:
        """Write the call as an activity. A customer who is gone meanwhile leaves an activity without customer."""
        try:
            async with self._database.connection() as connection:
                known = (
                    await connection.scalar(select(_CUSTOMER.id).where(_CUSTOMER.id == report.customer))
                    if report.customer is not None
                    else None
                )
                insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
                await connection.execute(
                    insert(table_of(Activity))
                    .values(
                        customer_id=known,
                        key=key,
                        at=report.started_at,
                        kind="call",
                        text=_summary(report, self._language),
                        agent=report.agent,
                        payload=asdict(report),
                    )
                    .on_conflict_do_nothing(index_elements=["key"])
                )
                number = await connection.scalar(select(_ACTIVITY.id).where(_ACTIVITY.key == key))
        except DatabaseError as failed:
            raise CrmUnavailable(str(failed)) from failed
        except SQLAlchemyError as failed:
            raise CrmRefused(f"the embedded CRM cannot write this call: {type(failed).__name__}") from failed
        return f"A{number}"

    async def check(self) -> None:
        await self._rows(_BY_NUMBER, number="")

    async def _rows(self, statement: Select[Any], **values: object) -> Sequence[Sequence[Any]]:
        return (await self._asked((statement, values)))[0]

    async def _asked(self, *questions: Question) -> list[Sequence[Sequence[Any]]]:
        try:
            return await self._database.fetch_all(questions)
        except DatabaseError as failed:
            raise CrmUnavailable(str(failed)) from failed
        except SQLAlchemyError as failed:
            raise CrmRefused(f"the embedded CRM cannot read this: {type(failed).__name__}") from failed


def _summary(report: CallReport, language: str) -> str:
    if not report.agent and report.answered_at is None:
        if report.ended_at is None:
            return _UNSEEN[language]
        minutes, seconds = divmod(max(0, int(report.ended_at - report.started_at)), 60)
        return _MISSED[language].format(f"{minutes}:{seconds:02}")
    outcome = report.code_label or report.code
    return f"{outcome}: {report.note}" if outcome and report.note else outcome or report.note
