"""The floor: who is here, who may be rung, who owes a wrap-up. Pure: wishes and happenings in, effects out.

Callfloor owns this truth; Asterisk is told of it (``membership``), and told again after each of its restarts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from telephony.conversations.events import (
    AgentRinging,
    ConversationEnded,
    Happening,
    Merged,
    RingEnded,
    TalkEnded,
    TalkStarted,
)
from telephony.floor.model import (
    EXPIRED_REASON,
    Agent,
    Desk,
    FloorEffect,
    MembershipChanged,
    NotAnAgent,
    NothingToWrapUp,
    Presence,
    PresenceChanged,
    QueueRules,
    WrapUpDue,
    WrapUpExpired,
    WrapUpOpened,
    WrapUpOwed,
)


class Floor:
    """All agents' desks."""

    def __init__(self, rules: Iterable[QueueRules]) -> None:
        self.rules = {rule.name: rule for rule in rules}
        self.desks: dict[str, Desk] = {}
        self._by_interface: dict[str, Desk] = {}
        self._involved: dict[str, set[str]] = {}
        """Whose phone rang or talked in a live conversation, so that its end need not ask every desk."""

    # --- people -----------------------------------------------------------------------------------------------

    def enrol(self, agent: Agent) -> list[FloorEffect]:
        """Know this agent from now on, or with these changes."""
        desk = self.desks.get(agent.login)
        if desk is None:
            desk = self.desks[agent.login] = Desk(agent)
        else:
            if self._by_interface.get(desk.agent.interface) is desk:
                del self._by_interface[desk.agent.interface]
            desk.agent = agent
        if agent.interface:
            holder = self._by_interface.setdefault(agent.interface, desk)
            if not holder.signed_in:
                self._by_interface[agent.interface] = desk
        return [MembershipChanged(agent.login)]

    def restore(
        self, login: str, signed_in: bool, pause: str | None, owed: Iterable[WrapUpDue], since: float
    ) -> list[FloorEffect]:
        """Take up where an earlier run of the service stopped."""
        desk = self._desk(login)
        desk.signed_in, desk.pause, desk.owed, desk.since = signed_in, pause, list(owed), since
        desk.shown = desk.presence
        moved = self._sit_down(desk, since) if signed_in else []
        return [*moved, PresenceChanged(login, since), MembershipChanged(login)]

    def agent_at(self, interface: str) -> Agent | None:
        """Who sits at this interface, if one of ours."""
        desk = self._by_interface.get(interface)
        return desk.agent if desk is not None else None

    def desk_at(self, interface: str) -> Desk | None:
        """The desk with this interface, if one of ours."""
        return self._by_interface.get(interface)

    def wish(self, login: str, presence: Presence, reason: str, now: float) -> list[FloorEffect]:
        """What the agent asks for: ``ready``, ``paused`` with a reason, or ``offline``.

        During a call the wish is kept and takes effect after it. Raises ``WrapUpOwed`` when a mandatory wrap-up stands
        in the way of being ready; an optional one is let go of. A phone is one person's: whoever was signed in at it
        before is signed out.
        """
        desk = self._desk(login)
        if not desk.agent.interface:
            raise NotAnAgent(login)
        if presence is Presence.READY:
            for due in desk.owed:
                if due.required:
                    raise WrapUpOwed(due.conversation)
            desk.owed.clear()
            desk.signed_in, desk.pause = True, None
        elif presence is Presence.PAUSED:
            desk.signed_in, desk.pause = True, reason
        else:
            desk.signed_in, desk.pause = False, None
        moved = self._sit_down(desk, now) if desk.signed_in else []
        return moved + self._changed(desk, now, force=True)

    def _sit_down(self, desk: Desk, now: float) -> list[FloorEffect]:
        """This agent is the one at the phone from now on."""
        before = self._by_interface.get(desk.agent.interface)
        self._by_interface[desk.agent.interface] = desk
        if before is None or before is desk or not before.signed_in:
            return []
        before.signed_in, before.pause = False, None
        return self._changed(before, now, force=True)

    def finish_wrap_up(self, login: str, conversation: str, now: float) -> list[FloorEffect]:
        """The wrap-up is stored; the agent is free of it."""
        desk = self._desk(login)
        self.due(login, conversation)
        desk.owed = [due for due in desk.owed if due.conversation != conversation]
        return self._changed(desk, now)

    def due(self, login: str, conversation: str) -> WrapUpDue:
        """The wrap-up that this agent owes for this conversation. Raises ``NothingToWrapUp``."""
        for due in self._desk(login).owed:
            if due.conversation == conversation:
                return due
        raise NothingToWrapUp(conversation)

    def tick(self, now: float) -> list[FloorEffect]:
        """Let the time limits of after-call work pass."""
        out: list[FloorEffect] = []
        for desk in self.desks.values():
            for due in list(desk.owed):
                if due.deadline is None or due.deadline > now:
                    continue
                rule = self.rules[due.queue]
                desk.owed.remove(due)
                pauses = rule.expiry == "paused" and desk.signed_in and desk.pause is None
                if pauses:
                    desk.pause = EXPIRED_REASON
                out.append(WrapUpExpired(desk.agent.login, due, rule.expiry_code, now))
                out.extend(self._changed(desk, now, force=pauses))
        return out

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do."""
        return min(
            (due.deadline for desk in self.desks.values() for due in desk.owed if due.deadline is not None),
            default=None,
        )

    # --- what happens -----------------------------------------------------------------------------------------

    def apply(self, happening: Happening) -> list[FloorEffect]:
        """Take in what happened to conversations."""
        if isinstance(happening, Merged):
            return self._merged(happening)
        if isinstance(happening, ConversationEnded):
            return self._ended(happening)
        if not isinstance(happening, AgentRinging | RingEnded | TalkStarted | TalkEnded):
            return []
        desk = self._by_interface.get(happening.interface)
        if desk is None:
            return []
        conversation = happening.conversation
        opened: list[FloorEffect] = []
        match happening:
            case AgentRinging():
                _add(desk.ringing, conversation)
                self._involved.setdefault(conversation, set()).add(desk.agent.login)
            case RingEnded():
                _remove(desk.ringing, conversation)
            case TalkStarted():
                _remove(desk.ringing, conversation)
                _add(desk.talking, conversation)
                self._involved.setdefault(conversation, set()).add(desk.agent.login)
            case TalkEnded():
                _remove(desk.talking, conversation)
                due = self._owe(desk, happening)
                opened = [WrapUpOpened(desk.agent.login, due)] if due is not None else []
        return opened + self._changed(desk, happening.at)

    def _owe(self, desk: Desk, ended: TalkEnded) -> WrapUpDue | None:
        owed = next((due for due in desk.owed if due.conversation == ended.conversation), None)
        if owed is not None:
            return owed  # back in a conversation that was not written up yet: once is enough
        rule = self.rules.get(ended.queue)
        if rule is None or rule.wrap_up == "none":
            return None
        deadline = ended.at + rule.seconds if rule.seconds is not None else None
        due = WrapUpDue(ended.conversation, ended.queue, rule.wrap_up == "required", deadline)
        desk.owed.append(due)
        return due

    def _merged(self, merged: Merged) -> list[FloorEffect]:
        logins = self._involved.pop(merged.folded, set())
        if logins:
            self._involved.setdefault(merged.conversation, set()).update(logins)
        out: list[FloorEffect] = []
        for desk in (self.desks[login] for login in logins):
            for calls in (desk.talking, desk.ringing):
                if merged.folded in calls:
                    calls.remove(merged.folded)
                    _add(calls, merged.conversation)
            out.extend(self._owe_kept(desk, merged))
        return out

    def _owe_kept(self, desk: Desk, merged: Merged) -> list[FloorEffect]:
        """What was owed for a conversation that is no more is owed for the one it became part of."""
        due = next((one for one in desk.owed if one.conversation == merged.folded), None)
        if due is None:
            return []
        desk.owed.remove(due)
        kept = next((one for one in desk.owed if one.conversation == merged.conversation), None)
        if kept is None:
            kept = replace(due, conversation=merged.conversation)
            desk.owed.append(kept)
        return [WrapUpOpened(desk.agent.login, kept), PresenceChanged(desk.agent.login, merged.at)]

    def _ended(self, ended: ConversationEnded) -> list[FloorEffect]:
        """Nothing rings or talks in a conversation that is over, whatever we may have missed."""
        out: list[FloorEffect] = []
        for desk in (self.desks[login] for login in self._involved.pop(ended.conversation, ())):
            if ended.conversation in desk.talking or ended.conversation in desk.ringing:
                _remove(desk.talking, ended.conversation)
                _remove(desk.ringing, ended.conversation)
                out.extend(self._changed(desk, ended.at))
        return out

    def _changed(self, desk: Desk, now: float, force: bool = False) -> list[FloorEffect]:
        presence = desk.presence
        if presence is desk.shown and not force:
            return [PresenceChanged(desk.agent.login, now)]
        before, desk.shown = desk.shown, presence
        if presence is not before or (force and presence is Presence.PAUSED):
            desk.since = now  # a wish during a call does not start the call's clock anew, another pause its own
        out: list[FloorEffect] = [PresenceChanged(desk.agent.login, now)]
        # Ringing and talking change nothing in what Asterisk is to believe: ringinuse=no holds further calls back.
        if force or Presence.AFTER_CALL_WORK in (before, presence):
            out.append(MembershipChanged(desk.agent.login))
        return out

    def _desk(self, login: str) -> Desk:
        try:
            return self.desks[login]
        except KeyError:
            raise NotAnAgent(login) from None


def _add(calls: list[str], conversation: str) -> None:
    if conversation not in calls:
        calls.append(conversation)


def _remove(calls: list[str], conversation: str) -> None:
    if conversation in calls:
        calls.remove(conversation)
