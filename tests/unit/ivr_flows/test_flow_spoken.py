"""How values are said. Every word is in the vocabulary that is rendered ahead; what cannot be said is an error."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ivr_flows.expressions import SPOKEN, evaluate
from ivr_flows.spoken import MAX_NUMBER, Kind, Spoken, Unspeakable, Word, vocabulary, words

LANGUAGES = ("de", "en")
OWN = {"sent": {"de": "unterwegs", "en": "on its way"}, "other": {"de": "in Arbeit"}}


def said(kind: Kind, value: str | int | bool, language: str, currency: str = "EUR") -> str:
    return " ".join(word.text for word in words(Spoken(kind, value, currency), language, OWN))


@pytest.mark.parametrize(
    ("number", "german", "english"),
    [
        (0, "null", "zero"),
        (1, "eins", "one"),
        (12, "zwölf", "twelve"),
        (16, "sechzehn", "sixteen"),
        (17, "siebzehn", "seventeen"),
        (20, "zwanzig", "twenty"),
        (21, "einundzwanzig", "twenty-one"),
        (30, "dreißig", "thirty"),
        (76, "sechsundsiebzig", "seventy-six"),
        (100, "einhundert", "one hundred"),
        (101, "einhundert eins", "one hundred one"),
        (111, "einhundert elf", "one hundred eleven"),
        (999, "neunhundert neunundneunzig", "nine hundred ninety-nine"),
        (1000, "ein tausend", "one thousand"),
        (1001, "ein tausend eins", "one thousand one"),
        (2000, "zwei tausend", "two thousand"),
        (21_000, "einundzwanzig tausend", "twenty-one thousand"),
        (101_000, "einhundert ein tausend", "one hundred one thousand"),
        (123_456, "einhundert dreiundzwanzig tausend vierhundert sechsundfünfzig", None),
        (1_000_000, "eine Million", "one million"),
        (1_000_001, "eine Million eins", "one million one"),
        (2_000_000, "zwei Millionen", "two million"),
        (101_000_000, "einhundert eine Millionen", "one hundred one million"),
        (21_001_001, "einundzwanzig Millionen ein tausend eins", "twenty-one million one thousand one"),
    ],
)
def test_numbers(number: int, german: str, english: str | None) -> None:
    assert said("number", number, "de") == german
    assert said("number", str(number), "de") == german
    assert english is None or said("number", number, "en") == english


def heard(spoken: tuple[Word, ...]) -> int:
    """The number, as a listener puts it together."""
    whole, group = 0, 0
    for word in spoken:
        if word.id in ("thousand", "millions"):
            whole, group = whole + group * (1000 if word.id == "thousand" else 1_000_000), 0
        elif word.id == "million":
            whole += 1_000_000
        else:
            group += 1 if word.id.startswith("one") else int(word.id.removeprefix("number-"))
    return whole + group


@pytest.mark.parametrize("language", LANGUAGES)
@given(number=st.integers(0, MAX_NUMBER))
@example(number=101_101_101)
@example(number=MAX_NUMBER)
def test_every_number_is_heard_as_what_it_is_in_words_that_are_rendered(language: str, number: int) -> None:
    spoken = words(Spoken("number", number), language, OWN)
    assert heard(spoken) == number
    assert set(spoken) <= set(vocabulary(["number"], language, OWN))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_small_number_is_heard_as_what_it_is(language: str) -> None:
    rendered = set(vocabulary(["number"], language, OWN))
    for number in range(10_000):
        spoken = words(Spoken("number", number), language, OWN)
        assert heard(spoken) == number
        assert rendered.issuperset(spoken)


@pytest.mark.parametrize(
    ("minor", "currency", "german", "english"),
    [
        (0, "EUR", "null Euro", "zero euros"),
        (1, "EUR", "ein Cent", "one cent"),
        (2, "EUR", "zwei Cent", "two cents"),
        (21, "EUR", "einundzwanzig Cent", "twenty-one cents"),
        (100, "EUR", "ein Euro", "one euro"),
        (101, "EUR", "ein Euro eins", "one euro one cent"),
        (200, "EUR", "zwei Euro", "two euros"),
        (1250, "EUR", "zwölf Euro fünfzig", "twelve euros fifty cents"),
        (4990, "EUR", "neunundvierzig Euro neunzig", "forty-nine euros ninety cents"),
        (10_100, "EUR", "einhundert ein Euro", "one hundred one euros"),
        (100_100, "EUR", "ein tausend ein Euro", "one thousand one euros"),
        (100_000_100, "EUR", "eine Million ein Euro", "one million one euros"),
        (100, "GBP", "ein Pfund", "one pound"),
        (1, "GBP", "ein Penny", "one penny"),
        (99, "GBP", "neunundneunzig Pence", "ninety-nine pence"),
        (5, "chf", "fünf Rappen", "five centimes"),
        (300, "USD", "drei Dollar", "three dollars"),
    ],
)
def test_amounts(minor: int, currency: str, german: str, english: str) -> None:
    assert said("amount", minor, "de", currency) == german
    assert said("amount", minor, "en", currency) == english


@pytest.mark.parametrize(
    ("date", "german", "english"),
    [
        ("2026-01-01", "ersten Januar", "January first"),
        ("2026-03-03", "dritten März", "March third"),
        ("2026-05-07", "siebten Mai", "May seventh"),
        ("2024-02-29", "neunundzwanzigsten Februar", "February twenty-ninth"),
        ("2026-08-12T10:00:00+02:00", "zwölften August", "August twelfth"),
        ("2026-11-13", "dreizehnten November", "November thirteenth"),
        ("2026-06-20", "zwanzigsten Juni", "June twentieth"),
        ("2026-07-30", "dreißigsten Juli", "July thirtieth"),
        ("2026-12-31", "einunddreißigsten Dezember", "December thirty-first"),
    ],
)
def test_dates(date: str, german: str, english: str) -> None:
    assert (said("date", date, "de"), said("date", date, "en")) == (german, english)


@pytest.mark.parametrize(
    ("time", "german", "english"),
    [
        ("08:00", "acht Uhr", "eight o'clock"),
        ("8:00", "acht Uhr", "eight o'clock"),
        ("01:01", "ein Uhr eins", "one oh one"),
        ("00:00", "null Uhr", "zero o'clock"),
        ("09:05", "neun Uhr fünf", "nine oh five"),
        ("21:21", "einundzwanzig Uhr einundzwanzig", "twenty-one twenty-one"),
        ("23:59", "dreiundzwanzig Uhr neunundfünfzig", "twenty-three fifty-nine"),
    ],
)
def test_times(time: str, german: str, english: str) -> None:
    assert (said("time", time, "de"), said("time", time, "en")) == (german, english)


@pytest.mark.parametrize(
    ("kind", "value", "german", "english"),
    [
        ("digits", "204117", "zwo null vier eins eins sieben", "two zero four one one seven"),
        ("digits", 42, "vier zwo", "four two"),
        ("digits", "+49 (30) 12", "vier neun drei null eins zwo", "four nine three zero one two"),
        ("digits", "0" * 40, " ".join(["null"] * 40), " ".join(["zero"] * 40)),
        ("spell", "AB-12", "ah beh Strich eins zwo", "A B dash one two"),
        ("spell", "q/y.z ", "kuh Schrägstrich ypsilon Punkt zett", "Q slash Y dot Z"),
        ("spell", "R 7!", "err sieben", "R seven"),
        ("word", "sent", "unterwegs", "on its way"),
        ("word", "lost", "in Arbeit", "in Arbeit"),
        ("word", True, "in Arbeit", "in Arbeit"),
    ],
)
def test_digits_codes_and_words_of_the_flow(kind: Kind, value: str | int, german: str, english: str) -> None:
    assert (said(kind, value, "de"), said(kind, value, "en")) == (german, english)


UNSPEAKABLE: list[tuple[Kind, str | int | bool]] = [
    *[("number", value) for value in (-1, MAX_NUMBER + 1, True, "", "-", "--5", "x", "1.5", "²", "9" * 5000, "1e3")],
    *[("amount", value) for value in (-1, "-5", "12.50", True, "", "--1", 100 * MAX_NUMBER + 100)],
    *[("date", value) for value in ("", "gestern", "2026-13-01", "2026-02-30", "01.02.2026", 7, False)],
    *[("time", value) for value in ("", "24:00", "12:60", "noon", "12", "²:00", "12:5²", "-1:00", "1200", "8:00:00")],
    *[("time", value) for value in ("0000000008:00", True, 8)],
    *[("digits", value) for value in ("", "keine", "1" * 41, False)],
    *[("spell", value) for value in ("", "  ", "!?", "-", "a" * 41, "ÄÖÜ")],
]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("kind", "value"), UNSPEAKABLE)
def test_what_cannot_be_said(kind: Kind, value: str | int | bool, language: str) -> None:
    with pytest.raises(Unspeakable) as refused:
        said(kind, value, language)
    # The reason goes into logs: it does not quote the value.
    assert len(str(value)) < 3 or str(value) not in str(refused.value)


def test_a_currency_without_a_name_and_a_word_without_other_cannot_be_said() -> None:
    for currency in ("", "DM", "EURO", "€"):
        with pytest.raises(Unspeakable):
            said("amount", 100, "de", currency)
    with pytest.raises(Unspeakable):
        words(Spoken("word", "lost"), "de", {"sent": {"de": "unterwegs"}})


VALUES = st.text(max_size=50) | st.integers() | st.booleans() | st.dates().map(str) | st.times().map("{:%H:%M}".format)


@given(st.sampled_from(SPOKEN), VALUES, st.sampled_from(LANGUAGES), st.sampled_from(["EUR", "GBP", "CHF", "USD", "x"]))
def test_whatever_it_is_it_is_said_in_words_that_are_rendered_or_an_error(
    kind: Kind, value: str | int | bool, language: str, currency: str
) -> None:
    try:
        spoken = words(Spoken(kind, value, currency), language, OWN)
    except Unspeakable:
        return
    assert spoken
    assert set(spoken) <= set(vocabulary([kind], language, OWN))


@given(st.dates(), st.times(), st.integers(0, 99_999_999_999), st.sampled_from(LANGUAGES))
def test_whatever_is_well_formed_is_said(date: datetime.date, time: datetime.time, minor: int, language: str) -> None:
    assert said("date", date.isoformat(), language)
    assert said("time", f"{time:%H:%M}", language)
    assert said("amount", minor, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_recording_is_one_text(language: str) -> None:
    rendered = list(vocabulary(SPOKEN, language, OWN))
    assert len({word.id for word in rendered}) == len(set(rendered))
    assert all(word.text and set(word.id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_") for word in rendered)
    assert list(vocabulary([], language, OWN)) == []


@pytest.mark.parametrize(
    ("expression", "spoken"),
    [
        ("n | digits", Spoken("digits", "7")),
        ("total | amount", Spoken("amount", 499, "EUR")),
        ("total | amount(currency)", Spoken("amount", 499, "GBP")),
        ("(n ~ '1') | number", Spoken("number", "71")),
    ],
)
def test_a_filter_says_how(expression: str, spoken: Spoken) -> None:
    assert evaluate(expression, {"n": "7", "total": 499, "currency": "GBP"}) == spoken
