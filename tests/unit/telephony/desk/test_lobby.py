"""What everybody may see of the office: people, queues, who waits, and the lamps."""

from __future__ import annotations

from typing import Any

import pytest

from crm_bridge.numbers import parse_number
from crm_bridge.ports import Certainty, CustomerRef, Match
from telephony.conversations.history import History
from telephony.desk.cases import Case
from telephony.desk.entities import SHAPES
from telephony.desk.lobby import Lobby
from telephony.desk.stream import Board
from telephony.floor.accounts import Membership, Role, User
from telephony.floor.model import Agent, Desk
from telephony.settings import Settings

LABEL = {"de": "x", "en": "x"}
SETTINGS = Settings.model_validate(
    {"queues": [{"name": name, "label": LABEL, "wrap_up": "none"} for name in ("service", "orders")]}
)


def user_of(login: str, *queues: str) -> User:
    return User(
        login=login, name=login.title(), role=Role.AGENT, language="de", phone=f"phone-{login}", active=True,
        queues=tuple(Membership(queue) for queue in queues),
    )  # fmt: skip


def desk_of(user: User, **state: Any) -> Desk:
    return Desk(Agent(user.login, user.name, user.interface or ""), **state)


class Hall:
    def __init__(self) -> None:
        self.board = Board()
        self.lobby = Lobby(self.board, SETTINGS)

    def value(self, kind: str, id_: str) -> Any:
        found = self.board.value(kind, id_)
        if found is not None:
            SHAPES[kind].model_validate(found)
        return found

    def queue(self, name: str = "service") -> tuple[int, int, int]:
        shown = self.value("queue", name)
        return shown["waiting"], shown["ready"], shown["talking"]


@pytest.fixture
def hall() -> Hall:
    return Hall()


def case_of(id_: str, number: str = "+493023125042", presentation: str = "", name: str = "E. Sommer") -> Case:
    return Case(History(id_, 1.0, number, name), parse_number(number, region="DE", presentation=presentation))


def test_queues_count_people_as_they_come_and_go(hall: Hall) -> None:
    anna, ben = user_of("anna", "service", "orders"), user_of("ben", "service")
    for user in (anna, ben):
        hall.lobby.enrol(user)
        hall.lobby.person(desk_of(user, signed_in=True))
    assert (hall.queue("service"), hall.queue("orders")) == ((0, 2, 0), (0, 1, 0))
    hall.lobby.person(desk_of(anna, signed_in=True, talking=["c"]))
    assert (hall.queue("service"), hall.queue("orders")) == ((0, 1, 1), (0, 0, 1))
    hall.lobby.person(desk_of(anna, signed_in=True, talking=["c"]))
    hall.lobby.person(desk_of(anna, signed_in=True, pause="lunch"))
    hall.lobby.person(desk_of(ben))
    assert (hall.queue("service"), hall.queue("orders")) == ((0, 0, 0), (0, 0, 0))


def test_who_changes_queues_is_counted_in_the_new_ones(hall: Hall) -> None:
    hall.lobby.enrol(user_of("anna", "service"))
    hall.lobby.person(desk_of(user_of("anna"), signed_in=True))
    moved = user_of("anna", "orders", "a queue of before")
    hall.lobby.enrol(moved)
    hall.lobby.person(desk_of(moved, signed_in=True))
    assert (hall.queue("service"), hall.queue("orders")) == ((0, 0, 0), (0, 1, 0))


def test_me_is_there_while_a_desk_is_open(hall: Hall) -> None:
    anna = user_of("anna", "service")
    hall.lobby.enrol(anna)
    hall.lobby.person(desk_of(anna))
    assert hall.value("me", "anna") is None
    hall.lobby.arrived("anna")
    hall.lobby.person(desk_of(anna, signed_in=True, since=7.0))
    me = hall.value("me", "anna")
    assert (me["presence"], me["interface"], me["since"]) == ("ready", "PJSIP/phone-anna", 7.0)
    hall.lobby.departed("anna")
    hall.lobby.person(desk_of(anna))
    assert hall.value("me", "anna") is None
    assert hall.value("agent", "anna")["presence"] == "offline"


def test_who_waits_where_and_since_when(hall: Hall) -> None:
    first, second = case_of("c1"), case_of("c2", presentation="prohib")
    hall.lobby.joined("service", first, 10.0)
    hall.lobby.joined("service", second, 12.0)
    hall.lobby.joined("no queue of ours", first, 12.0)
    assert (hall.queue(), hall.value("queue", "service")["longest_since"]) == ((2, 0, 0), 10.0)
    assert (hall.value("waiting", "c1")["name"], hall.value("waiting", "c2")["name"]) == ("E. Sommer", "")
    assert hall.value("waiting", "c2")["display"] == ""
    first.match = Match(Certainty.CERTAIN, "number_unique", (CustomerRef("i", "1", "Erika Sommer"),))
    hall.lobby.known(first)
    assert (hall.value("waiting", "c1")["name"], hall.value("waiting", "c1")["certainty"]) == (
        "Erika Sommer",
        "certain",
    )
    hall.lobby.left("orders", "c1")
    assert hall.queue() == (2, 0, 0)
    hall.lobby.left("service", "c1")
    hall.lobby.gone("c2")
    hall.lobby.gone("c2")
    assert (hall.queue(), hall.value("queue", "service")["longest_since"]) == ((0, 0, 0), None)
    assert hall.board.ids("waiting") == []


def test_lamps_change_once(hall: Hall) -> None:
    office = hall.value("office", "office")
    assert (office["pbx"], office["crm"]) == ("down", "up")
    before = hall.board.seq
    for _ in range(3):
        hall.lobby.pbx("in_sync")
        hall.lobby.crm(False)
        hall.lobby.outbox(3, 1)
    assert hall.board.seq == before + 3
    office = hall.value("office", "office")
    assert (office["pbx"], office["crm"], office["outbox_waiting"], office["outbox_dead"]) == ("in_sync", "down", 3, 1)
