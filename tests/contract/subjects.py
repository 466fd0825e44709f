"""What the contract suite runs against: constants, a webhook CRM with the sample customers, the shape of a subject."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from contract.webhook_crm import WebhookCrm

from crm_bridge.ports import CrmAdapter
from crm_bridge.samples import SAMPLES

SECRET = "shared by both sides"
URL = "https://crm.example/callfloor"
NOW = 1_700_000_000.0


@dataclass
class Subject:
    """An adapter under test. ``written``: how many calls its CRM holds. ``take_away``: make the CRM unreachable."""

    adapter: CrmAdapter
    written: Callable[[], Awaitable[int]]
    take_away: Callable[[], Awaitable[None]]


def sample_crm() -> WebhookCrm:
    """The webhook's CRM with the demo's customers."""
    crm = WebhookCrm(SECRET)
    for sample in SAMPLES:
        head = {
            "id": sample.id,
            "number": sample.number,
            "name": sample.name,
            "company": sample.company,
            "language": sample.language,
        }
        phones = [e164 for e164, _ in sample.phones]
        crm.customers.append({**head, "phones": phones, "something": "we do not know"})
        crm.cards[sample.id] = {
            "customer": head,
            "email": sample.email,
            "phones": phones,
            "blocked": sample.blocked,
            "orders": [
                {
                    "number": f"B{sample.number}-{place:02}",
                    "status": sale.status,
                    "placed_at": NOW - sale.days * 86400,
                    "total_minor": sale.cents,
                    "currency": sale.currency,
                    "tracking": sale.tracking,
                }
                for place, sale in enumerate(sample.sales, start=1)
            ],
        }
    return crm
