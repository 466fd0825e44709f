"""What came of a simulated call: its transcript, and how it compares with what was expected. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ivr_flows import ports
from ivr_flows.ports import Question, Route
from ivr_flows.scripts import Ahead, Expect, HangUpAt, Press, Speak, Step, Type
from ivr_flows.state import Outcome, Trail
from ivr_flows.yaml_text import Path

Who: TypeAlias = Literal["flow", "caller", "office", "queue"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a transcript."""

    who: Who
    node: str
    text: str
    """What was said, pressed or answered; secure keys as dots."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that did not come out as the script has it."""

    path: Path
    """Where in the script."""
    message: str


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one caller."""

    outcome: Outcome
    """In the end; path and trail are those of the whole call, queues that were left included."""
    lines: tuple[Line, ...]
    asked: tuple[Question, ...] = field(repr=False)
    """What the office was asked."""
    routes: tuple[Route, ...]
    """Every queue or transfer the caller came to."""
    failures: tuple[Failure, ...]
    """Expectations that were not met, and steps that fitted no question or were left over."""
    fault: str = ""
    """The flow's own: it ran into its limit, or a node failed that nobody had made fail. Empty: none."""

    @property
    def said(self) -> str:
        """All that was said, one text per line, gaps filled."""
        return "\n".join(line.text for line in self.lines if line.who == "flow")

    @property
    def path(self) -> tuple[str, ...]:
        return self.outcome.path

    @property
    def trail(self) -> Trail:
        return self.outcome.trail

    @property
    def ended(self) -> str:
        return self.outcome.ended

    @property
    def route(self) -> str:
        """The queue in the end; empty: none."""
        return self.outcome.route.queue if self.outcome.route is not None else ""

    @property
    def requests(self) -> tuple[ports.FileRequest, ...]:
        """What was filed, or tried to be."""
        return tuple(question for question in self.asked if isinstance(question, ports.FileRequest))

    @property
    def messages(self) -> tuple[ports.KeepMessage, ...]:
        """The voice messages that were left."""
        return tuple(question for question in self.asked if isinstance(question, ports.KeepMessage))

    def ending(self) -> str:
        """How it ended, in words."""
        route = self.outcome.route
        if route is None:
            return {"gone": "the caller hung up", "hung_up": "the flow hung up"}.get(self.ended, self.ended)
        where = f"transfer {route.transfer}" if route.transfer else f"queue {route.queue}"
        why = f", {self.ended}: {self.outcome.error}" if self.ended in ("limit", "error") else ""
        return f"{where} (priority {route.priority}{why})"

    def transcript(self) -> str:
        """The call as people read it."""
        width = max((len(line.node) for line in self.lines), default=0)
        lines = [f"{line.node:<{width}}  {_VERB[line.who]} {line.text}" for line in self.lines]
        return "\n".join([*lines, f"{'':<{width}}  = {self.ending()}"])


_VERB: Mapping[Who, str] = {"flow": "»", "caller": "<", "office": "?", "queue": "~"}


def in_words(step: Step) -> str:
    """A step as a script has it."""
    match step:
        case Press():
            return f"press {step.press}"
        case Type():
            return f"type {step.type}"
        case Ahead():
            return f"ahead {step.ahead}"
        case Speak():
            return f"speak {step.speak}"
        case HangUpAt():
            return f"hangup {step.hangup}"
        case _:
            return step


def unmet(expect: Expect, run: Run) -> list[Failure]:
    """Which expectations a run does not meet."""
    outcome = run.outcome
    route = outcome.route
    found = {
        "route": route.queue if route is not None and not route.transfer else "",
        "transfer": route.transfer if route is not None else "",
        "priority": route.priority if route is not None else None,
        "ended": outcome.ended,
        "language": outcome.language,
        "level": outcome.level,
    }
    found_otherwise = [
        Failure(("expect", name), f"{name} is {had or 'none'}, not {wanted}")
        for name, had in found.items()
        if (wanted := getattr(expect, name)) is not None and wanted != had
    ]
    rest = iter(outcome.path)
    for index, node in enumerate(expect.path or ()):
        if node not in rest:
            way = " > ".join(outcome.path)
            found_otherwise.append(
                Failure(("expect", "path", str(index)), f"did not come to {node} (in this order): {way}")
            )
            break
    said = " ".join(run.said.split())
    for index, text in enumerate(expect.said or ()):
        if " ".join(text.split()) not in said:
            found_otherwise.append(Failure(("expect", "said", str(index)), f"was not said: {text}"))
    if expect.request is not None and not any(
        filed.kind == expect.request.kind and expect.request.fields.items() <= filed.fields.items()
        for filed in run.requests
    ):
        had = "; ".join(f"{filed.kind} {dict(filed.fields)}" for filed in run.requests) or "none"
        found_otherwise.append(Failure(("expect", "request"), f"no such request was filed, but: {had}"))
    return found_otherwise
