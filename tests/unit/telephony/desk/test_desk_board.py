"""The board: whatever happens, a client that keeps what it is sent holds what a fresh snapshot would give it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.desk.stream import EVERYONE, NOBODY, SUPERVISION, Audience, Board, Viewer, only, supervision_and

PEOPLE = [("anna", "agent"), ("ben", "agent"), ("sue", "supervisor")]
AUDIENCES = [EVERYONE, NOBODY, SUPERVISION, only("anna"), only("ben"), only("anna", "ben"), supervision_and("anna")]
PACED = frozenset({"queue"})


def line(payload: bytes) -> bytes:
    """Frames divided by line feeds, so that a test can take a batch apart."""
    return payload + b"\n"


class Client:
    """What a page does: it keeps the entities it is sent, and where it is."""

    def __init__(self, login: str, role: str) -> None:
        self.viewer = Viewer(login, role, self.take)
        self.entities: dict[tuple[str, str], Any] = {}
        self.seq: int | None = None
        self.epoch: str | None = None
        self.frames: list[dict[str, Any]] = []
        self.writes = 0

    def take(self, frames: bytes) -> None:
        self.writes += 1
        for text in frames.splitlines():
            self._take(orjson.loads(text))

    def _take(self, frame: dict[str, Any]) -> None:
        self.frames.append(frame)
        if frame["type"] == "snapshot":
            self.epoch = frame["epoch"]
            self.entities = flat(frame)
        elif frame["type"] == "hello":
            assert (frame["epoch"], frame["seq"]) == (self.epoch, self.seq)
        else:
            assert self.seq is not None
            assert frame["seq"] > self.seq
            key = frame["kind"], frame["id"]
            if frame["type"] == "put":
                self.entities[key] = frame["value"]
            else:
                # Nobody is told of the end of what he never saw.
                del self.entities[key]
        self.seq = frame["seq"]


def flat(snapshot: dict[str, Any]) -> dict[tuple[str, str], Any]:
    return {(kind, id): value for kind, all in snapshot["entities"].items() for id, value in all.items()}


def fresh(board: Board, client: Client) -> dict[tuple[str, str], Any]:
    return flat(orjson.loads(board.snapshot(client.viewer.login, client.viewer.role)))


kinds = st.sampled_from(["pop", "queue"])
ids = st.sampled_from(["1", 'a "quoted" one'])
puts = st.tuples(st.just("put"), kinds, ids, st.integers(0, 2), st.sampled_from(AUDIENCES))
drops = st.tuples(st.just("drop"), kinds, ids)
comings = st.tuples(st.sampled_from(["leave", "come"]), st.integers(0, 2))
steps = st.lists(st.one_of(puts, puts, drops, comings, st.just(("flush",))), max_size=40)


@given(steps=steps, kept=st.integers(0, 6), paced=st.sampled_from([frozenset(), PACED]))
def test_what_was_sent_is_what_a_fresh_snapshot_says(steps: list[Any], kept: int, paced: frozenset[str]) -> None:
    board = Board(frame=line, paced=paced, kept_changes=kept)
    clients = [Client(login, role) for login, role in PEOPLE]
    here = set(clients)
    for client in clients:
        assert board.attach(client.viewer) is False
    for step in steps:
        match step:
            case ("put", kind, id, value, audience):
                board.put(kind, id, {"value": value}, audience)
            case ("drop", kind, id):
                board.drop(kind, id)
            case ("flush",):
                board.flush()
            case ("leave", who):
                board.detach(clients[who].viewer)
                here.discard(clients[who])
            case ("come", who):
                client = clients[who]
                if client not in here:
                    known = client.seq is not None and board.seq - client.seq <= kept
                    assert board.attach(client.viewer, client.seq, client.epoch) is known
                    here.add(client)
        for client in here:
            assert client.entities == fresh(board, client)
    for client in clients:
        if client not in here:
            board.attach(client.viewer, client.seq, client.epoch)
        assert client.entities == fresh(board, client)


@given(steps=st.lists(st.one_of(puts, drops), max_size=30), at=st.integers(0, 30))
def test_one_who_was_away_is_sent_what_one_who_stayed_was_sent(steps: list[Any], at: int) -> None:
    board = Board(frame=line)
    stayed, away = Client("anna", "agent"), Client("anna", "agent")
    board.attach(stayed.viewer)
    board.attach(away.viewer)
    for number, step in enumerate(steps):
        if number == at:
            board.detach(away.viewer)
        if step[0] == "put":
            board.put(*step[1:4], step[4])
        else:
            board.drop(*step[1:])
    board.detach(away.viewer)
    assert board.attach(away.viewer, away.seq, away.epoch) is True
    assert [frame for frame in away.frames if frame["type"] != "hello"] == stayed.frames


def test_the_same_again_is_not_sent() -> None:
    board, client = Board(frame=line), Client("anna", "agent")
    board.put("pop", "1", {"state": "ringing"}, only("anna"))
    board.attach(client.viewer)
    board.put("pop", "1", {"state": "ringing"}, only("anna"))
    board.drop("pop", "2")
    assert (client.writes, board.seq) == (1, 1)


def test_a_pop_is_withdrawn_from_the_others_when_one_answers() -> None:
    board = Board(frame=line)
    anna, ben, sue = (Client(*person) for person in PEOPLE)
    for client in (anna, ben, sue):
        board.attach(client.viewer)
    board.put("pop", "1", {"state": "ringing"}, only("anna", "ben"))
    board.put("pop", "1", {"state": "talking"}, only("anna"))
    assert [frame["type"] for frame in anna.frames] == ["snapshot", "put", "put"]
    assert [frame["type"] for frame in ben.frames] == ["snapshot", "put", "drop"]
    assert [frame["type"] for frame in sue.frames] == ["snapshot"]


def test_a_wider_audience_alone_is_told_to_the_newcomers_only() -> None:
    board = Board(frame=line)
    anna, ben = Client("anna", "agent"), Client("ben", "agent")
    board.attach(anna.viewer)
    board.attach(ben.viewer)
    board.put("pop", "1", {"state": "ringing"}, only("anna"))
    board.put("pop", "1", {"state": "ringing"}, only("anna", "ben"))
    assert [frame["seq"] for frame in anna.frames] == [0, 1]
    assert [frame["seq"] for frame in ben.frames] == [0, 2]


def test_every_desk_of_a_person_is_told_once_even_if_admitted_twice() -> None:
    board = Board(frame=line)
    desks = [Client("sue", "supervisor") for _ in range(2)]
    for desk in desks:
        board.attach(desk.viewer)
    board.put("agent", "sue", {"presence": "ready"}, supervision_and("sue"))
    assert [desk.writes for desk in desks] == [2, 2]
    board.detach(desks[0].viewer)
    assert board.watched_by("sue")
    board.detach(desks[1].viewer)
    board.detach(desks[1].viewer)
    assert not board.watched_by("sue")
    assert board.viewers == 0


@pytest.mark.parametrize(
    ("since", "login", "role", "epoch"),
    [
        (0, "ben", "agent", "anna's"),
        (0, "anna", "supervisor", "anna's"),
        (0, "anna", "agent", "another process's"),
        (0, "anna", "agent", None),
        (99, "anna", "agent", "anna's"),
        (-1, "anna", "agent", "anna's"),
        (None, "anna", "agent", "anna's"),
    ],
)
def test_only_the_same_person_in_the_same_epoch_resumes(
    since: int | None, login: str, role: str, epoch: str | None
) -> None:
    board = Board(frame=line)
    board.put("pop", "1", {}, only("anna"))
    epochs = {"anna's": board.epoch("anna", "agent"), "another process's": Board().epoch("anna", "agent")}
    client = Client(login, role)
    assert board.attach(client.viewer, since, epochs.get(epoch or "")) is False
    assert client.frames[0]["type"] == "snapshot"


def test_what_is_kept_is_bounded_in_bytes() -> None:
    board = Board(frame=line, kept_bytes=1000)
    for number in range(50):
        board.put("pop", "1", {"text": "x" * 300, "number": number}, only("anna"))
    viewer = Viewer("anna", "agent", lambda frames: None)
    epoch = board.epoch("anna", "agent")
    held = [since for since in range(51) if board.missed(viewer, since, epoch) is not None]
    assert held == [48, 49, 50]


def test_paced_kinds_wait_and_the_newest_value_wins_in_one_write() -> None:
    woken: list[int] = []
    board, client = Board(frame=line, paced=PACED), Client("anna", "agent")
    board.on_pending = lambda: woken.append(board.seq)
    board.attach(client.viewer)
    for waiting in range(5):
        board.put("queue", "service", {"waiting": waiting}, EVERYONE)
        board.put("queue", "vip", {"waiting": waiting}, EVERYONE)
    board.put("queue", "gone", {}, EVERYONE)
    board.drop("queue", "gone")
    assert (client.writes, board.pending, woken) == (1, 3, [0])
    board.flush()
    assert client.writes == 2
    assert client.entities == {("queue", "service"): {"waiting": 4}, ("queue", "vip"): {"waiting": 4}}
    assert board.pending == 0


def test_an_entity_for_one_login_touches_no_other_viewer() -> None:
    board = Board(frame=line)
    crowd = [Client(f"agent{number}", "agent") for number in range(500)]
    for client in crowd:
        board.attach(client.viewer)
    board.put("pop", "1", {}, only("agent7"))
    assert [client.viewer.login for client in crowd if client.writes > 1] == ["agent7"]


def test_a_value_read_back_is_a_copy() -> None:
    board = Board()
    board.put("me", "anna", {"queues": ["service"]}, only("anna"))
    board.value("me", "anna")["queues"].append("vip")
    assert board.value("me", "anna") == {"queues": ["service"]}
    assert board.value("me", "ben") is None
    assert board.ids("me") == ["anna"]


def test_an_audience_is_everyone_or_roles_or_logins() -> None:
    assert Audience(roles=frozenset({"admin"}), logins=frozenset({"anna"})).admits("anna", "agent")
    assert not NOBODY.admits("anna", "agent")
    assert EVERYONE.admits("anna", "agent")
