"""Phrases as sound files: recorded ones first, the rest rendered ahead of any call and cached by content.

PromptError   a phrase has no sound; the message names it and the mend
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from ivr_flows.audio import AudioError, to_telephone
from ivr_flows.expressions import ExpressionError
from ivr_flows.phrases import Phrase, phrases
from ivr_flows.schema import Flow

Render = Callable[[str, str], Awaitable[bytes]]
"""(text, language) to a WAV; raises ``RenderError``."""

RECORDED_SUFFIXES = (".wav", ".wav16", ".gsm", ".ulaw", ".alaw", ".sln", ".sln16", ".g722")
"""What Asterisk plays without a module of its own for it."""
RENDER_SECONDS = 30.0
RENDER_AT_ONCE = 2
_VERSION = "1"
"""Raised when the way from text to sound changes, so that nothing old is played."""
_PLAYABLE = re.compile(r"[^\"\\\n\r\0&|,]+\Z")
"""What a path may hold that goes through AGI and the dialplan."""

log = structlog.get_logger(__name__)


class PromptError(Exception):
    """A phrase has no sound. One line, fit to be shown."""


class RenderError(Exception):
    """The synthesiser could not be run, or made no sound."""


@dataclass(frozen=True, slots=True)
class Espeak:
    """The synthesiser espeak-ng, installed or out of an unpacked image."""

    command: Sequence[str] = ("espeak-ng",)
    """The program, with all that must stand before its own options."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the process's own."""
    voices: Mapping[str, str] = field(default_factory=lambda: {"de": "de", "en": "en-gb"})
    words_per_minute: int = 150

    @property
    def voice(self) -> str:
        """What makes the sound of a text; part of the cache's key."""
        voices = ",".join(f"{language}={voice}" for language, voice in sorted(self.voices.items()))
        return f"espeak-ng {voices} {self.words_per_minute}"

    async def __call__(self, text: str, language: str) -> bytes:
        """The text as a WAV. Raises ``RenderError``."""
        voice = self.voices.get(language, language)
        # The text goes through standard input: as an argument it could be taken for an option.
        words = [*self.command, "-b", "1", "-v", voice, "-s", str(self.words_per_minute), "--stdin", "--stdout"]
        try:
            process = await asyncio.create_subprocess_exec(
                *words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, **self.environment},
            )
        except OSError as failed:
            raise RenderError(f"{self.command[0]} cannot be run ({failed.strerror})") from failed
        try:
            async with asyncio.timeout(RENDER_SECONDS):
                wav, complaint = await process.communicate(text.encode())
        except TimeoutError:
            raise RenderError(f"{self.command[0]} took more than {RENDER_SECONDS:g} s") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0 or not wav:
            said = " ".join(complaint.decode("utf-8", "replace").split())[:120]
            raise RenderError(f"{self.command[0]} failed ({said or f'status {process.returncode}'})")
        return wav


class PromptLibrary:
    """Where the sound of every phrase is."""

    def __init__(self, folder: Path, render: Render | None, voice: str, recorded: Path | None = None) -> None:
        """``folder`` caches what ``render`` makes with ``voice``; ``recorded`` holds ``<language>/<phrase id>.wav``."""
        self._folder = folder.absolute()
        self._render = render
        self._voice = voice
        self._recorded = recorded.absolute() if recorded is not None else None
        self._at_once = asyncio.Semaphore(RENDER_AT_ONCE)
        self._ready: dict[Phrase, str] = {}

    async def prepare(self, flow: Flow) -> int:
        """Have a sound for everything the flow can say; return how many were rendered now.

        Raises ``PromptError`` for the first that has none and cannot get one.
        """
        try:
            wanted = list(dict.fromkeys(phrases(flow)))
        except ExpressionError as wrong:
            raise PromptError(f"{flow.file}: a text cannot be rendered: {wrong}") from wrong
        results = await asyncio.gather(*(self._make_ready(phrase) for phrase in wanted), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        rendered = sum(result is True for result in results)
        log.info("prompts_ready", flow=flow.document.name, phrases=len(wanted), rendered=rendered)
        return rendered

    def sound(self, phrase: Phrase) -> str:
        """The phrase's sound file, absolute and without suffix. Raises ``PromptError`` when it was not prepared."""
        try:
            return self._ready[phrase]
        except KeyError:
            raise PromptError(f"prompt {phrase.id!r} ({phrase.language}) was not prepared") from None

    async def _make_ready(self, phrase: Phrase) -> bool:
        found = self._find_recorded(phrase)
        rendered = False
        if found is None:
            found = self._cached(phrase)
            if not found.is_file():
                async with self._at_once:
                    await self._make(phrase, found)
                rendered = True
        name = str(found.with_suffix(""))
        if not _PLAYABLE.match(name):
            raise PromptError(
                f"prompt {phrase.id!r} ({phrase.language}): Asterisk cannot play from {str(found.parent)!r}; "
                'use a folder without any of " \\ & | , in its name'
            )
        self._ready[phrase] = name
        return rendered

    def _find_recorded(self, phrase: Phrase) -> Path | None:
        if self._recorded is None:
            return None
        for suffix in RECORDED_SUFFIXES:
            path = self._recorded / phrase.language / f"{phrase.id}{suffix}"
            if path.is_file():
                return path
        return None

    def _cached(self, phrase: Phrase) -> Path:
        key = "\0".join((_VERSION, self._voice, phrase.language, phrase.text)).encode()
        return self._folder / phrase.language / f"{hashlib.sha256(key).hexdigest()[:32]}.wav"

    async def _make(self, phrase: Phrase, path: Path) -> None:
        where = f"prompt {phrase.id!r} ({phrase.language})"
        mend = f"record it as {self._place_to_record(phrase)}, or install espeak-ng"
        if self._render is None:
            raise PromptError(f"{where}: nothing can render it; {mend}")
        try:
            wav = await self._render(phrase.text, phrase.language)
            telephone = await asyncio.to_thread(to_telephone, wav)
        except (RenderError, AudioError) as failed:
            raise PromptError(f"{where}: {failed}; {mend}") from failed
        try:
            await asyncio.to_thread(_write, path, telephone)
        except OSError as failed:
            raise PromptError(f"{where}: cannot write {path} ({failed.strerror}); check storage.folder") from failed

    def _place_to_record(self, phrase: Phrase) -> str:
        folder = self._recorded or Path("<flows.prompts>")
        return str(folder / phrase.language / f"{phrase.id}.wav")


def _write(path: Path, data: bytes) -> None:
    """All or nothing: half a prompt must never be played."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # Asterisk may run as another user.
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
