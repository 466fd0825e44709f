"""Numbers, dates, amounts and codes as sequences of words that are rendered ahead of any call. Pure.

A caller's own data is never rendered: it is put together from a closed vocabulary, so nothing personal lies in the
cache of sounds, no call waits for a synthesiser, and a number sounds the same in every sentence.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["digits", "number", "amount", "date", "time", "spell", "word"]

MAX_SPELT = 40
"""Characters of one code or number that are spoken."""
MAX_NUMBER = 999_999_999
OTHER = "other"
"""The word that stands in for one that is not in the flow's ``words``."""


class Unspeakable(ValueError):
    """A value that is no date, no amount, no number: the node fails, and takes its ``error`` branch."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A value that is to be said, and how."""

    kind: Kind
    value: str | int | bool
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """One entry of the vocabulary. ``id`` names the recording that may stand in for it."""

    id: str
    text: str


DIGITS = "0123456789"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# As a clerk reads a number out on the telephone: "zwo" cannot be taken for "drei".
_DIGITS: Mapping[str, tuple[str, ...]] = {
    "de": _list("null eins zwo drei vier fünf sechs sieben acht neun"),
    "en": _list("zero one two three four five six seven eight nine"),
}
_UNITS: Mapping[str, tuple[str, ...]] = {
    "de": _list(
        "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
        "siebzehn achtzehn neunzehn"
    ),
    "en": _list(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen"
    ),
}
_TENS: Mapping[str, tuple[str, ...]] = {
    "de": _list("- - zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig"),
    "en": _list("- - twenty thirty forty fifty sixty seventy eighty ninety"),
}
_MONTHS: Mapping[str, tuple[str, ...]] = {
    "de": _list("Januar Februar März April Mai Juni Juli August September Oktober November Dezember"),
    "en": _list("January February March April May June July August September October November December"),
}
_ORDINALS_DE = _list("ersten zweiten dritten vierten fünften sechsten siebten achten neunten zehnten elften zwölften")
_ORDINALS_EN = _list("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")
_CURRENCIES: Mapping[str, Mapping[str, tuple[str, str, str, str]]] = {
    # One of it, several, one hundredth, several hundredths.
    "de": {
        "EUR": ("Euro", "Euro", "Cent", "Cent"),
        "GBP": ("Pfund", "Pfund", "Penny", "Pence"),
        "CHF": ("Franken", "Franken", "Rappen", "Rappen"),
        "USD": ("Dollar", "Dollar", "Cent", "Cent"),
    },
    "en": {
        "EUR": ("euro", "euros", "cent", "cents"),
        "GBP": ("pound", "pounds", "penny", "pence"),
        "CHF": ("franc", "francs", "centime", "centimes"),
        "USD": ("dollar", "dollars", "cent", "cents"),
    },
}
_SIGNS: Mapping[str, Mapping[str, str]] = {
    "de": {"-": "Strich", "/": "Schrägstrich", ".": "Punkt"},
    "en": {"-": "dash", "/": "slash", ".": "dot"},
}
# As the letters are named: a synthesiser takes a lone letter for a word.
_LETTER_NAMES_DE = _list(
    "ah beh zeh deh eh eff geh hah ih jott kah ell emm enn oh peh kuh err ess teh uh vau weh iks ypsilon zett"
)

Words = Mapping[str, Mapping[str, str]]
"""A flow's own words: by value, then by language."""


def words(spoken: Spoken, language: str, own: Words) -> tuple[Word, ...]:
    """What is said, in order. Raises ``Unspeakable``."""
    speak = _SPEAKERS.get(spoken.kind)
    if speak is None:
        return (_own(spoken.value, language, own),)
    return tuple(speak(spoken, "de" if language == "de" else "en"))


def vocabulary(kinds: Iterable[str], language: str, own: Words) -> Iterator[Word]:
    """Everything that these kinds of values can need."""
    wanted, tongue = set(kinds), "de" if language == "de" else "en"
    if wanted & {"digits", "spell"}:
        yield from (_digit(character, tongue) for character in DIGITS)
    if "spell" in wanted:
        yield from (_letter(character, tongue) for character in _LETTERS)
        yield from (_sign(sign, tongue) for sign in _SIGNS[tongue])
    if wanted & {"number", "amount", "date", "time"}:
        yield from (_below_hundred(number, tongue) for number in range(100))
        yield from _large(tongue)
    if "amount" in wanted:
        for code in _CURRENCIES[tongue]:
            yield from dict.fromkeys(_coin(code, place, tongue) for place in range(4))
    if "date" in wanted:
        yield from (_ordinal(day, tongue) for day in range(1, 32))
        yield from (_month(month, tongue) for month in range(1, 13))
    if "time" in wanted:
        yield Word("clock", "Uhr" if tongue == "de" else "o'clock")
        if tongue == "en":
            yield Word("oh", "oh")
    if "word" in wanted:
        yield from (_own(value, language, own) for value in own)


