"""Whoever steals Callfloor's AMI password gets calls, and not the machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from telephony.pbx.process import Asterisk

pytestmark = pytest.mark.asterisk

Connect = Callable[[Asterisk], Awaitable[Any]]


async def test_what_callfloor_needs_is_allowed(pbx: Asterisk, raw_ami: Connect) -> None:
    ami = await raw_ami(pbx)
    member = {"Queue": "service", "Interface": "PJSIP/phone1"}
    for action, headers in (
        ("Ping", {}),
        ("CoreStatus", {}),
        ("CoreShowChannels", {}),
        ("QueueStatus", {}),
        ("DeviceStateList", {}),
        ("QueueAdd", {**member, "MemberName": "anna", "Paused": "true", "Reason": "break"}),
        ("QueuePause", {"Interface": "PJSIP/phone1", "Paused": "false"}),
        ("QueueRemove", member),
    ):
        said = await ami.action(action, **headers)
        assert said["response"] == ["Success"], (action, said)


DANGEROUS: tuple[tuple[str, dict[str, str]], ...] = (
    ("Command", {"Command": "core show version"}),
    ("GetConfig", {"Filename": "manager.conf"}),
    ("UpdateConfig", {"SrcFilename": "manager.conf", "DstFilename": "manager.conf"}),
    ("ModuleLoad", {"LoadType": "reload"}),
    ("Reload", {}),
    ("DBPut", {"Family": "a", "Key": "b", "Val": "c"}),
    ("MixMonitor", {"Channel": "PJSIP/x", "File": "x.wav"}),
    ("Originate", {"Channel": "Local/1@callfloor-in", "Application": "System", "Data": "true", "Async": "true"}),
)


async def test_what_would_give_the_machine_away_is_refused(pbx: Asterisk, raw_ami: Connect) -> None:
    ami = await raw_ami(pbx)
    for action, headers in DANGEROUS:
        said = await ami.action(action, **headers)
        assert said["response"] == ["Error"], (action, said)
        assert any(word in said["message"][0] for word in ("Permission denied", "Access Forbidden")), (action, said)


async def test_a_wrong_password_is_refused(pbx: Asterisk, raw_ami: Connect) -> None:
    pbx.secrets = type(pbx.secrets)(ami="wrong", phones={})
    with pytest.raises(AssertionError, match="Error"):
        await raw_ami(pbx)
