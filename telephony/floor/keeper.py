"""The keeper brings Asterisk's queue members to what the floor wants, after each change and after each restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog
from asterisk.ami import SimpleAction

from telephony.conversations.events import AsteriskRestarted, MemberSeen
from telephony.floor.membership import Membership, Place, desired, steps
from telephony.floor.policy import Floor

log = structlog.get_logger(__name__)


class Keeper:
    """Compares wish and reality per interface, and sends the difference.

    ``send`` performs one AMI action and raises when it could not be sent or was refused. A refused step is looked at
    again after the next resync: by then we know better what Asterisk really has. ``phones``: interfaces we answer for
    even when nobody sits there; a member that an earlier owner of such a phone left behind is removed.
    """

    def __init__(
        self, floor: Floor, send: Callable[[SimpleAction], Awaitable[object]], phones: Iterable[str] = ()
    ) -> None:
        self._floor = floor
        self._send = send
        self._ours = set(phones)
        self._seats: dict[str, str] = {}
        """Log-in to interface, as it was when we last looked."""
        self._actual: dict[str, dict[Place, Membership]] = {}
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._open = asyncio.Event()
        self.corrections = 0
        """Steps that a resync, not a wish, made necessary: differences between our truth and Asterisk's."""

    def seen(self, member: MemberSeen) -> None:
        """What Asterisk has. Interfaces of nobody's are none of our business."""
        places = self._actual.setdefault(member.interface, {})
        place = (member.queue, member.interface)
        before = places.pop(place, None)
        if member.present:
            places[place] = Membership(member.paused, member.reason)
        # Most of these tell of a phone that rings or talks: nothing to compare.
        if before is not None and (before.paused, before.reason) == (member.paused, member.reason) and member.present:
            return
        if self._open.is_set() and self._steps(member.interface):
            self._mark(member.interface)

    def restarted(self, _: AsteriskRestarted) -> None:
        """Asterisk forgot its members, or remembers old ones; the resync tells which."""
        self._actual.clear()

    def changed(self, login: str) -> None:
        """This agent's wish has changed, or the agent's phone."""
        desk = self._floor.desks.get(login)
        if desk is None:
            return
        interface, before = desk.agent.interface, self._seats.get(login, "")
        self._seats[login] = interface
        for one in {interface, before} - {""}:
            self._ours.add(one)
            self._mark(one)

    def resynced(self) -> None:
        """We know what Asterisk has; from here on differences are mended."""
        self._open.set()
        for interface in self._ours:
            todo = len(self._steps(interface))
            if todo and interface not in self._dirty:
                self.corrections += todo
                self._mark(interface)
        self._wake.set()

    def disconnected(self) -> None:
        """Nothing can be told; wishes are kept."""
        self._open.clear()

    def _mark(self, interface: str) -> None:
        self._dirty.add(interface)
        self._wake.set()

    def _steps(self, interface: str) -> list[SimpleAction]:
        if interface not in self._ours:
            return []
        desk = self._floor.desk_at(interface)
        wanted = desired(desk) if desk is not None else {}
        return steps(wanted, self._actual.get(interface, {}), (interface,))

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._wake.wait()
            await self._open.wait()
            self._wake.clear()
            dirty, self._dirty = self._dirty, set()
            for interface in sorted(dirty):
                await self._bring_about(interface)

    async def _bring_about(self, interface: str) -> None:
        for step in self._steps(interface):
            facts = {"action": step.name, "queue": step.keys["Queue"], "interface": interface}
            if not self._open.is_set():
                self._mark(interface)
                return
            try:
                await self._send(step)
            except Exception as failed:
                # One queue's refusal is no reason to leave out the agent's other queues.
                log.warning("membership_step_failed", why=str(failed), **facts)
                continue
            self._believe(step)
            log.info("membership_step", paused=step.keys.get("Paused"), **facts)
        if not self._open.is_set() and self._steps(interface):
            self._mark(interface)

    def _believe(self, step: SimpleAction) -> None:
        """Asterisk said yes; its own event may come later than our next comparison."""
        keys = step.keys
        place = (keys["Queue"], keys["Interface"])
        places = self._actual.setdefault(place[1], {})
        if step.name == "QueueRemove":
            places.pop(place, None)
        else:
            places[place] = Membership(keys["Paused"] == "true", keys["Reason"] if keys["Paused"] == "true" else "")
