"""Voice messages: where Asterisk puts them, whom they are for, and who has heard them."""

from __future__ import annotations

import secrets
import time
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, or_, update
from sqlmodel import col, select

from crm_bridge.database import Database
from telephony.reception.tables import VoiceMessage

MAX_LISTED = 200
SUFFIX = ".wav"


@dataclass(frozen=True, slots=True)
class Recipient:
    """An agent's log-in, or a queue's name; one of both."""

    agent: str = ""
    queue: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """A message as it was left. ``place``: below the folder, without suffix."""

    conversation: str
    kind: str
    recipient: Recipient
    place: str
    seconds: int
    """Below zero: the caller hung up while speaking, the file tells."""
    number: str = ""
    customer: str = ""
    customer_name: str = ""


class Messages:
    """The messages of the office, in ``folder``. ``clock``: Unix seconds."""

    def __init__(self, database: Database, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._folder = folder.absolute()
        self._clock = clock

    def place(self) -> tuple[str, Path]:
        """A new place, and its path for Asterisk (absolute, without suffix). Raises ``OSError``."""
        month = time.strftime("%Y-%m", time.gmtime(self._clock()))
        name = f"{month}/{secrets.token_hex(8)}"
        path = self._folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return name, path

    async def keep(self, left: Left) -> bool:
        """Take a message in; False when there is nothing in it. The same place again changes nothing."""
        seconds = left.seconds if left.seconds >= 0 else _seconds(self._folder / f"{left.place}{SUFFIX}")
        if seconds < 1:
            (self._folder / f"{left.place}{SUFFIX}").unlink(missing_ok=True)
            return False
        row = VoiceMessage(
            id=left.place.rpartition("/")[2],
            conversation_id=left.conversation,
            kind=left.kind,
            agent=left.recipient.agent,
            queue=left.recipient.queue,
            place=left.place,
            seconds=seconds,
            number=left.number,
            customer_id=left.customer,
            customer_name=left.customer_name,
            left_at=self._clock(),
        )
        async with self._database.transaction() as session:
            if await session.get(VoiceMessage, row.id) is None:
                session.add(row)
        return True

    async def for_agent(self, login: str, queues: Sequence[str], *, unheard: bool = False) -> Sequence[VoiceMessage]:
        """What this agent may hear, the newest first."""
        mine = or_(
            col(VoiceMessage.agent) == login,
            (col(VoiceMessage.agent) == "") & col(VoiceMessage.queue).in_(list(queues)),
        )
        query = select(VoiceMessage).where(mine).order_by(col(VoiceMessage.left_at).desc()).limit(MAX_LISTED)
        if unheard:
            query = query.where(col(VoiceMessage.heard_at).is_(None))
        async with self._database.session() as session:
            return (await session.exec(query)).all()

    async def unheard(self) -> tuple[dict[str, int], dict[str, int]]:
        """How many nobody has heard: by agent, and by queue."""
        query = (
            select(VoiceMessage.agent, VoiceMessage.queue, func.count())
            .where(col(VoiceMessage.heard_at).is_(None))
            .group_by(col(VoiceMessage.agent), col(VoiceMessage.queue))
        )
        agents: dict[str, int] = {}
        queues: dict[str, int] = {}
        async with self._database.session() as session:
            for agent, queue, count in (await session.exec(query)).all():
                (agents if agent else queues)[agent or queue] = int(count)
        return agents, queues

    async def one(self, id: str, login: str, queues: Sequence[str]) -> tuple[VoiceMessage, Path] | None:
        """A message this agent may hear, and its file; none if there is none."""
        async with self._database.session() as session:
            row = await session.get(VoiceMessage, id)
        if row is None or not (row.agent == login or (row.agent == "" and row.queue in queues)):
            return None
        return row, self._folder / f"{row.place}{SUFFIX}"

    async def heard(self, id: str, login: str) -> bool:
        """Somebody has dealt with it; the first one counts."""
        change = (
            update(VoiceMessage)
            .where(col(VoiceMessage.id) == id, col(VoiceMessage.heard_at).is_(None))
            .values(heard_at=self._clock(), heard_by=login)
            .returning(col(VoiceMessage.id))
        )
        async with self._database.transaction() as session:
            return (await session.exec(change)).first() is not None


def _seconds(path: Path) -> int:
    try:
        with wave.open(str(path), "rb") as sound:
            return round(sound.getnframes() / sound.getframerate())
    except (OSError, EOFError, wave.Error):
        return 0
