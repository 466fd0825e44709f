"""Which agent sees which conversation: offers, answers, transfers, ends. Judged by what each desk has on its screen."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.desk.pops import Pops
from telephony.desk.stream import Board, Viewer

CALL = "pbx1-1.1"
PEOPLE = ("anna", "ben", "clara")


class Screens:
    """Every desk as its browser has it: by the frames alone."""

    def __init__(self) -> None:
        self.board = Board()
        self.pops = Pops(self.board)
        self.shown: dict[str, dict[str, dict[str, Any]]] = {login: {} for login in PEOPLE}
        self.frames: dict[str, list[str]] = {login: [] for login in PEOPLE}
        for login in PEOPLE:
            self.board.attach(Viewer(login, "agent", lambda data, login=login: self._take(login, data)))  # type: ignore[misc]

    def _take(self, login: str, data: bytes) -> None:
        frame = orjson.loads(data)
        if frame["type"] == "put":
            self.shown[login][frame["id"]] = frame["value"]
        elif frame["type"] == "drop":
            del self.shown[login][frame["id"]]
        else:
            self.shown[login] = dict(frame["entities"].get("pop", {}))
            return
        self.frames[login].append(frame["type"])

    def states(self) -> dict[str, dict[str, str]]:
        return {
            login: {id_: value["state"] for id_, value in pops.items()} for login, pops in self.shown.items() if pops
        }


@pytest.fixture
def screens() -> Screens:
    return Screens()


def test_one_pop_is_offered_to_all_who_ring_and_withdrawn_from_the_others_on_answer(screens: Screens) -> None:
    pops = screens.pops
    pops.know(CALL, {"caller": "facts"})
    for login in PEOPLE:
        pops.ring(CALL, login, "service", 1.0)
    assert screens.states() == {login: {CALL: "ringing"} for login in PEOPLE}
    assert [len(screens.frames[login]) for login in PEOPLE] == [1, 1, 1]
    pops.answer(CALL, "ben", "service", 2.0)
    assert screens.states() == {"ben": {CALL: "talking"}}
    assert {login: frames[-1] for login, frames in screens.frames.items()} == {
        "anna": "drop",
        "ben": "put",
        "clara": "drop",
    }
    # What Asterisk says of the others afterwards changes nothing.
    pops.stop_ringing(CALL, "anna")
    pops.stop_ringing(CALL, "clara")
    assert screens.states() == {"ben": {CALL: "talking"}}
    assert screens.shown["ben"][CALL]["caller"] == "facts"


def test_who_does_not_answer_loses_the_card_alone(screens: Screens) -> None:
    screens.pops.ring(CALL, "anna", "service", 1.0)
    screens.pops.ring(CALL, "ben", "service", 1.0)
    screens.pops.stop_ringing(CALL, "anna")
    assert screens.states() == {"ben": {CALL: "ringing"}}
    screens.pops.stop_ringing(CALL, "ben")
    assert screens.states() == {}
    screens.pops.ring(CALL, "clara", "service", 9.0)
    assert screens.shown["clara"][CALL]["rang_at"] == 9.0


def test_a_call_that_is_offered_again_while_somebody_has_it_gets_a_second_pop(screens: Screens) -> None:
    pops = screens.pops
    pops.ring(CALL, "anna", "service", 1.0)
    pops.answer(CALL, "anna", "service", 2.0)
    pops.ring(CALL, "ben", "orders", 5.0)
    assert screens.states() == {"anna": {CALL: "talking"}, "ben": {f"{CALL}~2": "ringing"}}
    pops.write_up(CALL, "anna", "service", 6.0)
    pops.answer(CALL, "ben", "orders", 6.5)
    assert screens.states() == {"anna": {CALL: "wrap_up"}, "ben": {f"{CALL}~2": "talking"}}
    assert screens.shown["ben"][f"{CALL}~2"]["conversation"] == CALL
    pops.close(CALL, "anna")
    pops.ring(CALL, "clara", "service", 8.0)
    assert screens.states() == {"ben": {f"{CALL}~2": "talking"}, "clara": {f"{CALL}~3": "ringing"}}


def test_news_of_the_caller_reach_every_pop_of_the_conversation_and_no_other(screens: Screens) -> None:
    pops = screens.pops
    pops.ring(CALL, "anna", "service", 1.0)
    pops.answer(CALL, "anna", "service", 2.0)
    pops.ring(CALL, "ben", "orders", 5.0)
    pops.ring("pbx1-2.1", "clara", "service", 5.0)
    pops.know(CALL, {"card": "ready"})
    assert [screens.shown[login][id_].get("card") for login, id_ in
            (("anna", CALL), ("ben", f"{CALL}~2"), ("clara", "pbx1-2.1"))] == ["ready", "ready", None]  # fmt: skip


def test_hold_note_and_wrap_up(screens: Screens) -> None:
    pops = screens.pops
    pops.ring(CALL, "anna", "service", 1.0)
    pops.answer(CALL, "anna", "service", 2.0)
    pops.hold(CALL, "anna", True)
    pops.draft(CALL, "anna", "wants her money")
    shown = screens.shown["anna"][CALL]
    assert (shown["held"], shown["note"], shown["answered_at"], shown["ended_at"]) == (
        True,
        "wants her money",
        2.0,
        None,
    )
    pops.write_up(CALL, "anna", "service", 7.0)
    shown = screens.shown["anna"][CALL]
    assert (shown["state"], shown["held"], shown["ended_at"], shown["note"]) == (
        "wrap_up",
        False,
        7.0,
        "wants her money",
    )
    pops.ended(CALL)
    assert screens.states() == {"anna": {CALL: "wrap_up"}}
    pops.close(CALL, "anna")
    assert screens.states() == {}


def test_back_in_the_same_conversation_it_is_the_same_pop(screens: Screens) -> None:
    pops = screens.pops
    pops.ring(CALL, "anna", "service", 1.0)
    pops.answer(CALL, "anna", "service", 2.0)
    pops.write_up(CALL, "anna", "service", 3.0)
    pops.answer(CALL, "anna", "service", 5.0)
    assert screens.states() == {"anna": {CALL: "talking"}}
    assert screens.shown["anna"][CALL]["ended_at"] is None


def test_an_answer_without_a_ring_makes_a_pop(screens: Screens) -> None:
    screens.pops.answer(CALL, "anna", "", 2.0)
    assert screens.states() == {"anna": {CALL: "talking"}}


def test_the_end_of_a_conversation_leaves_what_has_to_be_written_up(screens: Screens) -> None:
    pops = screens.pops
    pops.ring(CALL, "anna", "service", 1.0)
    pops.ring("pbx1-2.1", "ben", "service", 1.0)
    pops.ended(CALL)
    assert screens.states() == {"ben": {"pbx1-2.1": "ringing"}}


def test_a_folded_conversation_leaves_the_screens(screens: Screens) -> None:
    pops = screens.pops
    pops.ring("pbx1-9.1", "ben", "service", 1.0)
    pops.answer("pbx1-9.1", "ben", "service", 1.0)
    pops.merged(CALL, "pbx1-9.1")
    assert screens.states() == {}
    assert not pops.has("pbx1-9.1")


def test_hints_for_pops_nobody_has_are_nothing(screens: Screens) -> None:
    pops = screens.pops
    pops.hold(CALL, "anna", True)
    pops.draft(CALL, "anna", "note")
    pops.close(CALL, "anna")
    pops.stop_ringing(CALL, "anna")
    pops.ended(CALL)
    pops.merged(CALL, "pbx1-9.1")
    assert screens.states() == {}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ring", "stop", "answer", "write_up", "close", "ended", "know"]),
        st.sampled_from([CALL, "pbx1-2.1"]),
        st.sampled_from(PEOPLE),
    ),
    max_size=40,
)


@given(STEPS)
def test_whatever_happens_one_pop_has_one_owner_and_nothing_is_kept_of_what_is_over(
    happenings: list[tuple[str, str, str]],
) -> None:
    screens = Screens()
    pops = screens.pops
    for number, (what, conversation, login) in enumerate(happenings):
        at = float(number)
        match what:
            case "ring":
                pops.know(conversation, {"n": number})
                pops.ring(conversation, login, "service", at)
            case "stop":
                pops.stop_ringing(conversation, login)
            case "answer":
                pops.answer(conversation, login, "service", at)
            case "write_up":
                pops.write_up(conversation, login, "service", at)
            case "close":
                pops.close(conversation, login)
            case "ended":
                pops.ended(conversation)
            case "know":
                if pops.has(conversation):
                    pops.know(conversation, {"n": number})
        owned = [id_ for shown in screens.shown.values() for id_, one in shown.items() if one["state"] != "ringing"]
        assert len(owned) == len(set(owned))
        for login_, shown in screens.shown.items():
            mine = [one for one in shown.values() if one["state"] != "ringing"]
            assert len({one["conversation"] for one in mine}) == len(mine), (login_, shown)
            fresh = orjson.loads(screens.board.snapshot(login_, "agent"))["entities"].get("pop", {})
            assert fresh == shown
    for conversation in (CALL, "pbx1-2.1"):
        for login in PEOPLE:
            while pops.of(conversation, login) is not None:
                pops.close(conversation, login)
        assert not pops.has(conversation)
    assert pops._facts == {}, "a card of a conversation that is over stays in memory"
