"""``callfloor flow``: prove flows, try them with scripted callers, draw them.

The group expects a function that reads the settings as the click context's object: only some commands need them.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from ivr_flows import schema, scripts
from ivr_flows.checks import check
from ivr_flows.coverage import Coverage
from ivr_flows.drawing import mermaid, svg
from ivr_flows.runs import Run
from ivr_flows.scripts import Script, Scripts
from ivr_flows.simulator import simulate
from telephony.house_commands import opened
from telephony.reception.counts import Edge, FlowCounts
from telephony.reception.house import house_of
from telephony.settings import Settings

FAILED = 2
"""Exit status when a flow is not sound, or a caller fares otherwise than expected."""

_FLOW = click.argument("file", metavar="FLOW", type=click.Path(path_type=Path))


def must_be_file(file: Path) -> None:
    """The flow's own words for these would point to the settings, where this file does not come from."""
    if file.is_dir():
        raise click.ClickException(f"{file}: is a folder; name the flow's file in it")
    if not file.exists():
        raise click.ClickException(f"{file}: no such file; name a flow's file")


@click.group()
def flow() -> None:
    """IVR flows."""


@flow.command("check")
@_FLOW
@click.pass_obj
def check_command(settings: Callable[[], Settings], file: Path) -> None:
    """Prove that a FLOW is sound; names every fault with line and column."""
    must_be_file(file)
    problems = check(file, house_of(settings()))
    for problem in problems:
        click.echo(str(problem), err=True)
    if problems:
        sys.exit(FAILED)
    click.echo(f"{file}: sound")


@flow.command("simulate")
@_FLOW
@click.option("--scripts", "source", type=click.Path(path_type=Path), help="Default: FLOW's .scripts.yaml beside it.")
@click.option("--caller", help="Only this caller, word by word.")
@click.option("--verbose", is_flag=True, help="Every caller word by word.")
@click.option("--cover", type=click.IntRange(0, 100), help="Fail below this percentage of branches taken.")
def simulate_command(file: Path, source: Path | None, caller: str | None, verbose: bool, cover: int | None) -> None:
    """Send scripted callers through a FLOW, without Asterisk; tells which branches nobody took."""
    must_be_file(file)
    loaded = schema.load(file)
    told = scripts.load(source or scripts.beside(file), loaded)
    coverage = Coverage(loaded)
    wrong: list[str] = []
    width = max(map(len, told.callers))
    for name, script in _chosen(told, caller).items():
        run = simulate(loaded, script)
        coverage.add(run.trail)
        wrong += _complaints(told, name, run)
        click.echo(f"{name:<{width}}  {' > '.join(run.path)}  = {run.ending()}")
        if caller is not None or verbose:
            click.echo(f"{run.transcript()}\n")
    click.echo(f"{file}: {coverage}")
    if caller is None or cover is not None:
        for problem in coverage.missing():
            click.echo(str(problem))
    if cover is not None and coverage.percent < cover:
        wrong.append(f"{file}: {coverage.percent} % is below {cover} %")
    for line in wrong:
        click.echo(line, err=True)
    if wrong:
        sys.exit(FAILED)


def _chosen(told: Scripts, caller: str | None) -> dict[str, Script]:
    if caller is None:
        return dict(told.callers)
    if caller not in told.callers:
        have = ", ".join(told.callers)
        raise click.BadParameter(f"{told.file} has no caller {caller!r} (have: {have})", param_hint="--caller")
    return {caller: told.callers[caller]}


def _complaints(told: Scripts, name: str, run: Run) -> list[str]:
    found = [
        str(told.problem(("callers", name, *failure.path), f"{name}: {failure.message}")) for failure in run.failures
    ]
    if run.fault:
        found.append(str(told.problem(("callers", name), f"{name}: the flow failed: {run.fault}")))
    return found


@flow.command("draw")
@_FLOW
@click.option("--format", "form", type=click.Choice(["svg", "mermaid"]), default="svg", show_default=True)
@click.option("--to", "target", type=click.Path(path_type=Path, dir_okay=False), help="Default: standard output.")
@click.option("--counts", is_flag=True, help="With how often callers took each branch; reads the settings' database.")
@click.option(
    "--days",
    type=click.IntRange(min=1, max=366),
    default=7,
    show_default=True,
    help="With --counts: of so many days, today included.",
)
@click.pass_obj
def draw_command(
    settings: Callable[[], Settings], file: Path, form: str, target: Path | None, counts: bool, days: int
) -> None:
    """Draw a FLOW as an SVG picture or as a Mermaid diagram."""
    must_be_file(file)
    if counts:
        config = settings()
        loaded = schema.load(file, config.flows.constants)
        taken = asyncio.run(_counted(config, loaded, days))
        if not taken:
            click.echo(f"{file}: no caller has been through this version of it in these {days} days", err=True)
    else:
        loaded, taken = schema.load(file), None
    drawn = (svg if form == "svg" else mermaid)(loaded, taken)
    if target is None:
        click.echo(drawn, nl=not drawn.endswith("\n"))
        return
    try:
        target.write_text(drawn, encoding="utf-8")
    except OSError as failed:
        raise click.FileError(str(target), f"cannot be written ({failed.strerror}); name another with --to") from None
    click.echo(f"{target}: {len(loaded.nodes)} nodes drawn")


async def _counted(config: Settings, loaded: schema.Flow, days: int) -> dict[Edge, int]:
    async with opened(config) as database:
        counts = FlowCounts(database, ZoneInfo(config.office.time_zone), time.time)
        return await counts.edges(loaded, counts.since(days))
