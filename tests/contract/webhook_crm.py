"""A small CRM that keeps the contract of docs/webhook-crm.md: the other side of the webhook adapter in tests.

It checks the signature and keeps its promise about idempotency keys, and can be told to misbehave.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

MAX_SKEW = 300.0


@dataclass
class Answer:
    """What goes over the wire."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class WebhookCrm:
    """``customers``: their JSON, with ``phones`` beside; ``cards``: by customer id; ``calls``: by idempotency key."""

    secret: str
    customers: list[dict[str, Any]] = field(default_factory=list)
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    attempts: int = 0

    def answer(self, path: str, headers: dict[str, str], body: bytes, now: float) -> Answer:
        self.attempts += 1
        stamp = headers["x-callfloor-timestamp"]
        expected = hmac.new(self.secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(headers["x-callfloor-signature"], f"v1={expected}"):
            return Answer(401, b"{}")
        question = json.loads(body)
        name = path.rsplit("/", 1)[-1]
        if abs(now - float(stamp)) > MAX_SKEW or question["request"] != name:
            return Answer(401, b"{}")
        return Answer(200, json.dumps(getattr(self, f"_{name}")(question, headers)).encode())

    def _lookup(self, question: dict[str, Any], _headers: dict[str, str]) -> dict[str, Any]:
        if "number" in question:
            found = [one for one in self.customers if question["number"] in one["phones"]]
        else:
            found = [one for one in self.customers if question["customer_number"] == one["number"]]
        return {"customers": found}

    def _card(self, question: dict[str, Any], _headers: dict[str, str]) -> dict[str, Any]:
        return {"card": self.cards.get(question["customer"])}

    def _calls(self, question: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        key = headers["idempotency-key"]
        self.calls.setdefault(key, question["call"])
        return {"reference": f"CALL-{list(self.calls).index(key) + 1}"}

    def _check(self, _question: dict[str, Any], _headers: dict[str, str]) -> dict[str, Any]:
        return {"ok": True}
