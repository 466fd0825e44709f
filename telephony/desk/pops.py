"""Pops: which agent sees which conversation, and in what state. Pure bookkeeping over the board's ``pop`` entities.

One pop is one offer of one conversation: shown to everyone whose phone rings, kept by the one who answers, withdrawn
from the others in the same moment. A conversation that is offered again while somebody still holds its first pop (a
transfer) gets a second one, with an id of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from telephony.desk.stream import Audience, only


class Board(Protocol):
    """The part of the stream's board that pops need."""

    def put(self, kind: str, id: str, value: Any, audience: Audience) -> None: ...

    def drop(self, kind: str, id: str) -> None: ...


@dataclass(slots=True)
class Pop:
    """One offer. ``owner`` is empty while it rings."""

    id: str
    conversation: str
    queue: str
    rang_at: float
    ringing: set[str] = field(default_factory=set)
    owner: str = ""
    state: str = "ringing"
    answered_at: float | None = None
    ended_at: float | None = None
    held: bool = False
    note: str = ""


class Pops:
    """All pops. ``facts`` gives what is known of a conversation: the part of a pop's value that is not its state."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._pops: dict[str, list[Pop]] = {}
        self._facts: dict[str, Mapping[str, Any]] = {}

    def know(self, conversation: str, facts: Mapping[str, Any]) -> None:
        """What is known of the conversation has changed: its pops are shown anew."""
        self._facts[conversation] = facts
        for pop in self._pops.get(conversation, ()):
            self._show(pop)

    def ring(self, conversation: str, login: str, queue: str, at: float) -> None:
        pop = next((one for one in self._pops.get(conversation, ()) if not one.owner), None)
        if pop is None:
            pop = self._new(conversation, queue, at)
        pop.ringing.add(login)
        self._show(pop)

    def stop_ringing(self, conversation: str, login: str) -> None:
        for pop in list(self._pops.get(conversation, ())):
            if login in pop.ringing:
                pop.ringing.discard(login)
                if pop.owner:
                    continue
                if pop.ringing:
                    self._show(pop)
                else:
                    self._remove(pop)

    def answer(self, conversation: str, login: str, queue: str, at: float) -> None:
        """The card stays with this agent and leaves all the others."""
        pops = self._pops.get(conversation, ())
        pop = next((one for one in pops if one.owner == login), None)
        if pop is None:
            pop = next((one for one in pops if login in one.ringing and not one.owner), None)
        if pop is None:
            pop = self._new(conversation, queue, at)
        pop.owner, pop.state, pop.answered_at, pop.ended_at = login, "talking", at, None
        pop.queue = queue or pop.queue
        pop.ringing.clear()
        self._show(pop)

    def hold(self, conversation: str, login: str, held: bool) -> None:
        pop = self.of(conversation, login)
        if pop is not None:
            pop.held = held
            self._show(pop)

    def write_up(self, conversation: str, login: str, queue: str, at: float | None) -> None:
        """The call is over, and the agent owes its code."""
        pop = self.of(conversation, login) or self._new(conversation, queue, at or 0.0)
        pop.owner, pop.state, pop.ended_at, pop.held = login, "wrap_up", at, False
        pop.queue = queue or pop.queue
        self._show(pop)

    def draft(self, conversation: str, login: str, note: str) -> None:
        pop = self.of(conversation, login)
        if pop is not None:
            pop.note = note
            self._show(pop)

    def close(self, conversation: str, login: str) -> None:
        """The agent is done with it."""
        pop = self.of(conversation, login)
        if pop is not None:
            self._remove(pop)

    def ended(self, conversation: str) -> None:
        """Nobody's phone rings for a conversation that is over."""
        for pop in list(self._pops.get(conversation, ())):
            if pop.state != "wrap_up":
                self._remove(pop)

    def merged(self, kept: str, folded: str) -> None:
        for pop in list(self._pops.get(folded, ())):
            self._remove(pop)

    def of(self, conversation: str, login: str) -> Pop | None:
        """This agent's own pop of the conversation, answered or rung."""
        pops = self._pops.get(conversation, ())
        owned = next((pop for pop in pops if pop.owner == login), None)
        return owned or next((pop for pop in pops if login in pop.ringing), None)

    def has(self, conversation: str) -> bool:
        return conversation in self._pops

    def _new(self, conversation: str, queue: str, at: float) -> Pop:
        pops = self._pops.setdefault(conversation, [])
        number = 1 + max((int(pop.id.rpartition("~")[2]) if "~" in pop.id else 1 for pop in pops), default=0)
        pop = Pop(conversation if number == 1 else f"{conversation}~{number}", conversation, queue, at)
        pops.append(pop)
        return pop

    def _show(self, pop: Pop) -> None:
        audience = only(pop.owner) if pop.owner else only(*pop.ringing)
        value = {
            "conversation": pop.conversation,
            "state": pop.state,
            "queue": pop.queue,
            "rang_at": pop.rang_at,
            "answered_at": pop.answered_at,
            "ended_at": pop.ended_at,
            "held": pop.held,
            "note": pop.note,
            **self._facts.get(pop.conversation, {}),
        }
        self._board.put("pop", pop.id, value, audience)

    def _remove(self, pop: Pop) -> None:
        pops = self._pops[pop.conversation]
        pops.remove(pop)
        if not pops:
            del self._pops[pop.conversation]
            self._facts.pop(pop.conversation, None)
        self._board.drop("pop", pop.id)
