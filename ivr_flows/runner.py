"""The shell of the engine: one caller, one office, one flow. Whatever breaks, the caller gets to a queue."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace

import structlog

from ivr_flows import engine
from ivr_flows.checkpoint import checkpoint, resume
from ivr_flows.phrases import Phrase
from ivr_flows.ports import Caller, CallerGone, CallFacts, CallHttp, Office, OfficeUnable, Recognition, Route
from ivr_flows.schema import Flow
from ivr_flows.state import (
    Answer,
    Ask,
    Command,
    Consult,
    Consulted,
    Done,
    Ended,
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
    Typed,
)
from ivr_flows.steps import ALL_DIGITS

CONSULT_SECONDS = 5.0
"""After this the office counts as one that does not answer: silence on the line is worse."""

ROUTE = "CALLFLOOR_ROUTE"
PRIORITY = "CALLFLOOR_PRIORITY"
LANGUAGE = "CALLFLOOR_LANGUAGE"
CHECKPOINT = "CALLFLOOR_CHECKPOINT"
WAIT = "CALLFLOOR_WAIT"
PENALTIES = "CALLFLOOR_PENALTIES"
TRANSFER = "CALLFLOOR_TRANSFER"
RETURNS = "CALLFLOOR_RETURNS"
PREFERRED = "CALLFLOOR_PREFERRED"
PREFERRED_SECONDS = "CALLFLOOR_PREFERRED_SECONDS"
IDENTITY_EVENT = "CallfloorIdentity"
FLOW_EVENT = "CallfloorFlow"
SECURE_EVENT = "CallfloorSecure"
"""Around a secure question: whoever records or listens is to be deaf meanwhile."""

Sound = Callable[[Phrase], str]
"""The sound file of a phrase, absolute and without suffix."""
Seat = Callable[[Route, Recognition | None], Awaitable[str]]
"""The phone of a route's preferred agent; empty when there is none who could answer."""
Watch = Callable[[State], None]
"""Told where the caller is, at each command."""

log = structlog.get_logger(__name__)


async def _no_seat(_: Route, __: Recognition | None) -> str:
    return ""


def _nobody_watches(_: State) -> None:
    pass


async def run(
    flow: Flow,
    facts: CallFacts,
    caller: Caller,
    office: Office,
    sound: Sound,
    *,
    consult_seconds: float = CONSULT_SECONDS,
    seat: Seat = _no_seat,
    watch: Watch = _nobody_watches,
    straight: Route | None = None,
) -> Outcome:
    """Lead one caller through the flow, and set the channel variables the dialplan goes by.

    ``straight``: where the caller goes without the flow: one who was cut off and has the old place back.

    Raises nothing but ``asyncio.CancelledError``: a caller who hangs up, and every fault, are outcomes.
    """
    shell = _Shell(flow, facts, caller, office, sound, consult_seconds, watch)
    try:
        outcome = await shell.lead() if straight is None else shell.sent(straight)
    except CallerGone:
        outcome = shell.outcome("gone")
    except Exception as broken:
        log.exception("flow_broke", conversation=facts.conversation, flow=flow.document.name, node=shell.state.node)
        outcome = shell.outcome("error", type(broken).__name__)
    try:
        await shell.hand_over(outcome, seat)
    except CallerGone:
        outcome = replace(outcome, route=None, ended="gone")
    except Exception as broken:
        # Without CALLFLOOR_ROUTE the dialplan takes the caller on: second address, then the fallback queue.
        log.exception("flow_hand_over_broke", conversation=facts.conversation, flow=flow.document.name)
        outcome = replace(outcome, ended="error", error=type(broken).__name__)
    log.info(
        "flow_ended",
        conversation=facts.conversation,
        flow=flow.document.name,
        ended=outcome.ended,
        route=outcome.route.queue if outcome.route is not None else "",
        nodes=len(outcome.path),
        certainty=outcome.recognition.certainty if outcome.recognition is not None else "",
        level=outcome.level,
        error=outcome.error,
    )
    return outcome


