"""The lobby: what everybody may see of the office — people, queues, who waits, and the lamps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from telephony.desk.cases import Case, caller_of
from telephony.desk.stream import EVERYONE, SUPERVISION, Audience, only, supervision_and
from telephony.floor.accounts import User
from telephony.floor.model import Desk, Presence
from telephony.reception.callbacks import QueueView
from telephony.reception.switches import Closure
from telephony.settings import Queue, Settings

AWAY = (Presence.OFFLINE, Presence.PAUSED)


class Board(Protocol):
    """The part of the stream's board that the lobby needs."""

    def put(self, kind: str, id: str, value: Any, audience: Audience) -> None: ...

    def put_lazily(self, kind: str, id: str, make: Callable[[], Any], audience: Audience) -> None: ...

    def drop(self, kind: str, id: str) -> None: ...

    def value(self, kind: str, id: str) -> Any: ...


class _Counts:
    """One queue, counted as things change: five hundred agents are not asked at every call."""

    __slots__ = ("ready", "staffed", "talking", "waiting")

    def __init__(self) -> None:
        self.ready = 0
        self.staffed = 0
        self.talking = 0
        self.waiting: dict[str, float] = {}


class Lobby:
    """Puts the entities ``me``, ``agent``, ``queue``, ``waiting`` and ``office``."""

    def __init__(self, board: Board, settings: Settings) -> None:
        self._board = board
        self._queues = {queue.name: queue for queue in settings.queues}
        self._pauses = [{"code": one.code, "label": one.label} for one in settings.pauses]
        self._counts = {name: _Counts() for name in self._queues}
        self._fixed: dict[str, dict[str, Any]] = {
            queue.name: {
                "name": queue.name,
                "label": queue.label,
                "wrap_up": queue.wrap_up,
                "codes": [{"code": one.code, "label": one.label} for one in queue.wrap_up_codes],
            }
            for queue in settings.queues
        }
        """What a queue's entity says whatever happens."""
        self._users: dict[str, User] = {}
        self._watchers: dict[str, Audience] = {}
        self._presence: dict[str, Presence] = {}
        self._messages: dict[str, int] = {}
        self._here: set[str] = set()
        """Who has a desk open, and so has an entity ``me``."""
        self._office: dict[str, Any] = {
            "pbx": "down",
            "crm": "up",
            "outbox_waiting": 0,
            "outbox_dead": 0,
            "requests": 0,
            "callbacks": 0,
            "closed": None,
            "pauses": self._pauses,
        }
        for queue in self._queues.values():
            self._put_queue(queue)
        self._put_office()

    # --- people -----------------------------------------------------------------------------------------------

    def enrol(self, user: User) -> None:
        earlier = self._users.get(user.login)
        if earlier is not None and earlier.queues != user.queues:
            self._count(user.login, Presence.OFFLINE)
        self._users[user.login] = user
        self._watchers[user.login] = supervision_and(user.login)

    def name_of(self, login: str) -> str:
        """A person's name; what is no log-in of ours comes back as it is."""
        user = self._users.get(login)
        return user.name if user is not None else login

    def person(self, desk: Desk, case: Case | None = None) -> None:
        """Show an agent's state as it is now. ``case``: the conversation in front of the agent."""
        login = desk.agent.login
        user, presence = self._users[login], desk.presence
        self._count(login, presence)
        if user.interface:
            self._board.put_lazily("agent", login, partial(self._agent, desk, case), self._watchers[login])
        else:
            self._board.drop("agent", login)  # who has no phone takes no calls, whatever else they do
        if login not in self._here:
            return
        due = desk.owed[0] if desk.owed else None
        mine = {
            **self._shown(desk),
            "role": str(user.role),
            "language": user.language,
            "interface": user.interface,
            "messages": self._messages.get(login, 0),
            "wrap_up": None
            if due is None
            else {
                "conversation": due.conversation,
                "queue": due.queue,
                "required": due.required,
                "deadline": due.deadline,
            },
        }
        self._board.put("me", login, mine, only(login))

    def _shown(self, desk: Desk) -> dict[str, Any]:
        user = self._users[desk.agent.login]
        return {
            "login": user.login,
            "name": user.name,
            "presence": str(desk.presence),
            "wish": str(desk.wish),
            "reason": desk.reason,
            "since": desk.since,
            "queues": [one.queue for one in user.queues],
        }

    def _agent(self, desk: Desk, case: Case | None) -> dict[str, Any]:
        caller = queue = ""
        if case is not None and (desk.talking or desk.owed):
            name, display = _named(case)
            caller = name or display
            queue = case.history.stints[-1].queue if case.history.stints else ""
        return {**self._shown(desk), "conversation": desk.conversation, "caller": caller, "queue": queue}

    def arrived(self, login: str) -> None:
        self._here.add(login)

    def departed(self, login: str) -> None:
        self._here.discard(login)
        self._board.drop("me", login)

    def _count(self, login: str, presence: Presence) -> None:
        before = self._presence.get(login, Presence.OFFLINE)
        if before is presence:
            return
        self._presence[login] = presence
        for membership in self._users[login].queues:
            counts = self._counts.get(membership.queue)
            if counts is None:
                continue
            counts.ready += (presence is Presence.READY) - (before is Presence.READY)
            counts.staffed += (presence not in AWAY) - (before not in AWAY)
            counts.talking += (presence is Presence.TALKING) - (before is Presence.TALKING)
            self._put_queue(self._queues[membership.queue])

    # --- callers ----------------------------------------------------------------------------------------------

    def joined(self, queue: str, case: Case, at: float) -> None:
        counts = self._counts.get(queue)
        if counts is None:
            return
        counts.waiting[case.id] = at
        self._put_queue(self._queues[queue])
        self._put_waiting(queue, case, at)

    def known(self, case: Case) -> None:
        """Who the waiting caller is has become clearer."""
        for queue, counts in self._counts.items():
            if case.id in counts.waiting:
                self._put_waiting(queue, case, counts.waiting[case.id])

    def left(self, queue: str, conversation: str) -> None:
        counts = self._counts.get(queue)
        if counts is not None and counts.waiting.pop(conversation, None) is not None:
            self._put_queue(self._queues[queue])
            self._board.drop("waiting", conversation)

    def gone(self, conversation: str) -> None:
        """The caller waits nowhere any more, whatever we may have missed."""
        for queue in self._queues:
            self.left(queue, conversation)

    def waiting(self, queue: str) -> int:
        return len(self._counts[queue].waiting)

    def queues(self) -> dict[str, QueueView]:
        """The queues as they are now."""
        return {
            name: QueueView(list(counts.waiting.values()), counts.ready, counts.staffed)
            for name, counts in self._counts.items()
        }

    def users(self) -> Mapping[str, User]:
        """Everybody, by log-in."""
        return self._users

    def _put_waiting(self, queue: str, case: Case, at: float) -> None:
        self._board.put_lazily("waiting", case.id, partial(self._waiting, queue, case, at), SUPERVISION)

    @staticmethod
    def _waiting(queue: str, case: Case, at: float) -> dict[str, Any]:
        name, display = _named(case)
        return {
            "queue": queue,
            "joined_at": at,
            "name": name,
            "display": display,
            "certainty": str(case.match.certainty),
        }

    def _put_queue(self, queue: Queue) -> None:
        self._board.put_lazily("queue", queue.name, partial(self._queue, queue), EVERYONE)

    def _queue(self, queue: Queue) -> dict[str, Any]:
        counts = self._counts[queue.name]
        return {
            **self._fixed[queue.name],
            "waiting": len(counts.waiting),
            "longest_since": min(counts.waiting.values(), default=None),
            "ready": counts.ready,
            "talking": counts.talking,
        }

    # --- lamps ------------------------------------------------------------------------------------------------

    def pbx(self, state: str) -> None:
        self._lamp(pbx=state)

    def crm(self, up: bool) -> None:
        self._lamp(crm="up" if up else "down")

    def outbox(self, waiting: int, dead: int) -> None:
        self._lamp(outbox_waiting=waiting, outbox_dead=dead)

    def waits_for_people(self, requests: int, callbacks: int, closed: Closure | None) -> None:
        """Requests to decide on, call-backs that were promised, and the emergency closure."""
        shown = None
        if closed is not None:
            shown = {"reason": closed.reason, "by": self.name_of(closed.by), "at": closed.at}
        self._lamp(requests=requests, callbacks=callbacks, closed=shown)

    def messages(self, unheard: tuple[Mapping[str, int], Mapping[str, int]]) -> None:
        """Voice messages nobody has heard, by agent and by queue: each person sees the number of their own."""
        agents, queues = unheard
        for login in self._here:
            user = self._users[login]
            count = agents.get(login, 0) + sum(queues.get(one.queue, 0) for one in user.queues)
            if self._messages.get(login, 0) != count:
                self._messages[login] = count
                mine = self._board.value("me", login)
                if mine is not None:
                    self._board.put("me", login, {**mine, "messages": count}, only(login))

    def _lamp(self, **lamps: object) -> None:
        if any(self._office[lamp] != value for lamp, value in lamps.items()):
            self._office.update(lamps)
            self._put_office()

    def _put_office(self) -> None:
        self._board.put("office", "office", self._office, EVERYONE)


def _named(case: Case) -> tuple[str, str]:
    """The caller's name, as well as it is known, and number."""
    caller, customer = caller_of(case.number, case.history.name), case.customer
    return (customer.name or customer.company) if customer is not None else caller["name"], caller["display"]