# --- how each kind is said --------------------------------------------------------------------------------------------


def _say_digits(spoken: Spoken, tongue: str) -> Iterator[Word]:
    text = str(spoken.value)
    found = [character for character in text if character in DIGITS]
    if not found or len(text) > MAX_SPELT:
        raise Unspeakable("no digits that can be said")
    return (_digit(character, tongue) for character in found)


def _say_code(spoken: Spoken, tongue: str) -> Iterator[Word]:
    text = str(spoken.value).strip().lower()
    if len(text) > MAX_SPELT or not any(character in DIGITS + _LETTERS for character in text):
        raise Unspeakable("no code that can be spelt")
    for character in text:
        if character in DIGITS:
            yield _digit(character, tongue)
        elif character in _LETTERS:
            yield _letter(character, tongue)
        elif character in _SIGNS[tongue]:
            yield _sign(character, tongue)


def _say_number(spoken: Spoken, tongue: str) -> Iterator[Word]:
    return _number(_whole(spoken.value), tongue)


def _say_amount(spoken: Spoken, tongue: str) -> Iterator[Word]:
    minor, code = _whole(spoken.value), spoken.currency.upper()
    if code not in _CURRENCIES[tongue]:
        raise Unspeakable("a currency that has no name here")
    if minor < 0:
        raise Unspeakable("a negative amount")
    whole, rest = divmod(minor, 100)
    if whole or not rest:
        yield from _counted(whole, tongue)
        yield _coin(code, 0 if whole == 1 else 1, tongue)
    if rest:
        # German says the hundredths bare after the whole ("zwölf Euro fünfzig"); on their own they have a name.
        yield from _counted(rest, tongue) if not whole or tongue == "en" else _number(rest, tongue)
        if not whole or tongue == "en":
            yield _coin(code, 2 if rest == 1 else 3, tongue)


def _say_date(spoken: Spoken, tongue: str) -> Iterator[Word]:
    try:
        day = datetime.date.fromisoformat(str(spoken.value)[:10])
    except ValueError:
        raise Unspeakable("no date") from None
    yield from (
        (_ordinal(day.day, tongue), _month(day.month, tongue))
        if tongue == "de"
        else (_month(day.month, tongue), _ordinal(day.day, tongue))
    )


def _say_time(spoken: Spoken, tongue: str) -> Iterator[Word]:
    hour, _, minute = str(spoken.value).partition(":")
    if not all(part.isdecimal() and len(part) <= 2 for part in (hour, minute)) or int(hour) > 23 or int(minute) > 59:
        raise Unspeakable("no time of day")
    yield from _counted(int(hour), tongue)
    if tongue == "de":
        yield Word("clock", "Uhr")
    if int(minute):
        if tongue == "en" and int(minute) < 10:
            yield Word("oh", "oh")
        yield from _number(int(minute), tongue)
    elif tongue == "en":
        yield Word("clock", "o'clock")


_SPEAKERS: Mapping[str, Callable[[Spoken, str], Iterator[Word]]] = {
    "digits": _say_digits,
    "spell": _say_code,
    "number": _say_number,
    "amount": _say_amount,
    "date": _say_date,
    "time": _say_time,
}


# --- the vocabulary ---------------------------------------------------------------------------------------------------


# The one before a noun, and before "Millionen": "einhundertein Euro", "einhunderteine Millionen".
_ONE = Word("one", "ein")
_ONE_FEMININE = Word("one-feminine", "eine")


