"""A case: everything we know of one conversation while it concerns anybody. The office keeps one for each."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from crm_bridge.numbers import NumberStatus, PhoneNumber, format_number
from crm_bridge.ports import Card, Certainty, CustomerRef, Match
from telephony.conversations.history import History

UNKNOWN = Match(Certainty.NONE, "looking_up")
LONGEST_NAME = 80
"""Characters of a caller's name that are shown."""


@dataclass(slots=True)
class Case:
    """``settled`` is true once the caller proved who they are, or the agent chose: the caller ID has no say then."""

    history: History
    number: PhoneNumber
    match: Match = UNKNOWN
    settled: bool = False
    filed: int = 0
    """Counts up when a request or a message of this caller came in: what shows them looks again."""
    card: orjson.Fragment | None = None
    """Written once: it is shown many times, and as objects it would take three times the memory."""
    card_state: str = "none"
    joined_at: float | None = None
    agents: dict[str, str] | None = None
    """Interface to log-in, as it was when the call reached that phone."""
    lookup: asyncio.Task[None] | None = None
    cached: dict[str, Any] | None = None

    @property
    def id(self) -> str:
        return self.history.conversation

    @property
    def customer(self) -> CustomerRef | None:
        return self.match.customer

    def facts(self) -> dict[str, Any]:
        """The part of a pop that is the same for everyone who sees it. Call ``changed`` when it is out of date."""
        if self.cached is None:
            customer = self.customer
            self.cached = {
                "caller": caller_of(self.number, self.history.name),
                "match": {
                    "certainty": str(self.match.certainty),
                    "reason": self.match.reason,
                    "source": self.match.source,
                },
                # With one customer in it, the name is there before the card, and stays when the CRM fails.
                "candidates": [candidate(one) for one in self.match.customers],
                "customer": customer.id if customer is not None else None,
                "card": self.card,
                "card_state": self.card_state,
                "level": self.history.level,
                "filed": self.filed,
                "language": self.history.language,
                "path": self.history.path,
                "joined_at": self.joined_at,
            }
        return self.cached

    def changed(self) -> None:
        self.cached = None


def written(card: Card, name_of: Callable[[str], str]) -> orjson.Fragment:
    """The card as JSON, in no more memory than that takes: numbers written for people, log-ins as names."""
    shown = replace(
        card,
        phones=tuple(format_number(number) for number in card.phones),
        activities=tuple(replace(one, agent=name_of(one.agent)) for one in card.activities),
    )
    return orjson.Fragment(bytes(memoryview(orjson.dumps(shown))))


def caller_of(number: PhoneNumber, name: str) -> dict[str, Any]:
    """The caller as shown. Of a withheld number nothing is shown, not even the name that came with it."""
    withheld = number.status is NumberStatus.WITHHELD
    shown = "" if withheld else (number.e164 or number.raw)
    return {
        "number": shown,
        "display": number.display,
        "name": "" if withheld else printable(name),
        "withheld": withheld,
    }


def candidate(customer: CustomerRef) -> dict[str, str]:
    return {"id": customer.id, "number": customer.number, "name": customer.name, "company": customer.company}


def printable(name: str) -> str:
    """A caller's name without what would break a line, turn its direction or not be text at all."""
    kept = "".join(sign for sign in name if unicodedata.category(sign)[0] != "C")
    return " ".join(kept.split())[:LONGEST_NAME]
