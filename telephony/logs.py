"""Logging: structlog, one line an event, JSON for machines and colours for people.

A full phone number or a secret has no place in a log; whoever logs a number logs its masked form. As a net under that
rule every string that looks like a long number is cut short here, too.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from telephony.settings import Log

_NUMBER = re.compile(r"\+?\d{9,15}(?![\d.])|\+\d[\d ()/-]{7,24}\d")
_IN_URL = re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+@")
"""The password in an address."""
_SECRET = re.compile(r"secret|password|token|authorization|cookie", re.IGNORECASE)
_IDS = frozenset({"conversation", "uniqueid", "linkedid", "folded", "action_id", "at", "pid", "epoch", "timestamp"})


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
    libraries = logging.StreamHandler(sys.stderr)
    libraries.setFormatter(_Masked("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(handlers=[libraries], level=logging.WARNING, force=True)


class _Masked(logging.Formatter):
    """What libraries log, tracebacks included, with the same net under it."""

    def format(self, record: logging.LogRecord) -> str:
        return shorten(super().format(record))


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
