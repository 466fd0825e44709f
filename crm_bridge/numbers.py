"""Phone numbers: from whatever a trunk, a CRM or a person wrote to E.164, or to an honest "this is no number".

Pure. Three rules stand behind the details:

* A number that the caller withheld is forgotten here: neither ``raw`` nor ``display`` carries it on, because Asterisk
  prints restricted numbers in clear and the next reader would not know.
* Nothing is matched by its last digits, so what cannot be read as a whole number stays without E.164.
* A number that is *possible* is accepted, valid or not: the ranges kept free for fiction, and those a numbering plan
  opened last month, are not in the library's tables. Digits without any prefix are a guess at the country, and are
  accepted only if that guess is a *valid* number; ``exact`` is then false, and a match can be no more than likely.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

MAX_RAW = 256
"""Characters of input looked at; nothing longer is a number (the URI around it included)."""
MAX_SHOWN = 32
"""Characters kept of what is not a number, to be shown as it came."""
MAX_INTERNAL_DIGITS = 6
"""Bare digits up to this length are an extension of the house, never a number of the world."""

_PRESENTATION_BITS = 0x60
_ALLOWED_PRESENTATIONS = ("allowed", "presentation allowed")
_WITHHELD_WORDS = frozenset(
    (
        "", "<unknown>", "unknown", "anonymous", "anonym", "restricted", "private", "unavailable", "withheld",
        "asterisk", "s", "unbekannt", "unterdrückt", "no number", "not available", "n/a",
    )
)  # fmt: skip
_SCHEME = re.compile(r"^(sips?|tel|callto):", re.IGNORECASE)
_BRACKETS = re.compile(r"<([^<>]*)>\s*$")
_CONTEXT = re.compile(r";phone-context=(\+\d{1,15})", re.IGNORECASE)
_DIRECT_DIAL = re.compile(r"\s*[,;]?\s*\b(?:durchwahl|dw)\b[.:]?\s*-?\s*(?=\d{1,6}\s*$)", re.IGNORECASE)
_EXTENSION = re.compile(
    r"\s*(?:[,;]+|[,;]?\s*(?:\b(?:extension|ext|nebenstelle|nst|app(?:arat)?)\b\.?:?|x|#))\s*=?\s*\d{1,6}\s*#?\s*$",
    re.IGNORECASE,
)
_DIALLABLE = re.compile(r"^\+?[\d\s()./\-]*$", re.ASCII)
_PLAIN = re.compile(r"\+[1-9]\d{5,14}\Z", re.ASCII)
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\u00b7\u2022", "-"))


class NumberStatus(StrEnum):
    OK = "ok"
    WITHHELD = "withheld"
    INVALID = "invalid"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A caller's number as far as it can be known."""

    raw: str
    """As it came, printable characters only, shortened; empty when withheld."""
    e164: str | None
    """``+`` and at most 15 digits; only with status ``ok``."""
    status: NumberStatus
    display: str
    """Written for people: international form, or what came when that is no number; empty when withheld."""
    masked: str
    """Fit for a log: the first five and last two characters."""
    exact: bool = True
    """False when the country was guessed from bare digits."""


def parse_number(raw: str, *, region: str, presentation: str = "") -> PhoneNumber:
    """Read a caller's number. Never raises; every input is hostile.

    ``region``: ISO 3166 code of the country whose habits a number without country code follows.
    ``presentation``: ``CALLERID(pres)`` as a name (``prohib_passed_screen``), as bits (``32``), or as AMI prints both.
    """
    if is_withheld(presentation):
        return _withheld()
    if _PLAIN.match(raw):  # most calls: nothing to unwrap, and the general way below would end the same
        return _read(raw, raw, region, bare=False)
    text = _printable(raw[:MAX_RAW])
    written = _inner(text)
    if written.casefold() in _WITHHELD_WORDS:
        return _withheld()
    shown = text[:MAX_SHOWN]
    diallable = _without_extension(written)
    if len(raw) > MAX_RAW or not _DIALLABLE.match(diallable):
        return PhoneNumber(shown, None, NumberStatus.INVALID, shown, mask(shown))
    digits = re.sub(r"\D", "", diallable)
    bare = not diallable.lstrip(" (").startswith(("+", "0"))
    if bare and 0 < len(digits) <= MAX_INTERNAL_DIGITS:
        return PhoneNumber(shown, None, NumberStatus.INTERNAL, digits, mask(digits), exact=False)
    return _read(shown, diallable, region, bare=bare)


