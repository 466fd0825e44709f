"""Where there is no Asterisk to be had, one line says so; and the list of system packages is sound."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from telephony.pbx import provision as provisioning
from telephony.pbx import system_packages
from telephony.pbx.errors import ProvisionError
from telephony.pbx.image import check_version, installed, parse_version, unpacked
from telephony.pbx.provision import image_folder, provision
from telephony.settings import Pbx


def _program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def _installed(root: Path, version: str) -> Path:
    (root / "usr/lib/asterisk/modules").mkdir(parents=True)
    (root / "usr/share/asterisk/sounds").mkdir(parents=True)
    return _program(root / "usr/sbin/asterisk", f"echo Asterisk {version}")


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("Asterisk 22.10.1+dfsg+~cs6", (22, 10, 1)),
        ("Asterisk 20.20.1", (20, 20, 1)),
        ("Asterisk certified/20.7-cert2", (20, 7, 0)),
    ],
)
def test_versions_are_read(said: str, version: tuple[int, int, int]) -> None:
    assert parse_version(said) == version


@pytest.mark.parametrize("version", [(18, 26, 4), (20, 20, 0), (21, 12, 0), (22, 10, 0)])
def test_old_releases_are_refused(version: tuple[int, int, int]) -> None:
    with pytest.raises(ProvisionError, match="too old"):
        check_version(version)


@pytest.mark.parametrize("version", [(20, 20, 1), (20, 21, 0), (22, 10, 1), (23, 0, 0)])
def test_new_releases_are_taken(version: tuple[int, int, int]) -> None:
    check_version(version)


def test_an_asterisk_of_ones_own_is_used_and_its_version_checked(tmp_path: Path) -> None:
    program = _installed(tmp_path / "good", "22.10.1")
    image = provision(Pbx(asterisk=program), lambda line: pytest.fail(line))
    assert image.command("asterisk", "-V") == [str(program), "-V"]
    assert image.modules == tmp_path / "good/usr/lib/asterisk/modules"
    with pytest.raises(ProvisionError, match=r"20\.1\.0 is too old"):
        provision(Pbx(asterisk=_installed(tmp_path / "old", "20.1.0")), lambda line: None)


def test_an_asterisk_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProvisionError, match=r"pbx\.asterisk: no such program: /nowhere/asterisk"):
        installed(Path("/nowhere/asterisk"))
    with pytest.raises(ProvisionError, match="has no modules"):
        installed(_program(tmp_path / "usr/sbin/asterisk", "true"))


def test_the_cache_folder_is_the_users_and_named_by_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/some/cache")
    before = image_folder(Pbx())
    assert re.fullmatch(r"/some/cache/callfloor/asterisk-[0-9a-f]{12}", str(before))
    monkeypatch.setattr(provisioning, "SUITE", "another")
    assert image_folder(Pbx()) != before
    assert image_folder(Pbx(image=Path("/mine"))) == Path("/mine")


def test_a_machine_without_apt_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProvisionError, match=r"apt-get.*pbx\.asterisk"):
        provision(Pbx(image=tmp_path / "image"), lambda line: None)
    assert not (tmp_path / "image").exists()


@pytest.mark.parametrize("mirror", ["not an address", "http://host/ [trusted=yes]", "ftp://host/debian"])
def test_a_mirror_cannot_smuggle_options_into_apts_sources(tmp_path: Path, mirror: str) -> None:
    with pytest.raises(ProvisionError, match=r"pbx\.mirror"):
        provisioning._download(tmp_path, mirror, lambda line: None)


def test_a_mirror_that_does_not_answer_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    if not provisioning.KEYRING.exists():
        pytest.skip("not a Debian machine: provisioning ends earlier here")
    with pytest.raises(ProvisionError, match=r"apt-get failed: .*pbx\.mirror") as refused:
        provision(Pbx(image=tmp_path / "image", mirror=f"file://{tmp_path}/empty"), lambda line: None)
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir() if "image" in path.name] == ["image.lock"]


def test_a_folder_that_is_no_image_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(ProvisionError, match="remove it"):
        unpacked(tmp_path)


def test_the_list_of_system_packages_has_every_section() -> None:
    text = system_packages.LIST.read_text()
    run, test, images = (system_packages.needed(text, section) for section in system_packages.SECTIONS)
    assert run
    assert test[: len(run)] == images[: len(run)] == run
    assert ("chromium", "chromium") in test
    assert ("buildah", "buildah") in images


@pytest.mark.parametrize("text", ["chromium:chromium", "# run\nchromium", "# run\n:x"])
def test_a_bad_line_in_the_list_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="line"):
        system_packages.needed(text, "run")


def test_what_is_missing_is_printed_with_the_command_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text("# run\nsh:dash\nno-such-program:some-package\n/no/such/file:other-package\n")
    monkeypatch.setattr(system_packages, "LIST", listing)
    assert system_packages.main(["--section", "run"]) == 1
    assert "apt-get install -y --no-install-recommends some-package other-package" in capsys.readouterr().err
    listing.write_text("# run\nsh:dash\n")
    assert system_packages.main(["--section", "run"]) == 0


def test_missing_packages_are_installed_for_root_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text("# run\nno-such-program:some-package\n")
    monkeypatch.setattr(system_packages, "LIST", listing)
    # An apt-get that only writes down what it was asked for.
    _program(tmp_path / "bin/apt-get", f'echo "$*" >> {tmp_path}/asked')
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert system_packages.main(["--section", "run", "--install"]) == 1
    assert not (tmp_path / "asked").exists()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert system_packages.main(["--section", "run", "--install"]) == 0
    assert (tmp_path / "asked").read_text().splitlines() == [
        "update -q", "install -q -y --no-install-recommends some-package"
    ]  # fmt: skip
