"""Rendering is a function of the settings, and no value gets out of its place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.pbx.credentials import Secrets, load_or_make
from telephony.pbx.errors import RenderError
from telephony.pbx.image import Image
from telephony.pbx.render import FILES, Folders, keypad, render, write
from telephony.settings import Settings

IMAGE = Image(root=Path("/"), modules=None, data=Path("/usr/share/asterisk"))
FOLDERS = Folders.of(Path("/srv/pbx"))
QUEUES = [{"name": name, "label": {}, "wrap_up": "none"} for name in ("service", "sales")]


def _settings(**over: Any) -> Settings:
    return Settings.model_validate({"queues": QUEUES, "phones": [{"name": "anna"}], **over})


def _render(settings: Settings, **passwords: str) -> dict[str, str]:
    phones = {phone.name: passwords.get("phone", "pw-phone") for phone in settings.phones}
    secrets = Secrets(ami=passwords.get("ami", "pw-ami"), phones=phones, agi=passwords.get("agi", "pw-agi"))
    return render(settings, secrets, IMAGE, FOLDERS)


def _sections(text: str) -> dict[str, dict[str, list[str]]]:
    """What Asterisk reads: sections of the same name joined, the last of which counts for a key."""
    sections: dict[str, dict[str, list[str]]] = {}
    current: dict[str, list[str]] = {}
    for raw in text.splitlines():
        line = re.sub(r"(?<!\\);.*", "", raw).strip()
        if found := re.fullmatch(r"\[([^\]]+)\]", line):
            current = sections.setdefault(found[1], {})
        elif line:
            key, _, value = line.partition("=")
            current.setdefault(key.strip(), []).append(value.lstrip(">").strip().replace(r"\;", ";"))
    return sections


def test_every_file_is_rendered_and_nothing_is_left_over() -> None:
    files = _render(_settings())
    assert set(files) == set(FILES)
    templates = Path(__file__).parents[4] / "telephony/pbx/templates"
    assert {path.name for path in templates.iterdir()} == set(FILES)
    for name, text in files.items():
        assert "{{" not in text, name
        assert "{%" not in text, name
        assert text.endswith("\n"), name


def test_the_folders_are_for_us_alone(tmp_path: Path) -> None:
    folders = Folders.of(tmp_path / "pbx")
    folders.make()
    for folder in (folders.etc, folders.state, folders.spool, folders.log, folders.run):
        assert folder.stat().st_mode & 0o777 == 0o700, folder


def test_the_ami_user_has_the_least_rights() -> None:
    manager = _sections(_render(_settings())["manager.conf"])
    assert manager["general"]["webenabled"] == ["no"]
    assert manager["general"]["bindaddr"] == ["127.0.0.1"]
    assert manager["callfloor"]["read"] == ["system,call,agent,user"]
    assert manager["callfloor"]["write"] == ["call,agent,originate,reporting"]
    assert manager["callfloor"]["permit"] == ["127.0.0.1/32", "::1/128"]
    assert manager["callfloor"]["secret"] == ["pw-ami"]


@pytest.mark.parametrize(
    ("pbx", "identified"),
    [
        ({}, {"match_header": ["X-Callfloor-Trunk: yes"]}),
        ({"trunk_addresses": ["203.0.113.7", "198.51.100.0/24"]}, {"match": ["203.0.113.7", "198.51.100.0/24"]}),
    ],
)
def test_the_trunk_is_known_by_its_header_or_its_addresses_never_both(
    pbx: dict[str, Any], identified: dict[str, list[str]]
) -> None:
    section = _sections(_render(_settings(pbx=pbx))["pjsip.conf"])["callfloor-trunk-identify"]
    assert {key: value for key, value in section.items() if key.startswith("match")} == identified


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        ({}, {"max_contacts": ["1"], "transport": ["callfloor-udp"]}),
        ({"contact": "sip:anna@192.0.2.7:5062;transport=udp"}, {"contact": ["sip:anna@192.0.2.7:5062;transport=udp"]}),
        ({"webrtc": True}, {"webrtc": ["yes"], "transport": ["callfloor-ws"], "allow": ["opus,alaw,ulaw"]}),
    ],
)
def test_kinds_of_phones(phone: dict[str, Any], expected: dict[str, list[str]]) -> None:
    section = _sections(_render(_settings(phones=[{"name": "anna", **phone}]))["pjsip.conf"])["anna"]
    assert {key: section.get(key) for key in expected} == expected
    assert section["context"] == ["callfloor-phones"]
    assert section["device_state_busy_at"] == ["1"]
    assert section["password"] == ["pw-phone"]


def test_queues_follow_the_settings() -> None:
    queue = {**QUEUES[0], "strategy": "rrmemory", "ring_seconds": 9, "weight": 4, "announce_position": True}
    section = _sections(_render(_settings(queues=[queue]))["queues.conf"])["service"]
    wanted = {"strategy": "rrmemory", "timeout": "9", "weight": "4", "announce-position": "yes", "ringinuse": "no"}
    assert {key: section[key] for key in wanted} == {key: [value] for key, value in wanted.items()}
    assert "member" not in section


def test_the_dialplan_tries_both_servers_and_knows_every_queue() -> None:
    queues = [{**QUEUES[0], "overflow": "sales", "wait_limit": 77}, QUEUES[1]]
    settings = _settings(queues=queues, agi={"host": "10.0.0.1", "second": "10.0.0.2:4574"}, pbx={"ivr_limit": 42})
    plan = _render(settings)["extensions.conf"]
    first, second = plan.index("AGI(agi://10.0.0.1:4573/ivr/pw-agi,"), plan.index("AGI(agi://10.0.0.2:4574/ivr/pw-agi,")
    assert first < second < plan.index("callfloor-fallback,start,1")
    assert "Set(TIMEOUT(absolute)=42)" in plan
    assert "Queue(service,tck,,,77)" in plan
    assert "callfloor-route,sales,1" in plan
    assert "exten => q-sales,1" in plan


def test_a_call_becomes_a_conversation_when_it_is_known_whether_its_number_may_be_shown() -> None:
    plan = _render(_settings())["extensions.conf"]
    ways_in = plan[plan.index("[callfloor-in]") : plan.index("exten => T,1")].split("exten => ")[1:]
    assert len(ways_in) == 2
    for way in ways_in:
        assert way.rindex("Set(CALLERID(") < way.index("Set(__CALLFLOOR_ID=") < way.index("Answer()")


def test_without_a_secret_the_dialplan_says_none() -> None:
    assert "AGI(agi://127.0.0.1:4573/ivr,$" in _render(_settings(), agi="")["extensions.conf"]


def test_keypad_numbers_do_not_take_a_phones_own_name() -> None:
    settings = _settings(phones=[{"name": "anna"}, {"name": "701"}, {"name": "ben"}])
    assert keypad(settings) == [(702, "701"), (703, "ben"), (801, "q-service"), (802, "q-sales")]


def test_only_modules_that_are_there_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "app_queue.so").touch()
    (tmp_path / "chan_iax2.so").touch()
    image = Image(root=Path("/"), modules=tmp_path, data=Path("/usr/share/asterisk"))
    text = render(_settings(), Secrets(ami="a", phones={"anna": "b"}), image, FOLDERS)["modules.conf"]
    assert _sections(text)["modules"] == {"autoload": ["no"], "load": ["app_queue.so"]}


@pytest.mark.parametrize(
    ("over", "named"),
    [
        ({"ami": {"username": "x]\n[root"}}, "ami.username"),
        ({"ami": {"username": "general"}}, "ami.username"),
        ({"ami": {"tls": True}}, "ami.tls"),
        ({"agi": {"host": "a,b)"}}, "agi.host"),
        ({"agi": {"second": "host/evil:1"}}, "agi.host and agi.second"),
        ({"agi": {"second": "host"}}, "agi.host and agi.second"),
        ({"pbx": {"bind": "0.0.0.0\nsecret=x"}}, "pbx.bind"),
        ({"pbx": {"ami_permit": ["everybody"]}}, "pbx.ami_permit"),
        ({"pbx": {"trunk_addresses": ["10.0.0.1\n"]}}, "pbx.trunk_addresses"),
        ({"pbx": {"trunk_match_header": "no header"}}, "pbx.trunk_match_header"),
        ({"pbx": {"trunk_match_header": None}}, "pbx.trunk_match_header"),
        ({"pbx": {"ice_host_candidates": {"10.0.0.1": "x"}}}, "pbx.ice_host_candidates"),
        ({"phones": [{"name": "anna", "contact": "sip:a@b\nx"}]}, "phones.anna.contact"),
        ({"phones": [{"name": "h"}]}, "phones: 'h'"),
        ({"phones": [{"name": "q-sales"}]}, "phones: 'q-sales'"),
        ({"phones": [{"name": "callfloor-trunk"}]}, "phones: 'callfloor-trunk'"),
        ({"queues": [*QUEUES, {"name": "general", "label": {}, "wrap_up": "none"}]}, "queues: 'general'"),
    ],
)
def test_what_cannot_be_rendered_is_named(over: dict[str, Any], named: str) -> None:
    with pytest.raises(RenderError, match=re.escape(named)):
        _render(_settings(**over))


@given(st.text(min_size=1, max_size=40))
def test_a_password_never_becomes_anything_but_a_value(password: str) -> None:
    settings = _settings()
    plain = {name: list(_sections(text)) for name, text in _render(settings).items()}
    try:
        files = _render(settings, ami=password, phone=password)
    except RenderError:
        assert not password.isprintable() or password != password.strip()
        return
    assert {name: list(_sections(text)) for name, text in files.items()} == plain
    assert _sections(files["manager.conf"])["callfloor"]["secret"] == [password]
    assert _sections(files["pjsip.conf"])["anna"]["password"] == [password]


def test_passwords_are_made_once_and_kept_for_a_phone_that_comes_back(tmp_path: Path) -> None:
    here = {"pbx": {"folder": tmp_path}}
    first = load_or_make(_settings(**here))
    assert load_or_make(_settings(**here)) == first
    without = load_or_make(_settings(**here, phones=[]))
    assert (without.ami, without.phones) == (first.ami, {})
    assert load_or_make(_settings(**here)) == first
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert first.ami not in repr(first)
    assert first.agi not in repr(first)
    assert len(first.agi) >= 24
    assert len({first.ami, first.agi, *first.phones.values()}) == 3


def test_a_secret_for_fastagi_is_made_for_an_asterisk_of_ours_alone(tmp_path: Path) -> None:
    here = {"pbx": {"folder": tmp_path}}
    (tmp_path / "secrets.json").write_text('{"ami": "kept", "phones": {}}')  # an earlier version's
    made = load_or_make(_settings(**here))
    assert made.ami == "kept"
    assert made.agi
    own = {"pbx": {"folder": tmp_path, "managed": False}, "ami": {"secret": "kept"}}
    assert load_or_make(_settings(**own)).agi == ""
    assert load_or_make(_settings(**own, agi={"secret": "sixteen-and-more"})).agi == "sixteen-and-more"


def test_passwords_of_the_settings_go_first_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    phones = [{"name": "anna", "secret": "given"}]
    secrets = load_or_make(_settings(pbx={"folder": tmp_path}, phones=phones, ami={"secret": "mine"}))
    assert (secrets.ami, secrets.phones) == ("mine", {"anna": "given"})
    assert "given" not in (tmp_path / "secrets.json").read_text()
    assert "mine" not in (tmp_path / "secrets.json").read_text()
    (tmp_path / "secrets.json").write_text("{}")
    with pytest.raises(RenderError, match=r"secrets\.json.*damaged"):
        load_or_make(_settings(pbx={"folder": tmp_path}))


def test_writing_tells_what_changed(tmp_path: Path) -> None:
    assert write({"a.conf": "1\n", "b.conf": "2\n"}, tmp_path / "etc") == {"a.conf", "b.conf"}
    assert write({"a.conf": "1\n", "b.conf": "3\n"}, tmp_path / "etc") == {"b.conf"}
    assert (tmp_path / "etc/b.conf").read_text() == "3\n"
    assert (tmp_path / "etc/b.conf").stat().st_mode & 0o777 == 0o600


def test_a_long_path_gets_a_short_folder_for_the_control_socket() -> None:
    folders = Folders.of(Path("/srv") / ("long" * 30))
    assert len(str(folders.run / "asterisk.ctl")) < 108
    assert Folders.of(Path("/srv/pbx")).run == Path("/srv/pbx/run")
