"""The built images, started together as the compose file says, and a call through them."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from images.conftest import Built
from images.office import Office, Service, opened, until

from telephony.pbx.provision import provision
from telephony.settings import Pbx

pytestmark = pytest.mark.images


@dataclass(frozen=True)
class Running:
    """The office while it works."""

    office: Office
    asterisk: Service
    callfloor: Service


@pytest.fixture(scope="module")
def running(built: Built) -> Iterator[Running]:
    """Everything, started in the compose file's order."""
    provision(Pbx(), print)  # brings SIPp, while there is a network
    folder = Path(tempfile.mkdtemp(prefix="callfloor-office-"))
    folder.chmod(0o755)  # PostgreSQL's user goes through it
    try:
        with opened(built.buildah, folder) as office:
            assert not office.healthy("asterisk")
            assert not office.healthy("callfloor")
            rendered = office.run("configuration", *office.service("configuration")["command"])
            assert rendered.returncode == 0, rendered.stderr
            office.start_postgres()
            asterisk = office.start("asterisk")
            callfloor = office.start("callfloor")
            yield Running(office, asterisk, callfloor)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_all_become_healthy_and_work_together(running: Running) -> None:
    def ready() -> bool:
        return bool(running.office.inside("get", "http://127.0.0.1:8080/readyz")["status"] == 200)

    until(f"callfloor is ready: {running.callfloor.log[-2000:]}", ready, 30)
    page = running.office.inside("get", "http://127.0.0.1:8080/")
    assert page["status"] == 200
    assert "<script" in page["text"]


def test_no_process_is_root(running: Running) -> None:
    for name, service in (("asterisk", running.asterisk), ("callfloor", running.callfloor)):
        processes = service.processes().values()
        assert name in {process.program for process in processes}
        assert {user for process in processes for user in process.users} == {10001}


def test_the_doctor_misses_nothing_but_the_phones(running: Running) -> None:
    said = running.office.run("callfloor", "callfloor", "doctor")
    # Nobody has plugged in a phone here.
    bad = [line for line in said.stdout.splitlines() if not line.startswith("ok ")]
    assert [line[:40] for line in bad] == ["BAD  phones: not registered: phone1, pho"], said.stdout + said.stderr
    assert said.returncode == 1
    for part in ("flow", "database", "crm", "agi", "asterisk", "clock", "queues", "rights", "least rights"):
        assert f"ok   {part}: " in said.stdout
    assert "postgres" in said.stdout


def test_people_are_kept_in_postgresql(running: Running) -> None:
    words = ["user", "add", "ada", "--name", "Ada", "--phone", "phone1", "--queue", "service", "--password"]
    added = running.office.run("callfloor", "callfloor", *words, "a long enough word")
    assert added.returncode == 0, added.stderr
    assert re.search(
        r"^ada .* phone1 ", running.office.run("callfloor", "callfloor", "user", "list").stdout, re.MULTILINE
    )
    assert list((running.office.folder / "volumes" / "callfloor-data").glob("*.db")) == []


def test_ami_lets_nobody_in_from_outside_the_inner_network(running: Running) -> None:
    secret = str(running.office.folder / "secrets" / "ami_secret")
    assert running.office.inside("ami", "127.0.0.1", secret)["response"] == "Response: Error"
    inner = running.office.addresses["asterisk"]
    assert running.office.inside("ami", inner, secret)["response"] == "Response: Success"


def test_a_caller_hears_the_prompts_that_callfloor_made(running: Running) -> None:
    prompts = running.office.folder / "volumes" / "prompts"
    assert len(list(prompts.glob("de/*.wav"))) > 5
    heard = running.office.inside("call", "+493023125000", "6")
    assert (heard["status"], heard["ended_by"]) == (200, "caller")

    def ended() -> bool:
        text = running.office.inside("get", "http://127.0.0.1:8080/metrics")["text"]
        return re.search(r'^callfloor_flows_total\{ended="[^"]+"\} [1-9]', text, re.MULTILINE) is not None

    until("the flow is counted", ended, 10)
    assert "does not exist" not in running.asterisk.log
    assert "WARNING" not in running.asterisk.log
    assert "ERROR" not in running.asterisk.log


def test_passwords_are_in_no_log_and_in_no_environment(running: Running) -> None:
    words = [path.read_text().strip() for path in (running.office.folder / "secrets").iterdir()]
    assert len(words) == 3
    shown = running.asterisk.log + running.callfloor.log
    for name in ("configuration", "asterisk", "callfloor"):
        shown += running.office.run(name, "env").stdout
    assert "CALLFLOOR_STORAGE__PASSWORD_FILE" in shown
    assert [word for word in words if word in shown] == []


def test_nothing_is_written_where_the_compose_file_makes_it_read_only(running: Running) -> None:
    for name in ("configuration", "asterisk", "callfloor"):
        assert running.office.strays(name) == set()
    # The search does see what is written: here, what compose keeps in memory.
    assert running.office.written("asterisk") >= {"/run/asterisk/asterisk.ctl", "/var/log/asterisk/messages.log"}


def test_they_end_when_they_are_told_to(running: Running) -> None:
    assert running.callfloor.stop() == 0, running.callfloor.log[-2000:]
    assert "Traceback" not in running.callfloor.log
    assert running.asterisk.stop() == 0, running.asterisk.log[-2000:]
    assert not running.office.healthy("callfloor")
    assert not running.office.healthy("asterisk")
