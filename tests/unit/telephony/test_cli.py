"""The command line: what people do wrong costs them one line, status 2, and never a traceback."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from telephony.pbx.callers import free_udp_port

GREETING = "Asterisk Call Manager/11.0.0"
REFUSED = "Response: Error\r\nActionID: {id}\r\nMessage: Authentication failed\r\n\r\n"
SILENT = {"flows__file": "flow.yaml", "pbx__managed": "false", "ami__secret": "s3cret"}
"""A service that needs neither a packaged Asterisk nor a voice."""
FLOW = """callfloor_flow: 1
name: straight
languages: [de]
default: {queue: service}
start: away
nodes:
  away: {type: route, queue: service}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def quiet(tmp_path: Path) -> dict[str, Any]:
    """Variables for a service that starts here, on free ports."""
    (tmp_path / "flow.yaml").write_text(FLOW)
    ports = {f"{one}__port": free_port() for one in ("http", "agi", "ami")}
    return {**SILENT, **ports, "storage__folder": "var", "storage__url": "sqlite+aiosqlite:///var/c.db"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("dance",), "No such command 'dance'. See: callfloor --help"),
        (("serve", "--loudly"), "No such option '--loudly'. See: callfloor serve --help"),
        (("user", "add"), "Missing argument 'LOGIN'. See: callfloor user add --help"),
        (("user", "add", "x", "--name", "X", "--role", "king", "--password", "p"), "'king' is not one of"),
        (("pbx", "dance"), "No such command 'dance'. See: callfloor pbx --help"),
        (("--config", "nope.toml", "serve"), "nope.toml: no such file; create it, or name another with --config"),
        (("--config", "nope.toml", "doctor"), "nope.toml: no such file"),
        (("flow", "check", "nope.yaml"), "nope.yaml: no such file; name a flow's file"),
        (("flow", "check", "empty"), "empty: is a folder; name the flow's file in it"),
        (("replay", "nope.ami"), "nope.ami: no such file"),
        (("replay", "empty"), "empty: no journal in this folder"),
        (("replay", "garbage.ami"), "garbage.ami: is no journal"),
        (("replay", "damaged.ami"), "damaged.ami: damaged near byte"),
    ],
)
def test_mistakes_on_the_command_line(
    callfloor: Callable[..., Any], tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "garbage.ami").write_bytes(bytes(range(1, 200)))
    (tmp_path / "damaged.ami").write_bytes(b"@E 1000000 1 3\nabc\n@E what\n")
    assert says in callfloor(*arguments).complaint


def test_every_fault_of_the_settings_is_a_line(callfloor: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "callfloor.toml").write_text("[office]\nregion = 'D'\n[http]\nport = 'x'\n")
    said = callfloor("serve")
    assert said.status == 2
    assert [line.rpartition(":")[0] for line in said.err.splitlines()] == [
        "callfloor: callfloor.toml: office.region",
        "callfloor: callfloor.toml: http.port",
    ]


@pytest.mark.parametrize(
    ("over", "says"),
    [
        ({"ami__prot": "1"}, "CALLFLOOR_AMI__PROT: ami.prot: unknown key"),
        ({"flows__file": "nope.yaml"}, "nope.yaml:1:1: no such file; check flows.file in the settings"),
        ({"flows__file": "torn.yaml"}, "torn.yaml:3:1: "),
        ({"flows__file": "wrong.yaml"}, "wrong.yaml:"),
        ({"storage__url": "mysql://me:hunter2@host/x"}, "storage.url is not a database we know"),
        ({"storage__url": "postgresql://me:hunter2@127.0.0.1:1/x"}, "cannot be used: "),
        ({"storage__url": "sqlite+aiosqlite:////proc/none/c.db"}, "the folder /proc/none cannot be made"),
        ({"storage__url": "sqlite+aiosqlite:///flow.yaml"}, "cannot be used: file is not a database"),
        ({"storage__folder": "/proc/none"}, "/proc/none/journal: cannot be made"),
        ({"agi__allow": '["everybody"]'}, "agi.allow: 'everybody' is no network"),
        ({"ami__host": "198.51.100.1", "ami__require_tls": "true"}, "ami.require_tls forbids"),
        ({"ami__tls": "true", "ami__tls_ca": "flow.yaml"}, "ami.tls_ca flow.yaml cannot be used"),
    ],
)
def test_a_service_that_cannot_start(
    callfloor: Callable[..., Any], tmp_path: Path, quiet: dict[str, Any], over: dict[str, str], says: str
) -> None:
    (tmp_path / "torn.yaml").write_text("callfloor_flow: 1\nname: [\n")
    (tmp_path / "wrong.yaml").write_text(FLOW.replace("type: route", "type: teleport"))
    said = callfloor("serve", **{**quiet, **over})
    assert says in said.complaint
    assert "hunter2" not in said.err


