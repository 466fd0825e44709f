"""The reception: each caller who comes in over FastAGI is led through the flow that is live."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from crm_bridge.bridge import Bridge
from crm_bridge.database import DatabaseError
from ivr_flows import nodes, runner
from ivr_flows.checkpoint import checkpoint, fingerprint_of
from ivr_flows.ports import Caller, CallFacts, Office, Preferred, Recognition, Route
from ivr_flows.runner import Sound
from ivr_flows.schema import Flow
from ivr_flows.state import Outcome, State
from telephony.conversations.events import ConversationEnded, Happening, QueueLeft, StintEnd
from telephony.reception.counts import FlowCounts
from telephony.reception.places import RETURN_PRIORITY, Place, Places
from telephony.reception.shelf import Shelf

log = structlog.get_logger(__name__)

PLACE_SECONDS = 2.0
"""How long a caller waits to hear whether there is an old place: a busy database costs the place, not the call."""
RETURN_SECONDS = 20
"""How long the agent whom a caller had before is tried."""
CUT_OFF = frozenset(
    {"Network out of order", "Temporary failure", "Recovery on timer expire", "Interworking, unspecified"}
)
"""Hang-up causes, in Asterisk's words, of calls that nobody ended."""

Seat = Callable[[str, Recognition | None], Awaitable[str]]
"""The phone where an agent (log-in; empty: whom this customer talked to last) could answer now."""


@dataclass(frozen=True, slots=True)
class Caught:
    """Who is in a live conversation: the caller's number as it came, and the last agent, if there was one."""

    number: str
    presentation: str
    queue: str
    agent: str


class Reception:
    """``welcome`` is the handler of the FastAGI server; ``happened`` keeps places for those who were cut off.

    ``walked``: told at each node which conversation has come how far, and its language.
    """

    def __init__(
        self,
        *,
        shelf: Shelf,
        sound: Sound,
        office: Office,
        counts: FlowCounts,
        places: Places,
        bridge: Bridge,
        seat: Seat,
        walked: Callable[[str, tuple[str, ...], str], None],
    ) -> None:
        self._shelf = shelf
        self._sound = sound
        self._office = office
        self._counts = counts
        self._places = places
        self._bridge = bridge
        self._seat = seat
        self._walked = walked
        self._tasks: set[asyncio.Task[None]] = set()
        self.counts: dict[str, int] = {}
        """How flows ended, by kind."""

    async def welcome(self, caller: Caller, facts: CallFacts) -> None:
        """Lead one caller to the end of the flow. Who is in a flow already stays in that version of it."""
        flow, straight = self._shelf.live, None
        if facts.checkpoint:
            flow = await self._shelf.of(fingerprint_of(facts.checkpoint)) or flow
        else:
            place = await self._place_of(facts)
            if place is not None and place.queue:
                straight = _back_to(place, facts, flow)
            elif place is not None and place.checkpoint:
                flow = await self._shelf.of(fingerprint_of(place.checkpoint)) or flow
                facts = replace(facts, checkpoint=place.checkpoint)
        last: list[State] = []

        def watch(state: State) -> None:
            # What is done after a hang-up is nowhere to come back to.
            if not state.gone:
                last[:] = [state]
                self._walked(facts.conversation, state.path, state.language)
            self._counts.watch(flow, state)

        try:
            outcome = await runner.run(
                flow,
                facts,
                caller,
                self._office,
                self._sound,
                seat=self._phone_of,
                watch=watch,
                straight=straight,
            )
        finally:
            self._counts.here.pop(facts.conversation, None)
        self._counts.left(flow, facts.conversation, outcome)
        self.counts[outcome.ended] = self.counts.get(outcome.ended, 0) + 1
        if outcome.ended == "gone" and last and not was_done(flow, last[0]):
            await self._keep_place(flow, facts, last[0], outcome)

    def happened(self, happenings: Sequence[Happening], caught: Callable[[str], Caught | None]) -> None:
        """Keep the place of whoever left a queue, or lost an agent, without either of them ending it.

        ``caught`` tells of a live conversation who calls and whom the caller talked to.
        """
        for happening in happenings:
            if not isinstance(happening, QueueLeft | ConversationEnded):
                continue
            who = caught(happening.conversation)
            place = place_lost(happening, who) if who is not None else None
            if who is not None and place is not None:
                task = asyncio.get_running_loop().create_task(
                    self.keep(who.number, who.presentation, place), name=f"place {happening.conversation}"
                )
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Finish what is being written."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _phone_of(self, route: Route, known: Recognition | None) -> str:
        return await self._seat(route.preferred.agent, known) if route.preferred is not None else ""

    async def _place_of(self, facts: CallFacts) -> Place | None:
        number = self._bridge.parse(facts.number, facts.presentation).e164
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                place = await self._places.take(number) if number else None
        except (DatabaseError, TimeoutError) as failed:
            log.warning("place_not_looked_up", conversation=facts.conversation, why=str(failed) or "it took too long")
            return None
        if place is not None:
            log.info("caller_returned", conversation=facts.conversation, before=place.conversation, queue=place.queue)
        return place

    async def _keep_place(self, flow: Flow, facts: CallFacts, state: State, outcome: Outcome) -> None:
        """A caller ID is easily forged: the place is kept, and nothing that was proven or told."""
        bare = State(
            facts=state.facts,
            language=state.language,
            node=state.anchor or state.node,
            values={name: value for name, value in state.values.items() if not isinstance(value, str)},
            visits=state.visits,
            path=state.path,
            steps=state.steps,
        )
        await self.keep(facts.number, facts.presentation, Place(facts.conversation, checkpoint(flow, bare)))

    async def keep(self, number: str, presentation: str, place: Place) -> None:
        """Keep a place for whoever has this number."""
        parsed = self._bridge.parse(number, presentation).e164
        if not parsed:
            return
        try:
            await self._places.keep(parsed, place)
        except DatabaseError as failed:
            log.warning("place_not_kept", conversation=place.conversation, why=str(failed))


def was_done(flow: Flow, state: State) -> bool:
    """Whether a hang-up here is how a call ends: after the message, and during the good-bye. Pure.

    Also where the house would say good-bye if nothing more came: "anything else?" is the end of a call, and who calls
    again has something new.
    """
    node = flow.nodes.get(state.node)
    if isinstance(node, nodes.Menu):
        return isinstance(flow.nodes.get(node.timeout or node.invalid or ""), nodes.HangUp)
    return isinstance(node, nodes.HangUp) or (isinstance(node, nodes.Message) and state.phase == "record")


def _back_to(place: Place, facts: CallFacts, flow: Flow) -> Route:
    language = facts.language if facts.language in flow.document.languages else flow.document.languages[0]
    preferred = Preferred(place.agent, RETURN_SECONDS) if place.agent else None
    return Route(place.queue, min(1000, place.priority + RETURN_PRIORITY), language, preferred=preferred)


def place_lost(happening: Happening, who: Caught) -> Place | None:
    """The place a caller lost by what happened, if it is one worth keeping. Pure."""
    if isinstance(happening, QueueLeft) and happening.end is StintEnd.ABANDONED:
        return Place(happening.conversation, queue=happening.queue, joined_at=happening.at - happening.waited)
    if isinstance(happening, ConversationEnded) and who.agent and who.queue and happening.cause in CUT_OFF:
        return Place(happening.conversation, queue=who.queue, agent=who.agent)
    return None
