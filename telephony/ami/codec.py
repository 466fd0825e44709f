"""AMI on the wire, without I/O: bytes in, messages out; actions in, bytes out.

Framing. A stream is lines ended by LF; one CR before the LF belongs to the end of line. An empty line ends a frame;
further empty lines mean nothing (Asterisk 20 ends some lists with ``CR LF LF``). The first line decides what a frame
is: ``OriginateResponse`` is an event although it carries a ``Response`` header. The banner is one line without an
empty line after it.

Speed. A busy Asterisk prints several thousand events a second of which each consumer needs a few headers. So a
frame is kept as bytes, and a header is found by searching those bytes when it is asked for. The whole frame becomes
a dict only for ``keys``, ``[]`` and iteration, which behave like ``asterisk.ami.Event``. In the common case, pure
CR LF, ``feed`` is one ``split``; anything else takes the exact way, line by line, with the same result.

Headers asked for by name: the first one spelt exactly so, else the first in any case. (Asterisk, too, takes the first
match of a header. With hostile text inside a frame nobody can tell the right one; see ``get``.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from asterisk.ami import Action
from asterisk.ami import Event as PeerEvent
from asterisk.ami import Response as PeerResponse

from telephony.ami.errors import EncodeError, ProtocolError

BANNER = b"Asterisk Call Manager/"

_END = b"\n\r\n"
_CR, _BLANK = b"\r "
_NAMES: dict[bytes, str] = {}
_NEEDLES: dict[str, bytes] = {}
_LOWERED: dict[str, bytes] = {}
_CACHE_CAP = 2048
"""Names come from Asterisk, whose vocabulary is small; the cap holds when somebody invents new ones."""


FORGIVEN_AFTER = 10_000
"""Good messages after which malformed frames are counted anew: a link that lives for months sees some."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Named caps; what exceeds one fails the connection. Sizes in bytes, without the end of line."""

    line: int = 16 * 1024
    message: int = 4 * 1024 * 1024
    """The answer to ``Command`` is one message."""
    headers: int = 50_000
    malformed: int = 100
    """Frames of one connection that may be skipped before we stop believing that the peer speaks AMI."""
    items: int = 200_000
    """Items of one list (see ``session``)."""


class _Frame:
    """What events and responses share. ``_frame`` is the frame up to, but without, the LF of its last line."""

    __slots__ = ()
    _frame: bytes

    @property
    def raw(self) -> bytes:
        """The frame's lines as they came, without the last end of line; add two to get a frame again."""
        frame = self._frame
        return frame[:-1] if frame.endswith(b"\r") else frame

    def get(self, key: str, default: str = "") -> str:
        """The value of the first header of that name, ``default`` if there is none.

        Costs one search of the bytes. A value may come from a caller (number, name, dialled digits) and must be
        taken as hostile; so may headers that stand behind it in the same frame, if Asterisk printed a line end.
        """
        frame = self._frame
        needle = _NEEDLES.get(key) or _needle(key)
        start = frame.find(needle)
        if start < 0:
            start = frame.lower().find(needle.lower())
            if start < 0:
                return self._first(key, default)
        start += len(needle)
        end = frame.find(b"\n", start)
        if end < 0:
            end = len(frame)
        if start < end:
            # Single bytes compared as numbers: this line runs some thirty thousand times a second.
            if frame[end - 1] == _CR:
                end -= 1
            if start < end and frame[start] == _BLANK:
                start += 1
        return frame[start:end].decode("utf-8", "surrogateescape")

    def get_last(self, key: str, default: str = "") -> str:
        """The value of the last header of that name.

        A ``UserEvent`` prints the channel's headers first and its own after them: one that is named like one of the
        channel's (``Language``, ``Channel``, ``Context``) is found only so.
        """
        values = self.get_all(key)
        return values[-1] if values else default

    def get_all(self, key: str) -> list[str]:
        """The values of every header of that name (in any case), in their order."""
        frame = self._frame
        lowered = frame.lower()
        needle = _LOWERED.get(key) or _lowered_needle(key)
        start = lowered.find(needle)
        first = self._first(key, "")
        values = [first] if first else []
        while start >= 0:
            start += len(needle)
            end = frame.find(b"\n", start)
            value = frame[start:] if end < 0 else frame[start:end]
            value = value[1:] if value.startswith(b" ") else value
            values.append((value[:-1] if value.endswith(b"\r") else value).decode("utf-8", "surrogateescape"))
            start = lowered.find(needle, start)
        return values

    def headers(self) -> Iterator[tuple[str, str]]:
        """All headers in their order, the first line included. Lines without a colon are left out."""
        for line in self._frame.decode("utf-8", "surrogateescape").split("\n"):
            name, colon, value = line.partition(":")
            if colon:
                value = value[1:] if value.startswith(" ") else value
                yield name, value[:-1] if value.endswith("\r") else value

    @property
    def variables(self) -> dict[str, str]:
        """The channel variables (``ChanVariable``) by name; the plain one and the form ``ChanVariable(channel)``."""
        frame = self._frame
        if b"\nChanVariable" not in frame:
            return {}
        found: dict[str, str] = {}
        for line in frame.split(b"\n"):
            if line.startswith((b"ChanVariable: ", b"ChanVariable(")):
                text = line.removesuffix(b"\r").decode("utf-8", "surrogateescape")
                name, equals, value = text.partition(": ")[2].partition("=")
                if equals:
                    found[name] = value
        return found

    def _first(self, key: str, default: str) -> str:
        """The first line's own header, which no search for "LF name" finds."""
        name, _, value = self._frame.partition(b"\n")[0].partition(b":")
        if name.lower() != key.lower().encode("utf-8", "surrogateescape"):
            return default
        return value.strip().decode("utf-8", "surrogateescape")

    def _title(self) -> str:
        line = self._frame.partition(b"\n")[0]
        title = line.partition(b":")[2].strip().decode("utf-8", "surrogateescape")
        if len(_NAMES) < _CACHE_CAP:
            _NAMES[line] = title
        return title


