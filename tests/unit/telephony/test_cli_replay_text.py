"""A replay's table: what people look for is in it, and what callers sent is printed, never obeyed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from telephony.cli import cli

CAPTURES = Path(__file__).parents[2] / "captures" / "conversations"

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


@pytest.mark.parametrize(
    ("capture", "cells"),
    [
        ("answered", ["+4930…01", "c-1", "certain", "answered", "service answered 0s", "PJSIP/phone1 2s", "-"]),
        # A number that its owner withheld is shown to nobody.
        ("withheld", ["withheld", "c-1", "certain", "answered", "service answered 0s", "PJSIP/phone1 2s", "-"]),
        ("hang-up-in-ivr", ["+4930…01", "-", "-", "in_ivr", "-", "-", "-"]),
    ],
)
def test_each_column_has_its_name_and_nothing_is_missing(capture: str, cells: list[str]) -> None:
    said = CliRunner().invoke(cli, ["replay", str(CAPTURES / f"{capture}.ami")])
    head, line = said.output.splitlines()
    names = ["conversation", "caller", "customer", "certainty", "outcome", "queues", "agents", "transfers", "IVR path"]
    assert re.split(r" {2,}", head) == names
    assert re.split(r" {2,}", line)[1:8] == cells
