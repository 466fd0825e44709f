"""Happenings folded into the record of one conversation."""

from __future__ import annotations

import json

import pytest

from telephony.conversations.events import (
    ConversationEnded,
    ConversationOpened,
    Happening,
    HoldEnded,
    HoldStarted,
    MemberSeen,
    Merged,
    QueueJoined,
    QueueLeft,
    StintEnd,
    TalkEnded,
    TalkStarted,
    Transferred,
)
from telephony.conversations.history import Histories, History

PHONE = "PJSIP/phone1"


def opened(conversation: str = "c") -> ConversationOpened:
    return ConversationOpened(conversation, 1.0, "+4930111", "Jürgen", "allowed", "+4930230001", True)


JOINED = QueueJoined("c", 2.0, "service", 1)
TALK = TalkStarted("c", 3.0, PHONE, "service")
ENDED = ConversationEnded("c", 9.0, "Normal Clearing")


def folded(*happened: Happening) -> History:
    histories, last = Histories(), None
    for one in (opened(), *happened):
        last = histories.apply(one) or last
    assert last is not None
    return last


@pytest.mark.parametrize(
    ("happened", "outcome"),
    [
        ((), "live"),
        ((ENDED,), "in_ivr"),
        ((JOINED,), "waiting"),
        ((JOINED, QueueLeft("c", 4.0, "service", StintEnd.ABANDONED, 2.0), ENDED), "abandoned"),
        ((JOINED, QueueLeft("c", 4.0, "service", StintEnd.TIMEOUT, 2.0)), "timeout"),
        ((JOINED, QueueLeft("c", 4.0, "service", StintEnd.ANSWERED, 2.0), TALK), "answered"),
    ],
)
def test_the_outcome_is_one_word(happened: tuple[Happening, ...], outcome: str) -> None:
    assert folded(*happened).outcome == outcome


def test_holds_belong_to_the_talk_they_were_in() -> None:
    holds = (HoldStarted("c", 4.0, PHONE), HoldEnded("c", 5.5, PHONE, 1.5))
    history = folded(TALK, *holds, *holds, TalkEnded("c", 6.0, PHONE, "service", 3.0), TALK)
    assert [(talk.holds, talk.held, talk.talked, talk.ended_at) for talk in history.talks] == [
        (2, 3.0, 3.0, 6.0),
        (0, 0.0, 0.0, None),
    ]


def test_what_was_folded_in_leaves_its_transfers_and_its_name() -> None:
    histories = Histories()
    for one in (opened("c"), opened("d"), Transferred("d", 2.0, "blind", PHONE, "phone2"), Merged("c", "d", 3.0)):
        histories.apply(one)
    (history,) = histories.live.values()
    assert (history.folded, [one.to for one in history.transfers]) == (["d"], ["phone2"])


def test_what_is_about_no_known_conversation_is_nobodys() -> None:
    histories = Histories()
    for one in (JOINED, TALK, ENDED, Merged("c", "d", 3.0), MemberSeen("service", PHONE, False, "", 1, True)):
        assert histories.apply(one) is None
    assert histories.live == {}


def test_it_is_plain_data() -> None:
    data = json.loads(json.dumps(folded(JOINED, TALK, ENDED).as_dict()))
    assert (data["conversation"], data["outcome"], data["talks"][0]["interface"]) == ("c", "answered", PHONE)