class _Shell:
    def __init__(
        self,
        flow: Flow,
        facts: CallFacts,
        caller: Caller,
        office: Office,
        sound: Sound,
        consult_seconds: float,
        watch: Watch,
    ) -> None:
        self._flow = flow
        self._facts = facts
        self._caller = caller
        self._office = office
        self._sound = sound
        self._consult_seconds = consult_seconds
        self._watch = watch
        self._told: tuple[Recognition | None, str] = (None, "none")
        self.state = State(facts=facts, language=flow.document.languages[0])

    async def lead(self) -> Outcome:
        self.state, command = await self._begin()
        while not isinstance(command, Finish):
            self._watch(self.state)
            try:
                answer = await self._carry_out(command)
                self.state, command = engine.step(self._flow, self.state, answer)
                await self._tell_identity()
            except CallerGone:
                self.state, command = engine.hang_up(self._flow, self.state)
        return command.outcome

    def sent(self, route: Route) -> Outcome:
        """As if the flow had led there."""
        return Outcome(route, (), route.language, None, "routed")

    async def _begin(self) -> Next:
        kept = resume(self._flow, self._facts.checkpoint, self._facts) if self._facts.checkpoint else None
        if kept is None:
            if self._facts.language != self.state.language:
                await self._caller.set_language(self.state.language)
            return engine.start(self._flow, self._facts)
        log.info("flow_resumed", conversation=self._facts.conversation, node=kept.node, left=self._facts.left_queue)
        # Its identity was told by the one who began.
        self._told = (kept.recognition, kept.level)
        if self._facts.left_queue:
            return engine.come_back(self._flow, kept, self._facts.left_queue)
        return engine.again(self._flow, kept)

    async def hand_over(self, outcome: Outcome, seat: Seat) -> None:
        """Tell the dialplan and everyone who listens. Raises ``CallerGone``."""
        if outcome.ended == "gone":
            return
        route = outcome.route
        await self._caller.tell(
            FLOW_EVENT,
            {
                "CallId": self._facts.conversation,
                "Path": ">".join(outcome.path),
                "Language": outcome.language,
                "Route": route.queue if route is not None else "",
            },
        )
        if route is None:
            await self._caller.hang_up()
            return
        if route.language != outcome.language:
            await self._caller.set_language(route.language)
        phone = await self._phone(route, outcome.recognition, seat) if route.preferred is not None else ""
        await self._caller.set_variables(self._variables(route, phone))

    async def _phone(self, route: Route, known: Recognition | None, seat: Seat) -> str:
        try:
            async with asyncio.timeout(self._consult_seconds):
                return await seat(route, known)
        except Exception:
            # Whom to try first is a favour: the caller has the queue all the same.
            log.exception("flow_agent_not_looked_up", conversation=self._facts.conversation, queue=route.queue)
            return ""

    def _variables(self, route: Route, phone: str) -> dict[str, str]:
        wanted = {
            PRIORITY: str(route.priority),
            LANGUAGE: route.language,
            WAIT: str(route.wait or ""),
            PENALTIES: "-".join(map(str, route.penalties)) if route.penalties is not None else "",
            TRANSFER: route.transfer,
            PREFERRED: phone,
            PREFERRED_SECONDS: str(route.preferred.seconds) if route.preferred is not None and phone else "",
            # With the place in the flow kept, the dialplan can bring the caller back when the queue had no agent.
            CHECKPOINT: checkpoint(self._flow, self.state) if route.returns else "",
            RETURNS: "1" if route.returns else "",
        }
        # Each one costs a round trip: what was never set need not be cleared.
        before = bool(self._facts.left_queue or self._facts.checkpoint)
        kept = {name: value for name, value in wanted.items() if value or before or name == CHECKPOINT}
        # The route comes last: the dialplan takes it for the sign that all the rest is there.
        return {**kept, ROUTE: route.queue}

    def outcome(self, ended: Ended, error: str = "") -> Outcome:
        """How it stands when the flow could not come to its own end."""
        default, state = self._flow.document.default, self.state
        route = None if ended == "gone" else Route(default.queue, default.priority, state.language)
        why = error or state.error
        return Outcome(route, state.path, state.language, state.recognition, ended, why, state.level, state.trail)

    async def _carry_out(self, command: Command) -> Answer:
        if isinstance(command, Consult):
            return await self._consult(command)
        if isinstance(command, SetLanguage):
            await self._caller.set_language(command.language)
            return Done()
        assert isinstance(command, Play | Ask | Record)
        return await self._talk(command)

    async def _talk(self, command: Play | Ask | Record) -> Answer:
        await self._caller.set_variables({CHECKPOINT: checkpoint(self._flow, self.state)})
        try:
            return await self._speak(command)
        except CallerGone:
            raise
        except Exception as broken:
            # A sound that is not there must not cost the caller the rest of the flow.
            log.exception("flow_prompt_failed", conversation=self._facts.conversation, node=self.state.node)
            return Failed(type(broken).__name__)

    async def _speak(self, command: Play | Ask | Record) -> Answer:
        if isinstance(command, Ask):
            return Typed(await (self._ask_in_secret(command) if command.secure else self._ask(command)))
        sounds = [self._sound(phrase) for phrase in command.phrases]
        if isinstance(command, Play):
            return Played(await self._caller.play(sounds, ALL_DIGITS if command.interrupt else ""))
        await self._caller.play(sounds, "#")
        return Recorded(await self._caller.record(command.place, command.longest, command.silence))

    async def _ask_in_secret(self, command: Ask) -> str:
        await self._caller.tell(SECURE_EVENT, {"CallId": self._facts.conversation, "State": "begin"})
        try:
            return await self._ask(command)
        finally:
            # Whatever became of the question: nobody stays deaf.
            await self._caller.tell(SECURE_EVENT, {"CallId": self._facts.conversation, "State": "end"})

    async def _ask(self, command: Ask) -> str:
        if command.typed:
            return await self._rest(command)
        sounds = [self._sound(phrase) for phrase in command.phrases]
        most, seconds = command.most, command.seconds
        return await self._caller.collect(sounds, most, seconds, secure=command.secure, stop=command.stop)

    async def _rest(self, command: Ask) -> str:
        """The first key is there already; what is left to read may be nothing."""
        if command.typed == "#":
            return ""
        if command.most == 1 or command.typed in command.stop:
            return command.typed
        rest = await self._caller.collect([], command.most - 1, command.seconds, secure=command.secure)
        return command.typed + rest

    async def _consult(self, command: Consult) -> Answer:
        question = command.question
        seconds = self._consult_seconds
        if isinstance(question, CallHttp):
            seconds = max(seconds, question.seconds + 1.0)
        try:
            async with asyncio.timeout(seconds):
                return Consulted(await self._office.answer(command.standing, question))
        except CallerGone:
            raise
        except TimeoutError:
            log.warning("flow_office_slow", **self._where(question), seconds=seconds)
            return Failed("the office took too long")
        except OfficeUnable as unable:
            log.warning("flow_office_unable", **self._where(question), why=str(unable))
            return Failed("the office is unable")
        except Exception as broken:
            if any(not one.repr for one in fields(question)):
                # What was asked may be a PIN or an IBAN, and the message of a fault may quote it (a database's does).
                frames = "".join(traceback.format_tb(broken.__traceback__))
                log.error("flow_office_failed", **self._where(question), error=type(broken).__name__, frames=frames)
            else:
                log.exception("flow_office_failed", **self._where(question))
            return Failed("the office failed")

    def _where(self, question: object) -> dict[str, str]:
        kind = type(question).__name__
        return {"conversation": self._facts.conversation, "node": self.state.node, "question": kind}

    async def _tell_identity(self) -> None:
        known, level = self.state.recognition, self.state.level
        if known is None or (known, level) == self._told or self.state.gone:
            return
        self._told = (known, level)
        await self._caller.tell(
            IDENTITY_EVENT,
            {
                "CallId": self._facts.conversation,
                "Customer": known.customer,
                "Certainty": known.certainty,
                "Reason": known.reason,
                "Level": level,
            },
        )