def _needle(key: str) -> bytes:
    needle = b"\n" + key.encode("utf-8", "surrogateescape") + b":"
    if len(_NEEDLES) < _CACHE_CAP:
        _NEEDLES[key] = needle
    return needle


def _lowered_needle(key: str) -> bytes:
    needle = b"\n" + key.lower().encode("utf-8", "surrogateescape") + b":"
    if len(_LOWERED) < _CACHE_CAP:
        _LOWERED[key] = needle
    return needle


class Event(_Frame, PeerEvent):  # type: ignore[misc]  # the package carries no types
    """An event, or an item of a list. Usable wherever an ``asterisk.ami.Event`` is, listeners included."""

    __slots__ = ("_frame", "_keys")
    _keys: dict[str, Any]

    def __init__(self, raw: bytes) -> None:
        """``raw``: one frame whose first line is ``Event: <name>``; a line end at its end does no harm."""
        self._frame = raw

    @classmethod
    def of(cls, name: str, headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> Event:
        """An event made up from parts, as tests and simulations need it."""
        return cls(_join("Event", name, headers))

    @property
    def name(self) -> str:
        """The event's name as Asterisk spells it."""
        frame = self._frame
        end = frame.find(b"\n")
        return _NAMES.get(frame if end < 0 else frame[:end]) or self._title()

    @property
    def keys(self) -> dict[str, Any]:
        """All headers but the first, as ``asterisk.ami`` has them: the last of equal ones wins, variables are dicts."""
        try:
            return self._keys
        except AttributeError:
            self._keys = keys = _peer_keys(self._frame)
            return keys

    def __repr__(self) -> str:
        return f"<Event {self.name}>"


class Response(_Frame, PeerResponse):  # type: ignore[misc]  # the package carries no types
    """The answer to an action."""

    __slots__ = ("_frame",)

    def __init__(self, raw: bytes) -> None:
        """``raw``: one frame whose first line is ``Response: <status>``."""
        self._frame = raw

    @classmethod
    def of(cls, status: str, headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> Response:
        """A response made up from parts."""
        return cls(_join("Response", status, headers))

    @property
    def status(self) -> str:
        """``Success``, ``Error``, ``Goodbye``."""
        return self._title()

    @property
    def keys(self) -> dict[str, str]:
        """All headers but the first; equal ones are joined with LF, as in ``asterisk.ami``."""
        found: dict[str, str] = {}
        headers = self.headers()
        next(headers, None)
        for name, value in headers:
            found[name] = f"{found[name]}\n{value}" if name in found else value
        return found

    @property
    def follows(self) -> list[str]:
        """The lines that ``Command`` printed."""
        return self.get_all("Output")

    def is_error(self) -> bool:
        """Asterisk refused the action."""
        return self.status.lower() == "error"

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


Message = Event | Response

_DICT_KEYS = frozenset(key for key, parser in PeerEvent.parsers.items() if parser.__name__ == "KeyValueParser")


def _peer_keys(frame: bytes) -> dict[str, Any]:
    text = frame.decode("utf-8", "surrogateescape").removesuffix("\r")
    lines = text.split("\r\n")
    if text.count("\n") >= len(lines):  # line ends without CR among them
        lines = [line.removesuffix("\r") for line in text.split("\n")]
    keys: dict[str, Any] = {}
    del lines[0]
    for line in lines:
        key, colon, value = line.partition(": ")
        if key in _DICT_KEYS:
            name, equals, content = value.partition("=")
            if equals:
                keys.setdefault(key, {})[name] = content
        elif colon:
            keys[key] = value
    return keys


def _join(kind: str, name: str, headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> bytes:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    lines = [f"{kind}: {name}", *(f"{key}: {value}" for key, value in pairs)]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def to_bytes(messages: Iterable[Message]) -> bytes:
    """The frames of these messages, ready for a journal: a ``FrameDecoder`` reads them back."""
    frames = [message._frame for message in messages]
    return _END.join(frames) + _END if frames else b""


class FrameDecoder:
    """Turns a stream into messages, however it is cut into pieces.

    ``banner``: the version in the banner, once it was seen; None before, and in a stream that has none (a journal).
    ``malformed``: how many frames were skipped, by kind. ``messages``: how many were returned.
    ``failure``: why decoding has ended; after that ``feed`` returns nothing any more. It never raises.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.banner: str | None = None
        self.failure: ProtocolError | None = None
        self.malformed: dict[str, int] = {}
        self._skipped = 0
        self._skipping_since = 0
        self.messages = 0
        self._rest = b""
        self._looked = (0, 0)
        """Of a long rest when it was last checked: where its unfinished line began, how many lines stood before."""
        self._at_start = True
        # A frame no longer than this cannot break the caps on lines, headers (two bytes each) and messages.
        self._safe = min(self.limits.line, self.limits.headers * 2 - 2, self.limits.message)

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete, in order."""
        if self.failure is not None:
            return []
        rest = self._rest
        if rest:
            if self._at_start or b"\n\r\n" in (tail := rest[-2:] + data) or b"\n\n" in tail:
                data = rest + data
            else:
                self._rest = rest + data
                self._check_rest()
                return []
        if self._at_start:
            data = self._take_banner(data)
            if self._at_start:
                self._rest = data
                self._check_rest()
                return []
        frames = self._exact_frames(data) if b"\n\n" in data else data.split(_END)
        self._rest, self._looked = frames.pop(), (0, 0)
        if not frames:
            self._check_rest()
            return []
        messages: list[Message] = [Event(frame) for frame in frames if frame[:7] == b"Event: "]
        if len(messages) < len(frames) or b"\0" in data or max(map(len, frames)) > self._safe:
            messages = self._one_by_one(frames)
        if self.failure is None:
            self._check_rest()
        self.messages += len(messages)
        return messages

    def _take_banner(self, data: bytes) -> bytes:
        head = data[: len(BANNER)]
        if head != BANNER[: len(data)]:
            self._at_start = False
            return data
        line, end, rest = data.partition(b"\n")
        if end and head == BANNER:
            self._at_start = False
            if self._exceeds(line):
                return b""  # in pieces it would have been refused before its end was there
            self.banner = line[len(BANNER) :].strip().decode("ascii", "replace")
            return rest
        return data

    @staticmethod
    def _exact_frames(data: bytes) -> list[bytes]:
        """What ``split`` would give if every empty line were CR LF; the last one is the unfinished rest."""
        frames: list[bytes] = []
        lines = data.split(b"\n")
        start = 0
        for index, line in enumerate(lines[:-1]):
            if line in (b"", b"\r"):
                if index > start:
                    frames.append(b"\n".join(lines[start:index]))
                start = index + 1
        frames.append(b"\n".join(lines[start:]))
        return frames

    def _one_by_one(self, frames: list[bytes]) -> list[Message]:
        """The exact way: what is before the first breach of a cap is still delivered, however the stream was cut."""
        messages: list[Message] = []
        for frame in frames:
            while frame.startswith((b"\r\n", b"\n")):
                frame = frame.partition(b"\n")[2]
            if frame in (b"", b"\r"):
                continue
            if len(frame) > self._safe and self._exceeds(frame):
                break
            name, colon, _ = frame.partition(b"\n")[0].partition(b":")
            kind = name.strip().lower()
            if b"\0" in frame:
                self._skip("nul")
            elif kind == b"event":
                messages.append(Event(frame))
            elif kind == b"response":
                messages.append(Response(frame))
            else:
                self._skip("unknown_kind" if colon else "no_header")
            if self.failure is not None:
                break
        return messages

    def _skip(self, kind: str) -> None:
        self.malformed[kind] = self.malformed.get(kind, 0) + 1
        if self.messages - self._skipping_since > FORGIVEN_AFTER:
            self._skipping_since, self._skipped = self.messages, 0
        self._skipped += 1
        if self._skipped > self.limits.malformed:
            self._fail("malformed", f"more than {self.limits.malformed} malformed frames in a short time")

    def _check_rest(self) -> None:
        rest = self._rest
        if len(rest) > self._safe:
            # Only what is new since the last look: a long message in small pieces would take quadratic time.
            start, before = self._looked
            lines = rest[start:].split(b"\n")
            # A rest may hold up to four bytes of line ends that do not belong to the frame.
            if not self._breaks_caps(len(rest), before + len(lines), lines, slack=4):
                self._looked = (len(rest) - len(lines[-1]), before + len(lines) - 1)

    def _exceeds(self, frame: bytes) -> bool:
        lines = frame.split(b"\n")
        return self._breaks_caps(len(frame), len(lines), lines)

    def _breaks_caps(self, size: int, count: int, lines: list[bytes], slack: int = 0) -> bool:
        limits = self.limits
        if size > limits.message + slack:
            self._fail("message_too_long", f"a message of more than {limits.message} bytes")
        elif count > limits.headers + slack:
            self._fail("too_many_headers", f"a message of more than {limits.headers} headers")
        elif max(len(line.removesuffix(b"\r")) for line in lines) > limits.line:
            self._fail("line_too_long", f"a line of more than {limits.line} bytes")
        else:
            return False
        return True

    def _fail(self, kind: str, text: str) -> None:
        self._rest = b""
        self.failure = ProtocolError(kind, f"AMI stream given up: {text}")


LINE_CAP = 1022
"""Bytes of one outgoing line: Asterisk refuses the whole action beyond (asterisk, manager.c: ``inbuf[1025]``)."""
HEADER_CAP = 128
"""Outgoing headers of one action (``AST_MAX_MANHEADERS``)."""

_ACTION_ID = re.compile(r"[A-Za-z0-9._-]{1,99}")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_VARIABLE = re.compile(r"_{0,2}[A-Za-z0-9][A-Za-z0-9_]*(\([^()\[\]\"\\=\r\n\0]*\))?")
_UNSAFE = re.compile("[\r\n\0]")
_TO_ESCAPE = re.compile(r'([,"\\()\[\]])')


def encode(action: Action, action_id: str) -> bytes:
    """The bytes of an action. The only place where actions become bytes, so the only one that must be careful.

    A value may be str, int, float or bool (``true``/``false``); a list or tuple makes one header an item. An
    ``ActionID`` among the keys gives way to ``action_id``. Variables become one ``Variable`` header each, escaped so
    that Asterisk sets exactly the given value.

    Raises ``EncodeError``: a line end or NUL anywhere, a name that is none, a line or an action too long.
    """
    if not _ACTION_ID.fullmatch(action_id):
        raise EncodeError(f"ActionID {action_id!r} is not fit to be sent: use 1 to 99 letters, digits, '.', '_' or '-'")
    if not isinstance(action.name, str) or not _KEY.fullmatch(action.name):
        raise EncodeError(f"{action.name!r} is no name of an action")
    lines = [f"Action: {action.name}", f"ActionID: {action_id}"]
    for key, value in action.keys.items():
        if not isinstance(key, str) or not _KEY.fullmatch(key) or key.lower() == "action":
            raise EncodeError(f"{action.name}: {key!r} is no name of a header")
        if key.lower() != "actionid":
            for item in value if isinstance(value, list | tuple) else (value,):
                lines.append(f"{key}: {_text(action.name, key, item)}")
    for name, value in action.variables.items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise EncodeError(f"{action.name}: {name!r} is no name of a channel variable")
        lines.append(f"Variable: {name}={_TO_ESCAPE.sub(_ESCAPED, _text(action.name, name, value))}")
    if len(lines) > HEADER_CAP:
        raise EncodeError(f"{action.name} has {len(lines)} headers; Asterisk takes {HEADER_CAP}")
    try:
        encoded = [line.encode("utf-8", "surrogateescape") for line in lines]
    except UnicodeEncodeError:
        raise EncodeError(f"{action.name}: a value is no valid text (a lone surrogate)") from None
    for line in encoded:
        if len(line) > LINE_CAP:
            header = line.partition(b":")[0].decode()
            raise EncodeError(f"{action.name}: {header} makes a line of {len(line)} bytes; Asterisk takes {LINE_CAP}")
    return b"\r\n".join(encoded) + b"\r\n\r\n"


_ESCAPED = r"\\\1"


def _text(action: str, key: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise EncodeError(f"{action}: the value of {key} is a {type(value).__name__}; give text or a number")
    text = str(value)
    if _UNSAFE.search(text):
        raise EncodeError(f"{action}: the value of {key} holds a line end or a NUL; such text must not reach Asterisk")
    return text
