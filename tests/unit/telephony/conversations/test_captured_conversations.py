"""What a real Asterisk said, replayed: each situation must become the conversations that stand next to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from telephony.ami.codec import FrameDecoder, to_bytes
from telephony.cli import cli, main
from telephony.conversations import journal
from telephony.conversations.events import Anomaly, Happening
from telephony.conversations.history import Histories, History
from telephony.conversations.journal import JournalError, Record
from telephony.conversations.replay import happenings, replay
from telephony.conversations.tracker import Tracker

FOLDER = Path(__file__).parents[3] / "captures" / "conversations"
SITUATIONS = sorted(path.stem for path in FOLDER.glob("*.json"))


def capture(situation: str) -> Path:
    return FOLDER / f"{situation}.ami"


def records(situation: str) -> list[Record]:
    return list(journal.read(capture(situation)))


def meaning(history: History) -> dict[str, Any]:
    """What does not change when a situation is recorded again. Phones of one queue may ring in any order."""
    return {
        "outcome": history.outcome,
        "inbound": history.inbound,
        "number": history.number,
        "presentation": history.presentation,
        "dialled": history.dialled,
        "certainty": history.certainty,
        "path": list(history.path),
        "language": history.language,
        "stints": [[stint.queue, stint.end] for stint in history.stints],
        "rings": sorted([ring.interface, ring.queue, ring.end] for ring in history.rings),
        "talks": [[talk.interface, talk.queue, round(talk.talked), talk.holds] for talk in history.talks],
        "transfers": [[one.kind, one.by, one.to] for one in history.transfers],
        "folded": len(history.folded),
        "ended": history.ended_at is not None,
        "lost": history.lost,
    }


def rebuilt(stream: Iterable[Record], tracker: Tracker | None = None) -> list[dict[str, Any]]:
    histories, ended = Histories(), []
    for happening in happenings(stream, tracker or Tracker()):
        history = histories.apply(happening)
        if history is not None and history.ended_at is not None:
            ended.append(meaning(history))
    return ended + [meaning(history) for history in histories.live.values()]


def expected(situation: str) -> Any:
    return json.loads((FOLDER / f"{situation}.json").read_text(encoding="utf-8"))


def in_pieces(stream: Iterable[Record], size: int) -> Iterator[Record]:
    for record in stream:
        if record.kind == journal.EVENTS:
            for start in range(0, len(record.data), size):
                yield Record(record.kind, record.at, record.epoch, record.data[start : start + size])
        else:
            yield record


def every_event_twice(stream: Iterable[Record]) -> Iterator[Record]:
    for record in stream:
        if record.kind == journal.EVENTS:
            doubled = [message for message in FrameDecoder().feed(record.data) for _ in range(2)]
            yield Record(record.kind, record.at, record.epoch, to_bytes(doubled))
        else:
            yield record


def test_there_is_a_capture_for_every_expectation_and_the_other_way_round() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ami")) == SITUATIONS
    assert len(SITUATIONS) >= 20


@pytest.mark.parametrize("situation", SITUATIONS)
class TestEachSituation:
    def test_becomes_its_conversations(self, situation: str) -> None:
        assert [meaning(one) for one in replay(capture(situation))] == expected(situation)

    @pytest.mark.parametrize("size", [1, 7, 4096])
    def test_however_the_bytes_are_cut(self, situation: str, size: int) -> None:
        assert rebuilt(in_pieces(records(situation), size)) == expected(situation)

    def test_even_if_everything_is_said_twice(self, situation: str) -> None:
        assert rebuilt(every_event_twice(records(situation))) == expected(situation)

    def test_and_leaves_nothing_behind(self, situation: str) -> None:
        tracker = Tracker()
        rebuilt(records(situation), tracker)
        assert not tracker.conversations
        assert not tracker.channels
        assert not tracker.aliases
        assert not any(tracker.bridges.values())

    def test_nothing_in_it_is_an_anomaly(self, situation: str) -> None:
        found: list[Happening] = []
        assert list(replay(capture(situation), found.append))
        assert [one for one in found if isinstance(one, Anomaly)] == []

    def test_cut_off_anywhere_it_is_still_readable(self, situation: str) -> None:
        stream = records(situation)
        known = {one["number"] for one in expected(situation)}
        for length in range(len(stream)):
            # A call from one agent to another is one of its own until it has met the caller's.
            found = {one["number"] for one in rebuilt(stream[:length]) if one["inbound"]}
            assert found <= known

    def test_joined_in_the_middle_it_ends_with_nothing_left(self, situation: str) -> None:
        """A journal's oldest file begins anywhere; what it says of unknown channels must not stay for ever."""
        stream = records(situation)
        for start in range(len(stream)):
            tracker = Tracker()
            rebuilt(stream[start:], tracker)
            assert not tracker.conversations, start
            assert not tracker.channels, start


class TestCommand:
    def test_prints_a_line_for_each_conversation(self) -> None:
        done = CliRunner().invoke(cli, ["replay", str(capture("blind-to-queue"))])
        assert done.exit_code == 0
        _, line = done.output.splitlines()
        for part in ("answered", "service answered", "sales answered", "PJSIP/phone2 2s", "blind by PJSIP/phone1"):
            assert part in line
        assert "+493023125001" not in line  # whole numbers only where they are asked for

    def test_prints_json(self) -> None:
        done = CliRunner().invoke(cli, ["replay", "--json", str(capture("resync-in-call"))])
        assert done.exit_code == 0
        conversations = [json.loads(line) for line in done.output.splitlines()]
        assert [one["number"][-3:] for one in conversations] == ["001", "002", "003"]

    @pytest.mark.parametrize("form", [(), ("--json",)])
    def test_does_not_show_who_withheld_her_number(self, form: tuple[str, ...], tmp_path: Path) -> None:
        file = tmp_path / "journal-00000001.ami"
        file.write_bytes(capture("withheld").read_bytes().replace(b"Name: <unknown>", b"Name: A. Secret"))
        assert [(one.number, one.name) for one in replay(file)] == [("+493023125001", "A. Secret")]  # Asterisk tells
        done = CliRunner().invoke(cli, ["replay", *form, str(file)])
        assert done.exit_code == 0
        assert "+4930…" not in done.output
        assert "+493023125001" not in done.output
        assert "Secret" not in done.output
        assert ('"number": ""' if form else "  withheld  ") in done.output

    @pytest.mark.parametrize(
        "content", [None, b"@E 12 x 5\n12345\n", b"@E 12 1 -5\n12345\n", b"@E 1 1 0\n\nnonsense\n"]
    )
    def test_of_a_missing_or_damaged_file_says_so_in_one_line(
        self, content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "journal-00000001.ami"
        if content is not None:
            file.write_bytes(content)
        monkeypatch.setattr("sys.argv", ["callfloor", "replay", str(file)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert str(file) in line

    def test_of_a_damaged_file_prints_what_stands_before(self, tmp_path: Path) -> None:
        file = tmp_path / "journal-00000001.ami"
        file.write_bytes(capture("answered").read_bytes() + b"nonsense\n" + capture("hold").read_bytes())
        done = CliRunner().invoke(cli, ["replay", str(file)])
        assert len(done.output.splitlines()) == 2  # the columns' names, and one conversation
        assert isinstance(done.exception, JournalError)
