"""Queue membership: what Asterisk should believe of our agents, and how to bring it there. Pure.

Only phones of ours are touched. Members that somebody else added are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from asterisk.ami import SimpleAction

from telephony.floor.model import AFTER_CALL_REASON, Desk, Presence


@dataclass(frozen=True, slots=True)
class Membership:
    """One member of one queue."""

    paused: bool
    reason: str
    login: str = ""
    penalty: int = 0


Place = tuple[str, str]
"""A queue's name and an interface."""


def desired(desk: Desk) -> dict[Place, Membership]:
    """What Asterisk should believe of this agent. Nobody who is signed out is a member of anything.

    A call in progress does not pause: should Callfloor die in the middle of it, the agent stays reachable.
    """
    if not desk.signed_in or not desk.agent.interface:
        return {}
    writing_up = desk.presence is Presence.AFTER_CALL_WORK
    paused = writing_up or desk.pause is not None
    reason = AFTER_CALL_REASON if writing_up else (desk.pause or "")
    return {
        (queue, desk.agent.interface): Membership(paused, reason if paused else "", desk.agent.login, penalty)
        for queue, penalty in desk.agent.queues
    }


def steps(
    wanted: Mapping[Place, Membership], actual: Mapping[Place, Membership], ours: Iterable[str]
) -> list[SimpleAction]:
    """The AMI actions that turn ``actual`` into ``wanted``; ``ours`` are the interfaces we answer for."""
    ours = frozenset(ours)
    out: list[SimpleAction] = []
    for place, membership in wanted.items():
        queue, interface = place
        there = actual.get(place)
        if there is None:
            out.append(
                SimpleAction(
                    "QueueAdd",
                    Queue=queue,
                    Interface=interface,
                    MemberName=membership.login,
                    Penalty=str(membership.penalty),
                    Paused="true" if membership.paused else "false",
                    Reason=membership.reason,
                    StateInterface=interface,
                )
            )
        elif there.paused != membership.paused or (membership.paused and there.reason != membership.reason):
            out.append(
                SimpleAction(
                    "QueuePause",
                    Queue=queue,
                    Interface=interface,
                    Paused="true" if membership.paused else "false",
                    Reason=membership.reason,
                )
            )
    for place in actual:
        if place not in wanted and place[1] in ours:
            out.append(SimpleAction("QueueRemove", Queue=place[0], Interface=place[1]))
    return out
