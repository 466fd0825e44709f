"""The session by tables: what the server says, what we answer, where we stand. No clock, no socket."""

from __future__ import annotations

import hashlib

import pytest
from asterisk.ami import Action, SimpleAction

from telephony.ami.codec import Limits
from telephony.ami.errors import AuthFailed, EncodeError, NotReady, ProtocolError, TooOld
from telephony.ami.session import (
    EventsArrived,
    Happening,
    LoggedIn,
    Ponged,
    Replied,
    Session,
    State,
    parse_version,
    release_problem,
)

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
NOW = 1000.0


def frame(*lines: str) -> bytes:
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def success(number: int, *lines: str) -> bytes:
    return frame("Response: Success", f"ActionID: s-{number}", *lines)


def ready(limits: Limits | None = None) -> Session:
    session = Session("cc", "s3cret", events="on", prefix="s", login="plain", limits=limits)
    session.receive(BANNER, NOW)
    session.data_to_send()
    assert session.receive(success(1, "Message: Authentication accepted"), NOW) == [LoggedIn("11.0.0")]
    return session


def names(happenings: list[Happening]) -> list[object]:
    """Happenings in short: event names, answered ActionIDs with their items' names."""
    told: list[object] = []
    for happening in happenings:
        if isinstance(happening, EventsArrived):
            told.extend(event.name for event in happening.events)
        elif isinstance(happening, Replied):
            told.append((happening.reply.action_id, [item.name for item in happening.reply.items]))
        else:
            told.append(happening)
    return told


def test_plain_login() -> None:
    session = Session("cc", "s3cret", events="off", prefix="s", login="plain")
    assert session.data_to_send() == b""
    assert session.receive(BANNER[:10], NOW) == []
    assert session.state is State.BANNER
    assert session.receive(BANNER[10:], NOW) == []
    assert session.data_to_send() == frame(
        "Action: Login", "ActionID: s-1", "Username: cc", "Secret: s3cret", "Events: off"
    )
    assert session.state is State.LOGIN
    assert session.receive(success(1), NOW) == [LoggedIn("11.0.0")]
    assert (session.state, session.failure, session.data_to_send()) == (State.READY, None, b"")


def test_md5_login_keeps_the_secret_off_the_wire() -> None:
    session = Session("cc", "s3cret", events="on", prefix="s")
    session.receive(BANNER, NOW)
    assert session.data_to_send() == frame("Action: Challenge", "ActionID: s-1", "AuthType: MD5")
    assert session.receive(success(1, "Challenge: 123456789"), NOW) == []
    key = hashlib.md5(b"123456789s3cret", usedforsecurity=False).hexdigest()
    sent = session.data_to_send()
    assert sent == frame("Action: Login", "ActionID: s-2", "Username: cc", "AuthType: MD5", f"Key: {key}", "Events: on")
    assert b"s3cret" not in sent
    assert session.receive(success(2), NOW) == [LoggedIn("11.0.0")]


def test_events_behind_the_login_in_one_chunk() -> None:
    session = Session("cc", "s3cret", events="on", prefix="s", login="plain")
    session.receive(BANNER, NOW)
    happened = session.receive(success(1) + frame("Event: FullyBooted") + frame("Event: Hangup"), NOW)
    assert names(happened) == [LoggedIn("11.0.0"), "FullyBooted", "Hangup"]


@pytest.mark.parametrize(
    ("stream", "failure", "text"),
    [
        (b"Asterisk Call Manager/8.0.4\r\n", TooOld, "8.0.4"),
        (b"Asterisk Call Manager/2.10\r\n", TooOld, "2.10.0"),
        (b"Asterisk Call Manager/new\r\n", ProtocolError, "without a version"),
        (b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n", ProtocolError, "does not greet"),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", ProtocolError, "does not greet"),
        (b"x" * 20_000, ProtocolError, "a line of more than"),
        (BANNER + frame("Response: Error", "ActionID: s-1", "Message: Authentication failed"), AuthFailed, "'cc'"),
        (BANNER + frame("Response: Error", "ActionID: s-1"), AuthFailed, "no reason given"),
        (
            BANNER + frame("Response: Error", "ActionID: s-1", "Message: Asterisk is shutting down"),
            NotReady,
            "shutting",
        ),
        (BANNER + b"\0\r\n\r\n" * 101, ProtocolError, "malformed"),
    ],
)
def test_log_ins_that_fail(stream: bytes, failure: type[Exception], text: str) -> None:
    session = Session("cc", "s3cret", events="on", prefix="s", login="plain")
    assert session.receive(stream, NOW) == []
    assert type(session.failure) is failure
    assert text in str(session.failure)
    assert "s3cret" not in str(session.failure)
    assert session.state is State.FAILED
    assert session.data_to_send() == b""
    assert session.receive(BANNER, NOW) == []
    with pytest.raises(NotReady):
        session.request(SimpleAction("Ping"), NOW)


