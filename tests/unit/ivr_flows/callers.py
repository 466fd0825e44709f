"""People on the line and the office behind it, for tests of the shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ivr_flows.phrases import Phrase
from ivr_flows.ports import CallerGone, Finding, Question, Standing


@dataclass
class Script:
    """A caller who does what is written down, and whose line breaks where it is written."""

    plays: list[str] = field(default_factory=list)
    collects: list[str] = field(default_factory=list)
    records: int = 7
    break_at: int = 1000
    error: type[Exception] = CallerGone
    breaks_once: bool = False
    """Only that act fails; the line holds."""
    heard: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    checkpoints: list[str] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    events: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    asked: list[tuple[int, float, bool, str]] = field(default_factory=list)
    recorded: list[tuple[str, int, int]] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)
    hung_up: bool = False

    def _act(self, name: str) -> None:
        self.acts.append(name)
        if len(self.acts) == self.break_at + 1 or (len(self.acts) > self.break_at and not self.breaks_once):
            raise self.error

    async def play(self, sounds: Sequence[str], interrupt: str = "") -> str:
        self._act("play")
        self.heard += sounds
        return self.plays.pop(0) if self.plays and interrupt else ""

    async def collect(
        self, sounds: Sequence[str], most: int, seconds: float, secure: bool = False, stop: str = ""
    ) -> str:
        self._act("collect in secret" if secure else "collect")
        self.heard += sounds
        self.asked.append((most, seconds, secure, stop))
        return self.collects.pop(0) if self.collects else ""

    async def record(self, place: str, longest: int, silence: int) -> int:
        self._act("record")
        self.recorded.append((place, longest, silence))
        return self.records

    async def set_variables(self, values: Mapping[str, str]) -> None:
        self._act("set " + ",".join(name.removeprefix("CALLFLOOR_") for name in values))
        if values.get("CALLFLOOR_CHECKPOINT"):
            self.checkpoints.append(values["CALLFLOOR_CHECKPOINT"])
        self.variables |= values

    async def set_language(self, language: str) -> None:
        self._act("language")
        self.languages.append(language)

    async def tell(self, event: str, values: Mapping[str, str]) -> None:
        self._act(f"tell {event} {values.get('State', '')}".strip())
        self.events.append((event, dict(values)))

    async def hang_up(self) -> None:
        self._act("hang up")
        self.hung_up = True


Reply: TypeAlias = Finding | Exception | Callable[[Question], Finding]


@dataclass
class Desk:
    """An office that answers each kind of question in one way, and notes what it was asked."""

    replies: Mapping[type, Reply] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    standings: list[Standing] = field(default_factory=list)

    async def answer(self, standing: Standing, question: Question) -> Finding:
        self.questions.append(question)
        self.standings.append(standing)
        reply = self.replies.get(type(question), Finding("none"))
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, Finding) else reply(question)


def name(phrase: Phrase) -> str:
    """The sound of a phrase."""
    return f"/s/{phrase.language}/{phrase.text}"
