"""The shell of the engine: one caller, one directory, one flow. Whatever breaks, the caller gets to a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from ivr_flows import engine
from ivr_flows.checkpoint import checkpoint, resume
from ivr_flows.engine import Answer, Command, Outcome, State
from ivr_flows.phrases import Phrase
from ivr_flows.ports import Caller, CallerGone, CallFacts, Directory, Recognition, Route
from ivr_flows.schema import Flow

LOOK_UP_SECONDS = 5.0
"""After this a caller is not recognised: silence on the line is worse."""

ROUTE = "CALLFLOOR_ROUTE"
PRIORITY = "CALLFLOOR_PRIORITY"
LANGUAGE = "CALLFLOOR_LANGUAGE"
CHECKPOINT = "CALLFLOOR_CHECKPOINT"
IDENTITY_EVENT = "CallfloorIdentity"
FLOW_EVENT = "CallfloorFlow"

Sound = Callable[[Phrase], str]
"""The sound file of a phrase, absolute and without suffix."""

log = structlog.get_logger(__name__)


async def run(
    flow: Flow,
    facts: CallFacts,
    caller: Caller,
    directory: Directory,
    sound: Sound,
    look_up_seconds: float = LOOK_UP_SECONDS,
) -> Outcome:
    """Lead one caller through the flow, and set the channel variables the dialplan goes by.

    Raises nothing but ``asyncio.CancelledError``: a caller who hangs up, and every fault, are outcomes.
    """
    shell = _Shell(flow, facts, caller, directory, sound, look_up_seconds)
    try:
        outcome = await shell.lead()
    except CallerGone:
        outcome = shell.outcome("gone")
    except Exception as broken:
        log.exception("flow_broke", conversation=facts.conversation, flow=flow.document.name, node=shell.state.node)
        outcome = shell.outcome("error", type(broken).__name__)
    try:
        await shell.hand_over(outcome)
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
        error=outcome.error,
    )
    return outcome


class _Shell:
    def __init__(
        self,
        flow: Flow,
        facts: CallFacts,
        caller: Caller,
        directory: Directory,
        sound: Sound,
        look_up_seconds: float,
    ) -> None:
        self._flow = flow
        self._facts = facts
        self._caller = caller
        self._directory = directory
        self._sound = sound
        self._look_up_seconds = look_up_seconds
        self._told: Recognition | None = None
        self.state = State(facts=facts, language=flow.document.languages[0])

    async def lead(self) -> Outcome:
        resumed = resume(self._flow, self._facts.checkpoint, self._facts) if self._facts.checkpoint else None
        if resumed is not None:
            log.info("flow_resumed", conversation=self._facts.conversation, node=resumed[0].node)
            # Its identity was told by the one who began.
            self._told = resumed[0].recognition
        elif self._facts.language != self.state.language:
            await self._caller.set_language(self.state.language)
        self.state, command = resumed or engine.start(self._flow, self._facts)
        while not isinstance(command, engine.Finish):
            answer = await self._carry_out(command)
            self.state, command = engine.step(self._flow, self.state, answer)
            await self._tell_identity()
        return command.outcome

    async def hand_over(self, outcome: Outcome) -> None:
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
        # The route comes last: the dialplan takes it for the sign that all the rest is there.
        await self._caller.set_variables(
            {PRIORITY: str(route.priority), LANGUAGE: route.language, CHECKPOINT: "", ROUTE: route.queue}
        )

    def outcome(self, ended: engine.Ended, error: str = "") -> Outcome:
        """How it stands when the flow could not come to its own end."""
        default = self._flow.document.default
        route = None if ended == "gone" else Route(default.queue, default.priority, self.state.language)
        return Outcome(
            route, self.state.path, self.state.language, self.state.recognition, ended, error or self.state.error
        )

    async def _carry_out(self, command: Command) -> Answer:
        if isinstance(command, engine.Play | engine.Ask):
            return await self._talk(command)
        if isinstance(command, engine.SetLanguage):
            await self._caller.set_language(command.language)
            return engine.Done()
        recognition = await self._look_up(command)
        return engine.Recognised(recognition)

    async def _talk(self, command: engine.Play | engine.Ask) -> Answer:
        await self._caller.set_variables({CHECKPOINT: checkpoint(self._flow, self.state)})
        try:
            return await self._speak(command)
        except CallerGone:
            raise
        except Exception as broken:
            # A sound that is not there must not cost the caller the rest of the flow.
            log.exception("flow_prompt_failed", conversation=self._facts.conversation, node=self.state.node)
            return engine.Failed(type(broken).__name__)

    async def _speak(self, command: engine.Play | engine.Ask) -> Answer:
        if isinstance(command, engine.Play):
            sounds = [self._sound(phrase) for phrase in command.phrases]
            return engine.Played(await self._caller.play(sounds, engine.ALL_DIGITS if command.interrupt else ""))
        if command.typed:
            return engine.Typed(await self._rest(command))
        sounds = [self._sound(phrase) for phrase in command.phrases]
        return engine.Typed(await self._caller.collect(sounds, command.most, command.seconds, stop=command.stop))

    async def _rest(self, command: engine.Ask) -> str:
        """The first key is there already; what is left to read may be nothing."""
        if command.typed == "#":
            return ""
        if command.most == 1 or command.typed in command.stop:
            return command.typed
        return command.typed + await self._caller.collect([], command.most - 1, command.seconds)

    async def _look_up(self, command: Command) -> Recognition:
        try:
            async with asyncio.timeout(self._look_up_seconds):
                if isinstance(command, engine.LookUpCustomerNumber):
                    return await self._directory.by_customer_number(self._facts, command.digits)
                return await self._directory.recognise(self._facts)
        except TimeoutError:
            log.warning("flow_look_up_slow", conversation=self._facts.conversation, seconds=self._look_up_seconds)
            return Recognition("none", "look-up took too long")
        except Exception:
            log.exception("flow_look_up_failed", conversation=self._facts.conversation)
            return Recognition("none", "look-up failed")

    async def _tell_identity(self) -> None:
        known = self.state.recognition
        if known is None or known == self._told:
            return
        self._told = known
        values: Mapping[str, str] = {
            "CallId": self._facts.conversation,
            "Customer": known.customer,
            "Certainty": known.certainty,
            "Reason": known.reason,
        }
        await self._caller.tell(IDENTITY_EVENT, values)
