"""From what is known of a caller to a ``Match``. Pure, and a table: read it to know what opens a card.

A caller ID is one claim, a customer number typed in the IVR is a better one, a PIN settles it, and an agent who asked
has the last word. When caller ID and typed number name different customers, the typed one wins but is only likely:
somebody may have mistyped. Nothing opens by itself where there is a choice to make.
"""

from __future__ import annotations

from enum import StrEnum

from crm_bridge.numbers import NumberStatus, PhoneNumber
from crm_bridge.ports import Certainty, CustomerRef, Match

MAX_CANDIDATES = 20
"""More customers than this behind one number are no choice any more; the rest is left out."""


class Proof(StrEnum):
    """What a caller has shown beyond the number, weakest first."""

    CUSTOMER_NUMBER = "customer_number"
    CUSTOMER_NUMBER_AND_PIN = "customer_number_and_pin"
    CHOSEN_BY_AGENT = "chosen_by_agent"


class _Found(StrEnum):
    NOBODY = "nobody"
    ONE = "one"
    SEVERAL = "several"


class _CallerId(StrEnum):
    """What the caller ID says of the customer that was proven."""

    SILENT = "silent"
    AGREES = "agrees"
    DISAGREES = "disagrees"


_UNUSABLE: dict[NumberStatus, tuple[Certainty, str]] = {
    NumberStatus.WITHHELD: (Certainty.WITHHELD, "number_withheld"),
    NumberStatus.INVALID: (Certainty.NONE, "number_invalid"),
    NumberStatus.INTERNAL: (Certainty.NONE, "number_invalid"),
}

_BY_NUMBER: dict[tuple[_Found, bool], tuple[Certainty, str]] = {
    # (found, the number's country was written and not guessed)
    (_Found.NOBODY, True): (Certainty.NONE, "number_unknown"),
    (_Found.NOBODY, False): (Certainty.NONE, "number_unknown"),
    (_Found.ONE, True): (Certainty.CERTAIN, "number_unique"),
    (_Found.ONE, False): (Certainty.LIKELY, "loose_number"),
    (_Found.SEVERAL, True): (Certainty.SHARED, "number_shared"),
    (_Found.SEVERAL, False): (Certainty.SHARED, "number_shared"),
}

_BY_PROOF: dict[tuple[Proof, _CallerId], Certainty] = {
    (Proof.CUSTOMER_NUMBER, _CallerId.SILENT): Certainty.CERTAIN,
    (Proof.CUSTOMER_NUMBER, _CallerId.AGREES): Certainty.CERTAIN,
    (Proof.CUSTOMER_NUMBER, _CallerId.DISAGREES): Certainty.LIKELY,
    (Proof.CUSTOMER_NUMBER_AND_PIN, _CallerId.SILENT): Certainty.CERTAIN,
    (Proof.CUSTOMER_NUMBER_AND_PIN, _CallerId.AGREES): Certainty.CERTAIN,
    (Proof.CUSTOMER_NUMBER_AND_PIN, _CallerId.DISAGREES): Certainty.CERTAIN,
    (Proof.CHOSEN_BY_AGENT, _CallerId.SILENT): Certainty.CERTAIN,
    (Proof.CHOSEN_BY_AGENT, _CallerId.AGREES): Certainty.CERTAIN,
    (Proof.CHOSEN_BY_AGENT, _CallerId.DISAGREES): Certainty.CERTAIN,
}


def match_number(number: PhoneNumber, candidates: tuple[CustomerRef, ...], *, source: str) -> Match:
    """Who calls, judged by the number alone. Candidates of a number that must not be matched are dropped."""
    unusable = _UNUSABLE.get(number.status)
    if unusable is not None:
        return Match(*unusable, source=source)
    people = tuple({person.id: person for person in candidates}.values())[:MAX_CANDIDATES]
    found = (_Found.NOBODY, _Found.ONE, _Found.SEVERAL)[min(len(people), 2)]
    certainty, reason = _BY_NUMBER[found, number.exact]
    return Match(certainty, reason, people, source)


def match_proven(customer: CustomerRef, proof: Proof, *, by_number: Match | None, source: str) -> Match:
    """Who calls, once the caller or an agent has shown it. ``by_number``: what the caller ID had said, if anything."""
    return Match(_BY_PROOF[proof, _caller_id(customer, by_number)], proof.value, (customer,), source)


def unavailable(number: PhoneNumber, *, source: str) -> Match:
    """The match when the CRM did not answer: what needs no CRM is still said."""
    unusable = _UNUSABLE.get(number.status)
    return Match(*(unusable or (Certainty.NONE, "crm_unavailable")), source=source)


def _caller_id(customer: CustomerRef, by_number: Match | None) -> _CallerId:
    if by_number is None or not by_number.customers:
        return _CallerId.SILENT
    known = any(person.id == customer.id for person in by_number.customers)
    return _CallerId.AGREES if known else _CallerId.DISAGREES
