"""``callfloor flow publish``, ``versions``, ``live``, ``roll-back``: which flow callers come to, without a restart."""

from __future__ import annotations

import asyncio
import datetime
import getpass
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from telephony.flow_commands import must_be_file
from telephony.house_commands import opened
from telephony.reception.house import house_of
from telephony.reception.library import ALIASES, LIVE, Library
from telephony.settings import Settings

Answer = TypeVar("Answer")

_ALIAS = click.option("--alias", type=click.Choice(ALIASES), default=LIVE, show_default=True)


@click.command("publish")
@click.argument("file", metavar="FLOW", type=click.Path(path_type=Path))
@_ALIAS
@click.pass_obj
def publish(settings: Callable[[], Settings], file: Path, alias: str) -> None:
    """Prove a FLOW, store it as a new version, and make it live; what does not pass is not published."""
    must_be_file(file)
    config = settings()
    house = house_of(config)
    made = _with_library(config, lambda library: library.publish(file, house, getpass.getuser(), alias))
    click.echo(f"{made.flow} version {made.version} is {alias}")


@click.command("versions")
@click.pass_obj
def versions(settings: Callable[[], Settings]) -> None:
    """List what was published, the newest first."""
    found = _with_library(settings(), lambda library: library.versions())
    if not found:
        click.echo("nothing was published yet; the settings' flow runs (flows.file, else the shipped one)")
    for one in found:
        when = datetime.datetime.fromtimestamp(one.published_at).astimezone().isoformat(" ", "minutes")
        aliases = f"  {', '.join(one.aliases)}" if one.aliases else ""
        click.echo(f"{one.flow:<24} {one.version:>4}  {when}  {one.published_by:<16}{aliases}")


@click.command("live")
@click.argument("name", metavar="NAME")
@click.argument("version", type=click.IntRange(min=1))
@_ALIAS
@click.pass_obj
def live(settings: Callable[[], Settings], name: str, version: int, alias: str) -> None:
    """Make a VERSION of the flow NAME live that was published before."""
    _with_library(settings(), lambda library: library.point(alias, name, version, getpass.getuser()))
    click.echo(f"{name} version {version} is {alias}")


@click.command("roll-back")
@_ALIAS
@click.pass_obj
def roll_back(settings: Callable[[], Settings], alias: str) -> None:
    """Go back to the version before."""
    found = _with_library(settings(), lambda library: library.roll_back(alias, getpass.getuser()))
    click.echo(f"{found.flow} version {found.version} is {alias}")


def _with_library(settings: Settings, work: Callable[[Library], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        async with opened(settings) as database:
            return await work(Library(database, constants=settings.flows.constants))

    return asyncio.run(run())


PUBLISHING = (publish, versions, live, roll_back)
"""Commands of the group ``flow``."""
