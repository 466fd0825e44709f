"""The demo office's customers: made-up people of a mail-order fashion house.

Every phone number is from a range kept free for fiction: the Bundesnetzagentur's for media productions (Official
Gazette 7/2021, notice 148/2021) and Ofcom's for drama. Nobody is called by showing them.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite

from crm_bridge.database import Database
from crm_bridge.tables import Activity, Customer, CustomerPhone, Invoice, SalesOrder, table_of

_SPACE = uuid.UUID("6b1f2c1e-6f0a-5b8e-9a53-0c6d5a2f4e10")
_DAY = 86400.0
_KEPT = (Customer, CustomerPhone, SalesOrder, Invoice, Activity)


@dataclass(frozen=True, slots=True)
class _Sale:
    """``days``: how long ago. ``cents``: the total. ``unpaid``: what of it is open; none: no invoice yet."""

    days: int
    status: str
    cents: int
    unpaid: int | None = 0
    tracking: str = ""
    currency: str = "EUR"


@dataclass(frozen=True, slots=True)
class Sample:
    """One made-up customer. ``phones``: (E.164, kind), the main one first."""

    number: str
    name: str
    phones: tuple[tuple[str, str], ...]
    email: str
    language: str = "de"
    company: str = ""
    blocked: bool = False
    sales: tuple[_Sale, ...] = ()
    notes: tuple[tuple[int, str], ...] = ()

    @property
    def id(self) -> str:
        return str(uuid.uuid5(_SPACE, self.number))


SAMPLES: tuple[Sample, ...] = (
    Sample(
        "204117",
        "Annegret Sommerfeld",
        (("+493023125042", "home"), ("+491713920017", "mobile")),
        "annegret.sommerfeld@example.org",
        sales=(
            _Sale(4, "shipped", 12990, 12990, "DEMO-00340434161094021"),
            _Sale(61, "delivered", 7495, 0, "DEMO-00340434161093377"),
        ),
        notes=((58, "Rückfrage zur Größe: Wollmantel fällt klein aus, Umtausch in 44 vereinbart."),),
    ),
    # A couple behind one landline: nothing may open by itself when it rings.
    Sample(
        "311820",
        "Jürgen Brandt",
        (("+496990009123", "home"),),
        "juergen.brandt@example.org",
        sales=(_Sale(9, "delivered", 5990, 0, "DEMO-00340434161090001"),),
    ),
    Sample(
        "311821",
        "Katharina Brandt",
        (("+496990009123", "home"), ("+491713920033", "mobile")),
        "katharina.brandt@example.org",
        sales=(
            _Sale(2, "in_progress", 23980, None),
            _Sale(40, "returned", 8990, 0, "DEMO-00340434161090418"),
        ),
        notes=((39, "Rücksendung eingegangen, Gutschrift veranlasst."),),
    ),
    # Several numbers, one customer.
    Sample(
        "4408152",
        "Mareike Oltmanns",
        (("+494066969410", "home"), ("+4915228817386", "mobile"), ("+494066969411", "work")),
        "mareike.oltmanns@example.org",
        sales=(
            _Sale(1, "in_progress", 4595, None),
            _Sale(12, "shipped", 15900, 15900, "DEMO-00340434161088120"),
            _Sale(95, "delivered", 3290, 0),
        ),
        notes=((11, "Paket laut Sendungsverfolgung seit drei Tagen im Zentrum; Nachforschung angekündigt."),),
    ),
    Sample(
        "5520034",
        "Eleanor Whitcombe",
        (("+442079460321", "home"),),
        "eleanor.whitcombe@example.com",
        language="en",
        sales=(
            _Sale(6, "shipped", 8450, 8450, "DEMO-GB-77120934", "GBP"),
            _Sale(75, "delivered", 11900, 0, "DEMO-GB-77118820", "GBP"),
        ),
        notes=((70, "Asked for invoices by e-mail only."),),
    ),
    Sample(
        "60023117",
        "Friedrich Haferkamp",
        (("+492214710208", "work"),),
        "einkauf@haferkamp-moden.example",
        company="Haferkamp Moden GmbH",
        sales=(_Sale(20, "delivered", 189900, 94950, "DEMO-00340434161077001"), _Sale(52, "delivered", 210400, 0)),
        notes=((15, "Ratenzahlung für die Septemberlieferung vereinbart."),),
    ),
    Sample(
        "718902",
        "Songül Aydın",
        (("+498999998077", "home"), ("+491729925904", "mobile")),
        "songuel.aydin@example.org",
        sales=(_Sale(3, "shipped", 6590, 6590, "DEMO-00340434161096600"),),
    ),
    Sample(
        "725544",
        "Waltraud Nießen",
        (("+492214710655", "home"),),
        "waltraud.niessen@example.org",
        sales=(_Sale(33, "delivered", 9990, 9990), _Sale(180, "delivered", 12490, 0)),
        notes=((5, "Zahlungserinnerung besprochen, überweist bis Monatsende."),),
    ),
    Sample(
        "830176",
        "Oliver Tamms",
        (("+4915228895456", "mobile"),),
        "oliver.tamms@example.org",
        blocked=True,
        sales=(_Sale(120, "delivered", 29900, 29900),),
        notes=((30, "Konto gesperrt: drei offene Mahnungen."),),
    ),
    Sample(
        "9014478",
        "Priya Raman",
        (("+442079460718", "home"), ("+4915254599371", "mobile")),
        "priya.raman@example.com",
        language="en",
        sales=(_Sale(8, "delivered", 7250, 0, "DEMO-GB-77121555", "GBP"),),
    ),
    Sample("9321005", "Hans-Peter Voß", (("+493023125700", "home"),), "hp.voss@example.org"),
    Sample(
        "10455213",
        "Lioba Engelhardt",
        (("+498999998340", "home"),),
        "lioba.engelhardt@example.org",
        sales=(_Sale(0, "in_progress", 13980, None), _Sale(27, "delivered", 4990, 0)),
        notes=((26, "Lob für die schnelle Lieferung."),),
    ),
)


async def load_samples(database: Database, *, now: float) -> int:
    """Put the sample customers where they are missing; what is there stays as it is. Returns how many there are.

    ``now``: Unix seconds; orders and notes are dated back from it. Raises ``DatabaseError``.
    """
    rows: dict[Any, list[dict[str, Any]]] = {model: [] for model in _KEPT}
    for sample in SAMPLES:
        _put(rows, sample, now)
    async with database.connection() as connection:
        for model, values in rows.items():
            table = table_of(model)
            insert = sqlite.insert(table) if database.is_sqlite else postgresql.insert(table)
            await connection.execute(insert.on_conflict_do_nothing(), values)
    return len(SAMPLES)


def _put(rows: dict[Any, list[dict[str, Any]]], sample: Sample, now: float) -> None:
    owner = {"customer_id": sample.id}
    rows[Customer].append(
        {
            "id": sample.id,
            "number": sample.number,
            "name": sample.name,
            "company": sample.company,
            "email": sample.email,
            "language": sample.language,
            "blocked": sample.blocked,
            "created_at": now - 400 * _DAY,
            "updated_at": now,
        }
    )
    for place, (e164, kind) in enumerate(sample.phones):
        rows[CustomerPhone].append({**owner, "e164": e164, "raw": e164, "kind": kind, "is_primary": place == 0})
    for place, sale in enumerate(sample.sales, start=1):
        money = {"total_minor": sale.cents, "currency": sale.currency}
        number = f"{sample.number}-{place:02}"
        rows[SalesOrder].append(
            {
                **owner,
                **money,
                "id": str(uuid.uuid5(_SPACE, f"order {number}")),
                "number": f"B{number}",
                "status": sale.status,
                "placed_at": now - sale.days * _DAY,
                "tracking": sale.tracking,
            }
        )
        if sale.unpaid is not None:
            rows[Invoice].append(
                {
                    **owner,
                    **money,
                    "id": str(uuid.uuid5(_SPACE, f"invoice {number}")),
                    "number": f"R{number}",
                    "status": "paid" if sale.unpaid == 0 else "open" if sale.unpaid == sale.cents else "partial",
                    "issued": _date(now, sale.days).isoformat(),
                    "due": (_date(now, sale.days) + timedelta(days=30)).isoformat(),
                    "residual_minor": sale.unpaid,
                }
            )
    for place, (days, text) in enumerate(sample.notes, start=1):
        rows[Activity].append(
            {
                **owner,
                "key": f"sample/{sample.number}/{place}",
                "at": now - days * _DAY,
                "kind": "note",
                "text": text,
                "agent": "",
                "payload": {},
            }
        )


def _date(now: float, days_ago: int) -> date:
    return datetime.fromtimestamp(now - days_ago * _DAY, UTC).date()
