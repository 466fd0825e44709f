"""Logging: structlog, one line an event, JSON for machines and colours for people.

A full phone number or a secret has no place in a log; whoever logs a number logs its masked form. As a net under that
rule every string that looks like a long number is cut short here, too.

Libraries know no such rule, and they repeat themselves: what they log becomes an event of ours that says which library
said what kind of thing where, without the values in it (they may be a stranger's bytes), and seldom twice.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
from collections.abc import Callable, Hashable, MutableMapping
from pathlib import Path
from typing import Any

import structlog

from telephony.settings import Log

_NUMBER = re.compile(r"\+?\d{9,15}(?![\d.])|\+\d[\d ()/-]{7,24}\d")
_IN_URL = re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+@")
"""The password in an address."""
_SECRET = re.compile(r"secret|password|token|authorization|cookie", re.IGNORECASE)
THIN_SECONDS = 60.0
THINGS_KNOWN = 256
FRAMES_SHOWN = 4
_PLACES = re.compile(r"%(?:\(\w+\))?[-+ #0-9.*]*[a-zA-Z]")
"""Where a value goes in a message."""
_WORDS = re.compile(r"(?:[\w .,:;…/-]|\(\)){0,120}")
"""What stands before the first value that a library has written into its message by itself."""
_IDS = frozenset({"conversation", "uniqueid", "linkedid", "folded", "action_id", "at", "pid", "epoch", "timestamp"})

_log = structlog.get_logger(__name__)


def configure(settings: Log) -> None:
    """Set up logging for this process."""
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Before the mask: a traceback quotes what it stumbled over.
            structlog.processors.format_exc_info,
            mask,
            structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(settings.level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[Libraries()], level=logging.WARNING, force=True)


class Thinner:
    """Keeps what happens over and over from filling the log: each thing at once, then at most once in ``seconds``."""

    def __init__(self, seconds: float = THIN_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._known: dict[Hashable, tuple[float, int]] = {}
        """When each thing was said last, and how often it was not said since."""

    def left_out(self, thing: Hashable) -> int | None:
        """None when it is to be left out; else it may be said, and was left out so many times before."""
        now = self._clock()
        last, count = self._known.get(thing, (-self._seconds, 0))
        if now - last < self._seconds:
            self._known[thing] = (last, count + 1)
            return None
        self._known.pop(thing, None)
        self._known[thing] = (now, 0)
        if len(self._known) > THINGS_KNOWN:
            del self._known[next(iter(self._known))]
        return count


class Libraries(logging.Handler):
    """What libraries log, as events of ours."""

    def __init__(self, thinner: Thinner | None = None) -> None:
        super().__init__()
        self._thinner = thinner or Thinner()

    def emit(self, record: logging.LogRecord) -> None:
        said = _PLACES.sub("…", record.msg) if isinstance(record.msg, str) else ""
        fields: dict[str, Any] = {"library": record.name, "said": _WORDS.match(said)[0].strip()}  # type: ignore[index]
        kind, error, trace = record.exc_info or (None, None, None)
        if kind is not None:
            fields["error"] = kind.__name__
            fields["reason"] = getattr(error, "strerror", None) or ""
            frames = traceback.extract_tb(trace)[-FRAMES_SHOWN:]
            fields["at"] = " > ".join(f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in frames)
        left_out = self._thinner.left_out(tuple(fields.values()))
        if left_out is not None:
            say = _log.error if record.levelno >= logging.ERROR else _log.warning
            say("library_complains", **fields, left_out=left_out)


def mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Cut numbers short and leave secrets out, whatever key they hide behind."""
    for key, value in event.items():
        event[key] = _masked(key, value)
    return event


def _masked(key: str, value: Any) -> Any:
    if _SECRET.search(key):
        return "…"
    if key in _IDS:
        return value
    if isinstance(value, str):
        return shorten(value)
    if isinstance(value, dict):
        return {name: _masked(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked("", inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float) else shorten(str(value))


def shorten(text: str) -> str:
    """The text with its long numbers cut short, and without passwords in addresses."""
    return _NUMBER.sub(_short, _IN_URL.sub(r"\1:…@", text))


def _short(found: re.Match[str]) -> str:
    return f"{found[0][:5]}…{found[0][-2:]}"