@pytest.mark.parametrize("key", ["http", "agi"])
def test_a_port_that_is_taken(callfloor: Callable[..., Any], quiet: dict[str, Any], key: str) -> None:
    with socket.create_server(("127.0.0.1", int(quiet[f"{key}__port"]))):
        said = callfloor("serve", **quiet).complaint
    assert f"cannot listen on 127.0.0.1:{quiet[f'{key}__port']}" in said
    assert f"{key}.port" in said


def test_a_sip_port_that_is_taken(tmp_path: Path) -> None:
    from telephony.pbx.errors import StartError
    from telephony.pbx.image import Image
    from telephony.pbx.process import Asterisk
    from telephony.settings import Settings

    settings = Settings.model_validate({"pbx": {"folder": tmp_path / "pbx", "sip_port": free_udp_port()}})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", settings.pbx.sip_port))
        with pytest.raises(StartError, match=r"port \d+ on 127\.0\.0\.1 .* set pbx\.sip_port to a free port"):
            Asterisk(settings, Image(root=Path("/"), modules=None, data=Path("/usr/share/asterisk")))._check_ports()


@pytest.mark.parametrize(
    ("greeting", "answer", "says"),
    [
        (GREETING, REFUSED, "ami.username"),
        ("Asterisk Call Manager/2.10.6", REFUSED, "Callfloor needs Asterisk 20"),
    ],
)
def test_an_asterisk_that_does_not_let_us_in(
    callfloor: Callable[..., Any],
    manager: Callable[..., Any],
    quiet: dict[str, Any],
    greeting: str,
    answer: str,
    says: str,
) -> None:
    quiet["ami__port"] = manager(greeting, answer).port
    said = callfloor("serve", **quiet)
    assert says in said.complaint
    assert "s3cret" not in said.err


