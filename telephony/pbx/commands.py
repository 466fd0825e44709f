"""``callfloor pbx``: the packaged Asterisk by hand. The group expects the settings as the click context's object."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from pathlib import Path

import click

from telephony.pbx.credentials import load_or_make
from telephony.pbx.errors import PbxError
from telephony.pbx.hold_music import write_hold_music
from telephony.pbx.image import Image
from telephony.pbx.process import Asterisk
from telephony.pbx.provision import provision
from telephony.pbx.render import Folders, render, write
from telephony.settings import Settings

DEBIAN_ETC = Path("/etc/asterisk")
FAILED = 2
"""Exit status when the settings or the machine are at fault."""


class _Refused(click.ClickException):
    exit_code = FAILED

    def show(self, file: object = None) -> None:
        click.echo(f"callfloor: {self.message}", err=True)


@click.group()
def pbx() -> None:
    """The packaged Asterisk."""


@pbx.command("provision")
@click.pass_obj
def provision_command(settings: Settings) -> None:
    """Get the packaged Asterisk, if it is not there yet."""
    image = _provision(settings)
    click.echo(f"Asterisk {'.'.join(map(str, image.version()))} in {image.root}")


@pbx.command("render")
@click.option("--to", "target", type=click.Path(path_type=Path, file_okay=False), help="Another folder for the files.")
@click.option(
    "--for-debian",
    is_flag=True,
    help="For an Asterisk installed from Debian's packages, as in the container image: its folders, /etc/asterisk.",
)
@click.pass_obj
def render_command(settings: Settings, target: Path | None, for_debian: bool) -> None:
    """Write Asterisk's configuration."""
    try:
        if for_debian:
            image = Image(root=Path("/"), modules=None, data=Path("/usr/share/asterisk"))
            folders = Folders.of_debian(target or DEBIAN_ETC)
        else:
            image = _provision(settings)
            folders = Folders.of(settings.pbx.folder)
            folders.make()
            if target is not None:
                folders = replace(folders, etc=target.absolute())
        changed = write(render(settings, load_or_make(settings), image, folders), folders.etc)
        write_hold_music(folders.music)
    except PbxError as refused:
        raise _Refused(str(refused)) from None
    except OSError as failed:
        raise _Refused(f"{failed.filename}: cannot be written ({failed.strerror}); check pbx.folder") from None
    click.echo(f"{folders.etc}: {len(changed)} files changed")


@pbx.command("run")
@click.pass_obj
def run_command(settings: Settings) -> None:
    """Run the packaged Asterisk until Ctrl-C."""
    image = _provision(settings)

    async def run() -> int:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        async with Asterisk(settings, image) as asterisk:
            click.echo(f"Asterisk is up: SIP {settings.pbx.bind}:{settings.pbx.sip_port}, log {asterisk.console_log}")
            waits = [asyncio.create_task(asterisk.wait()), asyncio.create_task(ended.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if not ended.is_set():
                raise PbxError(f"Asterisk has ended by itself; see {asterisk.console_log}")
        return 0

    try:
        asyncio.run(run())
    except PbxError as refused:
        raise _Refused(str(refused)) from None


@pbx.command("cli")
@click.argument("command", nargs=-1, required=True)
@click.pass_obj
def cli_command(settings: Settings, command: tuple[str, ...]) -> None:
    """Ask the running packaged Asterisk a console command."""
    image = _provision(settings)
    said = asyncio.run(Asterisk(settings, image).cli(" ".join(command)))
    if not said:
        raise _Refused("the packaged Asterisk does not answer: start it with 'callfloor pbx run' or 'callfloor serve'")
    click.echo(said, nl=False)


def _provision(settings: Settings) -> Image:
    try:
        return provision(settings.pbx, lambda line: click.echo(line, err=True))
    except PbxError as refused:
        raise _Refused(str(refused)) from None
