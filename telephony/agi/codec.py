"""FastAGI on the wire, without any I/O: bytes in, items out; commands in, bytes out.

Asterisk speaks first: ``agi_…: value`` lines up to an empty line. After that it is strictly one command, one reply;
only ``HANGUP`` comes unasked, in front of a reply or in its place (res_agi.c, ``run_agi``).

    AgiError
    ├── AgiProtocolError   the peer does not speak FastAGI, or past a cap: the connection is of no more use
    └── AgiCommandError    we asked for something that cannot be sent
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_LINE = 8192
"""Bytes in one line from Asterisk. Channel variables end at 4 KiB, so a longer line is not Asterisk's."""
MAX_ENVIRONMENT_LINES = 256
"""Asterisk passes at most 128 arguments beside some twenty fixed lines (``MAX_ARGS``)."""
MAX_USAGE_LINES = 256
"""Lines in the usage text of a 520 reply."""
MAX_COMMAND = 8190
"""Bytes of a command without its newline: more does not fit Asterisk's buffer (``AGI_BUF_LEN``)."""

_PLAIN_WORD = re.compile(r"[A-Za-z0-9_./:()=+*-]+\Z")
_REPLY = re.compile(r"(?P<code>[0-9]{3})(?P<joint>[ -]|\Z)(?P<rest>.*)\Z", re.DOTALL)
_RESULT = re.compile(r"result=(?P<result>-?[0-9A-Da-d*#]*)(?P<more>(?: .*)?)\Z", re.DOTALL)
_END_POSITION = re.compile(r"(?:^| )endpos=(?P<end>[0-9]{1,15})\Z")


class AgiError(Exception):
    """Something about a FastAGI session went wrong."""


class AgiProtocolError(AgiError):
    """The peer sent what FastAGI does not know, or more than any Asterisk sends."""


