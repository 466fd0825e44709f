"""Test callers and phones over real SIP, for tests, the demo and benchmarks. SIPp does the talking."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from telephony.pbx.errors import CallError
from telephony.pbx.image import Image
from telephony.pbx.process import die_with
from telephony.pbx.scenarios import CallerScript, DtmfWay, Keys, PhoneScript, Withheld, caller, phone
from telephony.settings import Settings

__all__ = ["Keys", "Outcome", "Phone", "PhoneEvent", "call", "free_udp_port", "raw_rtp_allowed"]

Ending = Literal["refused", "caller", "far-end", "none"]

_SILENCE = b"\xd5" * 8000
"""One second of silence in A-law: without any audio, Asterisk's Answer() waits half a second for some."""
_POLL = 0.02
_START_LIMIT = 10.0


@dataclass(frozen=True)
class Outcome:
    """How a call went."""

    status: int
    """The SIP answer: 200, or why not (0: none came)."""
    ended_by: Ending
    answered_at: float | None
    """Unix seconds."""
    ended_at: float
    """Unix seconds."""
    call_id: str

    @property
    def seconds(self) -> float:
        """From answer to end."""
        return 0.0 if self.answered_at is None else self.ended_at - self.answered_at


@dataclass(frozen=True)
class PhoneEvent:
    """Something that happened on a phone: rang, answered, cancelled, transferred, far-end-hung-up, hung-up."""

    what: str
    call_id: str
    at: float
    """Unix seconds."""


def free_udp_port(host: str = "127.0.0.1") -> int:
    """A UDP port that nobody uses just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def raw_rtp_allowed() -> bool:
    """Whether SIPp can play digits in RTP here: it sends them through a raw socket, which takes root."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP):
            return True
    except OSError:
        return False


async def call(
    settings: Settings,
    image: Image,
    *,
    dial: str,
    number: str | None,
    name: str = "",
    withheld: Withheld = "",
    headers: Sequence[str] = (),
    keys: Sequence[Keys] = (),
    hang_up_after: float | None = None,
    dtmf: DtmfWay = "info",
    deadline: float = 120.0,
) -> Outcome:
    """Call in from the trunk and stay until it is over.

    ``number`` is the caller's, ``dial`` the one she dials; ``headers`` go along in her INVITE. ``dtmf="rtp"`` sends
    keys as RFC 4733 telephone events, which needs ``raw_rtp_allowed``. Raises ``CallError`` when there is no end
    within ``deadline`` seconds.
    """
    pbx = settings.pbx
    mark = (pbx.trunk_match_header,) if pbx.trunk_match_header else ()
    script = CallerScript(dial, number, name, withheld, (*mark, *headers), tuple(keys), hang_up_after)
    # Streamed audio and digits in RTP would be two sources on one port, which no phone sends.
    speaks = not (keys and dtmf == "rtp")
    with tempfile.TemporaryDirectory(prefix="callfloor-call-") as work:
        folder = Path(work)
        (folder / "silence.al").write_bytes(_SILENCE)
        scenario = caller(script, dtmf, str(folder / "silence.al") if speaks else None)
        sipp = await _sipp(image, folder, pbx.bind, scenario, "-m", "1", f"{pbx.bind}:{pbx.sip_port}")
        try:
            async with asyncio.timeout(deadline):
                status = await sipp.wait()
        except TimeoutError:
            raise CallError(f"the call to {dial} is not over after {deadline:.0f} s") from None
        finally:
            await _end(sipp)
        return _outcome(_events(folder), status, folder)


