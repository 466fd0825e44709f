"""The office at work: happenings in, boards and records out; wishes of people in, answers out.

This is the shell that joins the pure parts: it listens to the watch, asks the floor and the pops what follows, fills
cards from the bridge without ever waiting for it, and implements the ``Office`` port of the desk.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from crm_bridge.bridge import Bridge
from crm_bridge.numbers import parse_number
from crm_bridge.ports import Certainty, CrmError, Match
from telephony.conversations.aftermath import Aftermath
from telephony.conversations.events import (
    AgentRinging,
    Anomaly,
    AsteriskRestarted,
    CallerIdentified,
    ConversationEnded,
    ConversationOpened,
    FlowLeft,
    Happening,
    HoldEnded,
    HoldStarted,
    MemberSeen,
    Merged,
    QueueJoined,
    QueueLeft,
    Resynced,
    RingEnded,
    TalkEnded,
    TalkStarted,
)
from telephony.conversations.history import Histories, TalkRecord
from telephony.desk.cases import Case
from telephony.desk.chores import Chores
from telephony.desk.identities import Identities
from telephony.desk.lobby import Lobby
from telephony.desk.pops import Pops
from telephony.desk.ports import Conflict, NotFound, OutboxItem, Readiness, RecentConversation, Refused, Unavailable
from telephony.desk.records import Records
from telephony.desk.takeover import STORE_RETRY_SECONDS, Takeover
from telephony.floor.accounts import Accounts, User
from telephony.floor.keeper import Keeper
from telephony.floor.model import (
    Agent,
    FloorEffect,
    MembershipChanged,
    NotAnAgent,
    NothingToWrapUp,
    Presence,
    PresenceChanged,
    WrapUpDue,
    WrapUpExpired,
    WrapUpOpened,
    WrapUpOwed,
)
from telephony.floor.policy import Floor
from telephony.settings import Settings

log = structlog.get_logger(__name__)


class LiveOffice:
    """Everything that is going on, and everyone it concerns. See ``telephony.desk.ports.Office`` for the wishes."""

    def __init__(
        self,
        *,
        settings: Settings,
        floor: Floor,
        pops: Pops,
        lobby: Lobby,
        keeper: Keeper,
        bridge: Bridge,
        records: Records,
        accounts: Accounts,
        clock: Callable[[], float],
        why_down: Callable[[], str] = lambda: "",
        recorded: Callable[[], bool] = lambda: False,
        aftermath: Callable[[], Aftermath] = Aftermath,
    ) -> None:
        self._settings = settings
        self._floor = floor
        self._pops = pops
        self._lobby = lobby
        self._keeper = keeper
        self._bridge = bridge
        self._records = records
        self._accounts = accounts
        self._clock = clock
        self._why_down = why_down
        self._recorded = recorded
        self._histories = Histories()
        self.cases: dict[str, Case] = {}
        self._chores = Chores()
        self._identities = Identities(
            bridge, self.cases, self._chores, known=self._known, changed=self._changed, name_of=lobby.name_of
        )
        region = settings.office.region
        self._takeover = Takeover(floor, records, accounts, self, clock, region=region, aftermath=aftermath)
        self._ticker: asyncio.TimerHandle | None = None
        self._link = "down"
        self._synced_once = False
        self.anomalies: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        self._by_type: dict[type, Callable[[Any], None]] = {
            ConversationOpened: self._opened,
            CallerIdentified: self._identified,
            FlowLeft: self._flow_left,
            QueueJoined: self._joined,
            QueueLeft: self._left,
            AgentRinging: self._ringing,
            RingEnded: self._ring_ended,
            TalkStarted: self._talk_started,
            TalkEnded: self._talk_ended,
            HoldStarted: lambda one: self._held(one, True),
            HoldEnded: lambda one: self._held(one, False),
            Merged: self._merged,
            ConversationEnded: self._ended,
            MemberSeen: self._keeper.seen,
            AsteriskRestarted: self._keeper.restarted,
            Resynced: self._resynced,
            Anomaly: self._anomaly,
        }

    # --- what happens -----------------------------------------------------------------------------------------

    def happened(self, happenings: Sequence[Happening]) -> None:
        """Take in what the watch saw. Called in the read loop: no step of it waits for anything."""
        for happening in happenings:
            kind = type(happening).__name__
            self.counts[kind] = self.counts.get(kind, 0) + 1
            try:
                self._take(happening)
            except Exception:
                # One that we stumble over must not cost the rest of the batch: other people's calls are in it.
                self.anomalies["failed"] = self.anomalies.get("failed", 0) + 1
                log.exception("happening_failed", kind=kind, conversation=getattr(happening, "conversation", ""))

    def _take(self, happening: Happening) -> None:
        history = self._histories.apply(happening)
        case = self.cases.get(history.conversation) if history is not None else None
        handler = self._by_type.get(type(happening))
        if handler is not None:
            handler(happening)
        if history is not None:
            case = case or self.cases.get(history.conversation)
            if case is not None:
                self._records.touch(case)
                if isinstance(happening, TalkStarted | TalkEnded) and not self._recorded():
                    # No journal that a new start could read: what an agent owes is safe as soon as the database has it.
                    self._records.hurry()

    def link(self, state: str) -> None:
        """The connection to Asterisk: ``down``, ``syncing`` or ``in_sync``."""
        self._link = state
        self._lobby.pbx(state)
        if state != "in_sync":
            self._keeper.disconnected()
        else:
            self._keeper.resynced()

    def walked(self, conversation: str, path: tuple[str, ...], language: str) -> None:
        """How far a caller has come in the flow: of one who hangs up there, Asterisk does not tell it."""
        history = self._histories.live.get(conversation)
        if history is not None:
            history.path, history.language = path, language

    def _opened(self, one: ConversationOpened) -> None:
        history = self._histories.live[one.conversation]
        number = parse_number(one.number, region=self._settings.office.region, presentation=one.presentation)
        case = self.cases[one.conversation] = Case(history, number)
        self._takeover.inherit(case)
        self._identities.begin(case)

    def _identified(self, one: CallerIdentified) -> None:
        case = self.cases.get(one.conversation)
        if case is None or not one.customer or case.settled or one.certainty != Certainty.CERTAIN:
            return
        if case.customer is None or case.customer.id != one.customer:
            # Proven before another server of ours, or before we were started again.
            self._identities.confirm(case, one.customer, one.reason)

    def _flow_left(self, one: FlowLeft) -> None:
        self._refresh(one.conversation)

    def _joined(self, one: QueueJoined) -> None:
        case = self.cases.get(one.conversation)
        if case is not None:
            case.joined_at = one.at
            self._refresh(one.conversation)
            self._lobby.joined(one.queue, case, one.at)

    def _left(self, one: QueueLeft) -> None:
        self._lobby.left(one.queue, one.conversation)

    def _ringing(self, one: AgentRinging) -> None:
        agent = self._floor.agent_at(one.interface)
        self.follow(self._floor.apply(one))
        if agent is None:
            return
        case = self.cases.get(one.conversation)
        if case is not None:
            self._pops.know(one.conversation, case.facts())
        self._pops.ring(one.conversation, agent.login, one.queue, one.at)

    def _ring_ended(self, one: RingEnded) -> None:
        agent = self._floor.agent_at(one.interface)
        self.follow(self._floor.apply(one))
        # Who answered keeps the card: the talk that starts with this very event takes the pop over.
        if agent is not None and one.end != "answered":
            self._pops.stop_ringing(one.conversation, agent.login)

    def _talk_started(self, one: TalkStarted) -> None:
        agent, case = self._floor.agent_at(one.interface), self.cases.get(one.conversation)
        if case is not None:
            self._takeover.inherit_talk(one, case)
        if agent is not None:
            if case is not None:
                if case.agents is None:
                    case.agents = {}
                case.agents[one.interface] = agent.login
                self._pops.know(one.conversation, case.facts())
            self._pops.answer(one.conversation, agent.login, one.queue, one.at)
        self.follow(self._floor.apply(one))

    def _talk_ended(self, one: TalkEnded) -> None:
        agent = self._floor.agent_at(one.interface)
        effects = self._floor.apply(one)
        self.follow(effects)
        if agent is not None and not any(isinstance(effect, WrapUpOpened) for effect in effects):
            self._pops.close(one.conversation, agent.login)
            self._forget(one.conversation)

    def _held(self, one: HoldStarted | HoldEnded, held: bool) -> None:
        agent = self._floor.agent_at(one.interface)
        if agent is not None:
            self._pops.hold(one.conversation, agent.login, held)

    def _merged(self, one: Merged) -> None:
        self.follow(self._floor.apply(one))
        self._pops.merged(one.conversation, one.folded)
        self._lobby.gone(one.folded)
        folded = self.cases.pop(one.folded, None)
        if folded is not None:
            if folded.lookup is not None:
                folded.lookup.cancel()
            # Its record must not look open, or the next start would take it for a call whose end was missed.
            folded.history.ended_at, folded.history.cause = one.at, "merged"
            self._records.touch(folded)

    def _ended(self, one: ConversationEnded) -> None:
        self.follow(self._floor.apply(one))
        self._lobby.gone(one.conversation)
        self._pops.ended(one.conversation)
        self._forget(one.conversation)

    def _resynced(self, one: Resynced) -> None:
        if not self._synced_once:
            self._synced_once = True
            lost = self._takeover.close(self._histories.live.__contains__)
            self._chores.start(self._ask_for(lost), "ask for codes of calls whose end nobody saw")

    def _anomaly(self, one: Anomaly) -> None:
        seen = self.anomalies[one.kind] = self.anomalies.get(one.kind, 0) + 1
        if seen == 1:
            log.warning("anomaly", kind=one.kind, detail=one.detail)

    def _forget(self, conversation: str) -> None:
        """Let go of a conversation that is over and that nobody has on the screen."""
        case = self.cases.get(conversation)
        if case is not None and case.history.ended_at is not None and not self._pops.has(conversation):
            del self.cases[conversation]
            if case.lookup is not None and case.history.talks:
                case.lookup.cancel()

    def follow(self, effects: Sequence[FloorEffect]) -> None:
        """Carry out what the floor has decided."""
        for effect in effects:
            match effect:
                case PresenceChanged():
                    self._show_person(effect.login)
                case MembershipChanged():
                    self._keeper.changed(effect.login)
                case WrapUpOpened():
                    conversation, due = effect.due.conversation, effect.due
                    case = self.cases.get(conversation)
                    ended = self._clock() if case is None else self._talk_end(case, effect.login)
                    self._pops.write_up(conversation, effect.login, due.queue, ended)
                    self._set_alarm()
                case WrapUpExpired():
                    self._chores.start(self._expired(effect), f"expiry {effect.due.conversation}")

    def _show_person(self, login: str) -> None:
        desk = self._floor.desks[login]
        self._lobby.person(desk, self.cases.get(desk.conversation or ""))

    def _talk_end(self, case: Case, login: str) -> float:
        ends = [
            talk.ended_at
            for talk in case.history.talks
            if case.agents is not None and case.agents.get(talk.interface) == login and talk.ended_at is not None
        ]
        return max(ends, default=self._clock())

    # --- who calls --------------------------------------------------------------------------------------------

    def prove(self, conversation: str, match: Match, level: str) -> None:
        """The caller has proven in the IVR who they are; that outranks the caller ID."""
        self._identities.prove(conversation, match, level)

    def filed(self, conversation: str) -> None:
        """A request or a message of this caller came in."""
        case = self.cases.get(conversation)
        if case is not None:
            case.filed += 1
            self._changed(case)

    def _known(self, case: Case) -> None:
        """Who calls has become clearer."""
        self._changed(case)
        if self.cases.get(case.id, case) is case:  # one that was taken over must not write over the one that is live
            self._records.touch(case)
        self._lobby.known(case)
        for login in set((case.agents or {}).values()) & self._floor.desks.keys():
            self._show_person(login)

    def _changed(self, case: Case) -> None:
        """What pops show of the case is out of date. A case that was let go of meanwhile is shown to nobody."""
        if self.cases.get(case.id) is case:
            case.changed()
            if self._pops.has(case.id):
                self._pops.know(case.id, case.facts())

    def _refresh(self, conversation: str) -> None:
        case = self.cases.get(conversation)
        if case is not None:
            self._changed(case)

    # --- wishes of people (the Office port) -------------------------------------------------------------------

    async def signed_in(self, user: User) -> None:
        self.enrol(user)
        self._lobby.arrived(user.login)
        self._show_person(user.login)

    async def signed_out(self, user: User) -> None:
        desk = self._floor.desks.get(user.login)
        if desk is not None:
            if desk.agent.interface:
                await self._wish(user.login, Presence.OFFLINE, "")
            self._lobby.departed(user.login)

    async def set_presence(self, login: str, presence: str, reason: str) -> None:
        if presence == "paused" and reason not in {one.code for one in self._settings.pauses}:
            raise Refused("pause-unknown", reason=reason)
        await self._wish(login, Presence(presence), reason)

    async def _wish(self, login: str, presence: Presence, reason: str) -> None:
        desk = self._floor.desks.get(login)
        before = list(desk.owed) if desk is not None else []
        try:
            effects = self._floor.wish(login, presence, reason, self._clock())
        except WrapUpOwed as owed:
            raise Conflict("wrap-up-open", conversation=owed.conversation) from None
        except NotAnAgent:
            raise Conflict("no-phone", login=login) from None
        self.follow(effects)
        for due in before:
            if due not in self._floor.desks[login].owed:
                self._done(login, due.conversation)  # an optional wrap-up that nobody wanted
        self._set_alarm()
        # After the effects: a database that is down for a moment keeps nobody from a pause.
        for effect in effects:
            if isinstance(effect, MembershipChanged):
                await self._records.save_agent(self._floor.desks[effect.login], self._clock())

    async def wrap_up(self, login: str, conversation: str, code: str, note: str) -> None:
        try:
            due = self._floor.due(login, conversation)
        except (NothingToWrapUp, NotAnAgent):
            await self._refuse_wrap_up(login, conversation, code)
            return
        queue = self._settings.queue(due.queue)
        if queue is None or code not in {one.code for one in queue.wrap_up_codes}:
            raise Refused("code-unknown", code=code, queue=due.queue)
        await self._store_wrap_up(login, due, code, note, expired=False)
        # While it was being stored, the time limit or a second press of the key may have been quicker.
        with contextlib.suppress(NothingToWrapUp):
            self.follow(self._floor.finish_wrap_up(login, conversation, self._clock()))
        self._done(login, conversation)
        self._set_alarm()

    async def save_note(self, login: str, conversation: str, note: str) -> None:
        pop = self._pops.of(conversation, login)
        if pop is None or not pop.owner:
            raise NotFound("conversation-unknown", conversation=conversation)
        await self._records.save_note(conversation, login, note, self._clock())
        self._pops.draft(conversation, login, note)

    async def choose_customer(self, login: str, conversation: str, customer: str) -> None:
        case, pop = self.cases.get(conversation), self._pops.of(conversation, login)
        if case is None or pop is None or not pop.owner:
            raise NotFound("conversation-unknown", conversation=conversation)
        if customer not in {one.id for one in case.match.customers}:
            raise Refused("customer-not-offered", customer=customer)
        try:
            match = await self._bridge.choose(customer, among=case.match)
        except CrmError:
            raise Unavailable("unavailable") from None
        if match is None:
            raise NotFound("customer-not-offered", customer=customer)
        log.info("customer_chosen", conversation=conversation, agent=login)
        self._identities.settle(case, match)

    async def recent_conversations(self, login: str, role: str, limit: int) -> Sequence[RecentConversation]:
        return await self._records.recent(login if role == "agent" else None, limit)

    async def outbox(self) -> Sequence[OutboxItem]:
        return await self._records.outbox()

    async def retry_outbox(self, id: str) -> None:
        if not await self._records.retry(id, self._clock()):
            raise NotFound("outbox-item-unknown")

    def pop_shown(self, login: str, conversation: str) -> None:
        pop = self._pops.of(conversation, login)
        if pop is not None and pop.state == "ringing":
            log.debug("pop_shown", conversation=conversation, agent=login, after=round(self._clock() - pop.rang_at, 4))

    def readiness(self) -> Readiness:
        reasons = []
        if self._link != "in_sync":
            said = "not connected to Asterisk" if self._link == "down" else "not yet in sync with Asterisk"
            why = self._why_down()
            reasons.append(f"{said}: {why}" if why else said)
        return Readiness(not reasons, tuple(reasons))

    # --- wrap-ups ---------------------------------------------------------------------------------------------

    async def _refuse_wrap_up(self, login: str, conversation: str, code: str) -> None:
        """Nothing is owed: fine if this very code is on file, because its answer may have got lost on the way."""
        held = await self._records.wrapped_up(conversation, login)
        if held is None:
            raise NotFound("wrap-up-not-open", conversation=conversation)
        if held != code:
            raise Conflict("already-wrapped-up", code=held)

    async def _store_wrap_up(self, login: str, due: WrapUpDue, code: str, note: str, *, expired: bool) -> None:
        case = self.cases.get(due.conversation)
        await self._records.save_wrap_up(
            case, login, self._floor.desks[login].agent.name, due, code, note, self._clock(), expired=expired
        )

    async def _expired(self, effect: WrapUpExpired) -> None:
        pop = self._pops.of(effect.due.conversation, effect.login)
        note = pop.note if pop is not None else ""
        while True:
            try:
                await self._store_wrap_up(effect.login, effect.due, effect.code, note, expired=True)
            except Unavailable:
                await asyncio.sleep(STORE_RETRY_SECONDS)
                continue
            except Conflict:
                pass  # the agent was quicker
            break
        self._done(effect.login, effect.due.conversation)
        await self._records.save_agent(self._floor.desks[effect.login], self._clock())

    def _done(self, login: str, conversation: str) -> None:
        self._pops.close(conversation, login)
        self._forget(conversation)

    def _set_alarm(self) -> None:
        """Wake up when the next limit of after-call work passes."""
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        deadline = self._floor.next_deadline()
        if deadline is not None:
            self._ticker = asyncio.get_running_loop().call_later(max(0.0, deadline - self._clock()), self._tick)

    def _tick(self) -> None:
        self.follow(self._floor.tick(self._clock()))
        self._set_alarm()

    # --- beginnings and ends ----------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Take up where an earlier run stopped: who was here, and what they still owe."""
        await self._takeover.begin()
        self._set_alarm()

    async def _ask_for(self, lost: Sequence[tuple[Case, TalkRecord]]) -> None:
        await self._takeover.ask(lost)
        self._set_alarm()

    def enrol(self, user: User) -> None:
        """Know this person from now on."""
        queues = tuple((one.queue, one.penalty) for one in user.queues)
        self._lobby.enrol(user)
        self.follow(self._floor.enrol(Agent(user.login, user.name, user.interface or "", queues)))

    def reopen(self, login: str, due: WrapUpDue, case: Case | None, note: str) -> None:
        """Show a call that ended before this process began, with what is known of it."""
        if case is not None and case.id not in self.cases:
            self.cases[case.id] = case
            if case.history.customer:
                self.confirm(case, case.history.customer, case.history.reason)
            else:
                self._identities.ask(case)
        known = self.cases.get(due.conversation)
        if known is not None:
            self._pops.know(due.conversation, known.facts())
        ended = self._talk_end(case, login) if case is not None else None
        self._pops.write_up(due.conversation, login, due.queue, ended)
        if note:
            self._pops.draft(due.conversation, login, note)

    def confirm(self, case: Case, customer: str, reason: str) -> None:
        """The customer of this conversation was known before."""
        self._identities.confirm(case, customer, reason)

    async def close(self) -> None:
        """Stop what is under way."""
        if self._ticker is not None:
            self._ticker.cancel()
        await self._chores.close()
