"""Passwords that come out of files of their own, as containers are given them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from telephony.settings import SettingsError, Storage, load


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A settings file that sets nothing."""
    file = tmp_path / "callfloor.toml"
    file.touch()
    return file


@pytest.mark.parametrize("content", ["s3cret", "s3cret\n", "s3cret\r\n"])
def test_a_variable_can_name_a_file_that_holds_its_value(empty: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "password").write_text(content)
    settings = load(empty, {"CALLFLOOR_AMI__SECRET_FILE": str(tmp_path / "password")})
    assert settings.ami.secret is not None
    assert settings.ami.secret.get_secret_value() == "s3cret"


def test_a_password_that_looks_like_toml_stays_text(empty: Path, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("12345\n")
    settings = load(empty, {"CALLFLOOR_AMI__SECRET_FILE": str(tmp_path / "password")})
    assert settings.ami.secret is not None
    assert settings.ami.secret.get_secret_value() == "12345"


def test_a_key_that_is_called_file_is_still_a_key(empty: Path) -> None:
    assert load(empty, {"CALLFLOOR_FLOWS__FILE": "own.yaml"}).flows.file == Path("own.yaml")


def test_a_file_that_cannot_be_read_is_named_with_its_variable(empty: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^CALLFLOOR_AMI__SECRET_FILE: .*/none cannot be read \(No such file"):
        load(empty, {"CALLFLOOR_AMI__SECRET_FILE": str(tmp_path / "none")})
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"binary is not UTF-8 text"):
        load(empty, {"CALLFLOOR_AMI__SECRET_FILE": str(tmp_path / "binary")})


def test_a_misspelt_key_from_a_file_is_an_error_all_the_same(empty: Path, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret")
    with pytest.raises(SettingsError, match="unknown key") as told:
        load(empty, {"CALLFLOOR_AMI__SECRT_FILE": str(tmp_path / "password")})
    assert "s3cret" not in str(told.value)


@given(password=st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_database_password_reaches_the_database_unchanged(password: str) -> None:
    storage = Storage.model_validate({"url": "postgresql+asyncpg://callfloor@db:5432/office", "password": password})
    url = make_url(storage.url)
    assert (url.username, url.password) == ("callfloor", password)
    assert (url.host, url.port, url.database) == ("db", 5432, "office")


@pytest.mark.parametrize("url", ["postgresql+asyncpg://db/office", "postgresql+asyncpg://callfloor:other@db/office"])
def test_a_database_password_needs_exactly_one_place_to_go(empty: Path, url: str) -> None:
    with pytest.raises(SettingsError, match=r"storage\.password needs a user to go with") as told:
        load(empty, {"CALLFLOOR_STORAGE__URL": url, "CALLFLOOR_STORAGE__PASSWORD": "s3cret"})
    assert "s3cret" not in str(told.value)
