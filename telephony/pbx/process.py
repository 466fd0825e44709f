"""An Asterisk of ours as a child process: configured, started, awaited, asked, ended."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import structlog

from telephony.pbx.credentials import Secrets, load_or_make
from telephony.pbx.errors import StartError
from telephony.pbx.hold_music import write_hold_music
from telephony.pbx.image import Image
from telephony.pbx.render import Folders, render, write
from telephony.settings import Settings

BOOT_LIMIT = 30.0
"""Seconds an Asterisk may take until it is fully booted; it needs about one."""
STOP_LIMIT = 10.0

_RELOADABLE = {
    "extensions.conf": "dialplan reload",
    "queues.conf": "queue reload all",
    "pjsip.conf": "module reload res_pjsip.so",
    "manager.conf": "manager reload",
    "musiconhold.conf": "moh reload",
    "features.conf": "features reload",
    "logger.conf": "logger reload",
}
"""What to say to a running Asterisk when a file has changed; a change of any other file needs a restart."""

_PR_SET_PDEATHSIG = 1
_log = structlog.get_logger(__name__)


class Asterisk:
    """One Asterisk. It ends when we end, however we end."""

    def __init__(self, settings: Settings, image: Image) -> None:
        self.settings = settings
        self.image = image
        self.folders = Folders.of(settings.pbx.folder)
        self.secrets: Secrets = load_or_make(settings)
        self._child: asyncio.subprocess.Process | None = None
        self._lock: IO[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    @property
    def console_log(self) -> Path:
        """Everything it has said since its last start: notices, warnings and errors."""
        return self.folders.log / "console.log"

    def configure(self) -> frozenset[str]:
        """Render its configuration; gives the names of the files that changed."""
        try:
            self.folders.make()
            write_hold_music(self.folders.music)
        except OSError as failed:
            raise StartError(
                f"{self.settings.pbx.folder}: cannot be written ({failed.strerror}); check pbx.folder"
            ) from None
        return write(render(self.settings, self.secrets, self.image, self.folders), self.folders.etc)

    async def start(self) -> None:
        """Configure and start it. It is not up yet then: see ``wait_booted``. Raises ``StartError``."""
        if self.pid is not None:
            return
        self._claim_folder()
        try:
            await self._start()
        except BaseException:
            self._leave_folder()
            raise

    async def _start(self) -> None:
        self.configure()
        self._check_ports()
        command = self.image.command("asterisk", "-f", "-n", "-C", str(self.folders.etc / "asterisk.conf"))
        (self.folders.run / "asterisk.ctl").unlink(missing_ok=True)
        with self.console_log.open("wb") as console:
            self._child = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=self._environment(),
                cwd=self.folders.state,
                start_new_session=True,  # Ctrl-C is ours to handle: it must not end Asterisk under our feet
                preexec_fn=die_with(os.getpid()),
            )
        _log.info("pbx_started", pid=self._child.pid, sip_port=self.settings.pbx.sip_port)

    async def wait_booted(self, deadline: float = BOOT_LIMIT) -> None:
        """Wait until it is fully booted, at most ``deadline`` seconds. Raises ``StartError``."""
        until = time.monotonic() + deadline
        while True:
            if self.pid is None:
                raise StartError(
                    f"Asterisk ended before it was up: {self._last_words()} (all of it: {self.console_log})"
                )
            if "fully booted" in await self.cli("core waitfullybooted", deadline=max(0.1, until - time.monotonic())):
                return
            if time.monotonic() >= until:
                raise StartError(f"Asterisk is not up after {deadline:.0f} s; see {self.console_log}")
            await asyncio.sleep(0.02)  # its control socket is not there yet

    async def cli(self, command: str, deadline: float = 10.0) -> str:
        """What it answers to a console command; empty when it cannot be asked."""
        asking = await asyncio.create_subprocess_exec(
            *self.image.command("asterisk", "-C", str(self.folders.etc / "asterisk.conf"), "-rx", command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment(),
        )
        try:
            async with asyncio.timeout(deadline):
                said, _ = await asking.communicate()
        except TimeoutError:
            return ""
        finally:
            if asking.returncode is None:
                asking.kill()
                await asking.wait()
        return said.decode(errors="replace") if asking.returncode == 0 else ""

    async def reload(self) -> bool:
        """Render again and reload what changed. False: some change needs a restart and is not in force yet."""
        changed = self.configure()
        for name in sorted(changed & _RELOADABLE.keys()):
            await self.cli(_RELOADABLE[name])
        return changed <= _RELOADABLE.keys()

    async def stop(self) -> None:
        """End it in good order, which ends its calls; kill it if that takes too long."""
        child = self._child
        if child is None or child.returncode is not None:
            self._leave_folder()
            return
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        try:
            async with asyncio.timeout(STOP_LIMIT):
                await child.wait()
        except TimeoutError:
            _log.warning("pbx_kill", pid=child.pid)
            await self.kill()
        self._leave_folder()
        _log.info("pbx_stopped", pid=child.pid)

    async def kill(self) -> None:
        """End it at once, as a crash would."""
        child = self._child
        if child is not None and child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
            self._leave_folder()

    async def restart(self) -> None:
        """Stop, start and wait until it is up again."""
        await self.stop()
        await self.start()
        await self.wait_booted()

    async def wait(self) -> int:
        """Wait until it ends; gives its exit status."""
        return 0 if self._child is None else await self._child.wait()

    async def __aenter__(self) -> Asterisk:
        try:
            await self.start()
            await self.wait_booted()
        except BaseException:
            await self.kill()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _environment(self) -> dict[str, str]:
        # No PATH of the caller's, no PYTHON*, no passwords in CALLFLOOR_*: it needs none of them.
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folders.state), **self.image.env}

    def _claim_folder(self) -> None:
        """Two Asterisks in one folder would take each other's control socket and database away."""
        if self._lock is not None:  # it has ended by itself, and is started again
            return
        path = self.settings.pbx.folder.absolute() / "lock"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = path.open("wb")
        except OSError as failed:
            raise StartError(f"{path}: cannot be written ({failed.strerror}); check pbx.folder") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise StartError(
                f"{path.parent}: another run's Asterisk works in this folder; end it, or set pbx.folder to another one"
            ) from None
        self._lock = lock

    def _leave_folder(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _check_ports(self) -> None:
        pbx, ami = self.settings.pbx, self.settings.ami
        for key, kind, host, port in (
            ("pbx.sip_port", socket.SOCK_DGRAM, pbx.bind, pbx.sip_port),
            ("pbx.ws_port", socket.SOCK_STREAM, pbx.bind, pbx.ws_port),
            ("ami.port", socket.SOCK_STREAM, pbx.ami_bind, ami.port),
        ):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, kind) as probe:
                if kind == socket.SOCK_STREAM:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, port))
                except OSError as refused:
                    raise StartError(
                        f"port {port} on {host} cannot be used ({refused.strerror}): "
                        f"end the program that has it, or set {key} to a free port"
                    ) from None

    def _last_words(self) -> str:
        try:
            lines = self.console_log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        telling = [line for line in lines if "ERROR" in line] or [line for line in lines if line.strip()]
        return telling[-1].strip()[:300] if telling else "it said nothing"


def die_with(parent: int) -> Callable[[], None]:
    """For a child's ``preexec_fn``: have the kernel end it when its parent dies, even by ``kill -9``."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up now: after the fork only the call itself is safe

    def apply() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent died before the line above
            os._exit(1)

    return apply
