"""Which hosts count as this machine."""

from __future__ import annotations

import pytest

from telephony.ami.connection import is_loopback


@pytest.mark.parametrize(
    ("host", "near"),
    [("localhost", True), ("127.0.0.9", True), ("::1", True), ("10.0.0.1", False), ("localhost.example.org", False)],
)
def test_loopback(host: str, near: bool) -> None:
    assert is_loopback(host) is near
