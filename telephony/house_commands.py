"""``callfloor pin`` and ``callfloor closure``: what the office does at a moment's notice, without the page."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import click

from crm_bridge.database import Database
from crm_bridge.pins import Lock, PinInvalid, Pins
from telephony import migrations
from telephony.app import crm_adapter
from telephony.reception.switches import Switches
from telephony.settings import Settings

Answer = TypeVar("Answer")


@click.group()
def pin() -> None:
    """The PINs that customers type on the telephone."""


@pin.command("set")
@click.argument("customer_number")
@click.option("--pin", "digits", prompt=True, hide_input=True, confirmation_prompt=True, help="4 to 8 digits.")
@click.pass_obj
def pin_set(settings: Callable[[], Settings], customer_number: str, digits: str) -> None:
    """Give a customer a PIN; a lock after wrong ones is lifted."""
    config = settings()

    async def give(database: Database) -> str:
        async with crm_adapter(config) as adapter:
            customer = await adapter.find_by_customer_number(customer_number)
            if customer is None:
                raise click.BadParameter(
                    f"no customer has the number {customer_number!r}", param_hint="CUSTOMER_NUMBER"
                )
            pins = Pins(database, Lock(config.flows.pin_tries, config.flows.pin_lock_minutes * 60.0))
            try:
                await pins.set(adapter.name, customer.id, digits)
            except PinInvalid as wrong:
                raise click.BadParameter(str(wrong), param_hint="--pin") from None
            finally:
                pins.close()
        return customer.name

    name = _with_database(config, give)
    click.echo(f"{name} ({customer_number}) has a PIN")


@click.group()
def closure() -> None:
    """The emergency closure: the office is shut, whatever its opening hours say."""


@closure.command("on")
@click.option("--reason", default="", help="For colleagues; callers hear what the flow says.")
@click.pass_obj
def closure_on(settings: Callable[[], Settings], reason: str) -> None:
    """Close the office from the next call on."""
    _with_database(settings(), lambda database: Switches(database).close(reason, getpass.getuser()))
    click.echo("the office is closed; open it again with: callfloor closure off")


@closure.command("off")
@click.pass_obj
def closure_off(settings: Callable[[], Settings]) -> None:
    """Open it again: the opening hours hold."""
    _with_database(settings(), lambda database: Switches(database).reopen(getpass.getuser()))
    click.echo("the opening hours hold again")


def _with_database(settings: Settings, work: Callable[[Database], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        async with opened(settings) as database:
            return await work(database)

    return asyncio.run(run())


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """The database with this version's tables."""
    await migrations.upgrade(settings.storage.url)
    database = Database(settings.storage.url)
    try:
        yield database
    finally:
        await database.close()
