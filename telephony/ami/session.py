"""One AMI connection without I/O: bytes in, happenings out, bytes to send out; the time is an argument.

States: BANNER -> CHALLENGE -> LOGIN -> READY, and FAILED from everywhere. (A plain log-in skips CHALLENGE.) A state
is left for the next one when its answer came; any other answer fails the session. Nothing but the log-in is sent
before READY. The session never raises on input: it keeps the reason in ``failure`` and wants to be closed.

``now`` is any clock that never runs backwards, in seconds.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from asterisk.ami import Action, SimpleAction

from telephony.ami.codec import Event, FrameDecoder, Limits, Response, encode, to_bytes
from telephony.ami.errors import AmiError, AuthFailed, NotReady, ProtocolError, TooOld

MINIMUM_AMI = (9, 0, 0)
"""The AMI version of Asterisk 20, the oldest one with support."""
MINIMUM_RELEASES = {20: (20, 20, 1), 22: (22, 10, 1)}
"""The security releases of June 2026; older ones of the same series have known holes in the manager interface."""

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


class State(Enum):
    """Where a session stands."""

    BANNER = "banner"
    CHALLENGE = "challenge"
    LOGIN = "login"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer. ``items``: the list's events, without the closing one. ``raw``: every frame of it.

    ``flaw``: why the list is not whole, in words that go on "Asterisk's list is"; empty when it is, or is no list.
    """

    action_id: str
    response: Response
    items: tuple[Event, ...]
    raw: bytes
    flaw: str = ""

    @property
    def is_list(self) -> bool:
        """Whether Asterisk answered with a list, be it an empty one, and not with a plain yes or no."""
        return self.response.get("EventList").lower() == "start"


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The session is READY. ``version``: AMI's, as the banner tells it."""

    version: str


@dataclass(frozen=True, slots=True)
class Replied:
    """An action's answer is complete; ``seconds`` after it was queued."""

    reply: Reply
    seconds: float


@dataclass(frozen=True, slots=True)
class Ponged:
    """The answer to our ping came, ``seconds`` after it was queued."""

    seconds: float


@dataclass(frozen=True, slots=True)
class EventsArrived:
    """Events that answer no action of this session, in order: at least one."""

    events: list[Event]


Happening = LoggedIn | Replied | Ponged | EventsArrived


@dataclass(slots=True)
class _Pending:
    name: str
    since: float
    response: Response | None = None
    items: list[Event] = field(default_factory=list)


