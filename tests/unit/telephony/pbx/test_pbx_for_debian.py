"""The configuration for an Asterisk that Debian's package installed, as the container image has it."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from telephony.pbx.commands import pbx
from telephony.settings import Settings


def _rendered(tmp_path: Path, **options: object) -> Path:
    settings = Settings.model_validate({"pbx": {"folder": tmp_path / "pbx", **options}})
    etc = tmp_path / "etc"
    ended = CliRunner().invoke(pbx, ["render", "--for-debian", "--to", str(etc)], obj=settings)
    assert ended.exit_code == 0, ended.output
    return etc


def test_it_uses_the_folders_of_debians_package(tmp_path: Path) -> None:
    etc = _rendered(tmp_path)
    lines = (etc / "asterisk.conf").read_text().splitlines()
    assert f"astetcdir = {etc}" in lines
    assert "astrundir = /var/run/asterisk" in lines
    assert "astvarlibdir = /var/lib/asterisk" in lines
    assert "astlogdir = /var/log/asterisk" in lines
    assert f"directory = {etc}/music" in (etc / "musiconhold.conf").read_text().splitlines()
    assert [file.suffix for file in (etc / "music").iterdir()] == [".wav"]


def test_nobody_else_can_read_the_passwords_in_it(tmp_path: Path) -> None:
    etc = _rendered(tmp_path)
    assert etc.stat().st_mode & 0o077 == 0
    assert [file.name for file in etc.glob("*.conf") if file.stat().st_mode & 0o077] == []


def test_phones_are_told_the_address_they_can_reach(tmp_path: Path) -> None:
    lines = (_rendered(tmp_path, bind="0.0.0.0", external_address="192.0.2.7") / "pjsip.conf").read_text().splitlines()
    assert "external_media_address = 192.0.2.7" in lines
    assert "external_signaling_address = 192.0.2.7" in lines


def test_an_address_that_is_none_is_named(tmp_path: Path) -> None:
    settings = Settings.model_validate({"pbx": {"folder": tmp_path, "external_address": "office.example"}})
    ended = CliRunner().invoke(pbx, ["render", "--for-debian", "--to", str(tmp_path / "etc")], obj=settings)
    assert ended.exit_code == 2
    assert "pbx.external_address: is not an IP address" in ended.output
