"""The packaged Asterisk starts, is quiet, keeps to itself and ends when it should."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from telephony.pbx.errors import StartError
from telephony.pbx.image import Image
from telephony.pbx.process import Asterisk
from telephony.pbx.provision import provision
from telephony.settings import Pbx, Settings

pytestmark = pytest.mark.asterisk


def _complaints(asterisk: Asterisk) -> list[str]:
    lines = asterisk.console_log.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if "ERROR[" in line or "WARNING[" in line or "declined" in line]


def _listening(pid: int) -> set[tuple[str, int]]:
    """Hosts (as /proc writes them: 0100007F is 127.0.0.1) and ports of the process's listening TCP sockets."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(descriptor)
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                host, _, port = words[1].partition(":")
                found.add((host, int(port, 16)))
    return found


async def test_boots_without_a_complaint_and_listens_on_loopback_only(pbx: Asterisk) -> None:
    assert _complaints(pbx) == []
    assert pbx.pid is not None
    settings = pbx.settings
    assert _listening(pbx.pid) == {("0100007F", settings.pbx.ws_port), ("0100007F", settings.ami.port)}


async def test_browser_phones_find_their_websocket_and_strangers_nothing_else(pbx: Asterisk) -> None:
    address = f"http://127.0.0.1:{pbx.settings.pbx.ws_port}"
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"{address}/ws", protocols=("sip",)) as socket:
            assert socket.protocol == "sip"
        for path in ("/httpstatus", "/ari/asterisk/info", "/manager", "/rawman", "/static/index.html"):
            async with session.get(address + path) as answer:
                assert answer.status == 404, path


async def test_a_second_provisioning_takes_no_time(image: Image) -> None:
    said: list[str] = []
    begin = time.monotonic()
    again = provision(Pbx(), said.append)
    assert time.monotonic() - begin < 1.0
    assert again == image
    assert said == []


def test_prompts_of_both_languages_are_there(image: Image) -> None:
    for language in ("de", "en"):
        for prompt in ("vm-goodbye", "vm-nobodyavail", "queue-youarenext", "digits/7"):
            assert (image.data / "sounds" / language / f"{prompt}.gsm").is_file(), (language, prompt)


async def test_a_taken_port_is_named_with_its_setting(
    pbx: Asterisk, image: Image, pbx_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    port = pbx.settings.pbx.sip_port
    second = Asterisk(pbx_settings(pbx={"sip_port": port, "folder": tmp_path / "second"}), image)
    with pytest.raises(StartError, match=rf"port {port} .*pbx\.sip_port"):
        await second.start()


async def test_two_never_work_in_one_folder(pbx: Asterisk, image: Image, pbx_settings: Callable[..., Settings]) -> None:
    second = Asterisk(pbx_settings(), image)
    assert second.folders == pbx.folders
    with pytest.raises(StartError, match=r"another run's Asterisk.*pbx\.folder"):
        await second.start()
    assert "fully booted" in await pbx.cli("core waitfullybooted")


async def test_it_starts_again_after_a_crash_and_keeps_its_passwords(pbx: Asterisk) -> None:
    secret, first = pbx.secrets.ami, pbx.pid
    await pbx.kill()
    await pbx.restart()
    assert pbx.pid not in (None, first)
    assert Asterisk(pbx.settings, pbx.image).secrets.ami == secret
    assert _complaints(pbx) == []


async def test_a_changed_queue_is_in_force_after_a_reload(pbx: Asterisk) -> None:
    queues = [queue.model_copy(update={"strategy": "linear"}) for queue in pbx.settings.queues]
    pbx.settings = pbx.settings.model_copy(update={"queues": tuple(queues)})
    assert await pbx.reload()
    assert "'linear' strategy" in await pbx.cli("queue show service")


async def test_only_its_owner_can_read_configuration_and_passwords(pbx: Asterisk) -> None:
    files = [*pbx.folders.etc.iterdir(), pbx.settings.pbx.folder / "secrets.json"]
    assert {path.name: path.stat().st_mode & 0o077 for path in files if path.stat().st_mode & 0o077} == {}


_PARENT = """
import asyncio, sys
from pathlib import Path
from telephony.pbx.process import Asterisk
from telephony.pbx.provision import provision
from telephony.settings import Settings

async def main():
    settings = Settings.model_validate_json(Path(sys.argv[1]).read_text())
    asterisk = Asterisk(settings, provision(settings.pbx, print))
    await asterisk.start()
    await asterisk.wait_booted()
    print("pid", asterisk.pid, flush=True)
    await asterisk.wait()

asyncio.run(main())
"""


async def test_it_ends_with_a_parent_that_is_killed(pbx_settings: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(pbx_settings().model_dump_json())
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PARENT, str(tmp_path / "settings.json"), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    async with asyncio.timeout(30):
        while not (line := await parent.stdout.readline()).startswith(b"pid"):
            assert line, "the parent ended early"
    child = int(line.split()[1])
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    async with asyncio.timeout(10):
        await asyncio.to_thread(_await_end, child)


def _await_end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            assert select.select([descriptor], [], [], 10)[0], f"process {pid} goes on"
        finally:
            os.close(descriptor)
