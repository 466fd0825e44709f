"""Voice messages: for whom, from when on heard, and never somebody else's."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from crm_bridge.database import Database
from telephony.reception.messages import Left, Messages, Recipient


@pytest.fixture
def messages(database: Database, tmp_path: Path) -> Messages:
    return Messages(database, tmp_path / "messages", clock=lambda: 1_790_000_000.0)


def recorded(path: Path, seconds: float) -> None:
    with wave.open(f"{path}.wav", "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(round(16000 * seconds)))


async def left(messages: Messages, recipient: Recipient, seconds: int = 7) -> str:
    name, path = messages.place()
    recorded(path, 7)
    assert await messages.keep(Left("pbx1-1.1", "greeting", recipient, name, seconds, "+4930", "c1", "Erika"))
    return name.rpartition("/")[2]


async def test_a_message_reaches_its_agent_alone(messages: Messages) -> None:
    id_ = await left(messages, Recipient(agent="anna"))
    assert [one.id for one in await messages.for_agent("anna", ["service"])] == [id_]
    assert await messages.for_agent("ben", ["service"]) == []
    found = await messages.one(id_, "anna", [])
    assert found is not None
    assert found[1].is_file()
    assert await messages.one(id_, "ben", ["service"]) is None


async def test_a_queues_message_reaches_its_agents_until_one_has_heard_it(messages: Messages) -> None:
    id_ = await left(messages, Recipient(queue="service"))
    await left(messages, Recipient(agent="ben"))
    assert await messages.unheard() == ({"ben": 1}, {"service": 1})
    assert len(await messages.for_agent("ben", ["service"], unheard=True)) == 2
    assert await messages.heard(id_, "anna")
    assert not await messages.heard(id_, "ben")
    assert await messages.unheard() == ({"ben": 1}, {})
    (one,) = await messages.for_agent("anna", ["service"])
    assert (one.heard_by, one.seconds) == ("anna", 7)


async def test_who_hangs_up_while_speaking_is_measured_by_the_file(messages: Messages) -> None:
    name, path = messages.place()
    recorded(path, 4.4)
    assert await messages.keep(Left("c", "message", Recipient(queue="service"), name, -1))
    (one,) = await messages.for_agent("anna", ["service"])
    assert one.seconds == 4


@pytest.mark.parametrize("seconds", [-1, 0])
async def test_nothing_said_is_no_message(messages: Messages, seconds: int) -> None:
    name, _ = messages.place()
    assert not await messages.keep(Left("c", "message", Recipient(queue="service"), name, seconds))
    assert await messages.for_agent("anna", ["service"]) == []


async def test_the_same_place_is_one_message(messages: Messages) -> None:
    name, path = messages.place()
    recorded(path, 3)
    for _ in range(2):
        assert await messages.keep(Left("c", "message", Recipient(queue="service"), name, 3))
    assert len(await messages.for_agent("anna", ["service"])) == 1
