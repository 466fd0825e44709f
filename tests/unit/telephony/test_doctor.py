"""The doctor names what is wrong, and how to mend it, also where nearly everything is."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from telephony.doctor import Finding

ALONE = {"pbx__managed": "false", "ami__secret": "s3cret", "storage__url": "sqlite+aiosqlite:///var/c.db"}
REFUSED = "Response: Error\r\nActionID: {id}\r\nMessage: Authentication failed\r\n\r\n"


TALKS = """callfloor_flow: 1
name: straight
languages: [de, en]
default: {queue: service}
start: hello
nodes:
  hello: {type: say, text: {de: Hallo, en: Hello}, next: away}
  away: {type: route, queue: service}
"""


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
    assert found["agi"].startswith("ok   agi: 127.0.0.1:4573 has no secret")
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
        ({"agi__host": "10.0.0.1"}, "agi", "10.0.0.1:4573 has no secret: who may connect (agi.allow) can say"),
        ({"agi__host": "ivr.example.org"}, "agi", "; set agi.secret, render the configuration again"),
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


def test_a_fastagi_server_with_a_secret_may_listen_anywhere(callfloor: Callable[..., Any]) -> None:
    found = findings(callfloor, ami__port=1, agi__host="10.0.0.1", agi__secret="sixteen-and-more")
    assert found["agi"].startswith("ok ")
    assert "sixteen" not in str(found)


def test_phrases_that_cannot_be_had_are_found_before_a_start_does(
    callfloor: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flow.yaml").write_text(TALKS)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    here = {"ami__port": 1, "flows__file": "flow.yaml", "flows__prompts": "voices"}
    found = findings(callfloor, **here)["prompts"]
    assert found == (
        "BAD  prompts: 2 phrases are neither recorded nor rendered yet, and espeak-ng cannot be run "
        "(No such file or directory); install espeak-ng, or record them all in the folder flows.prompts"
    )
    espeak = tmp_path / "bin" / "espeak-ng"
    espeak.write_text("#!/bin/sh\necho RIFF\n")
    espeak.chmod(0o755)
    found = findings(callfloor, **here)["prompts"]
    assert found.endswith("2 phrases are neither recorded nor rendered yet; espeak-ng will render them")
    assert not (tmp_path / "var").exists()
    espeak.unlink()
    for language in ("de", "en"):
        (tmp_path / "voices" / language).mkdir(parents=True)
        (tmp_path / "voices" / language / "hello.wav").touch()
    assert findings(callfloor, **here)["prompts"] == "ok   prompts: every phrase is recorded or rendered"


@pytest.fixture
def listening() -> Iterator[Callable[..., int]]:
    """Starts an HTTP server that answers everything with this; gives its port."""
    ends: list[Callable[[], None]] = []

    def start(status: int, server: str, body: str) -> int:
        started: dict[str, Any] = {}
        up = threading.Event()

        async def serve() -> None:
            async def answer(_request: web.Request) -> web.Response:
                return web.Response(
                    status=status, text=body, headers={"Server": server}, content_type="application/json"
                )

            runner = web.ServerRunner(web.Server(answer))
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            over = asyncio.Event()
            started.update(port=runner.addresses[0][1], loop=asyncio.get_running_loop(), over=over)
            up.set()
            await over.wait()
            await runner.cleanup()

        thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
        thread.start()
        assert up.wait(10)

        def end() -> None:
            started["loop"].call_soon_threadsafe(started["over"].set)
            thread.join(10)

        ends.append(end)
        return int(started["port"])

    yield start
    for end in ends:
        end()


@pytest.mark.parametrize(
    ("answer", "http", "service"),
    [
        (
            (503, "Callfloor", '{"ready": false, "reasons": ["not connected to Asterisk"]}'),
            "ok   http port: our service listens on 127.0.0.1:",
            "BAD  service: runs and is not ready: not connected to Asterisk; mend that; it needs no restart",
        ),
        (
            (200, "Callfloor", '{"ready": true, "reasons": []}'),
            "ok   http port: our service listens on 127.0.0.1:",
            "ok   service: runs and is ready",
        ),
        (
            (500, "Callfloor", "?"),
            "ok   http port: our service listens on 127.0.0.1:",
            "BAD  service: runs and answers 500; look at its log",
        ),
        (
            (200, "nginx", "{}"),
            "BAD  http port: 127.0.0.1:",
            "BAD  service: cannot listen; end what listens there, or set http.host and http.port",
        ),
    ],
)
def test_the_service_is_asked_whether_it_is_ready(
    callfloor: Callable[..., Any],
    listening: Callable[..., int],
    answer: tuple[int, str, str],
    http: str,
    service: str,
) -> None:
    found = findings(callfloor, ami__port=1, http__port=listening(*answer))
    assert found["http port"].startswith(http)
    assert found["service"] == service


def test_a_service_that_does_not_run_and_its_ports(callfloor: Callable[..., Any]) -> None:
    with socket.socket() as held, socket.socket() as spare:
        held.bind(("127.0.0.1", 0))
        held.listen()
        spare.bind(("127.0.0.1", 0))
        agi, http = held.getsockname()[1], spare.getsockname()[1]
        spare.close()
        found = findings(callfloor, ami__port=1, http__port=http, agi__port=agi)
    assert found["http port"] == f"ok   http port: 127.0.0.1:{http} is free"
    assert found["service"].endswith(f"nobody listens on 127.0.0.1:{http}; start it: callfloor serve")
    assert found["agi port"].startswith(f"BAD  agi port: cannot listen on 127.0.0.1:{agi}")
    assert found["agi port"].endswith("end what listens there, or set agi.host and agi.port")


def test_a_packaged_asterisk_that_was_never_started(callfloor: Callable[..., Any], tmp_path: Path) -> None:
    # There is no image there, and none is fetched.
    said = callfloor("doctor", pbx__image=tmp_path / "none")
    assert "BAD  asterisk: Callfloor's own has not been started yet" in said.out
    assert said.out.rstrip().endswith("start it: callfloor pbx run")
    assert "fetched at the start, brings a voice" in said.out
    assert list(tmp_path.iterdir()) == []


def test_what_is_right_needs_no_mending() -> None:
    assert str(Finding("clock", True, "0.001 s", "run a time service")) == "ok   clock: 0.001 s"
    assert str(Finding("clock", False, "9 s", "run a time service")) == "BAD  clock: 9 s; run a time service"
