from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.agi.codec import (
    MAX_COMMAND,
    MAX_ENVIRONMENT_LINES,
    MAX_LINE,
    MAX_USAGE_LINES,
    AgiCommandError,
    AgiProtocolError,
    Decoder,
    Environment,
    Hangup,
    Item,
    Reply,
    encode_command,
    presentation,
)

ENVIRONMENT = (
    b"agi_network: yes\nagi_callerid: +49301\nagi_calleridname: J\xf6rg: x\nagi_arg_1: a\nagi_arg_2: \nagi_arg_4: d\n\n"
)
USAGE = (
    b"520-Invalid command syntax.  Proper usage follows:\nUsage: GET DATA\n\n200 result=1\n520 End of proper usage.\n"
)
REPLIES = (
    b"200 result=1\n200 result=-1 endpos=0\n200 result=49 endpos=4120\n200 result=123 (timeout)\n200 result=\n"
    b"HANGUP\n200 result=1 (a (b) c)\r\n510 Invalid or unknown command\n511 Command Not Permitted on a dead channel\n"
    + USAGE
    + b"200 result=*9#\n"
)
EXPECTED: list[Item] = [
    Environment({"agi_network": "yes", "agi_callerid": "+49301", "agi_calleridname": "J\udcf6rg: x"}
                | {"agi_arg_1": "a", "agi_arg_2": "", "agi_arg_4": "d"}),
    Reply(200, "1", text="200 result=1"),
    Reply(200, "-1", end_position=0, text="200 result=-1 endpos=0"),
    Reply(200, "49", end_position=4120, text="200 result=49 endpos=4120"),
    Reply(200, "123", "timeout", text="200 result=123 (timeout)"),
    Reply(200, "", text="200 result="),
    Hangup(),
    Reply(200, "1", "a (b) c", text="200 result=1 (a (b) c)"),
    Reply(510, text="510 Invalid or unknown command"),
    Reply(511, text="511 Command Not Permitted on a dead channel"),
    Reply(520, text=USAGE.decode().removesuffix("\n")),
    Reply(200, "*9#", text="200 result=*9#"),
]  # fmt: skip


def test_whole() -> None:
    assert Decoder().feed(ENVIRONMENT + REPLIES) == EXPECTED


def test_byte_by_byte() -> None:
    decoder = Decoder()
    found = [item for byte in ENVIRONMENT + REPLIES for item in decoder.feed(bytes([byte]))]
    assert found == EXPECTED


@given(st.lists(st.integers(0, len(ENVIRONMENT + REPLIES)), max_size=8))
def test_in_any_pieces(cuts: list[int]) -> None:
    data, decoder, found, last = ENVIRONMENT + REPLIES, Decoder(), [], 0
    for cut in [*sorted(cuts), len(data)]:
        found += decoder.feed(data[last:cut])
        last = cut
    assert found == EXPECTED


def test_truncated_is_only_what_is_complete() -> None:
    for end in range(len(ENVIRONMENT)):
        assert Decoder().feed(ENVIRONMENT[:end]) == []
    decoder = Decoder()
    decoder.feed(ENVIRONMENT)
    assert decoder.feed(USAGE[:-1]) == []
    assert decoder.feed(b"\n") == [EXPECTED[-2]]


def test_arguments_end_at_the_first_that_is_missing() -> None:
    environment = Decoder().feed(ENVIRONMENT)[0]
    assert isinstance(environment, Environment)
    assert environment.arguments == ("a", "")


@pytest.mark.parametrize(
    "data",
    [
        b"agi_network: " + b"x" * MAX_LINE + b"\n",
        b"agi_network: " + b"x" * MAX_LINE,
        b"".join(b"agi_%d: x\n" % number for number in range(MAX_ENVIRONMENT_LINES + 1)),
        b"\n",
        b"GET / HTTP/1.1\r\n",
        b"agi_network\n",
        b"\x16\x03\x01\x02\n",
        # What a caller's name with a newline in it would do.
        b"agi_network: yes\nagi_calleridname: x\nagi_arg_1: forged\nagi_arg_1: real\n",
        b"agi_network: yes\nagi_calleridname: x\n\nagi_callingpres: 0\n",
    ],
    ids=["long", "long-unended", "many", "empty", "http", "no-colon", "tls", "forged", "forged-end"],
)
def test_what_no_asterisk_says_ends_it(data: bytes) -> None:
    with pytest.raises(AgiProtocolError):
        Decoder().feed(data)


@pytest.mark.parametrize(
    "data",
    [
        b"x" * (MAX_LINE + 1),
        b"hello\n",
        b"200\n",
        b"200 ok\n",
        b"200 result=rm -rf\n",
        b"20 result=1\n",
        b"2000 result=1\n",
        b"\n",
        b"520-usage\n" + b"x\n" * (MAX_USAGE_LINES + 1),
    ],
)
def test_what_is_no_reply_ends_it(data: bytes) -> None:
    decoder = Decoder()
    decoder.feed(ENVIRONMENT)
    with pytest.raises(AgiProtocolError):
        decoder.feed(data)


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_items_or_a_clean_error(data: bytes, in_replies: bool) -> None:
    decoder = Decoder()
    if in_replies:
        decoder.feed(ENVIRONMENT)
    with contextlib.suppress(AgiProtocolError):
        decoder.feed(data)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("STREAM", "FILE", "/a/b-1", ""), b'STREAM FILE /a/b-1 ""\n'),
        (("SET", "VARIABLE", "X", 'a "b" \\c'), b'SET VARIABLE X "a \\"b\\" \\\\c"\n'),
        (("SET", "VARIABLE", "CHANNEL(language)", "de"), b"SET VARIABLE CHANNEL(language) de\n"),
        (("EXEC", "UserEvent", "A,B: c"), b'EXEC UserEvent "A,B: c"\n'),
    ],
)
def test_commands_are_quoted_where_needed(words: tuple[str, ...], line: bytes) -> None:
    assert encode_command(*words) == line


@pytest.mark.parametrize("word", ["a\nHANGUP", "a\rb", "a\0b", "x" * (MAX_COMMAND + 1)])
def test_a_second_command_cannot_be_smuggled_in(word: str) -> None:
    with pytest.raises(AgiCommandError):
        encode_command("SET", "VARIABLE", "X", word)


def asterisk_reads(line: str) -> list[str]:
    """The words as ``parse_args`` in res_agi.c takes them."""
    words: list[str] = []
    quoted = escaped = False
    blank = True
    for character in line:
        if character == '"' and not escaped:
            quoted = not quoted
            if quoted and blank:
                words.append("")
                blank = False
            continue
        if character in " \t" and not quoted and not escaped:
            blank = True
            continue
        if character == "\\" and not escaped:
            escaped = True
            continue
        if blank:
            words.append("")
            blank = False
        words[-1] += character
        escaped = False
    return words


@given(st.lists(st.text(st.characters(blacklist_characters="\n\r\0", blacklist_categories=["Cs"])), min_size=1))
def test_asterisk_reads_back_every_word(words: list[str]) -> None:
    assert asterisk_reads(encode_command(*words).decode().removesuffix("\n")) == words


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("0", "allowed_not_screened"),
        ("3", "allowed"),
        ("32", "prohib_not_screened"),
        ("35", "prohib"),
        ("67", "unavailable"),
        ("64", "unavailable"),
        ("96", "unavailable"),
        ("", ""),
        ("x", ""),
        ("-1", ""),
        ("99999", ""),
    ],
)
def test_presentation(code: str, word: str) -> None:
    assert presentation(code) == word
