"""The doctor names what is wrong, and how to mend it, also where nearly everything is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from telephony.doctor import Finding

ALONE = {"pbx__managed": "false", "ami__secret": "s3cret", "storage__url": "sqlite+aiosqlite:///var/c.db"}
REFUSED = "Response: Error\r\nActionID: {id}\r\nMessage: Authentication failed\r\n\r\n"


def findings(callfloor: Callable[..., Any], **variables: object) -> dict[str, str]:
    said = callfloor("doctor", **{**ALONE, **variables})
    assert said.status == 1
    assert said.err == ""
    lines = said.out.splitlines()
    assert all(line.startswith(("ok   ", "BAD  ")) for line in lines), said.out
    return {line[5:].partition(":")[0]: line for line in lines}


def test_a_machine_on_which_nothing_is_there(callfloor: Callable[..., Any], tmp_path: Path) -> None:
    found = findings(callfloor, ami__port=1)
    assert found["flow"] == "ok   flow: customer-care is sound"
    there = f"there is no database at {tmp_path}/var/c.db; make one with: callfloor db upgrade"
    assert found["database"].startswith(f"BAD  database: {there}")
    assert found["crm"].startswith(f"BAD  crm: {there}")
    assert list(tmp_path.iterdir()) == []  # it has changed nothing
    assert found["asterisk"].startswith("BAD  asterisk: Asterisk at 127.0.0.1:1 cannot be reached")
    assert found["asterisk"].endswith("start it (callfloor pbx run), or correct ami.host and ami.port")


@pytest.mark.parametrize(
    ("variables", "what", "says"),
    [
        ({"flows__file": "nope.yaml"}, "flow", "nope.yaml:1:1: no such file"),
        ({"storage__url": "oracle://x"}, "database", "storage.url is not a database we know"),
        ({"storage__url": "postgresql://u:hunter2@127.0.0.1:1/x"}, "database", "cannot be used"),
        (
            {"crm__adapter__kind": "webhook", "crm__adapter__url": "http://127.0.0.1:1", "crm__adapter__secret": "x"},
            "crm",
            "webhook: ",
        ),
        ({"ami__host": "198.51.100.1", "ami__require_tls": "true"}, "asterisk", "ami.require_tls forbids"),
        ({"ami__host": "no host at all"}, "asterisk", "cannot be reached"),
    ],
)
def test_each_part_is_judged_by_itself(
    callfloor: Callable[..., Any], variables: dict[str, str], what: str, says: str
) -> None:
    found = findings(callfloor, **{"ami__port": 1, **variables})
    assert found[what].startswith("BAD ")
    assert says in found[what]
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    ("greeting", "says"),
    [
        ("Asterisk Call Manager/11.0.0", "ami.username"),
        ("Asterisk Call Manager/2.10.6", "needs Asterisk 20"),
        ("SSH-2.0-OpenSSH_9.2", "correct ami.host and ami.port"),
    ],
)
def test_an_asterisk_that_does_not_let_us_in(
    callfloor: Callable[..., Any], manager: Callable[..., Any], greeting: str, says: str
) -> None:
    found = findings(callfloor, ami__port=manager(greeting, REFUSED).port)
    assert found["asterisk"].startswith("BAD ")
    assert says in found["asterisk"]


def test_a_database_of_this_version_is_fine(callfloor: Callable[..., Any], tmp_path: Path) -> None:
    assert callfloor("db", "upgrade", **ALONE).status == 0
    found = findings(callfloor, ami__port=1)
    assert found["database"].startswith("ok ")
    assert found["crm"] == "ok   crm: embedded answers and lets us in"


def test_what_is_right_needs_no_mending() -> None:
    assert str(Finding("clock", True, "0.001 s", "run a time service")) == "ok   clock: 0.001 s"
    assert str(Finding("clock", False, "9 s", "run a time service")) == "BAD  clock: 9 s; run a time service"