def _read(shown: str, diallable: str, region: str, *, bare: bool) -> PhoneNumber:
    parsed = _parse(diallable, region, must_be_valid=bare)
    if parsed is None:
        return PhoneNumber(shown, None, NumberStatus.INVALID, shown, mask(shown))
    e164 = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    display = phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL)
    return PhoneNumber(shown, e164, NumberStatus.OK, display, mask(e164), exact=not bare)


def is_withheld(presentation: str) -> bool:
    """Whether a presentation forbids showing and matching the number; an empty one does not."""
    text = presentation.strip().casefold()
    if not text:
        return False
    bits = re.match(r"(?:0x([0-9a-f]{1,4})|(\d{1,4}))\b", text)
    if bits:
        value = int(bits[1], 16) if bits[1] else int(bits[2])
        return bool(value & _PRESENTATION_BITS)
    # A word we do not know must not reveal a number: only "allowed..." lets it through.
    return not text.startswith(_ALLOWED_PRESENTATIONS)


def mask(number: str) -> str:
    """A number for the log: the first five and last two characters, fewer of a short one."""
    if len(number) >= 10:
        return f"{number[:5]}…{number[-2:]}"
    return f"…{number[-2:]}" if len(number) > 2 else "…" if number else ""


def format_number(e164: str) -> str:
    """E.164 written for people; what is not E.164 comes back as it is."""
    try:
        return phonenumbers.format_number(phonenumbers.parse(e164), PhoneNumberFormat.INTERNATIONAL)
    except NumberParseException:
        return e164


def _withheld() -> PhoneNumber:
    return PhoneNumber("", None, NumberStatus.WITHHELD, "", "")


def _printable(raw: str) -> str:
    """One line, one alphabet of digits, no control or direction-changing characters."""
    if raw.isascii() and raw.isprintable():
        return " ".join(raw.split())
    folded = unicodedata.normalize("NFKC", raw).translate(_DASHES)
    kept = (" " if character.isspace() else character for character in folded)
    cleaned = "".join(
        str(unicodedata.decimal(character)) if character.isdecimal() else character
        for character in kept
        if unicodedata.category(character)[0] != "C"
    )
    return " ".join(cleaned.split())


def _inner(text: str) -> str:
    """What stands inside a display name, a URI and its parameters."""
    bracketed = _BRACKETS.search(text)
    if bracketed and text.casefold() not in _WITHHELD_WORDS:
        text = bracketed[1].strip()
    scheme = _SCHEME.match(text)
    if scheme is None and "@" not in text:
        return text
    rest = unquote(text[scheme.end() :] if scheme else text).strip()
    context = _CONTEXT.search(rest)
    user = rest.partition("@")[0].partition(";")[0].partition("?")[0].partition(":")[0].strip()
    if context and not user.startswith("+"):
        return context[1] + user
    return _printable(user)


def _without_extension(text: str) -> str:
    """Drop what is dialled after the connection; keep a German direct-dial suffix, which is part of the number."""
    joined = _DIRECT_DIAL.sub("-", text)
    return joined if joined != text else _EXTENSION.sub("", text)


def _parse(diallable: str, region: str, *, must_be_valid: bool) -> phonenumbers.PhoneNumber | None:
    text = re.sub(r"^\+\s*00", "+", diallable)
    try:
        number = phonenumbers.parse(text, region)
        if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
            return None
        if must_be_valid and not phonenumbers.is_valid_number(number):
            return None
        e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        if e164 == text:
            return number
        # "+49 00 30..." loses one zero at each reading: only what reads the same again is a number.
        again = phonenumbers.parse(e164)
    except NumberParseException:
        return None
    if (again.country_code, again.national_number, again.italian_leading_zero, again.number_of_leading_zeros) != (
        number.country_code,
        number.national_number,
        number.italian_leading_zero,
        number.number_of_leading_zeros,
    ):
        return None
    return number
