"""What the tracker remembers of a live conversation. Mutable and slotted: there may be thousands of these.

Only the tracker changes them. Everybody else sees the frozen happenings in ``events``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

ID_VARIABLE = "CALLFLOOR_ID"
"""The channel variable that carries a conversation's id; set with ``__`` so that every outgoing leg inherits it."""
PRESENTATION_VARIABLE = "CALLERID(pres)"


class AmiEvent(Protocol):
    """An AMI event, as far as the tracker reads one. ``telephony.ami.codec.Event`` is one."""

    @property
    def name(self) -> str: ...

    def get(self, key: str, default: str = "") -> str: ...

    def get_last(self, key: str, default: str = "") -> str: ...

    def get_all(self, key: str) -> Sequence[str]: ...


class Channel:
    """One leg. ``conversation`` is empty for legs that are none of ours, such as a listening supervisor's."""

    __slots__ = (
        "bridge",
        "bridge_seen",
        "conversation",
        "held_since",
        "local",
        "name",
        "peer",
        "seen",
        "transferred",
        "uniqueid",
    )

    def __init__(self, uniqueid: str, name: str) -> None:
        self.uniqueid = uniqueid
        self.rename(name)
        self.conversation = ""
        self.bridge = ""
        self.peer = ""
        """The other half of a Local channel."""
        self.held_since = 0.0
        self.seen = 0
        """The resync generation in which we last had news of this channel."""
        self.bridge_seen = 0
        """The one in which an event last said where it is bridged."""
        self.transferred = False
        """It has given its caller away, and we have said so."""

    def rename(self, name: str) -> None:
        self.name = name
        self.local = name.startswith("Local/")

    @property
    def interface(self) -> str:
        """The dialled interface: the channel's name without its running number."""
        return interface_of(self.name)


class Stint:
    """One stay in one queue."""

    __slots__ = ("channel", "joined_at", "left_at", "queue")

    def __init__(self, queue: str, joined_at: float, channel: str) -> None:
        self.queue = queue
        self.joined_at = joined_at
        self.channel = channel
        """Who waits: the caller, or a Local channel through which an agent asks another queue."""
        self.left_at = 0.0
        """Set when Asterisk said that the caller left; how it ended is told by what follows."""


class Attempt:
    """One agent's phone that rings for this conversation."""

    __slots__ = ("channel", "gave_up", "queue", "rang_at")

    def __init__(self, channel: str, queue: str, rang_at: float) -> None:
        self.channel = channel
        self.queue = queue
        self.rang_at = rang_at
        self.gave_up = False
        """``DialEnd`` said NOANSWER; why, only the leg's ``Hangup`` knows."""


class Talk:
    """One agent and the caller, connected. Its length is the time in a bridge with somebody (asterisk.md 2.3 G)."""

    __slots__ = ("bridged_since", "channel", "queue", "started_at", "talked")

    def __init__(self, channel: str, queue: str, started_at: float) -> None:
        self.channel = channel
        self.queue = queue
        self.started_at = started_at
        self.bridged_since = 0.0
        self.talked = 0.0


class Conversation:
    """One caller's journey."""

    __slots__ = (
        "answered_by",
        "attempts",
        "channels",
        "direct",
        "id",
        "inbound",
        "opened",
        "opened_at",
        "queue",
        "queue_seen",
        "stint",
        "talks",
    )

    def __init__(self, id_: str) -> None:
        self.id = id_
        self.opened = False
        """True when the world was told of it; a conversation first seen at an agent's leg waits for its caller."""
        self.inbound = True
        self.opened_at = 0.0
        self.channels: set[str] = set()
        self.queue = ""
        """The queue whose application the caller was found in by a resync; who talks to them does so for that queue."""
        self.direct = ""
        """The queue for which one agent is tried before the caller joins it."""
        self.stint: Stint | None = None
        self.attempts: dict[str, Attempt] = {}
        self.talks: dict[str, Talk] = {}
        self.answered_by = ""
        """The interface that has picked up while the queue has not yet said so."""
        self.queue_seen = 0
        """The resync generation in which an event last said whether it waits."""

    def party(self, channel: Channel) -> str:
        """The interface as which the channel takes part: a member may be ``Local/…`` while it is a phone that talks."""
        for parts in (self.talks, self.attempts):
            for interface, part in parts.items():
                if part.channel == channel.uniqueid:
                    return interface
        return channel.interface


class Member:
    """One queue member, as Asterisk last told."""

    __slots__ = ("paused", "reason", "seen", "status")

    def __init__(self) -> None:
        self.paused = False
        self.reason = ""
        self.status = -1
        self.seen = 0


def interface_of(channel_name: str) -> str:
    """``PJSIP/agent7-0000002a`` is a call of ``PJSIP/agent7``."""
    head, dash, _ = channel_name.rpartition("-")
    return head if dash else channel_name


def number_of(text: str) -> float:
    """A number that can be reckoned with; 0 for what is none, infinities and absurdities included."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if abs(number) < 1e11 else 0.0


_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def unescaped(text: str) -> str:
    """A name as it was before Asterisk escaped it like C (asterisk.md 1.4); control characters become blanks."""
    return _ESCAPED.sub(lambda found: found[1] if found[1] in "\\\"'?" else " ", text)


def variable_of(event: AmiEvent, header: str, name: str) -> str:
    """One channel variable of one snapshot in an event; ``header`` is ``ChanVariable``, ``DestChanVariable``, …"""
    prefix = f"{name}="
    first = event.get(header)
    if first.startswith(prefix):  # as a rule: ours is the first of ``channelvars``, and this is one search of the bytes
        return first[len(prefix) :]
    for item in event.get_all(header):
        if item.startswith(prefix):
            return item[len(prefix) :]
    return ""
