"""The command ``callfloor``. Commands stay stupid: they read settings, call one part, and print.

A user's mistake ends with one line on standard error and status 2, never with a traceback.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
import structlog

from crm_bridge.database import Database, DatabaseError
from ivr_flows.checks import check
from ivr_flows.prompts import PromptError
from ivr_flows.schema import FlowError
from telephony import logs, migrations
from telephony.agi import AgiError
from telephony.ami.errors import Misconfigured
from telephony.app import App
from telephony.conversations.history import History
from telephony.conversations.journal import JournalError
from telephony.conversations.replay import replay as replay_journal
from telephony.demo.house import DemoError
from telephony.desk.server import DeskError
from telephony.doctor import examine
from telephony.floor.accounts import AccountError, Accounts, Membership, Role
from telephony.pbx.commands import pbx
from telephony.pbx.errors import PbxError
from telephony.settings import NEW_PERSON_VARIABLE, Settings, SettingsError, load

ERRORS = (
    SettingsError,
    DatabaseError,
    FlowError,
    PromptError,
    PbxError,
    JournalError,
    Misconfigured,
    DeskError,
    AgiError,
    AccountError,
    DemoError,
)
"""What a person can mend: the text of each is fit to be shown."""

JOURNAL_BEGINS = (b"@", b"Asterisk Call Manager/", b"Event: ", b"Response: ")

log = structlog.get_logger(__name__)

Result = TypeVar("Result")
CONFIG = "callfloor.config"
"""Where the click context keeps the path of the settings file."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="callfloor")
@click.option("--config", type=click.Path(path_type=Path), help="The settings file (default: callfloor.toml here).")
@click.pass_context
def cli(context: click.Context, config: Path | None) -> None:
    """Call handling for customer-care offices on Asterisk."""
    context.meta[CONFIG] = config
    if context.invoked_subcommand == "pbx":
        context.obj = settings_of(context)


def settings_of(context: click.Context) -> Settings:
    """The settings, read when a command needs them; logging is set up by them."""
    settings = load(context.meta[CONFIG])
    logs.configure(settings.log)
    return settings


cli.add_command(pbx)


