"""A scripted caller goes through a flow, without Asterisk. Pure: the same flow and script, the same run.

    run = simulate(flow, script)

It does what ``runner`` and the dialplan do: keys that a question leaves over count at the next one, a caller who comes
back from a queue comes back by the checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ivr_flows import engine
from ivr_flows.branches import WITH_CALLER
from ivr_flows.canned_office import CannedOffice
from ivr_flows.checkpoint import checkpoint, resume
from ivr_flows.phrases import Phrase
from ivr_flows.ports import CallFacts, Route
from ivr_flows.runs import Failure, Line, Run, Who, in_words, unmet
from ivr_flows.schema import Flow
from ivr_flows.scripts import KINDS, Ahead, HangUpAt, Press, Script, Speak, Step, Type
from ivr_flows.state import (
    Answer,
    Ask,
    Command,
    Consult,
    Consulted,
    Done,
    Failed,
    Finish,
    Next,
    Outcome,
    Play,
    Played,
    Record,
    Recorded,
    SetLanguage,
    State,
    Trail,
    Typed,
)

MAX_TURNS = 10_000
"""More than any flow within its limits can take: 150 nodes, each asked eighteen times."""
OFFICE_FAILED = "the office failed"
PROMPT_FAILED = "the prompt cannot be played"


def simulate(flow: Flow, script: Script) -> Run:
    """Lead a scripted caller through the flow."""
    return _Simulation(flow, script, CannedOffice(script)).run()


@dataclass(slots=True)
class _Simulation:
    flow: Flow
    script: Script
    office: CannedOffice
    keys: str = ""
    """Pressed, and not read yet."""
    at: int = 0
    """The next step."""
    waits: int = 0
    """Queues the caller was to come back from."""
    lines: list[Line] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    fault: str = ""

    def run(self) -> Run:
        facts = self._facts()
        state, command = engine.start(self.flow, facts)
        path: tuple[str, ...] = ()
        trail: Trail = ()
        before = 0
        routes: list[Route] = []
        while True:
            state, outcome = self._lead(state, command)
            path += outcome.path[before:]
            trail += outcome.trail
            if outcome.route is not None:
                routes.append(outcome.route)
            status = self._wait(state, outcome)
            if not status:
                break
            facts = replace(facts, checkpoint=checkpoint(self.flow, state), left_queue=status)
            state, command, before = self._return(facts, status)
        outcome = replace(outcome, path=path, trail=trail)
        self._judge(outcome)
        run = Run(outcome, tuple(self.lines), tuple(self.office.asked), tuple(routes), (), self.fault)
        return replace(run, failures=(*self.failures, *unmet(self.script.expect, run)))

    def _facts(self) -> CallFacts:
        person = self.script.caller
        return CallFacts(
            conversation="simulated",
            number="" if person.withheld else person.number,
            name="",
            presentation="prohib" if person.withheld else "allowed",
            dialled=person.dialled,
            language=self.flow.document.languages[0],
        )

    def _return(self, facts: CallFacts, status: str) -> tuple[State, Command, int]:
        """Back from a queue: whatever the checkpoint does not keep is gone by now."""
        kept = resume(self.flow, facts.checkpoint, facts)
        if kept is None:
            return *engine.start(self.flow, facts), 0
        return *engine.come_back(self.flow, kept, status), len(kept.path)

    def _lead(self, state: State, command: Command) -> tuple[State, Outcome]:
        for _ in range(MAX_TURNS):
            if isinstance(command, Finish):
                return state, command.outcome
            state, command = self._turn(state, command)
        raise AssertionError(f"the engine does not end: {state.node}")

    def _turn(self, state: State, command: Command) -> Next:
        answer = self._consult(state, command) if isinstance(command, Consult) else self._perform(state, command)
        if answer is None:
            return engine.hang_up(self.flow, state)
        return engine.step(self.flow, state, answer)

    def _consult(self, state: State, command: Consult) -> Answer | None:
        """What the office answers; none: the caller is gone."""
        step = self._next()
        # Where the caller is talked to as well, it is then that she goes.
        alone = not isinstance(self.flow.nodes[state.node], WITH_CALLER)
        if alone and isinstance(step, HangUpAt) and step.hangup == state.node and not state.gone:
            self.at += 1
            self._note("caller", state.node, "hangs up")
            return None
        finding = self.office.answer(command.standing, command.question)
        question = type(command.question).__name__
        told = "no answer" if finding is None else finding.branch
        values = "" if finding is None else ", ".join(f"{name}={value}" for name, value in finding.values.items())
        self._note("office", command.standing.node, f"{question}: {told}" + (f" ({values})" if values else ""))
        return Failed(OFFICE_FAILED) if finding is None else Consulted(finding)

    def _perform(self, state: State, command: Command) -> Answer | None:
        """What the caller does; none: she is gone."""
        if state.gone:
            return None
        if isinstance(command, SetLanguage):
            return Done()
        assert isinstance(command, Play | Ask | Record)
        if type(self.flow.nodes[state.node]) not in KINDS and self.office.breaks(state.node):
            self._note("flow", state.node, f"({PROMPT_FAILED})")
            return Failed(PROMPT_FAILED)
        while isinstance(step := self._next(), Ahead):
            self._press(state.node, step.ahead, secure=isinstance(command, Ask) and command.secure)
        if not (isinstance(command, Ask) and command.typed):
            self._say(state.node, command.phrases)
        if step == "hangup" or (isinstance(step, HangUpAt) and step.hangup == state.node):
            self.at += 1
            self._note("caller", state.node, "hangs up")
            return None
        if isinstance(command, Play):
            return Played(self._read(1, hash_ends=False) if command.interrupt else "")
        return self._type(state.node, command) if isinstance(command, Ask) else self._record(state.node, command)

    def _type(self, node: str, command: Ask) -> Typed:
        if command.typed:
            # As the runner does it: what began ahead may be the whole of it.
            if command.typed == "#":
                return Typed()
            whole = command.most == 1 or command.typed in command.stop
            return Typed(command.typed + ("" if whole else self._read(command.most - 1)))
        if not self.keys:
            step = self._next()
            if isinstance(step, Press | Type):
                self._press(node, step.press if isinstance(step, Press) else step.type, command.secure)
            elif step == "silence" or isinstance(step, Speak):
                self.at += 1
                if isinstance(step, Speak):
                    self._unfit("is to speak, but is asked for keys", node)
        if not self.keys:
            self._note("caller", node, "is silent")
        most = 1 if self.keys and self.keys[0] in command.stop else command.most
        return Typed(self._read(most))

    def _record(self, node: str, command: Record) -> Recorded:
        step = self._next()
        if self.keys:
            # Any key ends a recording, also one that was pressed before it began.
            self._read(1, hash_ends=False)
            return Recorded(0)
        if step is not None and not isinstance(step, HangUpAt):
            self.at += 1
        if isinstance(step, Press | Type):
            self._unfit("is to press keys, but is asked to speak", node)
        seconds = min(step.speak, command.longest) if isinstance(step, Speak) else 0
        self._note("caller", node, f"speaks for {seconds} s" if seconds else "is silent")
        return Recorded(seconds)

    def _wait(self, state: State, outcome: Outcome) -> str:
        """How the caller comes back from the queue; empty: not at all."""
        if outcome.route is None:
            return ""
        where = f"transfer {outcome.route.transfer}" if outcome.route.transfer else f"queue {outcome.route.queue}"
        step = self._next()
        if step == "hangup" or (isinstance(step, HangUpAt) and step.hangup == state.node):
            self.at += 1
            self._note("queue", state.node, f"{where}: the caller hangs up")
            return ""
        statuses = self._statuses()
        status = "answered"
        if outcome.route.returns:
            status = statuses[self.waits] if self.waits < len(statuses) else status
            self.waits += 1
        self._note("queue", state.node, f"{where}: {status if outcome.route.returns else 'the flow ends'}")
        return "" if status == "answered" else status

    def _statuses(self) -> list[str]:
        return [self.script.queue] if isinstance(self.script.queue, str) else self.script.queue

    def _judge(self, outcome: Outcome) -> None:
        if self.at < len(self.script.steps):
            left = ", ".join(in_words(step) for step in self.script.steps[self.at :])
            self.failures.append(Failure(("steps", str(self.at)), f"the call ended before: {left}"))
        statuses = self._statuses()
        if self.waits < len(statuses):
            left = ", ".join(statuses[self.waits :])
            self.failures.append(Failure(("queue",), f"the caller came to no queue to come back from, but: {left}"))
        provoked = outcome.error.endswith((OFFICE_FAILED, PROMPT_FAILED))
        if outcome.ended == "limit" or (outcome.ended == "error" and not provoked):
            self.fault = outcome.error or outcome.ended

    def _next(self) -> Step | None:
        return self.script.steps[self.at] if self.at < len(self.script.steps) else None

    def _press(self, node: str, keys: str, secure: bool) -> None:
        self.at += 1
        self.keys += keys
        self._note("caller", node, "•" * len(keys) if secure else keys)

    def _read(self, most: int, hash_ends: bool = True) -> str:
        read = ""
        while self.keys and len(read) < most:
            key, self.keys = self.keys[0], self.keys[1:]
            if key == "#" and hash_ends:
                break
            read += key
        return read

    def _say(self, node: str, phrases: tuple[Phrase, ...]) -> None:
        if phrases:
            self._note("flow", node, " ".join(phrase.text for phrase in phrases))

    def _note(self, who: Who, node: str, text: str) -> None:
        self.lines.append(Line(who, node, text))

    def _unfit(self, message: str, node: str) -> None:
        self.failures.append(Failure(("steps", str(self.at - 1)), f"at {node} the caller {message}"))