def _number(number: int, tongue: str, one: Word | None = None) -> Iterator[Word]:
    """``one``: how German says a one at the end."""
    if not 0 <= number <= MAX_NUMBER:
        raise Unspeakable(f"a number that is not between 0 and {MAX_NUMBER}")
    if number == 0:
        yield _below_hundred(0, tongue)
    millions, number = divmod(number, 1_000_000)
    thousands, rest = divmod(number, 1000)
    if millions:
        if millions == 1 and tongue == "de":
            yield Word("million", "eine Million")
        else:
            yield from _below_thousand(millions, tongue, _ONE_FEMININE)
            yield Word("millions", "Millionen" if tongue == "de" else "million")
    if thousands:
        # "eintausend", not "eins tausend".
        yield from _below_thousand(thousands, tongue, _ONE)
        yield Word("thousand", "tausend" if tongue == "de" else "thousand")
    if rest:
        yield from _below_thousand(rest, tongue, one)


def _counted(number: int, tongue: str) -> Iterator[Word]:
    """Before a noun: "ein Euro", not "eins Euro"."""
    return _number(number, tongue, _ONE)


def _below_thousand(number: int, tongue: str, one: Word | None = None) -> Iterator[Word]:
    hundreds, rest = divmod(number, 100)
    if hundreds:
        yield _hundred(hundreds, tongue)
    if rest:
        yield one if one is not None and rest == 1 and tongue == "de" else _below_hundred(rest, tongue)


def _large(tongue: str) -> Iterator[Word]:
    yield from (_hundred(number, tongue) for number in range(1, 10))
    if tongue == "de":
        yield from (_ONE, _ONE_FEMININE, Word("million", "eine Million"))
    yield Word("thousand", "tausend" if tongue == "de" else "thousand")
    yield Word("millions", "Millionen" if tongue == "de" else "million")


def _below_hundred(number: int, tongue: str) -> Word:
    return Word(f"number-{number}", _hundredth_text(number, tongue))


def _hundredth_text(number: int, tongue: str) -> str:
    if number < 20:
        return _UNITS[tongue][number]
    tens, unit = divmod(number, 10)
    if unit == 0:
        return _TENS[tongue][tens]
    if tongue == "en":
        return f"{_TENS[tongue][tens]}-{_UNITS[tongue][unit]}"
    return f"{'ein' if unit == 1 else _UNITS[tongue][unit]}und{_TENS[tongue][tens]}"


def _hundred(number: int, tongue: str) -> Word:
    unit = "ein" if number == 1 and tongue == "de" else _UNITS[tongue][number]
    return Word(f"number-{number}00", f"{unit}hundert" if tongue == "de" else f"{unit} hundred")


def _digit(character: str, tongue: str) -> Word:
    return Word(f"digit-{character}", _DIGITS[tongue][DIGITS.index(character)])


def _letter(character: str, tongue: str) -> Word:
    name = _LETTER_NAMES_DE[_LETTERS.index(character)] if tongue == "de" else character.upper()
    return Word(f"letter-{character}", name)


def _sign(sign: str, tongue: str) -> Word:
    return Word({"-": "sign-dash", "/": "sign-slash", ".": "sign-dot"}[sign], _SIGNS[tongue][sign])


def _coin(code: str, place: int, tongue: str) -> Word:
    # Alike words share a recording.
    name = _CURRENCIES[tongue][code][place]
    return Word(f"currency-{code.lower()}-{_CURRENCIES[tongue][code].index(name)}", name)


def _ordinal(day: int, tongue: str) -> Word:
    if day <= 12:
        text = (_ORDINALS_DE if tongue == "de" else _ORDINALS_EN)[day - 1]
    elif tongue == "de":
        text = _hundredth_text(day, "de") + ("ten" if day < 20 else "sten")
    elif day < 20:
        text = f"{_UNITS['en'][day]}th"
    elif day % 10:
        text = f"{_TENS['en'][day // 10]}-{_ORDINALS_EN[day % 10 - 1]}"
    else:
        text = f"{_TENS['en'][day // 10][:-1]}ieth"
    return Word(f"day-{day}", text)


def _month(month: int, tongue: str) -> Word:
    return Word(f"month-{month}", _MONTHS[tongue][month - 1])


def _own(value: str | int | bool, language: str, own: Words) -> Word:
    name = str(value) if str(value) in own else OTHER
    if name not in own:
        raise Unspeakable("a word that the flow's 'words' do not have, nor 'other'")
    texts = own[name]
    return Word(f"word-{name}", texts.get(language) or next(iter(texts.values())))


def _whole(value: str | int | bool) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = str(value)
    if len(text) > MAX_SPELT or not text.removeprefix("-").isdecimal():
        raise Unspeakable("no whole number")
    return int(text)
