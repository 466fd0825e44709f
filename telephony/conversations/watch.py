"""The watch: AMI's bytes into the journal and the tracker, and the resync that keeps both honest. A thin shell.

The read loop runs through ``on_batch``: append to the journal, apply to the tracker, hand the happenings on. Nothing
in it waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Sequence

import structlog
from asterisk.ami import SimpleAction

from telephony.ami.client import AmiClient, LinkState, LinkStatus
from telephony.ami.codec import Event
from telephony.ami.errors import AmiError
from telephony.conversations import journal as flight
from telephony.conversations import resync
from telephony.conversations.events import Happening, Merged, TalkEnded, TalkStarted
from telephony.conversations.journal import Journal
from telephony.conversations.tracker import Tracker

log = structlog.get_logger(__name__)

LIST_SECONDS = 20.0
"""How long Asterisk may take for one list; 1,000 channels take well under one second."""
FLUSH_SECONDS = 0.25
RETRY_SECONDS = 2.0
"""After a resync that failed on a link that is up."""
_AGI_WORD = re.compile(rb"(agi://[^/,\r\n]{1,300}/ivr)/[^,\r\n]*")
"""Where callers in the IVR are, with the secret of our FastAGI server: recordings are handed on, and it must not be."""


_TOLD_AFTER_RECORDED = (TalkStarted, TalkEnded, Merged)
"""What makes an agent owe something, or moves it."""


class Watch:
    """Watches one Asterisk.

    ``listener`` takes every batch of happenings, in order, and must not wait. ``on_link`` is told of the link's state:
    ``down``, ``syncing`` or ``in_sync``.
    """

    def __init__(
        self,
        *,
        journal: Journal | None,
        listener: Callable[[list[Happening]], None],
        on_link: Callable[[str], None],
        clock: Callable[[], float],
        interval: float,
    ) -> None:
        self.tracker = Tracker()
        self.corrections = 0
        self.resyncs = 0
        self.journal_errors = 0
        self.recorded = False
        """Whether what the listener is told of talks is in the journal, out of reach of our own death."""
        self._journal = journal
        self._listener = listener
        self._on_link = on_link
        self._clock = clock
        self._interval = interval
        self._epoch = 0
        self._up = False
        self._changed = asyncio.Event()
        self._started = ""

    # --- called by the client, in its read loop ---------------------------------------------------------------

    def on_batch(self, events: Sequence[Event], raw: bytes, now: float) -> None:
        now = round(now, 6)
        self._write(flight.EVENTS, now, raw)
        apply = self.tracker.apply
        out: list[Happening] = []
        for event in events:
            found = apply(event, now)
            if found:
                out += found
        if out:
            self._tell(out)

    def on_state(self, state: LinkState) -> None:
        self._epoch, self._up = state.epoch, state.status is LinkStatus.UP
        self._on_link("syncing" if self._up else "down")
        self._changed.set()

    # --- tasks ------------------------------------------------------------------------------------------------

    async def run(self, client: AmiClient) -> None:
        """Resync at each new connection and from time to time, until cancelled."""
        while True:
            self._changed.clear()
            pause = self._interval
            if self._up:
                if await self._resync(client):
                    self._on_link("in_sync")
                else:
                    pause = min(pause, RETRY_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), pause)

    async def flush_journal(self) -> None:
        """Hand the journal's buffer to the system a few times a second, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._flush()

    def _tell(self, happenings: list[Happening]) -> None:
        """Hand them on. A talk's beginning and end are with the system before anybody is shown them.

        That is one ``write`` of what is buffered: no pop, and no disk, waits for it.
        """
        if any(isinstance(one, _TOLD_AFTER_RECORDED) for one in happenings):
            self._flush()
        self._listener(happenings)

    def _flush(self) -> None:
        if self._journal is not None:
            try:
                self._journal.flush()
                self.recorded = not self._journal.failing
            except OSError as failed:
                self._journal_failed(failed)

    async def _resync(self, client: AmiClient) -> bool:
        epoch = self._epoch
        try:
            status = await client.send(SimpleAction("CoreStatus"), timeout=LIST_SECONDS)
            self._notice_restart(status.response.keys)
            self._write(flight.RESYNC_BEGAN, self._now(), b"")
            resync.begin(self.tracker)
            channels = await client.listing(SimpleAction("CoreShowChannels"), timeout=LIST_SECONDS)
            queues = await client.listing(SimpleAction("QueueStatus"), timeout=LIST_SECONDS)
        except AmiError as failed:
            resync.abandon(self.tracker)
            self._write(flight.RESYNC_FAILED, self._now(), b"")
            log.warning("resync_failed", why=str(failed))
            return False
        if epoch != self._epoch or not self._up:
            resync.abandon(self.tracker)
            self._write(flight.RESYNC_FAILED, self._now(), b"")
            return False
        now = self._now()
        self._write(flight.LISTS, now, _AGI_WORD.sub(rb"\1", channels.raw) + queues.raw)
        try:
            found = resync.finish(self.tracker, resync.Lists(tuple(channels.items), tuple(queues.items)), now)
        except Exception:
            # Something in the lists that we stumble over: what we knew before is still better than nothing.
            log.exception("resync_stumbled", channels=len(channels.items))
            resync.abandon(self.tracker)
            return False
        corrections = resync.corrections(found)
        self.resyncs += 1
        self.corrections += corrections
        if corrections:
            log.info("resync_corrected", corrections=corrections, channels=len(channels.items))
        self._tell(found)
        return True

    def _now(self) -> float:
        """As exact as the journal, so that a replay says the same to the last digit."""
        return round(self._clock(), 6)

    def _notice_restart(self, status: dict[str, str]) -> None:
        started = f"{status.get('CoreStartupDate', '')} {status.get('CoreStartupTime', '')}"
        if self._started and started != self._started:
            log.warning("asterisk_restarted", started=started)
            now = self._now()
            self._write(flight.RESTARTED, now, b"")
            self._tell(self.tracker.restarted(now))
        self._started = started

    def _write(self, kind: str, at: float, data: bytes) -> None:
        if self._journal is not None:
            try:
                self._journal.write(kind, at, self._epoch, data)
            except OSError as failed:
                self._journal_failed(failed)

    def _journal_failed(self, failed: OSError) -> None:
        """A full disk costs the recording of the flight, not the flight."""
        self.journal_errors += 1
        self.recorded = False
        if self.journal_errors == 1:
            log.error("journal_not_written", why=failed.strerror)
