"""Colleagues by what callers and flows call them: for messages, and for who is tried first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from ivr_flows.ports import Recognition
from telephony.floor.accounts import User
from telephony.floor.model import Presence
from telephony.floor.policy import Floor
from telephony.pbx.render import keypad
from telephony.reception.messages import Recipient
from telephony.settings import Settings


class Colleagues:
    """``users``: everybody, by log-in. ``last_agent``: who talked to a customer last; empty: nobody."""

    def __init__(
        self,
        settings: Settings,
        floor: Floor,
        users: Callable[[], Mapping[str, User]],
        last_agent: Callable[[str], Awaitable[str]],
    ) -> None:
        self._floor = floor
        self._users = users
        self._last_agent = last_agent
        self._queues = {queue.name for queue in settings.queues}
        self._keypad = {str(number): name for number, name in keypad(settings)}

    def recipient(self, name: str) -> Recipient | None:
        """Whom a message is for: by log-in, phone, number of the keypad, or queue. None: there is no such recipient."""
        if name in self._queues:
            return Recipient(queue=name)
        wanted = self._keypad.get(name, name)
        if wanted.startswith("q-"):
            return Recipient(queue=wanted.removeprefix("q-"))
        for user in self._users().values():
            if user.active and wanted in (user.login, user.phone) and wanted:
                return Recipient(agent=user.login)
        return None

    async def seat(self, login: str, known: Recognition | None) -> str:
        """The phone where this agent could take a call now; empty when that is not so.

        ``login`` empty: whoever talked to this customer last.
        """
        if not login and known is not None and known.customer:
            login = await self._last_agent(known.customer)
        desk = self._floor.desks.get(login)
        if desk is None or desk.presence is not Presence.READY:
            return ""
        return desk.agent.interface.removeprefix("PJSIP/")
