"""The story that the demo plays: who calls, what the office does, and what must come of it. Data, and its check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from telephony.demo.house import ORDERS_LINE, SERVICE_LINE
from telephony.pbx.scenarios import Keys, PhoneScript, Withheld

QUICK = PhoneScript(answer_after=1.0, talk=2.5)
SLOW = PhoneScript(answer_after=12.0, talk=2.5)
DEAF = PhoneScript(answer_after=None)
LONG = PhoneScript(answer_after=1.0, talk=11.0)
CALM = PhoneScript(answer_after=5.0, talk=12.0)

TO_A_PERSON = (Keys(15.0, "0"),)
"""Into the main menu, after greeting and notice: somebody, please."""
GERMAN_TO_A_PERSON = (Keys(5.0, "1"), Keys(12.0, "0"))
"""The same for who is asked for the language first."""
PIN_OF, PIN = "204117", "4719"
"""The customer with a PIN for the telephone."""
IBAN = "89370400440532013000"
"""The digits of a German account number that stands in every textbook, its check digits right."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What must have come of a call. Empty fields must be empty."""

    certainty: str
    reason: str
    customer: str
    queue: str
    outcome: str
    agent: str = ""
    code: str = ""
    rang: tuple[str, ...] = ()
    """Whose screens had the pop, in whatever order."""
    passed: tuple[str, ...] = ()
    """Nodes of the IVR that must be on the caller's path."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One call."""

    title: str
    number: str | None
    expected: Expected
    line: str = SERVICE_LINE
    name: str = ""
    withheld: Withheld = ""
    keys: Sequence[Keys] = ()
    hang_up_after: float | None = None
    ready: tuple[str, ...] = ("anna", "ben", "clara")
    phones: dict[str, PhoneScript] = field(default_factory=dict)
    """What differs from the usual: the first phone is quick, the others are slow."""
    unhurried: dict[str, PhoneScript] = field(default_factory=dict)
    """What differs from the unhurried when the demo goes on and on."""
    picks: str = ""
    """The customer whom the agent chooses, when there is a choice."""
    note: str = ""
    trouble: str = ""
    """``crm``: it answers 503. ``service``: Callfloor is killed before the call and comes back in the middle of it."""


UNHURRIED = {
    "phone1": PhoneScript(answer_after=9.0, talk=12.0),
    "phone2": PhoneScript(answer_after=13.0, talk=12.0),
    "phone3": PhoneScript(answer_after=5.0, talk=15.0),
}
"""For people who watch: time to read a card. The visitor's phone is the quickest."""
USUAL = {"phone1": QUICK, "phone2": SLOW, "phone3": SLOW}

