"""The AMI client: two connections to one Asterisk, kept up as long as ``run`` runs.

One connection only listens. The other carries actions, with events off: a slow action blocks its connection inside
Asterisk, events included. ``OriginateResponse`` is an event and so arrives on the first; match it by ActionID.

``run`` owns everything: when it ends, connections and tasks are gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import random as random_module
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog
from asterisk.ami import Action, SimpleAction

from telephony.ami.codec import Event, Limits, to_bytes
from telephony.ami.connection import Connection, open_connection
from telephony.ami.errors import ActionTimeout, AmiError, ListBroken, Misconfigured, NotReady, Rejected
from telephony.ami.listeners import Listener, Listeners
from telephony.ami.session import Reply, Session, release_problem
from telephony.ami.stats import Stats
from telephony.settings import Ami

_log = structlog.get_logger(__name__)

OnBatch = Callable[[list[Event], bytes, float], None]


class LinkStatus(StrEnum):
    """Whether both connections are logged in."""

    DOWN = "down"
    CONNECTING = "connecting"
    UP = "up"


@dataclass(frozen=True, slots=True)
class LinkState:
    """``epoch`` rises by one each time the event connection logs in: events between two epochs are lost, so resync.

    ``reason``: one line for people, why the link is not up; empty when it is. ``problem``: the same as an error, to
    tell a ``Misconfigured`` link from one that is merely down.
    """

    status: LinkStatus
    epoch: int
    reason: str = ""
    problem: AmiError | None = None


class _Role(StrEnum):
    EVENTS = "events"
    ACTIONS = "actions"


def backoff(attempt: int, first: float, cap: float, random: Callable[[], float]) -> float:
    """Seconds to wait before attempt number ``attempt`` (0 is the first after a failure).

    Doubles from ``first`` up to ``cap``; ``random`` (0 to 1) takes away up to half, so that many clients of one
    Asterisk do not come back in step.
    """
    doubled: float = first * 2 ** min(attempt, 30)
    return min(cap, doubled) * (1 - random() / 2)


class AmiClient:
    """A link to one Asterisk.

    ``on_batch(events, raw, at)`` is called from the read loop for each piece of the event stream, with its events in
    order, the same frames as bytes for the journal, and the Unix time of arrival; it must be quick and must not wait.
    ``on_link(state)`` is called at each change of the link, before the first batch of a new epoch. Exceptions of both
    are logged and counted, and the link goes on.
    """

    def __init__(
        self,
        settings: Ami,
        secret: str,
        *,
        on_batch: OnBatch,
        on_link: Callable[[LinkState], None] = lambda state: None,
        limits: Limits | None = None,
        login_timeout: float = 10.0,
        clock: Callable[[], float] = time.time,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self.stats = Stats()
        self.release: str | None = None
        """Asterisk's own version, such as ``22.10.1``, once the action connection has asked for it."""
        self.state = LinkState(LinkStatus.DOWN, 0, "not started")
        self._settings = settings
        self._secret = secret
        self._on_batch = on_batch
        self._on_link = on_link
        self._limits = limits
        self._login_timeout = login_timeout
        self._clock = clock
        self._random = random
        self._listeners = Listeners(self.stats)
        self._prefix = f"cf-{secrets.token_hex(4)}"
        self._connections: dict[_Role, Connection] = {}
        self._was_up: set[_Role] = set()
        self._epoch = 0
        self._problem: AmiError | None = None
        self._changed = asyncio.Event()

    async def run(self, *, fail_fast: bool = False) -> None:
        """Keep the link up until cancelled.

        ``fail_fast``: raise ``Misconfigured`` (``AuthFailed``, ``TooOld``, ...) if that is what the first attempt
        meets. Otherwise such a link is tried again at the slowest pace, because people may mend Asterisk's side.
        """
        tasks = [
            asyncio.create_task(self._keep(_Role.EVENTS, fail_fast), name="ami events"),
            asyncio.create_task(self._keep(_Role.ACTIONS, fail_fast), name="ami actions"),
            asyncio.create_task(self._listeners.run(self), name="ami listeners"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._tell(LinkStatus.DOWN)

    async def wait_ready(self) -> LinkState:
        """Wait until the link is up. Bound it with a time-out of your own."""
        while self.state.status is not LinkStatus.UP:
            await self._changed.wait()
        return self.state

    async def send(self, action: Action, *, timeout: float = 10.0) -> Reply:
        """Carry out an action; a list comes back with all its items.

        An ``ActionID`` among the action's keys is used, to recognise events it causes.

        Raises ``NotReady`` (nothing sent), ``LinkLost`` and ``ActionTimeout`` (outcome unknown), ``Rejected``,
        ``ListBroken``, ``EncodeError``.
        """
        connection = self._connections.get(_Role.ACTIONS)
        if connection is None:
            raise NotReady(f"no link to Asterisk ({self.state.reason}); {action.name} was not sent")
        reply = await connection.ask(action, timeout)
        if reply.response.is_error():
            raise Rejected(action.name, reply)
        if reply.flaw:
            raise ListBroken(f"Asterisk's list for {action.name} is {reply.flaw}; ask again")
        return reply

    async def listing(self, action: Action, *, timeout: float = 10.0) -> Reply:
        """As ``send``, for an action that must be answered with a list: a plain "Success" says nothing of its items."""
        reply = await self.send(action, timeout=timeout)
        if not reply.is_list:
            raise ListBroken(f"Asterisk answered {action.name} without a list; ask again")
        return reply

    def add_event_listener(self, on_event: Listener | None = None, **kwargs: Any) -> Listener:
        """Add an ``asterisk.ami.EventListener``, or a callable; returns what to remove.

        ``white_list``, ``black_list`` (names or patterns) and further keywords (headers) filter as they do there. The
        listener is called with ``event`` and ``source`` outside the read loop; it may be a coroutine function.
        """
        return self._listeners.add(on_event, **kwargs)

    def remove_event_listener(self, listener: Listener) -> None:
        """Raises ``ValueError`` if it was not added."""
        self._listeners.remove(listener)

    async def _keep(self, role: _Role, fail_fast: bool) -> None:
        settings = self._settings
        attempt = 0
        while True:
            self._tell(LinkStatus.CONNECTING)
            connection: Connection | None = None
            started = asyncio.get_running_loop().time()
            try:
                connection = await open_connection(settings, lambda: self._make(role), self._login_timeout)
                if role is _Role.ACTIONS:
                    await self._learn_release(connection)
                problem = await asyncio.shield(connection.lost)
            except AmiError as failed:
                problem = failed
            finally:
                was_ready = connection is not None and self._connections.get(role) is connection
                if was_ready:
                    del self._connections[role]
                if connection is not None:
                    await connection.close()
            if isinstance(problem, Misconfigured) and fail_fast and role not in self._was_up:
                raise problem
            if was_ready:
                self.stats.reconnects += 1
                # One that logs in and breaks at once, again and again, must not be tried at the quickest pace.
                if asyncio.get_running_loop().time() - started > settings.reconnect_cap:
                    attempt = 0
            self._problem = problem
            self._tell(LinkStatus.DOWN)
            slow = isinstance(problem, Misconfigured)
            first = settings.reconnect_cap if slow else settings.reconnect_first
            delay = backoff(attempt, first, settings.reconnect_cap, self._random)
            attempt += 1
            _log.warning("ami_link_down", connection=role.value, reason=str(problem), retry_in=round(delay, 2))
            await asyncio.sleep(delay)

    def _make(self, role: _Role) -> Connection:
        settings = self._settings
        session = Session(
            settings.username,
            self._secret,
            events="on" if role is _Role.EVENTS else "off",
            prefix=f"{self._prefix}-{role.value[0]}",
            login=settings.login,
            ping_interval=settings.ping_interval,
            ping_timeout=settings.ping_timeout,
            limits=self._limits,
        )
        on_events = self._take_events if role is _Role.EVENTS else self._ignore_events
        return Connection(session, self.stats, lambda connection: self._logged_in(role, connection), on_events)

    def _logged_in(self, role: _Role, connection: Connection) -> None:
        self._connections[role] = connection
        self._was_up.add(role)
        if role is _Role.EVENTS:
            self._epoch += 1
        if len(self._connections) == len(_Role):
            self._problem = None
            self._tell(LinkStatus.UP)
        else:
            self._tell(LinkStatus.CONNECTING)
        _log.info("ami_logged_in", connection=role.value, ami=connection.session.decoder.banner, epoch=self._epoch)

    async def _learn_release(self, connection: Connection) -> None:
        try:
            reply = await connection.ask(SimpleAction("CoreSettings"), self._login_timeout)
        except ActionTimeout as late:
            _log.warning("ami_release_unknown", reason=str(late))
            return
        self.release = reply.response.get("AsteriskVersion") or None
        problem = release_problem(self.release or "")
        if self.release is None:
            _log.warning("ami_release_unknown", reason=reply.response.get("Message"))
        elif problem is not None:
            _log.warning("ami_release_unsupported", reason=problem)

    def _take_events(self, events: list[Event]) -> None:
        at = self._clock()
        self.stats.events += len(events)
        with contextlib.suppress(ValueError):  # FullyBooted at log-in has no time-stamp
            self.stats.lag = at - float(events[-1].get("Timestamp"))
        try:
            self._on_batch(events, to_bytes(events), at)
        except Exception:
            self.stats.consumer_errors += 1
            _log.exception("ami_batch_failed", events=len(events))
        self._listeners.offer(events)

    def _ignore_events(self, events: list[Event]) -> None:
        """Rests of lists nobody waits for any more; with events off, nothing else comes here."""

    def _tell(self, status: LinkStatus) -> None:
        if status is not LinkStatus.UP and len(self._connections) == len(_Role):
            return
        reason = "" if status is LinkStatus.UP else str(self._problem or "")
        state = LinkState(status, self._epoch, reason, None if status is LinkStatus.UP else self._problem)
        if state == self.state:
            return
        self.state = state
        self._changed.set()
        self._changed = asyncio.Event()
        try:
            self._on_link(state)
        except Exception:
            self.stats.consumer_errors += 1
            _log.exception("ami_link_consumer_failed", status=status.value)
