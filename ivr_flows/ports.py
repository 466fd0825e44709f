"""What a flow asks of the world: a caller to talk to, and an office that knows customers and takes orders.

Everything the office is asked is a ``Question``; every answer is a ``Finding``: the branch the flow takes, and the
values it may use from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

Value: TypeAlias = str | int | bool
"""What a flow can calculate with."""
Level = Literal["none", "number", "pin"]
"""What the caller has proven: nothing (a caller ID proves nothing), the customer number, or number and PIN."""


UNMEASURED = -1
"""Seconds of a message whose caller hung up; its file tells."""


class OfficeUnable(Exception):
    """What the office needs for its answer does not work just now; the reason is known, and no fault of ours."""


class CallerGone(Exception):
    """The caller hung up; the flow is over."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known when the flow begins."""

    conversation: str
    number: str
    """Raw, as it came in; hostile."""
    name: str
    presentation: str
    """``allowed…``, ``prohib…``, ``unavailable`` or empty."""
    dialled: str
    language: str
    checkpoint: str = ""
    """What an earlier run left behind when its server died, or before a queue; empty at a fresh start."""
    left_queue: str = ""
    """How the caller came back from a queue: Asterisk's ``QUEUESTATUS``, or ``KEY-1``; empty when that is not so."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """Who the caller is, as far as the office can tell."""

    certainty: str
    """``certain``, ``likely``, ``shared``, ``none`` or ``withheld``."""
    reason: str
    customer: str = ""
    """The customer's id; empty when not known."""
    name: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Preferred:
    """An agent who is tried first. ``agent``: log-in; empty: who talked to this customer last."""

    agent: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Route:
    """Where the caller goes next: a queue, or one of the settings' transfers."""

    queue: str
    priority: int = 0
    language: str = "de"
    transfer: str = ""
    """The name of a transfer; ``queue`` is then where the caller goes if nobody answers there."""
    wait: int = 0
    """Seconds to wait at most; 0: the queue's own limit."""
    penalties: tuple[int, int] | None = None
    """Only members with a penalty from the first to the second are rung."""
    preferred: Preferred | None = None
    returns: bool = False
    """Whether the flow goes on when the caller leaves the queue without an agent."""


# --- what the office is asked ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WhoCalls:
    """Look the caller up by number. Branch ``known``, ``shared``, ``withheld`` or ``unknown``; with a recognition."""


@dataclass(frozen=True, slots=True)
class WhoHasNumber:
    """Look a customer number up. Branch ``known`` or ``unknown``; with a recognition."""

    digits: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class IsPinRight:
    """Branch ``right``, ``wrong``, ``locked`` or ``none`` (this customer has no PIN); with a recognition if right."""

    customer: str
    pin: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LookUp:
    """Branch ``next`` with values, ``none``, or ``refused`` where the level does not allow it."""

    what: str
    arguments: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class FileRequest:
    """Something the customer wants done. Branch ``next`` with ``reference``, or ``refused``."""

    kind: str
    fields: Mapping[str, Value] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AreWeOpen:
    """Branch ``open``, ``closed``, ``holiday`` or ``emergency``; with ``reason``, ``opens_on`` and ``opens_at``."""

    hours: str


@dataclass(frozen=True, slots=True)
class PromiseCallBack:
    """Branch ``next``, ``already`` or ``refused``. ``number``: empty means the caller's own."""

    queue: str
    number: str = field(repr=False)
    language: str = ""


@dataclass(frozen=True, slots=True)
class OpenMessage:
    """A place for a voice message. Branch ``next`` with ``place`` (a path), or ``refused``: no such recipient."""

    kind: str
    recipient: str


@dataclass(frozen=True, slots=True)
class KeepMessage:
    """The message at ``place`` was left. Branch ``next``."""

    kind: str
    recipient: str
    place: str
    seconds: int


@dataclass(frozen=True, slots=True)
class CallHttp:
    """Call a web service. Branch ``next`` with the values named in ``take``, or ``timeout``."""

    url: str
    method: str
    body: Mapping[str, Value]
    take: tuple[str, ...]
    seconds: int


Question: TypeAlias = (
    WhoCalls
    | WhoHasNumber
    | IsPinRight
    | LookUp
    | FileRequest
    | AreWeOpen
    | PromiseCallBack
    | OpenMessage
    | KeepMessage
    | CallHttp
)


@dataclass(frozen=True, slots=True)
class Finding:
    """The office's answer."""

    branch: str
    values: Mapping[str, Value] = field(default_factory=dict)
    recognition: Recognition | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the office needs to know of a caller to answer."""

    facts: CallFacts
    recognition: Recognition | None
    level: Level
    language: str
    node: str


class Office(Protocol):
    """The house behind the flow. What it raises counts as a failure of the node, which takes its ``error`` branch."""

    async def answer(self, standing: Standing, question: Question) -> Finding: ...


class Caller(Protocol):
    """The person on the line. Every method raises ``CallerGone`` after a hang-up."""

    async def play(self, sounds: Sequence[str], interrupt: str = "") -> str:
        """Play sound files (absolute, without extension); return the digit that interrupted, or an empty string."""
        ...

    async def collect(
        self, sounds: Sequence[str], most: int, seconds: float, secure: bool = False, stop: str = ""
    ) -> str:
        """Play, then read up to ``most`` digits; typing during the prompt counts; ``#`` ends it.

        ``seconds`` is the longest silence before a digit. A first key that is in ``stop`` ends the input at once and
        is what is returned. What was ``secure`` shows up in no log.
        """
        ...

    async def record(self, place: str, longest: int, silence: int) -> int:
        """Record what the caller says into ``place`` (a path without extension); return its whole seconds.

        It ends with any key, after ``longest`` seconds, or after ``silence`` seconds of silence.
        """
        ...

    async def set_variables(self, values: Mapping[str, str]) -> None: ...

    async def set_language(self, language: str) -> None: ...

    async def tell(self, event: str, values: Mapping[str, str]) -> None:
        """Emit a user event, so that everyone who reads AMI knows."""
        ...

    async def hang_up(self) -> None:
        """End the call."""
        ...