STORY: tuple[Scene, ...] = (
    Scene(
        "known by number",
        "+493023125042",
        Expected(
            "certain",
            "number_unique",
            "Annegret Sommerfeld",
            "service",
            "answered",
            "anna",
            "PARCEL",
            rang=("anna", "ben", "clara"),
            passed=("greeting", "recognise", "privacy", "main", "to_service"),
        ),
        keys=TO_A_PERSON,
        name="A. Sommerfeld",
        note="Paket ist unterwegs, Sendungsnummer genannt.",
    ),
    Scene(
        "number withheld, customer number typed",
        "+493023125042",
        Expected(
            "certain",
            "customer_number",
            "Annegret Sommerfeld",
            "service",
            "answered",
            "anna",
            "INVOICE",
            rang=("anna",),  # she talked to this customer last
            passed=("language", "main", "invoice_who.number", "invoice_tell", "more", "to_service"),
        ),
        withheld="privacy",
        keys=(Keys(5.0, "1"), Keys(12.0, "2"), Keys(2.0, "204117#"), Keys(4.0, "0")),
        note="Rechnung per E-Mail geschickt.",
    ),
    Scene(
        "unknown number",
        "+493023125555",
        Expected(
            "none",
            "number_unknown",
            "",
            "service",
            "answered",
            "anna",
            "OTHER",
            rang=("anna", "ben", "clara"),
            passed=("greeting", "recognise", "language", "main"),
        ),
        keys=GERMAN_TO_A_PERSON,
        note="Katalog angefordert.",
    ),
    Scene(
        "one number, two customers: the agent chooses",
        "+496990009123",
        Expected(
            "certain",
            "chosen_by_agent",
            "Katharina Brandt",
            "service",
            "answered",
            "anna",
            "RETURN",
            rang=("anna", "ben", "clara"),
            passed=("greeting", "recognise", "language"),
        ),
        keys=GERMAN_TO_A_PERSON,
        picks="Katharina Brandt",
        note="Rücksendeschein verschickt.",
    ),
    Scene(
        "hangs up while waiting",
        "+494066969410",
        Expected(
            "certain", "number_unique", "Mareike Oltmanns", "service", "abandoned", passed=("main", "wait_or_call_back")
        ),
        # Nobody is there: she is told how long it may take, and waits.
        keys=(*TO_A_PERSON, Keys(3.0, "2")),
        hang_up_after=5.0,
        ready=(),
        # The visitor may be ready: her phone rings, and the caller is gone before anybody picks up.
        unhurried={"phone3": DEAF},
    ),
    Scene(
        "the first agent lets it ring, the next one gets it",
        "+442079460321",
        Expected(
            "certain",
            "number_unique",
            "Eleanor Whitcombe",
            "orders",
            "answered",
            "ben",
            "ORDER",
            rang=("anna", "ben"),
            passed=("greeting", "recognise"),
        ),
        line=ORDERS_LINE,
        phones={"phone1": DEAF, "phone2": QUICK},
        unhurried={"phone1": DEAF, "phone2": CALM},
        note="Scarf, colour petrol, delivery to work address.",
    ),
    Scene(
        "the CRM answers 503",
        "+492214710208",
        Expected(
            "certain",
            "number_unique",
            "Friedrich Haferkamp",
            "service",
            "answered",
            "anna",
            "INVOICE",
            rang=("anna", "ben", "clara"),
            passed=("greeting", "recognise", "language"),
        ),
        keys=GERMAN_TO_A_PERSON,
        phones={"phone1": LONG},
        note="Rate für November ist eingegangen.",
        trouble="crm",
    ),
    Scene(
        "where is my parcel: settled without an agent",
        "+493023125042",
        Expected(
            "certain",
            "customer_number",
            "Annegret Sommerfeld",
            "",
            "in_ivr",
            passed=("main", "parcel_who.number", "parcel_tell", "parcel_missing", "parcel_trace", "parcel_traced"),
        ),
        keys=(Keys(15.0, "1"), Keys(3.0, "204117#"), Keys(9.0, "1"), Keys(5.0, "1")),
        hang_up_after=8.0,
    ),
    Scene(
        "new bank details: number, PIN, IBAN, then a person",
        "+493023125042",
        Expected(
            "certain",
            "customer_number_and_pin",
            "Annegret Sommerfeld",
            "service",
            "answered",
            "anna",
            "BANK",
            rang=("anna",),
            passed=("main", "bank_who", "bank_iban", "bank_confirm", "bank_file", "filed", "to_service"),
        ),
        keys=(
            Keys(15.0, "4"),
            Keys(3.0, f"{PIN}#"),
            Keys(3.0, IBAN),
            Keys(4.0, "1"),
            Keys(4.0, "0"),
        ),
        note="Antrag geprüft und freigegeben.",
    ),
    Scene(
        "Callfloor is down, and comes back during the call",
        "+498999998077",
        Expected(
            "certain", "number_unique", "Songül Aydın", "service", "answered", "anna", "COMPLAINT", rang=("anna",)
        ),
        phones={"phone1": LONG},
        note="Naht offen, Ersatz zugesagt.",
        trouble="service",
    ),
)


@dataclass(slots=True)
class Result:
    """What came of one call, as users saw it."""

    title: str
    conversation: str = ""
    certainty: str = ""
    reason: str = ""
    customer: str = ""
    path: tuple[str, ...] = ()
    queue: str = ""
    outcome: str = ""
    agent: str = ""
    code: str = ""
    rang: tuple[str, ...] = ()
    pop_ms: float | None = None
    reference: str = ""
    remarks: list[str] = field(default_factory=list)
    """What is not as the story says."""


def judge(result: Result, expected: Expected) -> None:
    """Note everything in which the result differs from the story."""
    for what in ("certainty", "reason", "customer", "queue", "outcome", "agent", "code"):
        got, wanted = getattr(result, what), getattr(expected, what)
        if got != wanted:
            result.remarks.append(f"{what} is {got!r}, the story says {wanted!r}")
    if set(result.rang) != set(expected.rang):
        result.remarks.append(f"pops at {sorted(result.rang)}, the story says {sorted(expected.rang)}")
    missing = [node for node in expected.passed if node not in result.path]
    if missing:
        result.remarks.append(f"did not pass {', '.join(missing)}: {'>'.join(result.path)}")
    if expected.code and not result.reference:
        result.remarks.append("the CRM has no reference for it")