class Session:
    """The conversation with one manager of Asterisk.

    ``events``: the mask to log in with (``on``, ``off``, or classes). ``prefix``: begins every ActionID; two sessions
    with one Asterisk need two. ``decoder``: its counters are the session's. ``unmatched`` counts answers to no
    question: Asterisk could not parse an action, or its answer came after ``forget``.
    """

    def __init__(
        self,
        username: str,
        secret: str,
        *,
        events: str,
        prefix: str,
        login: Literal["md5", "plain"] = "md5",
        ping_interval: float = 5.0,
        ping_timeout: float = 5.0,
        limits: Limits | None = None,
    ) -> None:
        self.state = State.BANNER
        self.failure: AmiError | None = None
        self.unmatched = 0
        self.decoder = FrameDecoder(limits)
        self._username = username
        self._secret = secret
        self._events = events
        self._prefix = prefix
        self._login = login
        self._ping_interval = ping_interval
        self._ping_timeout = ping_timeout
        self._outgoing: list[bytes] = []
        self._pending: dict[str, _Pending] = {}
        self._lists = 0
        self._count = 0
        self._heard = 0.0
        self._pinged: float | None = None
        self._ping_due = 0.0

    def receive(self, data: bytes, now: float) -> list[Happening]:
        """Take what came in. Look at ``failure`` and ``data_to_send`` afterwards."""
        if self.state is State.FAILED:
            return []
        self._heard = now
        happenings: list[Happening] = []
        messages = self.decoder.feed(data)
        if self.state is State.BANNER and self.decoder.banner is not None:
            self._greet(self.decoder.banner, now)
        events: list[Event] = []
        for message in messages:
            if isinstance(message, Event):
                if self.state is State.READY and not (self._lists and self._collected(message, now, happenings)):
                    events.append(message)
            else:
                # Order counts: what came before an answer is told before it.
                if events:
                    happenings.append(EventsArrived(events))
                    events = []
                self._answer(message, now, happenings)
        if events:
            happenings.append(EventsArrived(events))
        if self.decoder.failure is not None:
            self._fail(self.decoder.failure)
        elif self.state is State.BANNER and (messages or self.decoder.malformed):
            self._fail(ProtocolError("no_banner", "the server does not greet like an Asterisk; check host and port"))
        return happenings

    def request(self, action: Action, now: float, action_id: str | None = None) -> str:
        """Queue an action and return its ActionID: the given one, else one of our own.

        Raises ``NotReady`` unless READY or when that ActionID still waits for its answer, ``EncodeError``.
        """
        if self.state is not State.READY:
            raise NotReady("not logged in to Asterisk; nothing was sent")
        return self._queue(action, now, action_id)

    def forget(self, action_id: str) -> None:
        """Nobody waits for this answer any more; it will be counted as unmatched when it comes."""
        pending = self._pending.pop(action_id, None)
        if pending is not None and pending.response is not None:
            self._lists -= 1

    def data_to_send(self) -> bytes:
        """What is to be written now, given once."""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def tick(self, now: float) -> float:
        """Ping if it is time to, fail if an answer is overdue; returns when to call again at the latest.

        A ping is overdue after ``ping_timeout`` seconds of silence. A session that is busy with a long list answers
        late but not in silence; six times that long is too long even then.
        """
        if self.state is not State.READY:
            return now + self._ping_interval
        if self._pinged is None:
            if now < self._ping_due:
                return self._ping_due
            self._pinged = now
            self._queue(SimpleAction("Ping"), now, f"{self._prefix}-ping")
        overdue = min(max(self._pinged, self._heard) + self._ping_timeout, self._pinged + 6 * self._ping_timeout)
        if now >= overdue:
            waited = now - self._pinged
            self._fail(ProtocolError("ping_overdue", f"Asterisk did not answer a ping for {waited:.1f} s"))
        return overdue

    def _greet(self, version: str, now: float) -> None:
        numbers = parse_version(version)
        if numbers is None:
            self._fail(ProtocolError("no_banner", "the server greets without a version; check host and port"))
        elif numbers < MINIMUM_AMI:
            self._fail(
                TooOld(
                    f"Asterisk's manager interface is version {numbers_text(numbers)}; Callfloor needs Asterisk 20 "
                    f"({numbers_text(MINIMUM_AMI)}) or newer: upgrade Asterisk"
                )
            )
        elif self._login == "md5":
            self.state = State.CHALLENGE
            self._queue(SimpleAction("Challenge", AuthType="MD5"), now, None)
        else:
            self._send_login({"Secret": self._secret}, now)

    def _send_login(self, proof: dict[str, str], now: float) -> None:
        self.state = State.LOGIN
        action = Action("Login", {"Username": self._username, **proof, "Events": self._events})
        try:
            self._queue(action, now, None)
        except AmiError:
            # The reason would name the value, and the value is a secret.
            self._fail(AuthFailed("ami.username or ami.secret cannot be sent: it has a line end, or is too long"))

    def _queue(self, action: Action, now: float, action_id: str | None) -> str:
        if action_id is None:
            self._count += 1
            action_id = f"{self._prefix}-{self._count}"
        if action_id in self._pending:
            raise NotReady(f"ActionID {action_id} is still waiting for an answer; choose another")
        self._outgoing.append(encode(action, action_id))
        self._pending[action_id] = _Pending(action.name, now)
        return action_id

    def _answer(self, response: Response, now: float, happenings: list[Happening]) -> None:
        action_id = response.get("ActionID")
        pending = self._pending.get(action_id)
        if pending is None or pending.response is not None:
            self.unmatched += 1
            return
        if response.get("EventList").lower() == "start" and not response.is_error():
            pending.response = response
            self._lists += 1
            return
        del self._pending[action_id]
        if self.state is State.READY:
            if action_id == f"{self._prefix}-ping":
                self._ping_answered(response, pending, now, happenings)
            else:
                reply = Reply(action_id, response, (), to_bytes([response]))
                happenings.append(Replied(reply, now - pending.since))
        elif response.is_error():
            self._refused(response.get("Message"))
        elif self.state is State.CHALLENGE:
            key = hashlib.md5(
                (response.get("Challenge") + self._secret).encode("utf-8", "surrogateescape"), usedforsecurity=False
            ).hexdigest()
            self._send_login({"AuthType": "MD5", "Key": key}, now)
        elif self.state is State.LOGIN:
            self.state = State.READY
            self._ping_due = now + self._ping_interval
            happenings.append(LoggedIn(self.decoder.banner or ""))

    def _refused(self, message: str) -> None:
        if "shutting down" in message.lower():
            self._fail(NotReady("Asterisk is shutting down"))
        else:
            self._fail(
                AuthFailed(
                    f"Asterisk refused the log-in of AMI user {self._username!r} ({message or 'no reason given'}): "
                    "check ami.username and ami.secret here, secret, permit and deny in Asterisk's manager.conf"
                )
            )

    def _ping_answered(self, response: Response, pending: _Pending, now: float, happenings: list[Happening]) -> None:
        self._pinged = None
        self._ping_due = pending.since + self._ping_interval
        if response.is_error():
            # "Asterisk is shutting down" is the only error of a Ping.
            self._fail(NotReady(f"Asterisk answered a ping with: {response.get('Message')}"))
        else:
            happenings.append(Ponged(now - pending.since))

    def _collected(self, event: Event, now: float, happenings: list[Happening]) -> bool:
        """Whether the event is an item of a list we asked for; completes the list with its last one."""
        action_id = event.get("ActionID")
        pending = self._pending.get(action_id) if action_id else None
        if pending is None or pending.response is None:
            return False
        if event.get("EventList").lower() in ("complete", "cancelled"):
            del self._pending[action_id]
            self._lists -= 1
            raw = to_bytes([pending.response, *pending.items, event])
            reply = Reply(action_id, pending.response, tuple(pending.items), raw, _flaw(event, len(pending.items)))
            happenings.append(Replied(reply, now - pending.since))
        elif len(pending.items) >= self.decoder.limits.items:
            cap = self.decoder.limits.items
            self._fail(ProtocolError("list_too_long", f"{pending.name} gave more than {cap} items"))
        else:
            pending.items.append(event)
        return True

    def _fail(self, reason: AmiError) -> None:
        if self.state is not State.FAILED:
            self.state = State.FAILED
            self.failure = reason
            self._outgoing.clear()