def test_a_wrong_password_is_said_before_prompts_are_rendered(
    callfloor: Callable[..., Any],
    manager: Callable[..., Any],
    quiet: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")  # no voice
    quiet["ami__port"] = manager(GREETING, REFUSED).port
    del quiet["flows__file"]
    assert "ami.username" in callfloor("serve", **quiet).complaint
    assert not (tmp_path / "var" / "prompts").exists()


def test_people_are_added_listed_and_closed(callfloor: Callable[..., Any], quiet: dict[str, Any]) -> None:
    def add(login: str, *more: str, **variables: str) -> Any:
        return callfloor("user", "add", login, "--name", "Anna Berg", *more, **{**quiet, **variables})

    added = add("anna", "--queue", "service:3", new_password="a good password")
    assert (added.status, added.out.startswith("anna may log in")) == (0, True)
    assert "anna" in add("anna", new_password="a good password").complaint
    assert "password" in add("ben", new_password="short").complaint
    assert (
        "no queue is called 'nope'; the settings have: service"
        in add("ben", "--queue", "nope", "--password", "x").complaint
    )
    assert "'a lot' is not a penalty" in add("ben", "--queue", "service:a lot", "--password", "x").complaint
    managed = {"pbx__managed": "true", "new_password": "a good password"}
    assert "no phone is called 'phone9'; the settings have none" in add("ben", "--phone", "phone9", **managed).complaint
    with_phone = ("--phone", "p1", "--queue", "service")
    for login, says in (("carl", ""), ("dora", "p1 is also the phone of carl: the last of them to sign in has it\n")):
        assert add(login, *with_phone, new_password="a good password").out.partition("\n")[2] == says
    changed = callfloor("user", "change", "anna", "--phone", "p1", **quiet)
    assert changed.out.endswith("p1 is also the phone of carl, dora: the last of them to sign in has it\n")
    assert callfloor("user", "change", "anna", "--phone", "", **quiet).out.count("\n") == 1
    for login in ("carl", "dora"):
        assert callfloor("user", "close", login, **quiet).status == 0
    (line, *_) = callfloor("user", "list", **quiet).out.splitlines()
    assert line.split()[:4] == ["anna", "agent", "-", "service:3"]
    assert callfloor("user", "close", "anna", **quiet).status == 0
    assert all(line.endswith("closed") for line in callfloor("user", "list", **quiet).out.splitlines())
    assert "nobody" in callfloor("user", "close", "nobody", **quiet).complaint


@pytest.mark.parametrize(
    "arguments",
    [("user", "list"), ("user", "change", "anna", "--name", "A"), ("user", "close", "anna")],
)
def test_who_only_looks_makes_no_database(
    callfloor: Callable[..., Any], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    said = callfloor(*arguments).complaint
    assert f"there is no database at {tmp_path}/var/callfloor.db; make one with: callfloor db upgrade" in said
    assert list(tmp_path.iterdir()) == []


def test_an_office_without_people_says_so(callfloor: Callable[..., Any], quiet: dict[str, Any]) -> None:
    assert callfloor("db", "upgrade", **quiet).status == 0
    said = callfloor("user", "list", **quiet)
    assert (said.status, said.out) == (0, "")
    assert said.err == "nobody may log in yet; add somebody with: callfloor user add LOGIN --name NAME\n"


def test_the_database_is_brought_up_to_date(callfloor: Callable[..., Any], quiet: dict[str, Any]) -> None:
    first, second = (callfloor("db", "upgrade", **quiet) for _ in range(2))
    assert first.out == second.out
    assert first.out.startswith("the database is at revision ")
    said = callfloor("db", "upgrade", **{**quiet, "storage__url": "oracle://x"}).complaint
    assert "storage.url is not a database we know" in said


def test_a_journal_of_a_quiet_day_is_said_to_be_one(callfloor: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "journal-00000001.ami").touch()
    said = callfloor("replay", "journal-00000001.ami")
    assert (said.status, said.out, said.err) == (0, "", "journal-00000001.ami: no conversation in it\n")


def test_a_flow_is_checked_with_every_fault(callfloor: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(FLOW)
    assert callfloor("flow", "check", "flow.yaml").out == "flow.yaml: sound\n"
    (tmp_path / "flow.yaml").write_text(FLOW.replace("queue: service}\n", "queue: elsewhere}\n"))
    said = callfloor("flow", "check", "flow.yaml")
    assert said.status == 2
    assert [line.partition(":")[0] for line in said.err.splitlines()] == ["flow.yaml"] * 2


def test_help_and_version_are_no_mistakes(callfloor: Callable[..., Any]) -> None:
    for arguments in (("--help",), ("serve", "-h"), ("--version",), ("user", "add", "--help")):
        said = callfloor(*arguments)
        assert (said.status, said.err) == (0, "")
        assert said.out


def test_a_real_process_keeps_the_promise_and_a_closed_pipe_is_no_crash(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "telephony.cli"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    wrong = subprocess.run(
        [*command, "dance"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "callfloor: No such command 'dance'. See: callfloor --help\n"
    reader, writer = os.pipe()
    os.close(reader)
    try:
        cut = subprocess.run(
            [*command, "--help"], cwd=tmp_path, env=environment, stdout=writer, stderr=subprocess.PIPE, timeout=30,
            check=False,
        )  # fmt: skip
    finally:
        os.close(writer)
    assert (cut.returncode, cut.stderr) == (1, b"")


@pytest.mark.parametrize("watched", [False, True])
def test_a_wrong_host_is_tried_again_and_readyz_says_why(tmp_path: Path, quiet: dict[str, Any], watched: bool) -> None:
    environment = {f"CALLFLOOR_{name.upper()}": str(value) for name, value in quiet.items()}

    async def ask() -> tuple[int, str]:
        import aiohttp

        url = f"http://127.0.0.1:{quiet['http__port']}/readyz"
        async with aiohttp.ClientSession() as http, asyncio.timeout(20):
            while True:
                try:
                    async with http.get(url) as answer:
                        said = await answer.text()
                        if "reached" in said:
                            return answer.status, said
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)

    reader, writer = pty.openpty() if watched else os.pipe()
    service = subprocess.Popen(
        [sys.executable, "-m", "telephony.cli", "serve"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        status, said = asyncio.run(ask())
    finally:
        service.terminate()
        _, log = service.communicate(timeout=15)
        os.write(writer, b"\n.\n")  # what was printed ends here: a terminal knows no end of file
        shown = b""
        while not shown.endswith((b"\n.\n", b"\n.\r\n")):
            shown += os.read(reader, 4096)
        printed = [line for line in shown.decode().splitlines()[:-1] if line]
        os.close(reader)
        os.close(writer)
    # A person is told where the desk is; who collects lines gets them all in one form.
    desk = f"http://127.0.0.1:{quiet['http__port']}"
    assert printed == ([f"callfloor: the desk is at {desk}"] if watched else [])
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["desk"] for line in lines if line["event"] == "service_up"] == ([] if watched else [desk])
    assert status == 503
    assert f"not connected to Asterisk: Asterisk at 127.0.0.1:{quiet['ami__port']} cannot be reached" in said
    assert service.returncode == 0
    assert "Traceback" not in log


def test_a_person_is_changed_in_what_is_given_and_nothing_else(callfloor: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "callfloor.toml").write_text('[[phones]]\nname = "phone1"\n[[phones]]\nname = "phone2"\n')
    add = ("user", "add", "anna", "--name", "Anna", "--phone", "phone1", "--queue", "service")
    assert callfloor(*add, new_password="a good password").status == 0
    assert callfloor("user", "change", "anna", "--phone", "phone2", "--queue", "service:3").status == 0
    assert callfloor("user", "list").out.split() == ["anna", "agent", "phone2", "service:3", "Anna"]
    assert callfloor("user", "change", "anna", "--phone", "").status == 0
    assert callfloor("user", "list").out.split() == ["anna", "agent", "-", "service:3", "Anna"]
    assert "no phone is called 'phone9'" in callfloor("user", "change", "anna", "--phone", "phone9").complaint
    assert "no login 'ben'" in callfloor("user", "change", "ben", "--name", "Ben").complaint
