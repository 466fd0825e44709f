"""The conversation tracker: AMI events in, domain events out. No clock, no I/O, no logging.

Rules, each won from somebody's bug report:

- The unit is the conversation, keyed by the id the dialplan set on its first channel; ``Linkedid`` moves about and is
  not used. The caller's own channel is the one whose ``Uniqueid`` *is* that id.
- Two conversations that meet in one bridge are one from then on (attended transfer); the caller's survives and the
  other's id becomes an alias. So the order of ``AttendedTransfer`` and ``BridgeEnter`` does not matter.
- ``QueueCallerAbandon`` is also sent for time-outs, empty queues and withdrawals. How a stint ended is told by what
  follows: ``AgentConnect``, our dialplan's ``CallfloorQueueExit``, another join, or the caller's ``Hangup``.
- A ringing phone ends ringing once: Asterisk often sends a second ``DialEnd``. Its NOANSWER is of a rejected call, too;
  which it was, the ``Hangup`` of that leg tells. CANCEL comes before Asterisk says that the caller has left.
- Talk time counts from bridge to bridge, not from the queue's own figures.
- A conversation ends when its last channel that is not ``Local/`` is gone.
- Every handler may see an event twice, late, or for a channel it never heard of.

Times are those of the events (``timestampevents``), so that a replay gives the same result as the live run.
"""

from __future__ import annotations

from collections.abc import Iterable

from telephony.conversations.events import (
    AgentRinging,
    Anomaly,
    AsteriskRestarted,
    ConversationEnded,
    ConversationOpened,
    Happening,
    HoldEnded,
    MemberSeen,
    Merged,
    QueueJoined,
    QueueLeft,
    RingEnd,
    RingEnded,
    StintEnd,
    TalkEnded,
    TalkStarted,
)
from telephony.conversations.model import (
    ID_VARIABLE,
    PRESENTATION_VARIABLE,
    AmiEvent,
    Attempt,
    Channel,
    Conversation,
    Member,
    Stint,
    Talk,
    number_of,
    unescaped,
    variable_of,
)
from telephony.conversations.transitions import HANDLERS

PHONES_CONTEXT = "callfloor-phones"
"""Calls that begin in this dialplan context come from an agent's phone, not from a caller."""
GONE = 4096
"""How many channels that hung up are remembered, so that late news of them calls nothing back to life."""


