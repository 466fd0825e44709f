"""What callers sent is printed, never obeyed, by the terminal that shows a replay."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from telephony.cli import cli

EVENT = (
    "Event: QueueCallerJoin\r\nTimestamp: 1700000000.5\r\nChannel: PJSIP/trunk-1\r\nUniqueid: a.1\r\n"
    "CallerIDNum: \x1b]0;owned\x07\r\nContext: callfloor-in\r\nExten: s\r\nQueue: \x1b[2Jservice\r\nPosition: 1\r\n"
    "ChanVariable: CALLFLOOR_ID=a.1\r\n\r\n"
)


def test_control_sequences_do_not_reach_the_terminal(tmp_path: Path) -> None:
    data = EVENT.encode()
    journal = tmp_path / "journal-00000001.ami"
    journal.write_bytes(b"@E 1700000000500000 1 %d\n%s\n" % (len(data), data))
    said = CliRunner().invoke(cli, ["replay", str(journal)])
    assert said.exit_code == 0
    assert "a.1" in said.output
    assert "service" in said.output
    assert "\x1b" not in said.output
    assert "\x07" not in said.output