def test_a_secret_that_cannot_be_sent_is_not_told() -> None:
    session = Session("cc", "s3\ncret", events="on", prefix="s", login="plain")
    session.receive(BANNER, NOW)
    assert isinstance(session.failure, AuthFailed)
    assert "cret" not in str(session.failure).replace("ami.secret", "")


def test_nothing_is_sent_before_the_login() -> None:
    session = Session("cc", "s3cret", events="on", prefix="s")
    for chunk in (b"", BANNER, success(1, "Challenge: 1")):
        session.receive(chunk, NOW)
        with pytest.raises(NotReady):
            session.request(SimpleAction("CoreStatus"), NOW)
        session.tick(NOW + 100)
    assert b"CoreStatus" not in session.data_to_send()


def test_answers_find_their_questions_in_any_order() -> None:
    session = ready()
    first = session.request(SimpleAction("CoreStatus"), NOW)
    second = session.request(SimpleAction("Hangup", Channel="x"), NOW, action_id="own.id")
    assert session.data_to_send() == (
        frame("Action: CoreStatus", f"ActionID: {first}") + frame("Action: Hangup", "ActionID: own.id", "Channel: x")
    )
    happened = session.receive(
        frame("Response: Error", "ActionID: own.id", "Message: No such channel")
        + frame("Event: Hangup")
        + frame("Response: Success", f"ActionID: {first}"),
        NOW + 0.5,
    )
    assert names(happened) == [(second, []), "Hangup", (first, [])]
    assert isinstance(happened[0], Replied)
    assert happened[0].reply.response.is_error()
    assert happened[0].seconds == 0.5


@pytest.mark.parametrize("end", ["Complete", "complete", "Cancelled"])
def test_a_list_is_collected_between_other_messages(end: str) -> None:
    session = ready()
    one = session.request(SimpleAction("QueueStatus"), NOW)
    two = session.request(SimpleAction("CoreShowChannels"), NOW)
    frames = [
        frame("Response: Success", f"ActionID: {one}", "EventList: start"),
        frame("Event: QueueParams", f"ActionID: {one}"),
        frame("Event: Hangup", "ActionID: somebody-else"),
        frame("Response: Success", f"ActionID: {two}", "EventList: Start"),
        frame("Event: CoreShowChannel", f"ActionID: {two}"),
        frame("Event: QueueMember", "Queue: q", f"actionid: {one}"),
        frame("Event: QueueStatusComplete", f"ActionID: {one}", f"EventList: {end}", "ListItems: 2"),
        frame("Event: CoreShowChannelsComplete", f"ActionID: {two}", "EventList: Complete"),
        frame("Event: QueueParams", f"ActionID: {one}"),
    ]
    happened = session.receive(b"".join(frames), NOW)
    assert names(happened) == [
        "Hangup",
        (one, ["QueueParams", "QueueMember"]),
        (two, ["CoreShowChannel"]),
        "QueueParams",
    ]
    replied = happened[1]
    assert isinstance(replied, Replied)
    assert replied.reply.raw == frames[0] + frames[1] + frames[5] + frames[6]


def test_a_list_that_is_refused_or_empty_is_complete_at_once() -> None:
    session = ready()
    refused = session.request(SimpleAction("QueueStatus"), NOW)
    happened = session.receive(frame("Response: Error", f"ActionID: {refused}", "EventList: start"), NOW)
    assert names(happened) == [(refused, [])]
    empty = session.request(SimpleAction("ParkedCalls"), NOW)
    happened = session.receive(
        frame("Response: Success", f"ActionID: {empty}", "EventList: start")
        + frame("Event: ParkedCallsComplete", f"ActionID: {empty}", "EventList: Complete"),
        NOW,
    )
    assert names(happened) == [(empty, [])]