class AgiCommandError(AgiError):
    """A command that must not be sent: it would be cut off, or would smuggle in a second one."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What Asterisk says before the first command; every value is raw and hostile."""

    values: Mapping[str, str]

    @property
    def arguments(self) -> tuple[str, ...]:
        """``agi_arg_1`` and on, up to the first that is missing."""
        found: list[str] = []
        while (name := f"agi_arg_{len(found) + 1}") in self.values:
            found.append(self.values[name])
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one command."""

    code: int
    """200 done, 510 unknown command, 511 not on a dead channel, 520 wrong usage."""
    result: str = ""
    """What follows ``result=``: a number, or the digits of ``GET DATA``; often empty."""
    data: str = ""
    """What stands in parentheses after it, for instance ``timeout``."""
    end_position: int | None = None
    """Samples played, of commands that play."""
    text: str = field(default="", repr=False)
    """The whole line, or the usage text."""


@dataclass(frozen=True, slots=True)
class Hangup:
    """The caller has hung up."""


Item = Environment | Reply | Hangup


class Decoder:
    """Turns what Asterisk sends into items. After an ``AgiProtocolError`` it is of no more use."""

    __slots__ = ("_buffer", "_environment", "_lines", "_usage")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._environment: dict[str, str] | None = {}
        self._lines = 0
        self._usage: list[str] | None = None

    def feed(self, data: bytes) -> list[Item]:
        """Take in bytes; return the items they complete. Raises ``AgiProtocolError``."""
        items: list[Item] = []
        self._buffer += data
        start = 0
        while (end := self._buffer.find(b"\n", start)) >= 0:
            if end - start > MAX_LINE:
                raise AgiProtocolError(f"a line of {end - start} bytes (cap: {MAX_LINE})")
            # Values may be any bytes (a caller's name): nothing is lost, nothing raises.
            line = self._buffer[start:end].decode("utf-8", "surrogateescape").removesuffix("\r")
            start = end + 1
            item = self._environment_line(line) if self._environment is not None else self._reply_line(line)
            if item is not None:
                items.append(item)
        del self._buffer[:start]
        if len(self._buffer) > MAX_LINE:
            raise AgiProtocolError(f"a line of more than {MAX_LINE} bytes")
        return items

    def _environment_line(self, line: str) -> Environment | None:
        assert self._environment is not None
        if not line:
            if not self._environment:
                raise AgiProtocolError("no environment before the empty line")
            done, self._environment = Environment(self._environment), None
            return done
        self._lines += 1
        if self._lines > MAX_ENVIRONMENT_LINES:
            raise AgiProtocolError(f"more than {MAX_ENVIRONMENT_LINES} lines of environment")
        name, colon, value = line.partition(":")
        if not colon or not name.startswith("agi_"):
            raise AgiProtocolError("a line of environment without agi_ name")
        # Asterisk says nothing twice. A caller's name that smuggled in a newline would, and it cannot be told which
        # of the two is true: the call goes to a person by way of the dialplan.
        if name in self._environment:
            raise AgiProtocolError(f"{name[:40]!r} twice in the environment")
        self._environment[name] = value.removeprefix(" ")
        return None

    def _reply_line(self, line: str) -> Reply | Hangup | None:
        if self._usage is not None:
            return self._usage_line(line)
        if line == "HANGUP":
            return Hangup()
        parts = _REPLY.match(line)
        if parts is None:
            raise AgiProtocolError("a line that is no reply")
        code, rest = int(parts["code"]), parts["rest"]
        if parts["joint"] == "-":
            self._usage = [line]
            return None
        if code != 200:
            return Reply(code, text=line)
        result = _RESULT.match(rest)
        if result is None:
            raise AgiProtocolError("a 200 reply without result")
        return _with_details(code, result["result"], result["more"].removeprefix(" "), line)

    def _usage_line(self, line: str) -> Reply | None:
        assert self._usage is not None
        self._usage.append(line)
        if line.startswith(self._usage[0][:3] + " "):
            usage, self._usage = self._usage, None
            return Reply(int(usage[0][:3]), text="\n".join(usage))
        if len(self._usage) > MAX_USAGE_LINES:
            raise AgiProtocolError(f"more than {MAX_USAGE_LINES} lines of usage")
        return None


def _with_details(code: int, result: str, more: str, line: str) -> Reply:
    position = _END_POSITION.search(more)
    if position is not None:
        more = more[: position.start()]
    data = more[1:-1] if more.startswith("(") and more.endswith(")") else ""
    return Reply(code, result, data, int(position["end"]) if position is not None else None, line)


def encode_command(*words: str) -> bytes:
    """One command line. Words are quoted where needed.

    Raises ``AgiCommandError`` for a newline or NUL in a word, and for more than ``MAX_COMMAND`` bytes.
    """
    line = " ".join(_quote(word) for word in words).encode("utf-8", "surrogateescape")
    if len(line) > MAX_COMMAND:
        raise AgiCommandError(f"a command of {len(line)} bytes (cap: {MAX_COMMAND})")
    return line + b"\n"


def _quote(word: str) -> str:
    if any(forbidden in word for forbidden in "\n\r\0"):
        raise AgiCommandError("a newline or NUL in a command")
    if _PLAIN_WORD.match(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


PRESENTATIONS = {
    0x00: "allowed_not_screened",
    0x01: "allowed_passed_screen",
    0x02: "allowed_failed_screen",
    0x03: "allowed",
    0x20: "prohib_not_screened",
    0x21: "prohib_passed_screen",
    0x22: "prohib_failed_screen",
    0x23: "prohib",
    0x43: "unavailable",
}
"""``agi_callingpres`` as a word: Q.931 presentation (0x60) and screening (0x03) bits, Asterisk's names (callerid.c)."""


def presentation(code: str) -> str:
    """The word for an ``agi_callingpres`` value; empty when it is none.

    A number whose presentation is neither allowed nor known counts as prohibited: better unknown than shown.
    """
    if not code.isascii() or not code.isdigit() or len(code) > 4:
        return ""
    value = int(code)
    known = PRESENTATIONS.get(value & 0x63)
    return known or ("unavailable" if value & 0x40 else "prohib")
