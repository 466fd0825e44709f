"""What a journal's end tells a new start, and how that is put to what the records have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from telephony.ami.codec import Event, to_bytes
from telephony.conversations import journal
from telephony.conversations.aftermath import Aftermath, add, aftermath
from telephony.conversations.history import History, StintRecord, TalkRecord
from telephony.conversations.journal import Journal

PHONE, OTHER = "PJSIP/phone1", "PJSIP/phone2"


class Flight:
    """A journal as the watch writes it: one second a record."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder, 1 << 20, 9)
        self.folder = folder
        self.at = 1000.0

    def say(self, name: str, call: str = "c.1", uniqueid: str = "", **headers: str) -> None:
        self.at += 1
        context = headers.pop("Context", "callfloor-in")
        pairs = [("Timestamp", str(self.at)), ("Uniqueid", uniqueid or call), ("Channel", "PJSIP/trunk-1")]
        pairs += [("Context", context), ("CallerIDNum", "+4930111"), ("ChanVariable", f"CALLFLOOR_ID={call}")]
        self.write(journal.EVENTS, to_bytes([Event.of(name, [*pairs, *headers.items()])]))

    def write(self, kind: str, data: bytes = b"") -> None:
        self.journal.write(kind, self.at, 1, data)

    def ring_and_answer(self, call: str = "c.1") -> None:
        self.say("Newstate", call)
        self.say("QueueCallerJoin", call, Queue="service", Position="1")
        leg = {"Interface": PHONE, "Queue": "service", "DestUniqueid": f"{call}.leg", "DestChannel": f"{PHONE}-1"}
        self.say("AgentCalled", call, **leg)
        self.say("AgentConnect", call, **leg)
        for uniqueid in (call, f"{call}.leg"):
            self.say("BridgeEnter", call, uniqueid, BridgeUniqueid=f"b-{call}")

    def hang_up(self, call: str = "c.1") -> None:
        self.say("Hangup", call, f"{call}.leg")
        self.say("Hangup", call)

    def resync(self, *calls: str) -> None:
        self.write(journal.RESYNC_BEGAN)
        items = [
            Event.of(
                "CoreShowChannel",
                [("Uniqueid", uniqueid), ("Channel", name), ("BridgeId", f"b-{call}"), ("Application", "Queue"),
                 ("ApplicationData", "service,tck"), ("ChanVariable", f"CALLFLOOR_ID={call}")],
            )
            for call in calls
            for uniqueid, name in ((call, "PJSIP/trunk-1"), (f"{call}.leg", f"{PHONE}-1"))
        ]  # fmt: skip
        self.at += 1
        self.write(journal.LISTS, to_bytes(items))

    def saved(self) -> None:
        self.journal.saved(self.journal.place(), self.at)

    def end(self) -> Aftermath:
        self.journal.flush()
        return aftermath(self.folder)


@pytest.fixture
def flight(tmp_path: Path) -> Iterator[Flight]:
    made = Flight(tmp_path)
    yield made
    made.journal.close()


def test_a_call_that_the_records_do_not_have_is_told_whole(flight: Flight) -> None:
    flight.resync()
    flight.saved()
    flight.ring_and_answer()
    flight.hang_up()
    seen = flight.end()
    (history,) = seen.histories
    (talk,) = history.talks
    assert (history.conversation, history.number, history.ended_at) == ("c.1", "+4930111", 1009.0)
    assert (talk.interface, talk.queue, talk.answered_at, talk.ended_at) == (PHONE, "service", 1005.0, 1008.0)
    assert seen.seen_until == 1009.0


def test_what_the_database_has_is_not_told_again(flight: Flight) -> None:
    flight.resync()
    flight.ring_and_answer()
    flight.hang_up()
    flight.ring_and_answer("c.2")
    flight.saved()
    assert flight.end() == Aftermath((), flight.at)
    flight.ring_and_answer("c.3")
    assert [(one.conversation, one.ended_at) for one in flight.end().histories] == [("c.3", None)]


def test_the_end_of_a_talk_that_began_before_the_reading_is_told(flight: Flight) -> None:
    flight.ring_and_answer()
    flight.resync("c.1")
    flight.saved()
    flight.hang_up()
    (history,) = flight.end().histories
    assert [(talk.interface, talk.queue, talk.ended_at) for talk in history.talks] == [(PHONE, "service", 1008.0)]


