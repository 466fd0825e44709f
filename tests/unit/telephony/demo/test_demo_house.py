"""The demo's house is one demo's alone."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from telephony.app import load_flow
from telephony.demo.house import ORDERS_LINE, DemoError, claim, furnish


def test_a_folder_belongs_to_one_demo_and_is_emptied_for_it(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old.db").write_text("x")
    lock = claim(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["lock"]
    with pytest.raises(DemoError, match="another demo works in this folder"):
        claim(tmp_path)
    os.close(lock)
    os.close(claim(tmp_path))


def test_a_port_that_is_wanted_and_taken_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DemoError, match=f"port {port} is taken"):
            furnish(tmp_path, port)


def test_the_house_has_sound_settings_and_a_flow_for_two_lines(tmp_path: Path) -> None:
    house = furnish(tmp_path, None)
    assert {queue.name for queue in house.settings.queues} == {"service", "orders"}
    assert house.config.stat().st_mode & 0o077 == 0
    flow = load_flow(house.settings)
    assert ORDERS_LINE in (tmp_path / "flow.yaml").read_text(encoding="utf-8")
    assert {"line", "to_orders", "to_service"} <= set(flow.document.nodes)