def _flaw(closing: Event, items: int) -> str:
    """What is wrong with a list that ends with this event after so many items."""
    if closing.get("EventList").lower() == "cancelled":
        return f"cut short after {items} items"
    said = closing.get("ListItems")
    if said and said != str(items):
        return f"not whole: {items} items came where it counts {said[:20]!r}"
    return ""


def parse_version(text: str) -> tuple[int, int, int] | None:
    """The numbers of a version such as ``11.0.0`` or ``22.10.1~dfsg+1``; None if it has none (a git build)."""
    found = _VERSION.match(text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def numbers_text(numbers: tuple[int, ...]) -> str:
    """``(22, 10, 1)`` as ``22.10.1``."""
    return ".".join(map(str, numbers))


def release_problem(release: str) -> str | None:
    """Why this release of Asterisk (from ``CoreSettings``) should not be used, or None. Unknown series pass."""
    numbers = parse_version(release)
    if numbers is None:
        return None
    if numbers[0] < min(MINIMUM_RELEASES):
        return f"Asterisk {release} has no support any more: upgrade to 22"
    minimum = MINIMUM_RELEASES.get(numbers[0])
    if minimum is not None and numbers < minimum:
        return f"Asterisk {release} has known security holes: upgrade to {numbers_text(minimum)} or newer"
    return None