def test_calls_between_agents_are_not_kept(flight: Flight) -> None:
    flight.say("Newstate", Context="callfloor-phones")
    assert flight.end().histories == ()


def test_a_call_that_became_part_of_another_does_not_stay_open(flight: Flight) -> None:
    flight.say("Newstate", "c.1")
    flight.say("Newstate", "c.2")
    for call in ("c.1", "c.2"):
        flight.say("BridgeEnter", call, BridgeUniqueid="m")
    found = {one.conversation: (one.ended_at, one.cause) for one in flight.end().histories}
    assert found == {"c.1": (None, ""), "c.2": (1004.0, "merged")}


def test_without_a_journal_nothing_is_told(tmp_path: Path) -> None:
    assert aftermath(tmp_path / "nowhere") == Aftermath((), None)


# --- put together ----------------------------------------------------------------------------------------------------


def history(*talks: TalkRecord, **more: object) -> History:
    return History("c", 1.0, talks=list(talks), **more)  # type: ignore[arg-type]


def talked(answered: float, ended: float | None = None, length: float = 0.0, phone: str = PHONE) -> TalkRecord:
    return TalkRecord(phone, "service", answered, ended, length)


@pytest.mark.parametrize(
    ("kept", "seen", "becomes"),
    [
        ([], [talked(5, 9, 4)], [talked(5, 9, 4)]),
        ([talked(5)], [talked(5, 9, 4)], [talked(5, 9, 4)]),
        ([talked(5)], [talked(7, 9, 2)], [talked(5, 9, 4)]),  # the reading began in its middle
        ([talked(5, 9, 4)], [talked(7, 9, 2)], [talked(5, 9, 4)]),
        ([talked(5, 6, 1)], [talked(7, 9, 2)], [talked(5, 6, 1), talked(7, 9, 2)]),
        ([talked(5)], [talked(5, 9, 4, OTHER)], [talked(5), talked(5, 9, 4, OTHER)]),
        ([talked(5)], [talked(5, 6, 1), talked(7, 9, 2)], [talked(5, 6, 1), talked(7, 9, 2)]),
        ([talked(5)], [talked(5)], [talked(5)]),
        ([talked(5)], [talked(7)], [talked(5)]),
    ],
)
def test_talks_are_put_together(kept: list[TalkRecord], seen: list[TalkRecord], becomes: list[TalkRecord]) -> None:
    known = history(*kept)
    before = repr(known)
    assert add(known, history(*seen)) is (repr(known) != before)
    assert known.talks == becomes


@pytest.mark.parametrize(
    ("kept", "seen", "field", "value"),
    [
        ({}, {"ended_at": 9.0, "lost": True}, "ended_at", 9.0),
        ({"ended_at": 8.0}, {"ended_at": 9.0}, "ended_at", 8.0),
        ({"ended_at": 8.0}, {}, "ended_at", 8.0),
        ({"customer": "a"}, {"customer": "b", "certainty": "certain"}, "customer", "b"),
        ({"customer": "a"}, {"customer": "b", "certainty": "likely"}, "customer", "a"),
        ({"customer": "a", "certainty": "certain"}, {}, "customer", "a"),
        ({"path": ("x",)}, {}, "path", ("x",)),
        ({}, {"path": ("x",), "language": "en"}, "language", "en"),
        ({"language": "de"}, {"path": ("x",)}, "language", "de"),
    ],
)
def test_the_rest_is_put_together(kept: dict[str, object], seen: dict[str, object], field: str, value: object) -> None:
    known = history(**kept)
    before = repr(known)
    assert add(known, history(**seen)) is (repr(known) != before)
    assert getattr(known, field) == value


def test_stays_in_queues_are_put_together() -> None:
    known = history(stints=[StintRecord("service", 2.0)])
    assert add(known, history(stints=[StintRecord("service", 2.5, "overflow", 3.0), StintRecord("sales", 5.0)]))
    assert [(stint.queue, stint.joined_at, stint.end) for stint in known.stints] == [
        ("service", 2.0, "overflow"), ("sales", 5.0, ""),
    ]  # fmt: skip
    assert not add(known, history(stints=[StintRecord("sales", 5.0)]))
