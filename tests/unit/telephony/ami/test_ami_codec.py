"""The codec on streams that are whole, cut, broken, oversized and real."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from asterisk.ami import Action, EventListener, LoginAction, SimpleAction
from asterisk.ami import Event as PeerEvent
from asterisk.ami import Response as PeerResponse
from hypothesis import example, given
from hypothesis import strategies as st

from telephony.ami.codec import (
    FORGIVEN_AFTER,
    HEADER_CAP,
    LINE_CAP,
    Event,
    FrameDecoder,
    Limits,
    Message,
    Response,
    encode,
    to_bytes,
)
from telephony.ami.errors import EncodeError

CAPTURE = (Path(__file__).parents[3] / "captures" / "codec-mixed.ami").read_bytes()

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
HANGUP = (
    b"Event: Hangup\r\nPrivilege: call,all\r\nUniqueid: pbx1-1.2\r\nCause-txt: Normal: Clearing\r\nAccountCode: \r\n"
)
ANSWER = b"Response: Success\r\nActionID: 7\r\nMessage: ok\r\n"

SMALL = Limits(line=64, message=200, headers=8, malformed=3, items=5)


def fed(pieces: Iterable[bytes], limits: Limits | None = None) -> tuple[list[bytes], FrameDecoder]:
    decoder = FrameDecoder(limits)
    return [message.raw for piece in pieces for message in decoder.feed(piece)], decoder


def outcome(pieces: Iterable[bytes], limits: Limits | None = None) -> tuple[Any, ...]:
    """All that must not depend on how a stream is cut."""
    messages, decoder = fed(pieces, limits)
    return messages, decoder.banner, decoder.failure is None, decoder.malformed, decoder.messages == len(messages)


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(stream) + 1) for place in places}), len(stream)]
    return [stream[start:end] for start, end in zip(edges, edges[1:], strict=False)]


def one(stream: bytes) -> Message:
    (message,) = FrameDecoder().feed(stream)
    return message


def test_banner_events_and_responses_in_order() -> None:
    decoder = FrameDecoder()
    event, response = decoder.feed(BANNER + HANGUP + b"\r\n" + ANSWER + b"\r\n")
    assert decoder.banner == "11.0.0"
    assert isinstance(event, Event)
    assert event.name == "Hangup"
    assert event.get("Uniqueid") == "pbx1-1.2"
    assert event.get("Cause-txt") == "Normal: Clearing"
    assert event.raw + b"\r\n" == HANGUP
    assert isinstance(response, Response)
    assert (response.status, response.get("ActionID"), response.is_error()) == ("Success", "7", False)
    assert decoder.messages == 2


def test_byte_by_byte() -> None:
    stream = BANNER + HANGUP + b"\r\n" + ANSWER + b"\r\n"
    assert outcome(stream[i : i + 1] for i in range(len(stream))) == outcome([stream])


def test_a_truncated_frame_waits_for_its_end() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(HANGUP + b"\r") == []
    assert len(decoder.feed(b"\nEvent: Next")) == 1
    assert decoder.feed(b"\r\n") == []
    (following,) = decoder.feed(b"\r\n")
    assert following.raw == b"Event: Next"


def test_trailing_junk_is_counted_and_skipped() -> None:
    decoder = FrameDecoder()
    messages = decoder.feed(
        HANGUP + b"\r\nno header here\r\n\r\nAction: Ping\r\n\r\nEvent: A\0B\r\n\r\n" + ANSWER + b"\r\n"
    )
    assert [type(message) for message in messages] == [Event, Response]
    assert decoder.malformed == {"no_header": 1, "unknown_kind": 1, "nul": 1}
    assert decoder.failure is None


@pytest.mark.parametrize(
    "stream",
    [
        b"Event: A\nKey: 1\n\nEvent: B\nKey: 2\n\n",
        b"Event: A\r\nKey: 1\r\n\nEvent: B\r\nKey: 2\r\n\n",
        b"\r\n\r\nEvent: A\r\nKey: 1\r\n\r\n\r\n\r\n\r\nEvent: B\r\nKey: 2\r\n\r\n\r\n",
        b"\n\nEvent: A\nKey: 1\n\r\nEvent: B\r\nKey: 2\n\r\n",
        b"EVENT:A\r\nKey:1\r\n\r\nevent:  B \r\nKEY: 2\r\n\r\n",
    ],
    ids=["lf", "crlf-lf", "stray", "lf-crlf", "spelling"],
)
def test_liberal_in_line_ends_and_spelling(stream: bytes) -> None:
    for pieces in ([stream], [stream[i : i + 1] for i in range(len(stream))]):
        decoder = FrameDecoder()
        events = [event for piece in pieces for event in decoder.feed(piece)]
        assert [(event.name, event.get("Key")) for event in events if isinstance(event, Event)] == [
            ("A", "1"),
            ("B", "2"),
        ]
        assert decoder.malformed == {}


def test_a_list_ended_by_a_bare_lf_is_not_held_back() -> None:
    (event,) = FrameDecoder().feed(b"Event: CoreShowChannelMapComplete\r\nListItems: 1\r\n\n")
    assert isinstance(event, Event)
    assert event.name == "CoreShowChannelMapComplete"


def test_the_first_header_decides() -> None:
    event = one(b"Event: OriginateResponse\r\nResponse: Failure\r\nChanVariable(PJSIP/x-1): CALLFLOOR_ID=9\r\n\r\n")
    assert isinstance(event, Event)
    assert event.get("Response") == "Failure"
    assert event.variables == {"CALLFLOOR_ID": "9"}
    response = one(b"Response: Error\r\nEvent: nonsense\r\n\r\n")
    assert isinstance(response, Response)
    assert response.is_error()


def test_repeated_headers_are_kept_in_order() -> None:
    event = one(b"Event: X\r\nChanVariable: b=1\r\nchanvariable: c\r\nChanVariable: a=x=y\r\n\r\n")
    assert event.get_all("ChanVariable") == ["b=1", "c", "a=x=y"]
    assert event.get("ChanVariable") == "b=1"
    assert event.variables == {"b": "1", "a": "x=y"}
    response = one(
        b"Response: Success\r\nMessage: Command output follows\r\nOutput: one\r\nOutput: \r\nOutput: t: w\r\n\r\n"
    )
    assert isinstance(response, Response)
    assert response.follows == ["one", "", "t: w"]
    assert response.keys["Output"] == "one\n\nt: w"


def test_headers_in_any_case_but_the_exact_one_first() -> None:
    event = one(b"Event: X\r\nACTIONID: loud\r\nActionID: right\r\nempty:\r\nNo colon\r\n\r\n")
    assert event.get("ActionID") == "right"
    assert event.get("actionid") == "loud"
    assert event.get("Empty", "default") == ""
    assert event.get("Missing", "default") == "default"
    assert event.get_all("Missing") == []
    assert (event.get("event"), event.get_all("Event")) == ("X", ["X"])
    assert list(event.headers())[1:] == [("ACTIONID", "loud"), ("ActionID", "right"), ("empty", "")]


def test_a_user_events_own_headers_come_last() -> None:
    event = one(b"Event: UserEvent\r\nLanguage: en\r\nUserEvent: CallfloorFlow\r\nLanguage: de\r\n\r\n")
    assert (event.get("Language"), event.get_last("Language"), event.get_last("Route", "none")) == ("en", "de", "none")


def test_a_value_is_not_a_header() -> None:
    event = one(b"Event: X\r\nCallerIDName: Uniqueid: 1\r\nUniqueid: 2\r\n\r\n")
    assert event.get("Uniqueid") == "2"


def test_bytes_that_are_no_utf8_survive() -> None:
    event = one(b"Event: X\r\nCallerIDName: M\xfcller \xc3\xbc\r\n\r\n")
    name = event.get("CallerIDName")
    assert name.encode("utf-8", "surrogateescape") == b"M\xfcller \xc3\xbc"
    assert name.encode("utf-8", "surrogateescape") in encode(SimpleAction("Setvar", Value=name), "1")


def test_event_stands_in_for_the_peer_library() -> None:
    event = one(b"Event: Dial\r\nUniqueid: 1\r\nChanVariable: a=1\r\n\r\n")
    assert isinstance(event, PeerEvent)
    assert (event["Uniqueid"], event["ChanVariable"], list(event)) == ("1", {"a": "1"}, ["Uniqueid", "ChanVariable"])
    assert str(event) == "Event : Dial -> {'Uniqueid': '1', 'ChanVariable': {'a': '1'}}"
    event["Own"] = "note"
    assert event["Own"] == "note"
    heard: list[Any] = []
    listener = EventListener(on_event=lambda event, **_: heard.append(event), white_list="Dial", Uniqueid="1")
    listener(event=event)
    listener(event=one(b"Event: Dial\r\nUniqueid: 2\r\n\r\n"))
    assert heard == [event]


def test_made_up_messages() -> None:
    event = Event.of("X", [("A", "1"), ("A", "2")])
    assert (event.name, event.get_all("a")) == ("X", ["1", "2"])
    response = Response.of("Error", {"Message": "no"})
    assert (response.is_error(), response.keys) == (True, {"Message": "no"})
    assert [message.raw for message in FrameDecoder().feed(to_bytes([event, response]))] == [event.raw, response.raw]
    assert to_bytes([]) == b""


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (b"Event: X\r\nKey: " + b"v" * 60 + b"\r\n\r\n", "line_too_long"),
        (b"Event: X\r\nKey: " + b"v" * 60, "line_too_long"),
        (b"v" * 70, "line_too_long"),
        (b"Asterisk Call Manager/" + b"1" * 70, "line_too_long"),
        (b"Event: X\r\n" + b"Key: 0123456789012345678901234567890123456789\r\n" * 5 + b"\r\n", "message_too_long"),
        (b"Event: X\r\n" + b"K: v\r\n" * 8 + b"\r\n", "too_many_headers"),
        (b"junk\r\n\r\n" * 4, "malformed"),
        (b"Event: \0\r\n\r\n" * 4, "malformed"),
    ],
)
def test_caps_fail_the_connection_and_keep_what_came_before(stream: bytes, kind: str) -> None:
    decoder = FrameDecoder(SMALL)
    assert len(decoder.feed(b"Event: A\r\n\r\n" + stream if not stream.startswith(b"Asterisk") else stream)) <= 1
    assert decoder.failure is not None
    assert decoder.failure.kind == kind
    assert decoder.feed(b"Event: A\r\n\r\n") == []


def test_up_to_the_caps_all_is_well() -> None:
    stream = (
        b"Event: X\r\n"
        + b"K: "
        + b"v" * 61
        + b"\r\n\r\n"
        + b"Event: X\r\n"
        + b"K: v\r\n" * 7
        + b"\r\n"
        + b"junk\r\n\r\n" * 3
    )
    messages, decoder = fed([stream], SMALL)
    assert decoder.failure is None
    assert len(messages) == 2


# Pieces that a stream of this protocol is made of, so that chance meets the interesting borders.
_SHARDS = st.sampled_from(
    [
        b"Event: A\r\n", b"Event: B\n", b"Response: Success\r\n", b"response:x\n", b"Key: v\r\n", b"Key: w\n", b"\r\n",
        b"\n", b"\r", b":", b" ", b"\0", b"junk\r\n", b"Asterisk Call Manager/", b"11.0.0\r\n", b"v" * 30, b"\xff",
        b"Event: ",
    ]
)  # fmt: skip
_STREAMS = st.lists(_SHARDS, max_size=40).map(b"".join)


def test_a_long_message_in_small_pieces_takes_linear_time() -> None:
    def seconds(size: int) -> float:
        stream = BANNER + b"Response: Success\r\n" + b"Output: " + b"x" * 70 + b"\r\n"
        stream += b"Output: a line of some length, as a command prints it\r\n" * (size // 55)
        began = time.process_time()
        _, decoder = fed(cut(stream, range(0, len(stream), 500)))
        assert decoder.failure is None
        return time.process_time() - began

    seconds(1 << 16)
    # Eight times the bytes: eight times the work, and 64 times if each piece looked at all that came before.
    assert seconds(1 << 20) < 24 * max(seconds(1 << 17), 0.005)


@given(stream=_STREAMS, places=st.lists(st.integers(min_value=0), max_size=12))
@example(stream=b"Event: A\r\n\r\n\nEvent: B\n\r\n\n\r\r\n\r\n", places=[9, 10, 11, 12, 20, 21, 22])
@example(stream=BANNER[:22] + b"v" * 50 + b"\r\nEvent: A\r\n\r\n", places=[])
@example(stream=b"Event: A\r\n\r\nResponse: Success\r\n\r\n\0\r\n\r\n\r\n" * 2, places=[11, 30, 33, 34])
def test_how_a_stream_is_cut_does_not_matter(stream: bytes, places: list[int]) -> None:
    for limits in (SMALL, Limits()):
        whole = outcome([stream], limits)
        assert outcome(cut(stream, places), limits) == whole
        assert outcome([stream[i : i + 1] for i in range(len(stream))], limits) == whole


@given(pieces=st.lists(st.binary(max_size=80) | _STREAMS, max_size=8))
def test_any_bytes_never_raise(pieces: list[bytes]) -> None:
    for limits in (SMALL, Limits()):
        decoder = FrameDecoder(limits)
        for piece in pieces:
            for message in decoder.feed(piece):
                assert isinstance(message.keys, dict)
                assert isinstance(message.get("Key") + str(message) + repr(message), str)
                assert all(isinstance(value, str) for value in message.variables.values())
                assert [pair[1] for pair in message.headers() if pair[0].lower() == "key"] == message.get_all("Key")


def test_the_capture_reads_the_same_in_any_pieces() -> None:
    whole = outcome([CAPTURE])
    chance = random.Random(7)
    assert outcome(cut(CAPTURE, [chance.randrange(len(CAPTURE)) for _ in range(3000)])) == whole
    assert outcome([CAPTURE.replace(b"\r\n", b"\n")])[1:] == whole[1:]


def test_the_capture_against_a_foreign_peer() -> None:
    decoder = FrameDecoder()
    messages = decoder.feed(CAPTURE)
    frames = CAPTURE.partition(b"\r\n")[2].split(b"\r\n\r\n")[:-1]
    assert len(messages) == len(frames) > 500
    assert decoder.malformed == {}
    for message, frame in zip(messages, frames, strict=True):
        text = frame.decode()
        assert message.raw == frame
        if isinstance(message, Event):
            peer = PeerEvent.read(text)
            assert (message.name, message.keys) == (peer.name, peer.keys)
            assert list(message) == list(peer)
            for key, value in peer.keys.items():
                if isinstance(value, str):
                    # Theirs keeps the last of equal headers, which a user event may have.
                    assert message.get_last(key) == value
                    assert message.get(key) == message.get(key.upper()) == message.get_all(key)[0]
            if message.name == "OriginateResponse":
                assert message.variables == {"CALLFLOOR_ID": "", "CALLERID(pres)": "allowed_not_screened"}
            else:
                assert message.variables == peer.keys.get("ChanVariable", {})
        else:
            peer = PeerResponse.read(text)
            assert (message.status, message.is_error(), message.keys) == (peer.status, peer.is_error(), peer.keys)


def test_encode_plain_actions() -> None:
    assert encode(LoginAction("cc", "s: 3"), "a-1") == (
        b"Action: Login\r\nActionID: a-1\r\nUsername: cc\r\nSecret: s: 3\r\n\r\n"
    )
    action = SimpleAction("Originate", Async=True, Timeout=30000, Codecs=["alaw", "ulaw"], actionid="theirs")
    assert encode(action, "mine") == (
        b"Action: Originate\r\nActionID: mine\r\nAsync: true\r\nTimeout: 30000\r\nCodecs: alaw\r\nCodecs: ulaw\r\n\r\n"
    )


def test_encode_escapes_variables() -> None:
    action = Action("Originate", {}, {"__ID": 'a,b="c"\\(d)', "PJSIP_HEADER(add,X-Y)": "1"})
    assert encode(action, "1").split(b"\r\n")[2:4] == [
        rb"Variable: __ID=a\,b=\"c\"\\\(d\)",
        b"Variable: PJSIP_HEADER(add,X-Y)=1",
    ]


@pytest.mark.parametrize("bad", ["a\r\nAction: Logoff", "a\nb", "a\rb", "a\0", "\ud800"])
def test_encode_refuses_what_could_inject(bad: str) -> None:
    for action, action_id in (
        (SimpleAction("Ping", Key=bad), "1"),
        (SimpleAction("Ping", Key=["fine", bad]), "1"),
        (Action("Ping", {bad: "v"}), "1"),
        (Action("Ping", {}, {"V": bad}), "1"),
        (Action("Ping", {}, {bad: "v"}), "1"),
        (Action(bad), "1"),
        (SimpleAction("Ping"), bad),
    ):
        with pytest.raises(EncodeError):
            encode(action, action_id)


@pytest.mark.parametrize(
    ("action", "action_id"),
    [
        (Action("Ping", {"K:": "v"}), "1"),
        (Action("Ping", {"": "v"}), "1"),
        (Action("Ping", {"Action": "Logoff"}), "1"),
        (Action("Ping", {"K": None}), "1"),
        (Action("Ping", {"K": b"bytes"}), "1"),
        (Action("Ping", {}, {"V=": "v"}), "1"),
        (Action("Ping", {}, {"V,W": "v"}), "1"),
        (Action(""), "1"),
        (Action("Ping"), ""),
        (Action("Ping"), "x" * 100),
        (Action("Ping"), "a b"),
        (Action("Ping", {"K": "v" * (LINE_CAP - 2)}), "1"),
        (Action("Ping", {"K": "ü" * (LINE_CAP // 2)}), "1"),
        (Action("Ping", {f"K{i}": "v" for i in range(HEADER_CAP - 1)}), "1"),
    ],
    ids=lambda value: value.name if isinstance(value, Action) else value[:8],  # an Action answers any attribute
)
def test_encode_refuses(action: Action, action_id: str) -> None:
    with pytest.raises(EncodeError):
        encode(action, action_id)


def test_encode_up_to_the_caps() -> None:
    assert b"K: " + b"v" * (LINE_CAP - 3) + b"\r\n" in encode(Action("Ping", {"K": "v" * (LINE_CAP - 3)}), "1")
    assert encode(Action("Ping", {f"K{i}": "v" for i in range(HEADER_CAP - 2)}), "1").count(b"\r\n") == HEADER_CAP + 1


@given(value=st.text(max_size=100), key=st.text(max_size=10))
def test_encode_never_adds_a_header(value: str, key: str) -> None:
    try:
        wire = encode(Action("X", {key: value, "K": value}, {"V": value}), "1")
    except EncodeError:
        return
    headers, end = wire[:-4].split(b"\r\n"), wire[-4:]
    assert end == b"\r\n\r\n"
    assert len(headers) == 5 - (key == "K") - (key.lower() == "actionid")
    assert b"\n" not in b"".join(headers)
    assert headers[-2] == b"K: " + value.encode("utf-8", "surrogateescape")


def test_malformed_frames_are_forgiven_after_many_good_ones() -> None:
    decoder = FrameDecoder(Limits(malformed=3))
    decoder.feed(b"Asterisk Call Manager/11.0.0\r\n")
    good = b"Event: Fine\r\nA: b\r\n\r\n" * (FORGIVEN_AFTER + 1)
    for _ in range(3):
        decoder.feed(b"no header at all\r\n\r\n" * 3)
        decoder.feed(good)
    assert decoder.failure is None
    decoder.feed(b"no header at all\r\n\r\n" * 4)
    assert decoder.failure is not None
