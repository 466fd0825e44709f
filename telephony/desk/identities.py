"""Who calls: the CRM is asked, what the caller proves outranks it, and the card is filled in. Nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from crm_bridge.bridge import Bridge
from crm_bridge.ports import CrmError, Match
from telephony.desk.cases import Case, written
from telephony.desk.chores import Chores

log = structlog.get_logger(__name__)

CARD_RETRY_SECONDS = 3.0
"""How long after a failed look-up the CRM is asked again, as long as somebody has the pop before them."""
EARLY_PROOFS = 1000
"""How many identities are kept for conversations that AMI has not told of yet."""


class Identities:
    """``cases``: the office's live ones. ``known`` is told when a case's match has changed, ``changed`` its card.

    ``name_of``: the name of the person with this log-in.
    """

    def __init__(
        self,
        bridge: Bridge,
        cases: Mapping[str, Case],
        chores: Chores,
        *,
        known: Callable[[Case], None],
        changed: Callable[[Case], None],
        name_of: Callable[[str], str],
    ) -> None:
        self._bridge = bridge
        self._cases = cases
        self._chores = chores
        self._known = known
        self._changed = changed
        self._name_of = name_of
        self._proofs: dict[str, tuple[Match, str]] = {}
        """Identities proven in the IVR before AMI told us of the conversation."""

    def begin(self, case: Case) -> None:
        """A conversation has begun: what was proven already holds, else the number is looked up."""
        proof = self._proofs.pop(case.id, None)
        if proof is not None:
            self.settle(case, *proof)
        elif case.history.inbound:
            self.ask(case)

    def ask(self, case: Case) -> None:
        """Look the number up."""
        case.lookup = self._chores.start(self.look_up(case), f"look-up {case.id}")

    def confirm(self, case: Case, customer: str, reason: str) -> None:
        """Take over an identity that was proven elsewhere."""
        self._chores.start(self.settle_by_id(case, customer, reason), f"identity {case.id}")

    def prove(self, conversation: str, match: Match, level: str) -> None:
        """The caller has proven in the IVR who they are; that outranks the caller ID."""
        case = self._cases.get(conversation)
        if case is None:
            self._proofs[conversation] = (match, level)
            while len(self._proofs) > EARLY_PROOFS:
                self._proofs.pop(next(iter(self._proofs)))
        else:
            self.settle(case, match, level)

    def settle(self, case: Case, match: Match, level: str | None = None) -> None:
        """The customer is known. ``level``: what the caller proved; none: nothing new."""
        case.settled = True
        if level is not None:
            case.history.level = level
        if case.lookup is not None:
            case.lookup.cancel()
        case.lookup = self._chores.start(self._fill(case, match), f"card {case.id}")

    async def settle_by_id(self, case: Case, customer: str, reason: str) -> None:
        """Take over an identity proven elsewhere, as soon as the CRM confirms that there is such a customer."""
        while case.id in self._cases and not case.settled:
            try:
                match = await self._bridge.choose(customer)
            except CrmError as failed:
                log.info("identity_not_confirmed", conversation=case.id, why=str(failed))
                await asyncio.sleep(CARD_RETRY_SECONDS)
                continue
            if match is not None:
                self.settle(case, replace(match, reason=reason or match.reason))
            return

    async def look_up(self, case: Case) -> None:
        """Ask the CRM who has this number, until it answers; what is known meanwhile is shown."""
        while True:
            found = await self._bridge.identify(case.history.number, case.history.presentation, case.number)
            if found.late is not None:
                self._show_match(case, found.match)
            match = found.match if found.late is None else await asyncio.shield(found.late)
            if match.reason != "crm_unavailable" or case.id not in self._cases:
                break
            self._show_match(case, match)
            await asyncio.sleep(CARD_RETRY_SECONDS)
        await self._fill(case, match)

    def _show_match(self, case: Case, match: Match) -> None:
        case.match = match
        customer = case.customer
        if customer is not None:
            case.history.customer = customer.id
            if customer.language and not case.history.language:
                case.history.language = customer.language
        case.history.certainty, case.history.reason = str(match.certainty), match.reason
        self._known(case)

    async def _fill(self, case: Case, match: Match) -> None:
        """Show the match at once, and its card as soon as the CRM has given it."""
        case.card, case.card_state = None, "loading" if match.customer is not None else "none"
        self._show_match(case, match)
        customer = case.customer
        while customer is not None and case.card is None:
            try:
                card = await self._bridge.card(customer.id)
                case.card = written(card, self._name_of) if card is not None else None
                case.card_state = "ready" if card is not None else "none"
            except CrmError as failed:
                log.info("card_not_loaded", conversation=case.id, why=str(failed))
                case.card_state = "failed"
            self._changed(case)
            if case.card_state != "failed" or case.id not in self._cases:
                break
            await asyncio.sleep(CARD_RETRY_SECONDS)
        if case.lookup is asyncio.current_task():
            case.lookup = None  # a task that is over need not live as long as the call
