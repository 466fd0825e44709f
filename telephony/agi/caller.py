"""A caller over FastAGI: the ``Caller`` port of ``ivr_flows``, told in AGI commands.

Digits: ``GET DATA`` loses none, whether typed during its sound or after it, but it knows one sound and only ``#`` as an
end. While Asterisk waits for our next command it reads and drops what comes in, so every further command is a gap (some
tenths of a millisecond) in which the end of a key press would be lost. Hence: one ``GET DATA`` wherever it does, and
where it does not, one hand-over after the first digit.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import quote

import structlog

from ivr_flows.ports import CallerGone, CallFacts
from telephony.agi.codec import AgiCommandError, AgiError, Environment, Reply, presentation

ALL_DIGITS = "0123456789*#"
COMMAND_SECONDS = 15.0
"""How long a command that neither plays nor waits may take; Asterisk answers in under a millisecond."""
PLAY_SECONDS = 180.0
"""How long one sound may play."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}\Z")
_LANGUAGE = re.compile(r"[a-z]{2}(?:_[A-Z]{2})?\Z")
_EVENT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}\Z")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.:@>+=/ -]")
_SAFE = ":@>+=/ "
"""Of the signs that ``quote`` does not leave alone anyway."""
_ALIVE = "6"
"""What ``CHANNEL STATUS`` says of a line that is up."""

Ask = Callable[[Sequence[str], float], Awaitable[Reply]]
"""Send one command (its words), wait at most so many seconds, return the reply; raises ``CallerGone``."""

log = structlog.get_logger(__name__)


class SoundError(AgiError):
    """A sound cannot be played, though the caller is still there."""


class AgiCaller:
    """One caller. ``ask`` carries a command to Asterisk and its reply back."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def play(self, sounds: Sequence[str], interrupt: str = "") -> str:
        """See ``Caller.play``. Raises ``CallerGone``, and ``SoundError`` when a sound cannot be played."""
        for sound in sounds:
            digit = await self._stream(sound, interrupt)
            if digit:
                return digit
        return ""

    async def collect(
        self, sounds: Sequence[str], most: int, seconds: float, secure: bool = False, stop: str = ""
    ) -> str:
        """See ``Caller.collect``. Raises ``CallerGone``, and ``SoundError`` when a sound cannot be played."""
        if not stop and len(sounds) <= 1:
            return await self._get_data(sounds[0] if sounds else "", most, seconds)
        first = await self.play(sounds, ALL_DIGITS) or await self._wait(seconds)
        if first in ("", "#"):
            return ""
        if first in stop or most == 1:
            return first
        return first + await self._get_data("", most - 1, seconds)

    async def set_variables(self, values: Mapping[str, str]) -> None:
        """See ``Caller.set_variables``. Raises ``AgiCommandError`` for a name or value that is not safe."""
        for name, value in values.items():
            # A function's name here would be executed by Asterisk, so only plain variables pass.
            if not _VARIABLE.match(name):
                raise AgiCommandError(f"{name[:80]!r} is no channel variable's name")
            if _UNSAFE.search(value):
                raise AgiCommandError(f"the value of {name} holds a character that is not safe in a dialplan")
            await self._simple("SET", "VARIABLE", name, value)

    async def set_language(self, language: str) -> None:
        """See ``Caller.set_language``."""
        if not _LANGUAGE.match(language):
            raise AgiCommandError(f"{language[:20]!r} is no language code")
        await self._simple("SET", "VARIABLE", "CHANNEL(language)", language)

    async def tell(self, event: str, values: Mapping[str, str]) -> None:
        """See ``Caller.tell``. Characters that could end a header are percent-encoded, and so is the percent sign."""
        if not _EVENT.match(event) or not all(_HEADER.match(name) for name in values):
            raise AgiCommandError(f"{event[:64]!r} or one of its headers is no name for a user event")
        # Reversible: with a substitute two customers' ids could become one.
        headers = [f"{name}: {quote(value, safe=_SAFE)}" for name, value in values.items()]
        reply = await self._simple("EXEC", "UserEvent", ",".join([event, *headers]))
        if reply.result == "-2":
            raise AgiError("Asterisk lacks the application UserEvent; load app_userevent.so")

    async def hang_up(self) -> None:
        """See ``Caller.hang_up``."""
        await self._simple("HANGUP")

    async def _stream(self, sound: str, interrupt: str) -> str:
        reply = await self._ask(("STREAM", "FILE", sound, interrupt), PLAY_SECONDS)
        _expect_done(reply)
        if reply.result == "-1":
            await self._gone_or(sound)
        return _digit(reply)

    async def _wait(self, seconds: float) -> str:
        reply = await self._ask(("WAIT", "FOR", "DIGIT", _milliseconds(seconds)), seconds + COMMAND_SECONDS)
        _expect_done(reply)
        if reply.result == "-1":
            raise CallerGone
        return _digit(reply)

    async def _get_data(self, sound: str, most: int, seconds: float) -> str:
        limit = PLAY_SECONDS + (most + 1) * seconds + COMMAND_SECONDS
        reply = await self._ask(("GET", "DATA", sound, _milliseconds(seconds), str(most)), limit)
        _expect_done(reply)
        if reply.result == "-1":
            await self._gone_or(sound)
        return reply.result

    async def _simple(self, *words: str) -> Reply:
        reply = await self._ask(words, COMMAND_SECONDS)
        _expect_done(reply)
        return reply

    async def _gone_or(self, sound: str) -> None:
        """-1 means a hang-up or a sound that is not there; only the channel's state tells which."""
        state = await self._ask(("CHANNEL", "STATUS"), COMMAND_SECONDS)
        if state.code != 200 or state.result != _ALIVE:
            raise CallerGone
        raise SoundError(f"sound {sound!r} cannot be played; is the file there, and may Asterisk read it?")


def facts_of(environment: Environment) -> CallFacts:
    """What the AGI environment says of the call. Arguments: our id, the dialled number, the checkpoint."""
    values = environment.values
    arguments = (*environment.arguments, "", "", "")
    return CallFacts(
        conversation=arguments[0] or _known(values.get("agi_uniqueid", "")),
        number=_known(values.get("agi_callerid", "")),
        name=_known(values.get("agi_calleridname", "")),
        presentation=presentation(values.get("agi_callingpres", "")),
        dialled=arguments[1] or _known(values.get("agi_dnid", "")),
        language=values.get("agi_language", ""),
        checkpoint=arguments[2],
    )


def _known(value: str) -> str:
    """Asterisk writes ``unknown`` for what it does not know."""
    return "" if value == "unknown" else value


def _expect_done(reply: Reply) -> None:
    if reply.code == 511:
        raise CallerGone
    if reply.code != 200:
        raise AgiError(f"Asterisk refused a command: {reply.text.splitlines()[0][:120]}")


def _digit(reply: Reply) -> str:
    if reply.result in ("", "0"):
        return ""
    code = int(reply.result) if reply.result.isdigit() and len(reply.result) < 4 else 0
    digit = chr(code)
    if digit not in ALL_DIGITS:
        # A–D keys exist on test sets only; they mean nothing in a flow.
        log.debug("agi_digit_ignored", code=code)
        return ""
    return digit


def _milliseconds(seconds: float) -> str:
    """At least one: to ``GET DATA`` zero means its own default, and less means for ever."""
    return str(max(1, round(seconds * 1000)))