@cli.command()
@click.pass_context
def serve(context: click.Context) -> None:
    """Run the service until it is told to stop (SIGINT, SIGTERM)."""
    _run(_serve(settings_of(context)))


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with App.started(settings) as app:
        shown = settings.http.public_url or f"http://{settings.http.host}:{app.desk.port}"
        # For people; who collects what we print gets lines of one kind.
        if sys.stdout.isatty():
            click.echo(f"callfloor: the desk is at {shown}")
        else:
            log.info("service_up", desk=shown)
        failing = asyncio.create_task(app.wait(), name="parts")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        done, _ = await asyncio.wait({failing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (failing, stopping):
            task.cancel()
        await asyncio.gather(failing, stopping, return_exceptions=True)
        if failing in done:
            failing.result()


@cli.command()
@click.option("--once", is_flag=True, help="Play the story once, print a table, and end.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("var/demo"), show_default=True)
@click.option("--port", type=int, help="The desk's port (default: 8080, or a free one).")
def demo(once: bool, folder: Path, port: int | None) -> None:
    """Bring up an Asterisk, a sample office and the service, and place real calls."""
    from telephony.demo.show import show  # the only command that needs it

    # Who starts us in the background may have us ignore Ctrl-C; what brings all this up must be able to be ended.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(_run(show(folder, once=once, port=port)))


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object per conversation.")
def replay(file: Path, as_json: bool) -> None:
    """Rebuild the conversations of a journal FILE (or of a folder of them)."""
    _must_be_journal(file)
    empty = True
    for history in replay_journal(file):
        if empty and not as_json:
            click.echo(_row(name for name, _ in REPLAYED))
        empty = False
        click.echo(json.dumps(history.as_dict(), ensure_ascii=False) if as_json else _line(history))
    if empty:
        click.echo(f"{file}: no conversation in it", err=True)


def _must_be_journal(file: Path) -> None:
    """A file of anything else would be read as AMI's bytes with nothing in them, and that looks like a quiet day."""
    with contextlib.suppress(OSError):
        if file.is_file():
            with file.open("rb") as stream:
                first = stream.read(64)
            if first and not first.startswith(JOURNAL_BEGINS):
                raise JournalError(f"{file}: is no journal; name a journal-*.ami file or a capture of AMI")


def _line(history: History) -> str:
    """One conversation on one line; numbers are cut short, the whole of them is in ``--json``."""
    hidden = history.withheld or not history.number
    agents = ", ".join(
        f"{talk.interface} {talk.talked:.0f}s" + (f" (held {talk.held:.0f}s)" if talk.holds else "")
        for talk in history.talks
    )
    stints = ", ".join(f"{stint.queue} {stint.end or 'waiting'} {stint.waited:.0f}s" for stint in history.stints)
    moved = ", ".join(f"{one.kind} by {one.by} to {one.to}" for one in history.transfers)
    caller = "withheld" if hidden else logs.shorten(history.number)
    known = (caller, history.customer, history.certainty)
    return _row((history.conversation, *known, history.outcome, stints, agents, moved, ">".join(history.path)))


REPLAYED = (
    ("conversation", 20),
    ("caller", 9),
    ("customer", 12),
    ("certainty", 9),
    ("outcome", 9),
    ("queues", 20),
    ("agents", 16),
    ("transfers", 9),
    ("IVR path", 0),
)
"""The table of a replay: each column and its width, which longer words overrun. All of it is never held at once."""


def _row(cells: Iterable[str]) -> str:
    padded = (_printable(cell or "-").ljust(width) for cell, (_, width) in zip(cells, REPLAYED, strict=True))
    return "  ".join(padded).rstrip()


def _printable(text: str) -> str:
    """Fit for a terminal: what callers sent may hold control sequences."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


@cli.group()
def flow() -> None:
    """IVR flows."""


@flow.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def flow_check(context: click.Context, file: Path) -> None:
    """Prove that a flow FILE is sound; names every fault with line and column."""
    settings = settings_of(context)
    _must_be_file(file)
    problems = check(file, {queue.name for queue in settings.queues})
    for problem in problems:
        click.echo(str(problem), err=True)
    if problems:
        sys.exit(2)
    click.echo(f"{file}: sound")


def _must_be_file(file: Path) -> None:
    """The flow's own words for these would point to the settings, where this file does not come from."""
    if file.is_dir():
        raise click.ClickException(f"{file}: is a folder; name the flow's file in it")
    if not file.exists():
        raise click.ClickException(f"{file}: no such file; name a flow's file")


@cli.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Look at everything Callfloor needs, and say how to mend what is wrong."""
    settings = settings_of(context)
    # What the parts would log is what the doctor says.
    logs.configure(settings.log.model_copy(update={"level": "error"}))
    findings = _run(examine(settings))
    for finding in findings:
        click.echo(str(finding))
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


@cli.group()
def db() -> None:
    """The database."""


@db.command("upgrade")
@click.pass_context
def db_upgrade(context: click.Context) -> None:
    """Bring the database to this version's tables."""
    settings = settings_of(context)
    revision = _run(migrations.upgrade(settings.storage.url))
    click.echo(f"the database is at revision {revision}")


@cli.group()
def user() -> None:
    """People: who may log in, at which phone, for which queues."""


@user.command("add")
@click.argument("login")
@click.option("--name", required=True)
@click.option("--role", type=click.Choice([str(role) for role in Role]), default="agent", show_default=True)
@click.option("--language", type=click.Choice(["de", "en"]), default="de", show_default=True)
@click.option("--phone", help="The phone (PJSIP endpoint) this person sits at.")
@click.option("--queue", "queues", multiple=True, help="NAME or NAME:PENALTY; may be given again.")
@click.option(
    "--password",
    prompt=True,
    hide_input=True,
    confirmation_prompt=True,
    envvar=NEW_PERSON_VARIABLE,
    help="Better left out: it is asked for then, or taken from CALLFLOOR_NEW_PASSWORD, for scripts.",
)
@click.pass_context
def user_add(
    context: click.Context,
    login: str,
    name: str,
    role: str,
    language: str,
    phone: str | None,
    queues: tuple[str, ...],
    password: str,
) -> None:
    """Add a person; the first one makes the database."""
    settings = settings_of(context)
    memberships = [_membership(settings, text) for text in queues]
    if phone is not None:
        _check_phone(settings, phone)

    async def add() -> list[str]:
        async with _accounts(settings, create=True) as accounts:
            await accounts.create(login, name, password, role, language, phone=phone, queues=memberships)
            return await _others_at(accounts, phone, login)

    others = _run(add())
    click.echo(f"{login} may log in; a running service knows the new person at the first log-in")
    _say_shared(phone, others)


@user.command("list")
@click.pass_context
def user_list(context: click.Context) -> None:
    """List the people."""
    settings = settings_of(context)

    async def people() -> None:
        async with _accounts(settings, upgrade=False) as accounts:
            everybody = await accounts.list()
            if not everybody:
                click.echo("nobody may log in yet; add somebody with: callfloor user add LOGIN --name NAME", err=True)
            for one in everybody:
                queues = ",".join(f"{entry.queue}:{entry.penalty}" for entry in one.queues)
                state = "" if one.active else "  closed"
                click.echo(
                    f"{one.login:<16} {one.role:<10} {one.phone or '-':<12} {queues or '-':<24} {one.name}{state}"
                )

    _run(people())


@user.command("change")
@click.argument("login")
@click.option("--name")
@click.option("--role", type=click.Choice([str(role) for role in Role]))
@click.option("--language", type=click.Choice(["de", "en"]))
@click.option("--phone", help="The phone this person sits at; empty for none.")
@click.option("--queue", "queues", multiple=True, help="NAME or NAME:PENALTY; these replace the present ones.")
@click.option(
    "--password",
    is_flag=True,
    help="Ask for a new password (or take it from CALLFLOOR_NEW_PASSWORD); it ends the person's sessions.",
)
@click.pass_context
def user_change(
    context: click.Context,
    login: str,
    name: str | None,
    role: str | None,
    language: str | None,
    phone: str | None,
    queues: tuple[str, ...],
    password: bool,
) -> None:
    """Change what is given, and nothing else."""
    settings = settings_of(context)
    if phone:
        _check_phone(settings, phone)
    memberships = [_membership(settings, text) for text in queues] if queues else None
    new = _new_password() if password else None

    async def change() -> list[str]:
        async with _accounts(settings) as accounts:
            await accounts.update(
                login,
                name=name,
                password=new,
                role=role,
                language=language,
                phone=phone or None,
                no_phone=phone == "",
                queues=memberships,
            )
            return await _others_at(accounts, phone, login)

    others = _run(change())
    click.echo(f"{login} is changed; a running service knows it at the person's next log-in")
    _say_shared(phone, others)


async def _others_at(accounts: Accounts, phone: str | None, login: str) -> list[str]:
    return [
        one.login for one in await accounts.list() if phone and one.phone == phone and one.login != login and one.active
    ]


def _say_shared(phone: str | None, others: list[str]) -> None:
    """Two people may share a phone, in shifts. Who did not mean that is told."""
    if others:
        click.echo(f"{phone} is also the phone of {', '.join(others)}: the last of them to sign in has it")


def _new_password() -> str:
    given = os.environ.get(NEW_PERSON_VARIABLE)
    return given or str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


@user.command("close")
@click.argument("login")
@click.pass_context
def user_close(context: click.Context, login: str) -> None:
    """Close an account; its sessions end at once."""
    settings = settings_of(context)

    async def close() -> None:
        async with _accounts(settings) as accounts:
            await accounts.update(login, active=False)

    _run(close())
    click.echo(f"{login} may not log in any more")


def _check_phone(settings: Settings, phone: str) -> None:
    phones = [one.name for one in settings.phones]
    if settings.pbx.managed and phone not in phones:
        have = ", ".join(phones) or "none: add [[phones]] with a name to them"
        raise click.BadParameter(f"no phone is called {phone!r}; the settings have {have}", param_hint="--phone")


def _membership(settings: Settings, text: str) -> Membership:
    name, _, penalty = text.partition(":")
    if settings.queue(name) is None:
        have = ", ".join(queue.name for queue in settings.queues)
        raise click.BadParameter(f"no queue is called {name!r}; the settings have: {have}", param_hint="--queue")
    if penalty and not (penalty.isascii() and penalty.isdigit()):
        raise click.BadParameter(f"{penalty!r} is not a penalty; use a whole number from 0", param_hint="--queue")
    return Membership(name, int(penalty or 0))


@contextlib.asynccontextmanager
async def _accounts(settings: Settings, *, create: bool = False, upgrade: bool = True) -> AsyncIterator[Accounts]:
    """The accounts. Only who adds the first person makes a database, and who only reads does not touch its tables."""
    database = Database(settings.storage.url, create=create)
    accounts = Accounts(database)
    try:
        if upgrade:
            await migrations.upgrade(database)
        else:
            await migrations.require_current(database)
        yield accounts
    finally:
        accounts.close()
        await database.close()


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(work)


@contextlib.contextmanager
def shown_plainly() -> Iterator[None]:
    """Turn what people can mend into one line, or one for each fault of the settings, and status 2."""
    try:
        yield
    except SettingsError as wrong:
        for fault in str(wrong).splitlines():
            _complain(fault)
        sys.exit(2)
    except ERRORS as wrong:
        _complain(str(wrong))
        sys.exit(2)
    except click.UsageError as wrong:
        command = wrong.ctx.command_path if wrong.ctx is not None else "callfloor"
        _complain(f"{wrong.format_message()} See: {command} --help")
        sys.exit(2)
    except click.ClickException as wrong:
        _complain(wrong.format_message())
        sys.exit(2)
    except BrokenPipeError:
        # Who reads us has seen enough. Without this the interpreter complains when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)


def _complain(text: str) -> None:
    """One line, whatever its parts hold."""
    click.echo(f"callfloor: {' '.join(text.split())}", err=True)


def main() -> None:
    """The entry point of the command."""
    with shown_plainly():
        sys.exit(cli(prog_name="callfloor", standalone_mode=False))


if __name__ == "__main__":
    main()
