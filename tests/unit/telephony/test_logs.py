"""Logs hold no full number and no secret, whatever key, text or traceback they hide in."""

from __future__ import annotations

import errno
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from crm_bridge.database import Database
from telephony import logs
from telephony.settings import Log

NUMBER = "+493023125042"


@pytest.fixture
def configured(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Any]]:
    before, level = logging.root.handlers[:], logging.root.level

    def configure(form: Literal["json", "console"] = "json") -> Any:
        structlog.reset_defaults()
        logs.configure(Log(level="info", format=form))
        return structlog.get_logger("test")

    yield configure
    structlog.reset_defaults()
    logging.root.handlers[:] = before
    logging.root.setLevel(level)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (NUMBER, "+4930…42"),
        ("call from 004930231250421 ended", "call from 00493…21 ended"),
        ("+49 30 2312-5042", "+49 3…42"),
        ("+49 (30) 23125042.", "+49 (…42."),
        ("pbx1-1763914755.42", "pbx1-1763914755.42"),
        ("at 1763914755.25", "at 1763914755.25"),
        ("order 12345", "order 12345"),
        ("2026-11-23 16:19:15", "2026-11-23 16:19:15"),
        ("postgresql+asyncpg://callfloor:hunter2@db/x", "postgresql+asyncpg://callfloor:…@db/x"),
        ("http://127.0.0.1:8080/x@y", "http://127.0.0.1:8080/x@y"),
    ],
)
def test_numbers_are_cut_short_and_nothing_else(said: str, shown: str) -> None:
    assert logs.shorten(said) == shown


@given(st.from_regex(r"\+?[1-9][0-9]{8,14}", fullmatch=True), st.text(" ,;:()abc", max_size=5))
def test_no_number_gets_through(number: str, around: str) -> None:
    assert number not in logs.shorten(f"{around}{number}{around}")


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_event_shows_a_number_or_a_secret(
    configured: Callable[..., Any], capsys: pytest.CaptureFixture[str], form: str
) -> None:
    log = configured(form)
    try:
        raise ValueError(f"no such customer: {NUMBER}")
    except ValueError:
        log.exception(
            "look_up_failed",
            number=NUMBER,
            caller={"number": NUMBER, "password": "hunter2"},
            tried=[NUMBER, (NUMBER,)],
            ami_secret="hunter2",
            why=ValueError(NUMBER),
            conversation="pbx1-1763914755.42",
        )
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "look_up_failed" in said
    assert "pbx1-1763914755.42" in said
    for hidden in (NUMBER, NUMBER[1:], "hunter2"):
        assert hidden not in said


def test_json_is_one_object_a_line_with_fixed_fields(
    configured: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    log = configured()
    log.info("call_ended", talked=2.5, ok=True, nobody=None)
    log.debug("left_out")
    (line,) = capsys.readouterr().err.splitlines()
    record = json.loads(line)
    assert (record["event"], record["level"], record["talked"], record["ok"], record["nobody"]) == (
        "call_ended", "info", 2.5, True, None,
    )  # fmt: skip


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_a_library_logs_is_one_line_that_repeats_nothing_of_what_a_stranger_sent(
    configured: Callable[..., Any], capsys: pytest.CaptureFixture[str], form: str
) -> None:
    configured(form)
    try:
        raise RuntimeError("Bad status line:\n  b'evil'")
    except RuntimeError:
        logging.getLogger("aiohttp.server").exception("Error handling request from %s", "evil")
    logging.getLogger("asyncio").error("Exception in callback <evil>\nhandle: <Handle evil>")
    logging.getLogger("other").warning("%(a)-10.3s and %d%%", {"a": "evil", "b": 1})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "evil" not in "".join(lines)
    if form == "json":
        first, second, third = map(json.loads, lines)
        assert (first["event"], first["level"], first["library"]) == ("library_complains", "error", "aiohttp.server")
        assert (first["said"], first["error"]) == ("Error handling request from …", "RuntimeError")
        assert re.fullmatch(r"test_logs\.py:\d+ test_what_a_library_logs\w+", first["at"])
        assert (second["said"], third["said"], third["level"]) == ("Exception in callback", "… and …", "warning")


def test_what_a_library_says_over_and_over_is_said_once_a_minute_and_counted(
    configured: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    configured()
    now = [1000.0]
    logging.root.handlers[:] = [logs.Libraries(logs.Thinner(60, lambda: now[0]))]

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    def no_more_files(times: int) -> None:
        for number in range(times):
            try:
                raise OSError(errno.EMFILE, "Too many open files")
            except OSError as failed:
                # As asyncio's own handler says it.
                said = f"socket.accept() out of system resource\nsocket: <asyncio.TransportSocket fd={number}>"
                logging.getLogger("asyncio").error(said, exc_info=failed)

    no_more_files(1000)
    (first,) = lines()
    assert first["said"] == "socket.accept() out of system resource"
    assert (first["reason"], first["left_out"]) == ("Too many open files", 0)
    logging.getLogger("asyncio").error("something else")
    now[0] += 59
    no_more_files(1)
    assert [line["said"] for line in lines()] == ["something else"]
    now[0] += 1
    no_more_files(2)
    (again,) = lines()
    assert again["left_out"] == 1000


def test_what_is_kept_of_things_said_is_bounded() -> None:
    thinner = logs.Thinner(60, lambda: 1000.0)
    for number in range(100_000):
        assert thinner.left_out(number) == 0
    assert len(thinner._known) == logs.THINGS_KNOWN


@pytest.mark.parametrize("statement", ["INSERT INTO nowhere VALUES (:number)", "SELECT :number FROM nowhere"])
async def test_a_failed_statement_does_not_quote_its_values(tmp_path: Path, statement: str) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/x.db")
    with pytest.raises(Exception) as failed:  # noqa: PT011 - whatever it is, it must not tell
        async with database.connection() as connection:
            await connection.execute(text(statement), {"number": NUMBER})
    await database.close()
    shown, step = "", failed.value
    while step is not None:
        shown, step = f"{shown}{step}", step.__cause__ or step.__context__  # type: ignore[assignment]
    assert "nowhere" in shown
    assert NUMBER not in shown
