"""What the engine is made of: where a caller is, what is to be done next, and what came of it. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ivr_flows.phrases import Phrase
from ivr_flows.ports import CallFacts, Finding, Level, Question, Recognition, Route, Standing, Value

STAY = "@"
"""In place of a branch: the node goes on where it is."""

Ended = Literal["routed", "hung_up", "limit", "error", "gone"]
Trail: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a flow ended for one caller."""

    route: Route | None
    """Where the caller goes; none when the call is over."""
    path: tuple[str, ...]
    """The nodes the caller came through, in order."""
    language: str
    recognition: Recognition | None
    ended: Ended
    """``limit`` and ``error``: the flow did not get to its end, and the default route was taken."""
    error: str = ""
    """What went wrong last, if anything did; without personal data."""
    level: Level = "none"
    trail: Trail = ()
    """Each node that was left, and by which branch."""


@dataclass(frozen=True, slots=True)
class Play:
    """Say it. Answer: ``Played``."""

    phrases: tuple[Phrase, ...]
    interrupt: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """Say it and read keys. Answer: ``Typed``."""

    phrases: tuple[Phrase, ...]
    most: int
    seconds: int
    stop: str
    """A first key among these ends the input at once."""
    typed: str = field(repr=False)
    """What was typed ahead already, to be put in front; nothing is said then."""
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """Say it, then record what the caller says. Answer: ``Recorded``."""

    phrases: tuple[Phrase, ...]
    place: str
    longest: int
    silence: int


@dataclass(frozen=True, slots=True)
class Consult:
    """Ask the office. Answer: ``Consulted``."""

    question: Question
    standing: Standing


@dataclass(frozen=True, slots=True)
class SetLanguage:
    """Speak this language from now on. Answer: ``Done``."""

    language: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The end."""

    outcome: Outcome


Command: TypeAlias = Play | Ask | Record | Consult | SetLanguage | Finish


@dataclass(frozen=True, slots=True)
class Played:
    """It was said; ``digit`` interrupted it, or is empty."""

    digit: str = ""


@dataclass(frozen=True, slots=True)
class Typed:
    """Keys, without the ``#`` that ended them; empty: silence, or ``#`` alone."""

    digits: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Recorded:
    """It was recorded; 0 whole seconds: nothing was said."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Consulted:
    """What the office found."""

    finding: Finding


@dataclass(frozen=True, slots=True)
class Done:
    """It is done."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It could not be done; the node's ``error`` branch is next. ``reason`` holds no personal data."""

    reason: str


Answer: TypeAlias = Played | Typed | Recorded | Consulted | Done | Failed


@dataclass(frozen=True, slots=True)
class State:
    """Where one caller is in a flow."""

    facts: CallFacts
    language: str
    node: str = ""
    phase: str = ""
    """Which step of a node that has several; empty: the first."""
    tries: int = 0
    """Wrong answers in this node."""
    silences: int = 0
    """Silences in this node."""
    wrong: bool = False
    """The last answer was wrong, and that has to be said before asking again."""
    pending: str | None = None
    """The branch to leave by once the language is set; ``STAY``: none."""
    typed: str = field(default="", repr=False)
    """One key that was pressed ahead of its question."""
    recognition: Recognition | None = None
    level: Level = "none"
    values: Mapping[str, Value] = field(default_factory=dict)
    results: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    """What look-ups brought, by name. Not kept in checkpoints: who resumes asks again."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """The node that each of the results came from."""
    redo: tuple[str, ...] = ()
    """Nodes whose look-ups are to be asked again before the caller goes on."""
    vault: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What was collected ``secure``."""
    anchor: str = ""
    """The node that began to fill the vault: who resumes begins there, because the vault is lost."""
    place: str = ""
    """Where the voice message that is being left goes."""
    visits: Mapping[str, int] = field(default_factory=dict)
    """Only of nodes that limit them."""
    path: tuple[str, ...] = ()
    trail: Trail = ()
    steps: int = 0
    gone: bool = False
    """The caller has hung up: only nodes that need no caller are done."""
    error: str = ""

    @property
    def proven(self) -> bool:
        """The caller gave a customer number that is right."""
        return self.level != "none"


Next: TypeAlias = tuple[State, Command]
