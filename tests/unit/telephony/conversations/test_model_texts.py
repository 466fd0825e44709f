"""What Asterisk prints, read as it was meant."""

from __future__ import annotations

import pytest

from telephony.conversations.model import number_of, unescaped


@pytest.mark.parametrize(
    ("text", "number"),
    [("1.5", 1.5), ("0", 0.0), ("", 0.0), ("inf", 0.0), ("-inf", 0.0), ("nan", 0.0), ("1e300", 0.0), ("x", 0.0)],
)
def test_a_number_can_be_reckoned_with(text: str, number: float) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    ("printed", "name"),
    [
        ("Müller", "Müller"),
        (r"a\"b\"", 'a"b"'),
        (r"back\\slash", r"back\slash"),
        (r"two\nlines", "two lines"),
        (r"\\n", r"\n"),
        ("end\\", "end\\"),
    ],
)
def test_a_name_is_what_it_was_before_asterisk_escaped_it(printed: str, name: str) -> None:
    assert unescaped(printed) == name