class Phone:
    """An agent's phone at a fixed address. It takes any number of calls, one after the other or at once."""

    def __init__(self, image: Image, host: str, port: int, script: PhoneScript = PhoneScript()) -> None:  # noqa: B008
        self.image = image
        self.host = host
        self.port = port
        self.script = script
        self._folder: Path | None = None
        self._sipp: asyncio.subprocess.Process | None = None

    @property
    def events(self) -> list[PhoneEvent]:
        """What has happened so far, in order."""
        return [] if self._folder is None else _events(self._folder)

    async def wait_for(self, what: str, count: int = 1, deadline: float = 15.0) -> PhoneEvent:
        """Wait until something has happened ``count`` times; gives the last of them. Raises ``CallError``."""
        until = time.monotonic() + deadline
        while True:
            found = [event for event in self.events if event.what == what]
            if len(found) >= count:
                return found[count - 1]
            if time.monotonic() > until:
                raise CallError(f"phone {self.port}: no {what!r} number {count} within {deadline:.0f} s: {self.events}")
            await asyncio.sleep(_POLL)

    async def start(self) -> None:
        """Go on duty; it can be called when this returns. Raises ``CallError``."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="callfloor-phone-"))
        # -rtp_echo: the caller hears herself, and audio flows in both directions.
        self._sipp = await _sipp(self.image, self._folder, self.host, phone(self.script), "-rtp_echo", port=self.port)
        until = time.monotonic() + _START_LIMIT
        while not _udp_port_taken(self.host, self.port):
            if self._sipp.returncode is not None or time.monotonic() > until:
                raise CallError(f"phone {self.port}: SIPp does not come up: {_complaint(self._folder)}")
            await asyncio.sleep(_POLL)

    async def stop(self) -> None:
        """Pull the plug: calls in progress are not ended, the phone is just gone."""
        if self._sipp is not None:
            await _end(self._sipp)
            self._sipp = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    async def __aenter__(self) -> Phone:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def _udp_port_taken(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return True
        return False


async def _sipp(
    image: Image, folder: Path, host: str, scenario: str, *args: str, port: int | None = None
) -> asyncio.subprocess.Process:
    (folder / "scenario.xml").write_text(scenario, encoding="utf-8")
    log = folder / "events.log"
    options = ["-sf", "scenario.xml", "-i", host, "-p", str(port or free_udp_port(host)), "-mi", host]
    media = _free_rtp_port(host)
    options += ["-mp", str(media), "-min_rtp_port", str(media), "-max_rtp_port", str(media + 8), "-nostdin"]
    options += ["-trace_logs", "-log_file", str(log), "-trace_err", "-error_file", str(folder / "errors.log")]
    with (folder / "screen.log").open("wb") as screen:
        sipp = await asyncio.create_subprocess_exec(
            *image.command("sipp", *options, *args),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=screen,
            stderr=screen,
            cwd=folder,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TERM": "dumb", **image.env},
            preexec_fn=die_with(os.getpid()),
        )
    return sipp


def _free_rtp_port(host: str) -> int:
    """An even port with room above it for SIPp's other streams."""
    while True:
        port = free_udp_port(host) & ~1
        if port <= 65500:
            return port


async def _end(sipp: asyncio.subprocess.Process) -> None:
    if sipp.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            sipp.kill()  # a signal it could handle makes it wait for its calls
        await sipp.wait()


def _events(folder: Path) -> list[PhoneEvent]:
    try:
        lines = (folder / "events.log").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    events = []
    for line in lines:
        words = line.split()  # <what> [<status>] <call id> <date> <time> <Unix seconds>
        if len(words) >= 5:
            events.append(PhoneEvent(" ".join(words[:-4]), words[-4], float(words[-1])))
    return events


def _outcome(events: Sequence[PhoneEvent], exit_status: int, folder: Path) -> Outcome:
    def last(test: Callable[[str], bool]) -> PhoneEvent | None:
        return next((event for event in reversed(events) if test(event.what)), None)

    refused = last(lambda what: what.startswith("refused"))
    if refused is not None:
        return Outcome(int(refused.what.split()[1]), "refused", None, refused.at, refused.call_id)
    answered = last(lambda what: what == "answered")
    if answered is None:
        raise CallError(f"SIPp ended with status {exit_status} before the call was answered: {_complaint(folder)}")
    end = last(lambda what: what in ("hung-up", "far-end-hung-up"))
    # A BYE that crosses one of our own requests ends SIPp with an error, but the call as it should be.
    ended_by: Ending = "far-end" if end is None or end.what == "far-end-hung-up" else "caller"
    return Outcome(200, ended_by, answered.at, end.at if end else time.time(), answered.call_id)


def _complaint(folder: Path) -> str:
    for name in ("errors.log", "screen.log"):
        with contextlib.suppress(OSError):
            lines = [line for line in (folder / name).read_text(errors="replace").splitlines() if line.strip()]
            if lines:
                return lines[-1].strip()[:300]
    return "it gave no reason"
