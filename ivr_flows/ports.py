"""What a flow asks of the world: a caller to talk to, and a directory that knows customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


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
    """What an earlier run left behind when its server died; empty at a fresh start."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """Who the caller is, as far as the directory can tell."""

    certainty: str
    """``certain``, ``likely``, ``shared``, ``none`` or ``withheld``."""
    reason: str
    customer: str = ""
    """The customer's id; empty when not known."""
    name: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """Where the caller goes next."""

    queue: str
    priority: int = 0
    language: str = "de"


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

    async def set_variables(self, values: Mapping[str, str]) -> None: ...

    async def set_language(self, language: str) -> None: ...

    async def tell(self, event: str, values: Mapping[str, str]) -> None:
        """Emit a user event, so that everyone who reads AMI knows."""
        ...

    async def hang_up(self) -> None:
        """End the call."""
        ...


class Directory(Protocol):
    """Who knows customers. Never raises: what cannot be found out is certainty ``none``."""

    async def recognise(self, facts: CallFacts) -> Recognition: ...

    async def by_customer_number(self, facts: CallFacts, digits: str) -> Recognition: ...
