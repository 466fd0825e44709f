"""What is sealed opens with its key, for what it is about, and for nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from crm_bridge.sealing import FILE, Sealer, SealError, load_or_make

OLD, NEW = {"k1": bytes(32)}, {"k1": bytes(32), "k2": bytes(range(32))}


def test_sealed_and_opened_again() -> None:
    sealer = Sealer(OLD)
    sealed = sealer.seal("DE89370400440532013000", "1234567")
    assert "8937" not in sealed
    assert sealed != sealer.seal("DE89370400440532013000", "1234567")
    assert sealer.open(sealed, "1234567") == "DE89370400440532013000"


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    sealed = Sealer(OLD).seal("x", "a")
    both = Sealer(NEW)
    assert both.open(sealed, "a") == "x"
    assert both.seal("x", "a").startswith("k2.")


@pytest.mark.parametrize("altered", ["k1.AAAA", "k1.", "k1.not base64", "k9.AAAA", "", "k1"])
def test_what_is_altered_does_not_open(altered: str) -> None:
    with pytest.raises(SealError):
        Sealer(OLD).open(altered, "a")


def test_what_is_moved_to_something_else_does_not_open() -> None:
    sealer = Sealer(OLD)
    with pytest.raises(SealError, match="belongs to something else"):
        sealer.open(sealer.seal("x", "1234567"), "7654321")


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    sealed = load_or_make(tmp_path).seal("x", "a")
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert load_or_make(tmp_path).open(sealed, "a") == "x"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"k1": "c2hvcnQ="}', '{"k1": 3}', "{"])
def test_a_damaged_key_file_is_said_and_never_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(SealError, match="restore it from a backup"):
        load_or_make(tmp_path)
    assert (tmp_path / FILE).read_text() == content
