"""The office of a simulated call: it answers what the script says, and what is usual where the script says nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ivr_flows import ports
from ivr_flows.ports import Finding, Level, Question, Recognition, Standing, Value
from ivr_flows.scripts import FAILS, WORDS, Answer, Canned, Office, Script, several

RECORDS: Mapping[str, Mapping[str, Value]] = {
    "orders": {
        "count": 1,
        "number": "204117",
        "status": "shipped",
        "placed_on": "2026-11-18",
        "total": 4990,
        "currency": "EUR",
        "tracking": "00340434161094",
    },
    "invoices": {
        "count": 1,
        "open": 1,
        "number": "900123",
        "status": "open",
        "issued_on": "2026-11-18",
        "due_on": "2026-12-02",
        "residual": 4990,
        "total": 4990,
        "currency": "EUR",
    },
    "customer": {"number": "204117", "language": "de", "blocked": False},
    "requests": {"count": 1, "kind": "return", "status": "pending", "filed_on": "2026-11-20", "reference": "1000001"},
    "queue": {"waiting": 2, "minutes": 1, "ready": 4},
}
"""What look-ups bring, where the script says nothing else. Amounts in hundredths."""
NEXT_OPENING: Mapping[str, Value] = {"reason": "", "opens_on": "2026-11-30", "opens_at": "08:00"}
NEEDED: Mapping[str, Level] = {
    # As the settings have it by default (flows.levels).
    "orders": "number",
    "invoices": "number",
    "requests": "number",
    "bank_details": "pin",
    "return": "number",
    "complaint": "number",
}
LEVELS: tuple[Level, ...] = ("none", "number", "pin")
REFERENCE = "1000001"
UNNAMED = "204117"
"""Who calls when the script does not say which customer."""

Told: TypeAlias = tuple[str, Mapping[str, Value]]
"""A branch, and values that go over the usual ones."""


@dataclass(slots=True)
class CannedOffice:
    """Answers in turn. What was asked is kept."""

    script: Script
    asked: list[Question] = field(default_factory=list)
    _turns: Counter[tuple[str, str]] = field(default_factory=Counter)

    def answer(self, standing: Standing, question: Question) -> Finding | None:
        """The office's answer; none: it does not answer."""
        self.asked.append(question)
        kind, what = _kind(question)
        told = None if self.script.office.down else self._told(standing.node, kind, what)
        if self.script.office.down or (told is not None and told[0] == FAILS):
            return None
        return self._finding(standing, question, told)

    def breaks(self, node: str) -> bool:
        """Whether what this node says cannot be played now."""
        told = self._turn(("nodes", node), self.script.office.nodes.get(node))
        return told is not None and told[0] == FAILS

    def _told(self, node: str, kind: str, what: str) -> Told | None:
        office = self.script.office
        told = None
        if kind not in ("customer_number", "pin") and what != "keep":
            told = self._turn(("nodes", node), office.nodes.get(node))
        told = told or self._turn((kind, what), _canned(office, kind, what))
        return told if told is None or told[0] else (WORDS[kind][0], told[1])

    def _turn(self, key: tuple[str, str], canned: Canned | None) -> Told | None:
        answers = several(canned)
        if not answers:
            return None
        answer = answers[min(self._turns[key], len(answers) - 1)]
        self._turns[key] += 1
        return (answer.branch, answer.values) if isinstance(answer, Answer) else (answer, {})

    def _finding(self, standing: Standing, question: Question, told: Told | None) -> Finding:
        if isinstance(question, ports.WhoCalls):
            return self._by_number(told)
        if isinstance(question, ports.WhoHasNumber):
            right = self.script.caller.customer in ("", question.digits)
            branch = told[0] if told is not None else "known" if right else "unknown"
            found = self._recognition("certain", "customer number", question.digits) if branch == "known" else None
            return Finding(branch, recognition=found)
        if isinstance(question, ports.IsPinRight):
            right = self.script.caller.pin in ("", question.pin)
            branch = told[0] if told is not None else "right" if right else "wrong"
            return Finding(branch, recognition=standing.recognition if branch == "right" else None)
        branch, values = told or (self._usual(standing, question), {})
        return Finding(branch, {**_values(question, branch), **values})

    def _by_number(self, told: Told | None) -> Finding:
        person = self.script.caller
        certainty = person.certainty or ("certain" if person.customer else "none")
        if told is not None:
            branch = told[0]
        elif person.withheld:
            branch = "withheld"
        elif certainty in ("certain", "likely"):
            branch = "known"
        else:
            branch = "shared" if certainty == "shared" else "unknown"
        if branch == "known":
            certainty = "likely" if certainty == "likely" else "certain"
            return Finding(branch, recognition=self._recognition(certainty, "number", person.customer or UNNAMED))
        return Finding(branch, recognition=Recognition("none" if branch == "unknown" else branch, branch))

    def _recognition(self, certainty: str, reason: str, customer: str) -> Recognition:
        return Recognition(certainty, reason, customer, language=self.script.caller.language or "")

    def _usual(self, standing: Standing, question: Question) -> str:
        """The branch where the script says nothing."""
        if isinstance(question, ports.AreWeOpen):
            return "open"
        if isinstance(question, ports.PromiseCallBack):
            return "refused" if not question.number and self.script.caller.withheld else "next"
        if isinstance(question, ports.LookUp | ports.FileRequest):
            needed = NEEDED.get(question.what if isinstance(question, ports.LookUp) else question.kind, "none")
            return "next" if LEVELS.index(standing.level) >= LEVELS.index(needed) else "refused"
        return "next"


def _kind(question: Question) -> tuple[str, str]:
    """Under which key of ``Office`` it is answered, and which of several."""
    match question:
        case ports.WhoCalls():
            return "recognise", ""
        case ports.WhoHasNumber():
            return "customer_number", ""
        case ports.IsPinRight():
            return "pin", ""
        case ports.AreWeOpen():
            return "hours", ""
        case ports.LookUp():
            return "lookups", question.what
        case ports.FileRequest():
            return "requests", question.kind
        case ports.PromiseCallBack():
            return "callback", ""
        case ports.CallHttp():
            return "http", ""
        case ports.OpenMessage():
            return "message", ""
        case ports.KeepMessage():
            return "message", "keep"


def _canned(office: Office, kind: str, what: str) -> Canned | None:
    if kind == "lookups":
        return office.lookups.get(what)
    if kind == "requests":
        return office.requests.get(what)
    if what == "keep":
        return None
    canned: Canned | None = getattr(office, kind)
    return canned


def _values(question: Question, branch: str) -> Mapping[str, Value]:
    """What usually comes with the answer."""
    if isinstance(question, ports.AreWeOpen):
        # Nobody knows when an office opens again that somebody has closed.
        opens = NEXT_OPENING if branch in ("closed", "holiday") else dict.fromkeys(NEXT_OPENING, "")
        return {**opens, "reason": "Neujahr" if branch == "holiday" else ""}
    if branch != "next":
        return {}
    match question:
        case ports.LookUp():
            return {**RECORDS.get(question.what, {}), **_meant(question)}
        case ports.FileRequest():
            return {"reference": REFERENCE}
        case ports.OpenMessage():
            return {"place": "messages/1"}
        case ports.CallHttp():
            return dict.fromkeys(question.take, "1")
        case _:
            return {}


def _meant(question: ports.LookUp) -> Mapping[str, Value]:
    """The number that was asked for is the number that is told."""
    return {"number": question.arguments["number"]} if "number" in question.arguments else {}