class Tracker:
    """The state of all live conversations of one Asterisk."""

    def __init__(self) -> None:
        self.conversations: dict[str, Conversation] = {}
        self.channels: dict[str, Channel] = {}
        self.bridges: dict[str, set[str]] = {}
        self.members: dict[tuple[str, str], Member] = {}
        self.aliases: dict[str, str] = {}
        """Ids of conversations that were folded into another one that still lives."""
        self.generation = 0
        self.gone: dict[str, None] = {}
        """Channels that hung up lately, in order; while a resync is under way none of them is forgotten."""
        self.syncing = False
        self._out: list[Happening] = []
        self.now = 0.0
        self._lost = False

    # --- in ---------------------------------------------------------------------------------------------------

    def apply(self, event: AmiEvent, now: float) -> list[Happening]:
        """Take in one event. ``now`` stands in where the event carries no ``Timestamp`` (Unix seconds).

        Never raises: one that we stumble over costs neither what was found already nor the rest of its batch, in which
        other people's calls are. The anomaly names it, and the next resync mends what it left undone.
        """
        handler = HANDLERS.get(event.name)
        if handler is None:
            return []
        self._begin(event, now)
        try:
            handler(self, event)
        except Exception as stumbled:
            self._out.append(Anomaly("event_failed", f"{event.name}: {type(stumbled).__name__}: {stumbled}"[:200]))
        return self._take()

    def restarted(self, now: float) -> list[Happening]:
        """Asterisk has restarted: no channel, no bridge and no waiting caller of before is alive."""
        self.now, self._lost = now, True
        for uniqueid in list(self.channels):
            self.remove_channel(uniqueid, "asterisk restarted")
        self.bridges.clear()
        self.members.clear()
        self._out.append(AsteriskRestarted(now))
        return self._take()

    # --- the tools of the handlers and of the resync ----------------------------------------------------------

    def begin_correction(self, now: float) -> None:
        """What is found from here to ``finish_correction`` was missed when it happened."""
        self.now, self._lost = now, True

    def finish_correction(self) -> list[Happening]:
        return self._take()

    def emit(self, happening: Happening) -> None:
        self._out.append(happening)

    def _begin(self, event: AmiEvent, now: float) -> None:
        stamp = event.get("Timestamp")
        if stamp:
            stamped = number_of(stamp)
            if stamped > 0:
                now = stamped
            else:
                self._out.append(Anomaly("bad_timestamp", event.name))
        self.now, self._lost = now, False

    def _take(self) -> list[Happening]:
        out, self._out = self._out, []
        return out

    def channel(self, uniqueid: str, name: str) -> Channel:
        """The channel, made if we have not heard of it. One that has hung up is made, but not kept."""
        channel = self.channels.get(uniqueid)
        if channel is None:
            channel = Channel(uniqueid, name)
            if uniqueid and uniqueid not in self.gone:
                self.channels[uniqueid] = channel
        channel.seen = self.generation
        return channel

    def attach(self, channel: Channel, id_: str) -> Conversation | None:
        """Make the channel part of the conversation ``id_``; without an id, of the one it is in already."""
        if not id_:
            return self.conversations.get(channel.conversation)
        id_ = self.aliases.get(id_, id_)
        if channel.conversation == id_ or channel.uniqueid not in self.channels:
            return self.conversations.get(id_)
        if channel.conversation in self.conversations:
            # A transferred leg keeps its place: variables of an older journey do not move it.
            return self.conversations[channel.conversation]
        conversation = self.conversations.get(id_)
        if conversation is None:
            conversation = self.conversations[id_] = Conversation(id_)
            conversation.opened_at = self.now
        channel.conversation = id_
        conversation.channels.add(channel.uniqueid)
        return conversation

    def open(self, conversation: Conversation, event: AmiEvent) -> None:
        """Tell the world of a conversation; the event's unprefixed snapshot is its caller's channel."""
        conversation.opened = True
        conversation.inbound = event.get("Context") != PHONES_CONTEXT
        number = event.get("CallerIDNum")
        name = event.get("CallerIDName")
        self._out.append(
            ConversationOpened(
                conversation.id,
                conversation.opened_at,
                "" if number == "<unknown>" else number,
                "" if name == "<unknown>" else unescaped(name),
                variable_of(event, "ChanVariable", PRESENTATION_VARIABLE),
                event.get("Exten"),
                conversation.inbound,
            )
        )

    def sight(self, event: AmiEvent) -> tuple[Channel, Conversation | None]:
        """The event's own channel and its conversation, opened if the channel is the caller's."""
        uniqueid = event.get("Uniqueid")
        channel = self.channels.get(uniqueid)
        if channel is None:
            channel = self.channel(uniqueid, event.get("Channel"))
        else:
            channel.seen = self.generation
        # A channel keeps its place as long as its conversation lives, so its variables need not be read again.
        conversation = self.conversations.get(channel.conversation)
        if conversation is None:
            conversation = self.attach(channel, variable_of(event, "ChanVariable", ID_VARIABLE))
        if conversation is not None and not conversation.opened and uniqueid == conversation.id:
            self.open(conversation, event)
        return channel, conversation

    def ring(self, conversation: Conversation, interface: str, queue: str, uniqueid: str) -> None:
        known = conversation.attempts.get(interface)
        if known is not None:
            if known.channel == uniqueid:
                return
            self.stop_ringing(conversation, interface, RingEnd.LOST if self._lost else RingEnd.NO_ANSWER)
        conversation.attempts[interface] = Attempt(uniqueid, queue, self.now)
        self._out.append(AgentRinging(conversation.id, self.now, interface, queue))

    def stop_ringing(self, conversation: Conversation, interface: str, end: RingEnd) -> None:
        attempt = conversation.attempts.pop(interface, None)
        if conversation.answered_by == interface:
            conversation.answered_by = ""
        if attempt is not None:
            rang = max(0.0, self.now - attempt.rang_at)
            self._out.append(RingEnded(conversation.id, self.now, interface, attempt.queue, end, rang))

    def join(self, conversation: Conversation, queue: str, position: int, joined_at: float, channel: Channel) -> None:
        stint = conversation.stint
        if stint is not None:
            if stint.queue == queue and not stint.left_at:
                return
            self.leave(conversation, StintEnd.LOST if self._lost else StintEnd.OVERFLOW)
        conversation.stint = Stint(queue, joined_at, channel.uniqueid)
        self._out.append(QueueJoined(conversation.id, joined_at, queue, position))

    def leave(self, conversation: Conversation, end: StintEnd) -> None:
        stint, conversation.stint = conversation.stint, None
        if stint is not None:
            at = stint.left_at or self.now
            waited = max(0.0, at - stint.joined_at)
            self._out.append(QueueLeft(conversation.id, at, stint.queue, end, waited))

    def start_talk(self, conversation: Conversation, interface: str, queue: str, channel: Channel) -> None:
        """The agent has the caller: everyone else's phone is out of it."""
        stint = conversation.stint
        if stint is not None and queue in ("", stint.queue):
            queue = stint.queue
            self.leave(conversation, StintEnd.ANSWERED)
        self.stop_ringing(conversation, interface, RingEnd.ANSWERED)
        for other in list(conversation.attempts):
            self.stop_ringing(conversation, other, RingEnd.ELSEWHERE)
        known = conversation.talks.get(interface)
        if known is not None:
            known.channel = channel.uniqueid
            return
        queue = queue or conversation.queue
        talk = conversation.talks[interface] = Talk(channel.uniqueid, queue, self.now)
        self._out.append(TalkStarted(conversation.id, self.now, interface, queue))
        if channel.bridge and len(self.bridges.get(channel.bridge, ())) > 1:
            talk.bridged_since = self.now

    def stop_talk(self, conversation: Conversation, interface: str) -> None:
        talk = conversation.talks.get(interface)
        if talk is None:
            return
        channel = self.channels.get(talk.channel)
        if channel is not None:
            self.end_hold(conversation, channel)
        del conversation.talks[interface]
        self._settle(talk)
        self._out.append(TalkEnded(conversation.id, self.now, interface, talk.queue, max(0.0, talk.talked), self._lost))

    def enter_bridge(self, channel: Channel, bridge: str) -> None:
        if channel.bridge == bridge:
            return
        if channel.bridge:
            self.leave_bridge(channel)
        channel.bridge = bridge
        inside = self.bridges.setdefault(bridge, set())
        inside.add(channel.uniqueid)
        if len(inside) > 1:
            self._met(inside)

    def leave_bridge(self, channel: Channel) -> None:
        inside = self.bridges.get(channel.bridge)
        channel.bridge = ""
        if inside is None:
            return
        inside.discard(channel.uniqueid)
        self.settle_channel(channel)
        if len(inside) < 2:
            for uniqueid in inside:
                other = self.channels.get(uniqueid)
                if other is not None:
                    self.settle_channel(other)

    def remove_channel(self, uniqueid: str, cause: str, ring_end: RingEnd | None = None) -> None:
        """The channel is gone; everything that hung on it ends. ``ring_end``: why its phone no longer rings."""
        self.gone[uniqueid] = None
        while len(self.gone) > GONE and not self.syncing:
            del self.gone[next(iter(self.gone))]
        channel = self.channels.get(uniqueid)
        if channel is None:
            return
        conversation = self.conversations.get(channel.conversation)
        if conversation is not None:
            self.end_hold(conversation, channel)
        del self.channels[uniqueid]
        if channel.bridge:
            self.leave_bridge(channel)
        if conversation is None:
            return
        conversation.channels.discard(uniqueid)
        if uniqueid == conversation.id:
            self._caller_gone(conversation)
        elif conversation.stint is not None and conversation.stint.channel == uniqueid:
            self.leave(conversation, StintEnd.LOST if self._lost else StintEnd.WITHDRAWN)
        for interface, attempt in list(conversation.attempts.items()):
            if attempt.channel == uniqueid:
                end = ring_end or self.ring_end_at_hangup(conversation, interface)
                self.stop_ringing(conversation, interface, end)
        for interface, talk in list(conversation.talks.items()):
            if talk.channel == uniqueid:
                self.stop_talk(conversation, interface)
        if self._is_over(conversation):
            self._end(conversation, cause)

    def member(self, queue: str, interface: str, paused: bool, reason: str, status: int, dynamic: bool) -> None:
        """Report a queue member, if that is news."""
        key = (queue, interface)
        known = self.members.get(key)
        if known is None:
            known = self.members[key] = Member()
        elif (known.paused, known.reason, known.status) == (paused, reason, status):
            known.seen = self.generation
            return
        known.paused, known.reason, known.status, known.seen = paused, reason, status, self.generation
        self._out.append(MemberSeen(queue, interface, paused, reason, status, dynamic))

    def member_gone(self, queue: str, interface: str) -> None:
        if self.members.pop((queue, interface), None) is not None:
            self._out.append(MemberSeen(queue, interface, False, "", 0, True, present=False))

    # --- inner workings ---------------------------------------------------------------------------------------

    def _met(self, inside: Iterable[str]) -> None:
        """Channels have met in a bridge: fold conversations into one, and see who talks to whom."""
        channels = [self.channels[uniqueid] for uniqueid in inside if uniqueid in self.channels]
        ids = {channel.conversation for channel in channels if channel.conversation in self.conversations}
        if len(ids) > 1:
            self.join_conversations(self.conversations[id_] for id_ in ids)
        for id_ in {channel.conversation for channel in channels}:
            conversation = self.conversations.get(id_)
            if conversation is not None:
                self._who_talks(conversation)

    def _who_talks(self, conversation: Conversation) -> None:
        caller = self.channels.get(conversation.id)
        if caller is None or not caller.bridge or not conversation.inbound:
            return
        connected = self._connected(caller)
        for channel in connected:
            if channel is caller or channel.conversation != conversation.id:
                continue
            interface = conversation.party(channel)
            talk = conversation.talks.get(interface)
            if talk is None:
                talk = next((one for one in conversation.talks.values() if self._is_stale(one)), None)
                if talk is not None and not channel.local:
                    talk.channel = channel.uniqueid
            if talk is None and not channel.local:
                self.start_talk(conversation, interface, "", channel)
                talk = conversation.talks[interface]
            if talk is not None and not talk.bridged_since:
                talk.bridged_since = self.now

    def _connected(self, channel: Channel) -> list[Channel]:
        """Everyone who hears this channel: its bridge, and the bridges behind Local channels in it."""
        found: list[Channel] = []
        bridges, done = [channel.bridge], set[str]()
        while bridges:
            bridge = bridges.pop()
            if not bridge or bridge in done:
                continue
            done.add(bridge)
            for uniqueid in self.bridges.get(bridge, ()):
                member = self.channels.get(uniqueid)
                if member is None:
                    continue
                found.append(member)
                peer = self.channels.get(member.peer) if member.peer else None
                if peer is not None:
                    bridges.append(peer.bridge)
        return found

    def _is_stale(self, talk: Talk) -> bool:
        """A talk over a Local channel is rebound to the real one as soon as that is seen."""
        channel = self.channels.get(talk.channel)
        return channel is None or channel.local

    def phone_behind(self, uniqueid: str) -> str:
        """The interface of the channel; of one that is ``Local/``, of the phone at its other end. Empty if unknown."""
        channel = self.channels.get(uniqueid)
        if channel is None or not channel.local:
            return channel.interface if channel is not None else ""
        peer = self.channels.get(channel.peer)
        behind = self.bridges.get(peer.bridge, set()) if peer is not None else set()
        phones = [self.channels[one] for one in behind if one in self.channels and not self.channels[one].local]
        return phones[0].interface if len(phones) == 1 else ""

    def join_conversations(self, met: Iterable[Conversation]) -> Conversation:
        """Make them one; a caller's stays, or else the oldest."""
        kept, *folded = sorted(met, key=lambda one: (not one.inbound, one.opened_at))
        for other in folded:
            self._fold(kept, other)
        return kept

    def _fold(self, kept: Conversation, folded: Conversation) -> None:
        for uniqueid in folded.channels:
            channel = self.channels.get(uniqueid)
            if channel is not None:
                channel.conversation = kept.id
        kept.channels |= folded.channels
        self.leave(folded, StintEnd.WITHDRAWN)
        for interface in list(folded.attempts):
            self.stop_ringing(folded, interface, RingEnd.ELSEWHERE)
        for interface in list(folded.talks):
            self.stop_talk(folded, interface)
        del self.conversations[folded.id]
        for alias, target in list(self.aliases.items()):
            if target == folded.id:
                self.aliases[alias] = kept.id
        self.aliases[folded.id] = kept.id
        self._out.append(Merged(kept.id, folded.id, self.now))

    def _settle(self, talk: Talk) -> None:
        if talk.bridged_since:
            talk.talked += self.now - talk.bridged_since
            talk.bridged_since = 0.0

    def settle_channel(self, channel: Channel) -> None:
        conversation = self.conversations.get(channel.conversation)
        if conversation is not None:
            for talk in conversation.talks.values():
                if talk.channel == channel.uniqueid:
                    self._settle(talk)

    def ring_end_at_hangup(self, conversation: Conversation, interface: str) -> RingEnd:
        if self._lost:
            return RingEnd.LOST
        if conversation.answered_by not in ("", interface):
            return RingEnd.ELSEWHERE
        if conversation.attempts[interface].gave_up:
            return RingEnd.NO_ANSWER
        stint = conversation.stint
        caller_left = conversation.id not in self.channels or (stint is not None and stint.left_at > 0)
        return RingEnd.CALLER_LEFT if caller_left else RingEnd.NO_ANSWER

    def _caller_gone(self, conversation: Conversation) -> None:
        self.leave(conversation, StintEnd.LOST if self._lost else StintEnd.ABANDONED)
        end = RingEnd.LOST if self._lost else RingEnd.CALLER_LEFT
        for interface in list(conversation.attempts):
            self.stop_ringing(conversation, interface, end)

    def _is_over(self, conversation: Conversation) -> bool:
        return all(uniqueid not in self.channels or self.channels[uniqueid].local for uniqueid in conversation.channels)

    def _end(self, conversation: Conversation, cause: str) -> None:
        self._caller_gone(conversation)
        for interface in list(conversation.talks):
            self.stop_talk(conversation, interface)
        for uniqueid in conversation.channels:
            channel = self.channels.get(uniqueid)
            if channel is not None:
                channel.conversation = ""
        del self.conversations[conversation.id]
        if self.aliases:
            self.aliases = {alias: kept for alias, kept in self.aliases.items() if kept != conversation.id}
        if conversation.opened:
            self._out.append(ConversationEnded(conversation.id, self.now, cause, self._lost))

    def end_hold(self, conversation: Conversation, channel: Channel) -> None:
        if channel.held_since:
            held, channel.held_since = self.now - channel.held_since, 0.0
            self._out.append(HoldEnded(conversation.id, self.now, conversation.party(channel), max(0.0, held)))
