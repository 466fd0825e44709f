from __future__ import annotations

from collections.abc import Sequence

import pytest

from ivr_flows.ports import Caller, CallerGone
from telephony.agi.caller import ALL_DIGITS, AgiCaller, SoundError, facts_of
from telephony.agi.codec import AgiCommandError, AgiError, Environment, Reply


class Line:
    """Answers commands as written down, and keeps them."""

    def __init__(self, *replies: str | Reply) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, ...]] = []
        self.limits: list[float] = []

    async def ask(self, words: Sequence[str], seconds: float) -> Reply:
        self.asked.append(tuple(words))
        self.limits.append(seconds)
        reply = self.replies.pop(0)
        return reply if isinstance(reply, Reply) else Reply(200, reply)


async def test_it_is_a_caller() -> None:
    line = Line("0")
    caller: Caller = AgiCaller(line.ask)
    assert await caller.play(["/s/a"]) == ""
    assert line.asked == [("STREAM", "FILE", "/s/a", "")]


async def test_a_digit_ends_what_is_played() -> None:
    line = Line("0", "53")
    assert await AgiCaller(line.ask).play(["/s/a", "/s/b", "/s/c"], ALL_DIGITS) == "5"
    assert [words[2] for words in line.asked] == ["/s/a", "/s/b"]


async def test_one_sound_and_no_stop_is_one_command() -> None:
    line = Line("4711")
    assert await AgiCaller(line.ask).collect(["/s/a"], 9, 2.5) == "4711"
    assert line.asked == [("GET", "DATA", "/s/a", "2500", "9")]
    line = Line("")
    assert await AgiCaller(line.ask).collect([], 9, 0.0001) == ""
    assert line.asked == [("GET", "DATA", "", "1", "9")]


@pytest.mark.parametrize(
    ("replies", "digits", "commands"),
    [
        (("52", "711"), "4711", ["STREAM", "GET"]),
        (("0", "52", "711"), "4711", ["STREAM", "WAIT", "GET"]),
        (("42",), "*", ["STREAM"]),
        (("0", "42"), "*", ["STREAM", "WAIT"]),
        (("35",), "", ["STREAM"]),
        (("0", "0"), "", ["STREAM", "WAIT"]),
        (("0", "65"), "", ["STREAM", "WAIT"]),
    ],
)
async def test_a_stop_key_ends_at_once(replies: tuple[str, ...], digits: str, commands: list[str]) -> None:
    line = Line(*replies)
    assert await AgiCaller(line.ask).collect(["/s/a"], 6, 5, stop="*") == digits
    assert [words[0] for words in line.asked] == commands


async def test_one_digit_needs_no_second_command() -> None:
    line = Line("0", "50")
    assert await AgiCaller(line.ask).collect(["/s/a", "/s/b"], 1, 5) == "2"
    assert len(line.asked) == 2


@pytest.mark.parametrize("state", [Reply(200, "-1"), Reply(511), Reply(200, "0")])
async def test_minus_one_on_a_dead_line_is_a_hang_up(state: Reply) -> None:
    with pytest.raises(CallerGone):
        await AgiCaller(Line("-1", state).ask).play(["/s/a"])
    with pytest.raises(CallerGone):
        await AgiCaller(Line("-1", state).ask).collect(["/s/a"], 3, 1)
    with pytest.raises(CallerGone):
        await AgiCaller(Line("0", "-1").ask).collect(["/s/a"], 3, 1, stop="*")


async def test_minus_one_on_a_living_line_is_a_sound_that_is_missing() -> None:
    with pytest.raises(SoundError, match="'/s/a' cannot be played"):
        await AgiCaller(Line("-1", "6").ask).play(["/s/a"])


async def test_refusals() -> None:
    with pytest.raises(CallerGone):
        await AgiCaller(Line(Reply(511)).ask).hang_up()
    with pytest.raises(AgiError, match="refused a command: 510 Invalid"):
        await AgiCaller(Line(Reply(510, text="510 Invalid")).ask).hang_up()
    with pytest.raises(AgiError, match="app_userevent"):
        await AgiCaller(Line("-2").ask).tell("CallfloorFlow", {})


async def test_only_plain_variables_with_safe_values_are_set() -> None:
    line = Line("1", "1")
    await AgiCaller(line.ask).set_variables({"CALLFLOOR_ROUTE": "service", "CALLFLOOR_CHECKPOINT": "1.aB_-=.c"})
    assert line.asked[0] == ("SET", "VARIABLE", "CALLFLOOR_ROUTE", "service")
    for name, value in [
        ("SHELL(id)", "x"),
        ("A B", "x"),
        ("", "x"),
        ("X", "${SHELL(id)}"),
        ("X", "a\nb"),
        ("X", "a,b"),
    ]:
        with pytest.raises(AgiCommandError):
            await AgiCaller(Line("1").ask).set_variables({name: value})


async def test_a_language_is_a_language() -> None:
    line = Line("1")
    await AgiCaller(line.ask).set_language("de")
    assert line.asked == [("SET", "VARIABLE", "CHANNEL(language)", "de")]
    with pytest.raises(AgiCommandError):
        await AgiCaller(Line("1").ask).set_language("../de")


async def test_a_user_events_values_cannot_end_their_header() -> None:
    line = Line("0")
    await AgiCaller(line.ask).tell("CallfloorIdentity", {"CallId": "pbx1-1.2", "Reason": "a,Customer: 1\r\nX: ä"})
    assert line.asked == [
        ("EXEC", "UserEvent", "CallfloorIdentity,CallId: pbx1-1.2,Reason: a%2CCustomer: 1%0D%0AX: %C3%A4")
    ]
    for event, header in [("A,B", "X"), ("A", "X: y,Z"), ("", "X")]:
        with pytest.raises(AgiCommandError):
            await AgiCaller(Line("0").ask).tell(event, {header: "x"})


async def test_every_wait_is_bounded() -> None:
    line = Line("0", "49", "22")
    await AgiCaller(line.ask).collect(["/s/a"], 3, 7, stop="*")
    assert all(0 < limit < 300 for limit in line.limits)


def test_facts() -> None:
    facts = facts_of(
        Environment(
            {"agi_uniqueid": "pbx1-5.6", "agi_callerid": "+49301", "agi_calleridname": "unknown", "agi_dnid": "1"}
            | {"agi_callingpres": "35", "agi_language": "en"}
            | {"agi_arg_1": "pbx1-5.1", "agi_arg_2": "030", "agi_arg_3": "1.x.y"}
        )
    )
    assert (facts.conversation, facts.number, facts.name) == ("pbx1-5.1", "+49301", "")
    assert (facts.presentation, facts.dialled, facts.language, facts.checkpoint) == ("prohib", "030", "en", "1.x.y")
    bare = facts_of(Environment({"agi_uniqueid": "pbx1-5.6", "agi_callerid": "unknown"}))
    assert (bare.conversation, bare.number, bare.dialled, bare.checkpoint) == ("pbx1-5.6", "", "", "")
