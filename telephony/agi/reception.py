"""The reception: each caller who comes in over FastAGI is led through the flow, with the bridge as its directory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from crm_bridge.bridge import Bridge
from crm_bridge.ports import Match
from ivr_flows import runner
from ivr_flows.ports import Caller, CallFacts, Recognition
from ivr_flows.runner import Sound
from ivr_flows.schema import Flow


class Proofs(Protocol):
    """Who wants to know when a caller has proven an identity."""

    def prove(self, conversation: str, match: Match) -> None: ...


class Reception:
    """Implements the ``Directory`` port of ``ivr_flows``; ``welcome`` is the handler of the FastAGI server."""

    def __init__(self, flow: Callable[[], Flow], sound: Sound, bridge: Bridge, proofs: Proofs) -> None:
        self._flow = flow
        self._sound = sound
        self._bridge = bridge
        self._proofs = proofs
        self.counts: dict[str, int] = {}
        """How flows ended, by kind."""

    async def welcome(self, caller: Caller, facts: CallFacts) -> None:
        """Lead one caller to the end of the flow that is live now."""
        outcome = await runner.run(self._flow(), facts, caller, self, self._sound)
        self.counts[outcome.ended] = self.counts.get(outcome.ended, 0) + 1

    async def recognise(self, facts: CallFacts) -> Recognition:
        found = await self._bridge.identify(facts.number, facts.presentation)
        return recognition_of(found.match)

    async def by_customer_number(self, facts: CallFacts, digits: str) -> Recognition:
        found = await self._bridge.identify(facts.number, facts.presentation)
        match = await self._bridge.identify_by_customer_number(digits, by_number=found.match)
        if match.customer is not None:
            self._proofs.prove(facts.conversation, match)
        return recognition_of(match)


def recognition_of(match: Match) -> Recognition:
    """What a flow may know of a match: nothing of the customers among whom there is still a choice."""
    customer = match.customer
    if customer is None:
        return Recognition(str(match.certainty), match.reason)
    return Recognition(str(match.certainty), match.reason, customer.id, customer.name, customer.language)
