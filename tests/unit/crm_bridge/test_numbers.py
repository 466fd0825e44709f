"""Reading numbers: every spelling gives one E.164, and what is withheld or no number stays without one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_bridge.numbers import MAX_RAW, NumberStatus, is_withheld, mask, parse_number
from crm_bridge.samples import SAMPLES

BERLIN = "+493023125042"


@pytest.mark.parametrize(
    "raw",
    [
        "+493023125042",
        "+49 30 23125 042",
        "+49 (0)30 23125-042",
        "+0049 30 23125042",
        "00493023125042",
        "0049 (0) 30 / 23125-042",
        "03023125042",
        "(030) 23125042",
        "030/23 12 50 42",
        "030–23125042",
        "+４９３０２３１２５０４２",
        "sip:+493023125042@10.0.0.1:5060;user=phone",
        "sips:03023125042@example.org",
        "SIP:%2B493023125042@example.org",
        '"Sommerfeld, A." <sip:+493023125042@example.org;transport=udp>;tag=1',
        "+493023125042@example.org",
        "tel:+49-30-23125-042;ext=12",
        "tel:3023125042;phone-context=+49",
        "03023125042 x12",
        "030 23125042 ext. 7",
        "03023125042,,12#",
        "03023125042 Nebenstelle 12",
    ],
)
def test_every_spelling_that_names_its_country_or_trunk_prefix_is_exact(raw: str) -> None:
    if raw.startswith('"'):
        raw = raw.partition(">;")[0] + ">"
    number = parse_number(raw, region="DE")
    assert (number.e164, number.status, number.exact) == (BERLIN, NumberStatus.OK, True)
    assert number.display == "+49 30 23125042"
    assert number.masked == "+4930…42"


@pytest.mark.parametrize("raw", ["3023125042", "30 23125042", "493023125042"])
def test_bare_digits_are_read_but_are_a_guess(raw: str) -> None:
    number = parse_number(raw, region="DE")
    assert (number.e164, number.exact) == (BERLIN, False)


def test_bare_digits_that_are_no_valid_number_are_not_guessed_at() -> None:
    assert parse_number("2079460958", region="DE").e164 is None
    assert parse_number("2079460958", region="GB").e164 == "+442079460958"


@pytest.mark.parametrize("raw", ["+49 30 23125-12", "030 23125-12", "030 23125 Durchwahl -12", "030 23125 DW 12"])
def test_a_german_direct_dial_suffix_is_part_of_the_number(raw: str) -> None:
    assert parse_number(raw, region="DE").e164 == "+49302312512"


@pytest.mark.parametrize(
    "raw",
    ["", " ", "anonymous", "Anonymous", "<unknown>", "UNKNOWN", "restricted", "s", "asterisk", "unavailable",
     "sip:anonymous@anonymous.invalid", '"Anonymous" <sip:anonymous@anonymous.invalid>'],
)  # fmt: skip
def test_words_for_withheld(raw: str) -> None:
    number = parse_number(raw, region="DE")
    assert (number.status, number.e164, number.raw, number.display) == (NumberStatus.WITHHELD, None, "", "")


@pytest.mark.parametrize(
    ("presentation", "withheld"),
    [
        ("", False),
        ("allowed", False),
        ("allowed_not_screened", False),
        ("allowed_failed_screen", False),
        ("0 (Presentation Allowed, Not Screened)", False),
        ("3", False),
        ("prohib", True),
        ("prohib_passed_screen", True),
        ("PROHIB", True),
        ("unavailable", True),
        ("32", True),
        ("35 (Presentation Prohibited, Network Number)", True),
        ("67 (Number Unavailable)", True),
        ("0x20", True),
        ("a word of tomorrow", True),
    ],
)
def test_presentation(presentation: str, withheld: bool) -> None:
    assert is_withheld(presentation) is withheld
    number = parse_number(BERLIN, region="DE", presentation=presentation)
    assert (number.status is NumberStatus.WITHHELD) is withheld
    assert ("23125" in repr(number)) is not withheld


@pytest.mark.parametrize("raw", ["1", "12", "888", "112", "100200", "sip:101@10.0.0.1", "１２３"])
def test_short_numbers_are_internal_and_never_e164(raw: str) -> None:
    number = parse_number(raw, region="DE")
    assert (number.status, number.e164) == (NumberStatus.INTERNAL, None)


@pytest.mark.parametrize(
    "raw",
    ["alice", "sip:alice@example.org", "0800 FLOWERS", "+", "+0", "++49", "0", "00", "+4930", "+999123456789",
     "+49 30 23125042 / +49 30 23125043", "0" * 40, "+49" + "1" * 30, "1234567", "*31#03023125042", "'; DROP TABLE",
     "+493023125042" + " " * MAX_RAW, "+49 00 30 23125042"],
)  # fmt: skip
def test_garbage_is_invalid(raw: str) -> None:
    number = parse_number(raw, region="DE")
    assert (number.status, number.e164) == (NumberStatus.INVALID, None)


def test_what_is_shown_of_garbage_is_short_and_printable() -> None:
    number = parse_number("a\u202eb\x00\x1b[31m\r\nc" * 20, region="DE")
    assert number.display.isprintable()
    assert len(number.display) <= 32


@pytest.mark.parametrize("e164", sorted({e164 for sample in SAMPLES for e164, _ in sample.phones}))
def test_numbers_of_fiction_are_accepted(e164: str) -> None:
    assert parse_number(e164, region="DE").e164 == e164


@pytest.mark.parametrize(("number", "masked"), [("", ""), ("12", "…"), ("1234", "…34"), (BERLIN, "+4930…42")])
def test_mask(number: str, masked: str) -> None:
    assert mask(number) == masked


@given(st.text(max_size=60) | st.from_regex(r"\A[+0]?[0-9 ()/.\-]{0,20}((x|,|;ext=)[0-9]{1,4})?\Z"))
def test_reading_never_fails_and_reading_twice_is_reading_once(raw: str) -> None:
    once = parse_number(raw, region="DE")
    if once.e164 is None:
        assert once.status is not NumberStatus.OK
        return
    for again in (once.e164, once.display, f"sip:{once.e164}@host", f"tel:{once.e164}"):
        twice = parse_number(again, region="DE")
        assert (twice.e164, twice.exact) == (once.e164, True)


@given(
    area=st.sampled_from(["30", "40", "69", "89", "221", "171", "4421"]),
    subscriber=st.from_regex(r"\A[1-9][0-9]{5,6}\Z"),
    gap=st.sampled_from(["", " ", "-", "/", "."]),
)
def test_all_spellings_of_a_national_number_are_one(area: str, subscriber: str, gap: str) -> None:
    spellings = {
        f"{prefix}{area}{gap}{subscriber[:3]}{gap if gap != '/' else ''}{subscriber[3:]}"
        for prefix in ("+49", "0049", "0", "+49 (0)", "+0049")
    }
    found = {parse_number(spelling, region="DE").e164 for spelling in spellings}
    assert found == {f"+49{area}{subscriber}"}