def test_a_list_beyond_the_cap_fails_the_session() -> None:
    session = ready(Limits(items=3))
    action_id = session.request(SimpleAction("QueueStatus"), NOW)
    session.receive(frame("Response: Success", f"ActionID: {action_id}", "EventList: start"), NOW)
    for _ in range(3):
        assert session.receive(frame("Event: QueueEntry", f"ActionID: {action_id}"), NOW) == []
        assert session.failure is None
    session.receive(frame("Event: QueueEntry", f"ActionID: {action_id}"), NOW)
    assert isinstance(session.failure, ProtocolError)
    assert session.failure.kind == "list_too_long"
    assert "QueueStatus" in str(session.failure)


def test_forgotten_and_unknown_answers_are_counted() -> None:
    session = ready()
    late = session.request(SimpleAction("CoreStatus"), NOW)
    session.forget(late)
    assert session.receive(frame("Response: Success", f"ActionID: {late}"), NOW) == []
    assert session.receive(frame("Response: Error", "Message: Failed to parse message: line too long"), NOW) == []
    assert session.unmatched == 2
    begun = session.request(SimpleAction("QueueStatus"), NOW)
    session.receive(frame("Response: Success", f"ActionID: {begun}", "EventList: start"), NOW)
    session.forget(begun)
    session.forget(begun)
    happened = session.receive(frame("Event: QueueEntry", f"ActionID: {begun}"), NOW)
    assert names(happened) == ["QueueEntry"]


def test_requests_that_cannot_be_sent_leave_no_trace() -> None:
    session = ready()
    with pytest.raises(EncodeError):
        session.request(Action("Ping", {"K": "a\r\nb"}), NOW, action_id="x")
    session.request(SimpleAction("Ping"), NOW, action_id="x")
    with pytest.raises(NotReady, match="still waiting"):
        session.request(SimpleAction("Ping"), NOW, action_id="x")
    assert session.data_to_send() == frame("Action: Ping", "ActionID: x")


def test_pings_are_sent_and_answered_on_time() -> None:
    session = ready()
    assert session.tick(NOW) == NOW + 5
    assert session.data_to_send() == b""
    assert session.tick(NOW + 5) == NOW + 10
    assert session.data_to_send() == frame("Action: Ping", "ActionID: s-ping")
    assert session.receive(frame("Response: Success", "ActionID: s-ping", "Ping: Pong"), NOW + 5.25) == [Ponged(0.25)]
    assert session.tick(NOW + 5.25) == NOW + 10
    assert session.data_to_send() == b""
    session.tick(NOW + 10)
    assert session.data_to_send() != b""


@pytest.mark.parametrize(
    ("heard", "alive_at", "dead_at"),
    [((), 9.9, 10.0), ((9.0,), 13.9, 14.0), (tuple(range(6, 36)), 34.9, 35.0)],
    ids=["silence", "late bytes", "bytes but no answer"],
)
def test_an_overdue_ping_fails_the_session(heard: tuple[float, ...], alive_at: float, dead_at: float) -> None:
    session = ready()
    session.tick(NOW + 5)
    for at in heard:
        session.receive(frame("Event: Hangup"), NOW + at)
    session.tick(NOW + alive_at)
    assert session.failure is None
    session.tick(NOW + dead_at)
    assert isinstance(session.failure, ProtocolError)
    assert session.failure.kind == "ping_overdue"


def test_a_refused_ping_means_a_shutdown() -> None:
    session = ready()
    session.tick(NOW + 5)
    session.receive(frame("Response: Error", "ActionID: s-ping", "Message: Asterisk is shutting down"), NOW + 5)
    assert isinstance(session.failure, NotReady)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("11.0.0", (11, 0, 0)), ("9.0", (9, 0, 0)), ("22.10.1~dfsg+cs6", (22, 10, 1)), ("GIT-master", None), ("", None)],
)
def test_versions(text: str, numbers: tuple[int, int, int] | None) -> None:
    assert parse_version(text) == numbers


@pytest.mark.parametrize(
    ("release", "problem"),
    [
        ("22.10.1~dfsg+1", None),
        ("22.9.0", "upgrade to 22.10.1"),
        ("20.20.1", None),
        ("20.9.3", "upgrade to 20.20.1"),
        ("18.26.0", "no support"),
        ("23.0.0", None),
        ("24.1.0", None),
        ("GIT-22-abc", None),
    ],
)
def test_releases(release: str, problem: str | None) -> None:
    told = release_problem(release)
    assert told is None if problem is None else problem in (told or "")
