"""What became of a conversation: happenings folded into one record. Pure.

The same fold serves the call records on disk, the replay of a journal, and the tests.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from crm_bridge.numbers import is_withheld
from telephony.conversations.events import (
    AgentRinging,
    CallerIdentified,
    ConversationEnded,
    ConversationOpened,
    FlowLeft,
    Happening,
    HoldEnded,
    HoldStarted,
    Merged,
    QueueJoined,
    QueueLeft,
    RingEnded,
    TalkEnded,
    TalkStarted,
    Transferred,
)


@dataclass(slots=True)
class StintRecord:
    queue: str
    joined_at: float
    end: str = ""
    waited: float = 0.0


@dataclass(slots=True)
class RingRecord:
    interface: str
    queue: str
    rang_at: float
    end: str = ""
    rang: float = 0.0


@dataclass(slots=True)
class TalkRecord:
    interface: str
    queue: str
    answered_at: float
    ended_at: float | None = None
    talked: float = 0.0
    held: float = 0.0
    holds: int = 0


@dataclass(slots=True)
class TransferRecord:
    at: float
    kind: str
    by: str
    to: str


@dataclass(slots=True)
class History:
    """One conversation from its beginning to its end, or to now."""

    conversation: str
    opened_at: float
    number: str = ""
    name: str = ""
    presentation: str = ""
    dialled: str = ""
    inbound: bool = True
    customer: str = ""
    certainty: str = ""
    reason: str = ""
    path: tuple[str, ...] = ()
    language: str = ""
    stints: list[StintRecord] = field(default_factory=list)
    rings: list[RingRecord] = field(default_factory=list)
    talks: list[TalkRecord] = field(default_factory=list)
    transfers: list[TransferRecord] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)
    ended_at: float | None = None
    cause: str = ""
    lost: bool = False

    @property
    def outcome(self) -> str:
        """In one word: ``answered``, how the last stay in a queue ended, ``in_ivr``, or ``live``."""
        if self.talks:
            return "answered"
        if self.stints and self.stints[-1].end:
            return self.stints[-1].end
        if self.stints:
            return "waiting"
        return "in_ivr" if self.ended_at is not None else "live"

    @property
    def withheld(self) -> bool:
        """Whether number and name may not be shown: Asterisk tells them all the same."""
        return is_withheld(self.presentation)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON. Number and name of a caller who withheld them are empty."""
        unseen = {"number": "", "name": ""} if self.withheld else {}
        return {**asdict(self), **unseen, "outcome": self.outcome}


class Histories:
    """The histories of all live conversations; ended ones are handed out once and forgotten."""

    def __init__(self) -> None:
        self.live: dict[str, History] = {}

    def apply(self, happening: Happening) -> History | None:
        """Fold one happening in; return the history it changed, if it was about a conversation."""
        match happening:
            case ConversationOpened():
                history = self.live[happening.conversation] = History(
                    happening.conversation,
                    happening.at,
                    happening.number,
                    happening.name,
                    happening.presentation,
                    happening.dialled,
                    happening.inbound,
                )
                return history
            case Merged():
                kept = self.live.get(happening.conversation)
                folded = self.live.pop(happening.folded, None)
                if kept is not None and folded is not None:
                    kept.folded.append(folded.conversation)
                    kept.transfers.extend(folded.transfers)
                return kept
            case ConversationEnded():
                ended = self.live.pop(happening.conversation, None)
                if ended is not None:
                    ended.ended_at, ended.cause, ended.lost = happening.at, happening.cause, happening.lost
                return ended
        subject = self.live.get(getattr(happening, "conversation", ""))
        if subject is not None:
            _fold(subject, happening)
        return subject


def _fold(history: History, happening: Happening) -> None:
    match happening:
        case CallerIdentified():
            history.customer = happening.customer
            history.certainty = happening.certainty
            history.reason = happening.reason
        case FlowLeft():
            history.path, history.language = happening.path, happening.language
        case QueueJoined():
            history.stints.append(StintRecord(happening.queue, happening.at))
        case QueueLeft():
            for stint in reversed(history.stints):
                if stint.queue == happening.queue and not stint.end:
                    stint.end, stint.waited = str(happening.end), happening.waited
                    break
        case AgentRinging():
            history.rings.append(RingRecord(happening.interface, happening.queue, happening.at))
        case RingEnded():
            for ring in reversed(history.rings):
                if ring.interface == happening.interface and not ring.end:
                    ring.end, ring.rang = str(happening.end), happening.rang
                    break
        case TalkStarted():
            history.talks.append(TalkRecord(happening.interface, happening.queue, happening.at))
        case TalkEnded():
            talk = _open_talk(history, happening.interface)
            if talk is not None:
                # What was talked before a restart of ours is in it already.
                talk.ended_at, talk.talked = happening.at, talk.talked + happening.talked
        case HoldStarted():
            talk = _open_talk(history, happening.interface)
            if talk is not None:
                talk.holds += 1
        case HoldEnded():
            talk = _open_talk(history, happening.interface)
            if talk is not None:
                talk.held += happening.held
        case Transferred():
            history.transfers.append(TransferRecord(happening.at, happening.kind, happening.by, happening.to))
        case _:
            pass


def _open_talk(history: History, interface: str) -> TalkRecord | None:
    return next(
        (talk for talk in reversed(history.talks) if talk.interface == interface and talk.ended_at is None), None
    )
