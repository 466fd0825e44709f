"""The compose file as a document: no engine is needed to see what it promises."""

from __future__ import annotations

import re
import subprocess
import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from images.compose import FILE, filled, is_one_shot, mounts, read, scratch

from telephony.settings import load

pytestmark = pytest.mark.images

ROOT = FILE.parent.parent
DOCUMENT = read()
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
STAYING = sorted(name for name in SERVICES if not is_one_shot(DOCUMENT, name))
_SECRET_KEY = re.compile(r"PASSWORD|SECRET|TOKEN|KEY", re.IGNORECASE)
each_service = pytest.mark.parametrize("name", sorted(SERVICES))


def test_there_is_what_an_office_needs() -> None:
    assert STAYING == ["asterisk", "callfloor", "postgres"]


def test_variables_are_filled_in_as_compose_does() -> None:
    assert filled({"a": ["${X:-1}:${Y:-2}"]}, {"Y": "3"}) == {"a": ["1:3"]}
    with pytest.raises(KeyError):
        filled("${X}", {})


@pytest.mark.parametrize("name", STAYING)
def test_a_service_that_stays_has_a_health_check_and_comes_back(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= check.keys()
    assert SERVICES[name]["restart"] == "unless-stopped"


@each_service
def test_nobody_is_root_or_can_become_root(name: str) -> None:
    service = SERVICES[name]
    user, _, group = service["user"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["read_only"] is True
    assert not {"privileged", "cap_add", "devices", "pid", "ipc", "userns_mode"} & service.keys()
    assert service.get("network_mode", "none") == "none"


@each_service
def test_nothing_of_the_host_is_mounted_but_read_only_settings(name: str) -> None:
    for mount in mounts(SERVICES[name]):
        if mount.is_volume:
            assert mount.source in DOCUMENT["volumes"]
        else:
            assert not mount.writable
            assert (FILE.parent / mount.source).is_file()
            assert mount.source.startswith("./")


@each_service
def test_passwords_are_files(name: str) -> None:
    for key, value in SERVICES[name].get("environment", {}).items():
        if _SECRET_KEY.search(key):
            assert key.endswith("_FILE")
            folder, _, secret = value.rpartition("/")
            assert folder == "/run/secrets"
            assert secret in SERVICES[name]["secrets"]
        assert not re.search(r"://[^/@\s]*:[^/@\s]*@", value), f"{key} has a password in its address"
    for secret in SERVICES[name].get("secrets", ()):
        assert DOCUMENT["secrets"][secret].keys() == {"file"}


def test_the_files_with_passwords_are_out_of_the_repository() -> None:
    paths = [FILE.parent / secret["file"] for secret in DOCUMENT["secrets"].values()]
    paths.append(FILE.parent / ".env")
    for path in paths:
        asked = subprocess.run(["git", "check-ignore", "--quiet", str(path)], cwd=ROOT, check=False)
        assert asked.returncode == 0, f"git would take {path.name}"


@each_service
def test_ports_are_published_on_this_machine_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        address, outside, inside = port.rsplit(":", 2)
        assert ip_address(address).is_loopback
        assert outside == inside.partition("/")[0]


def test_an_office_address_moves_all_published_ports_and_what_phones_are_told() -> None:
    services = read({"OFFICE_ADDRESS": "192.0.2.7"})["services"]
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert len(published) == 4
    assert all(port.startswith("192.0.2.7:") for port in published)
    assert services["configuration"]["environment"]["CALLFLOOR_PBX__EXTERNAL_ADDRESS"] == "192.0.2.7"


def test_ami_fastagi_and_sql_stay_on_a_network_without_a_way_out() -> None:
    assert DOCUMENT["networks"]["inner"]["internal"] is True
    assert SERVICES["postgres"]["networks"] == ["inner"]
    published = " ".join(port for service in SERVICES.values() for port in service.get("ports", ()))
    assert not re.search(r":(5038|4573|5432)\b", published)


@each_service
def test_images_are_built_from_files_that_are_there_or_have_a_version(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        context = (FILE.parent / service["build"]["context"]).resolve()
        assert context == ROOT
        assert (context / service["build"]["dockerfile"]).is_file()
    else:
        assert re.fullmatch(r"[a-z]+:\d+[a-z0-9.-]*", service["image"])


@each_service
def test_who_is_waited_for_exists_and_can_be_waited_for(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert other in STAYING
        else:
            assert how["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no"


def test_asterisk_sees_the_configuration_and_the_prompts_where_they_are_written_and_changes_neither() -> None:
    written = {mount.source: mount for name in ("configuration", "callfloor") for mount in mounts(SERVICES[name])}
    seen = {mount.source: mount for mount in mounts(SERVICES["asterisk"])}
    for volume in ("asterisk-configuration", "prompts"):
        assert seen[volume].target == written[volume].target
        assert written[volume].writable
        assert not seen[volume].writable
    assert SERVICES["asterisk"]["user"] == SERVICES["configuration"]["user"] == SERVICES["callfloor"]["user"]


def test_the_settings_are_valid_and_fit_the_compose_file(tmp_path: Path) -> None:
    for name in ("configuration", "callfloor"):
        environment = dict(SERVICES[name]["environment"])
        for key, value in environment.items():
            if key.endswith("_FILE"):
                (tmp_path / Path(value).name).write_text("s3cret-of-sixteen\n")
                environment[key] = str(tmp_path / Path(value).name)
        settings = load(FILE.parent / "callfloor.toml", environment)
        subnet = DOCUMENT["networks"]["inner"]["ipam"]["config"][0]["subnet"]
        assert settings.pbx.ami_permit == (subnet,)
        assert settings.ami.host in SERVICES
        assert settings.agi.host == SERVICES["callfloor"]["hostname"]
        assert not settings.pbx.managed
        assert settings.agi.secret is not None
    # The last ones are the service's own.
    assert settings.agi.allow == (subnet,)
    assert settings.storage.url == "postgresql+asyncpg://callfloor:s3cret-of-sixteen@postgres/callfloor"
    ports = " ".join(SERVICES["asterisk"]["ports"] + SERVICES["callfloor"]["ports"])
    for port in (f"{settings.pbx.sip_port}/udp", f"{settings.pbx.ws_port}/tcp", f"{settings.http.port}/tcp"):
        assert f":{port}" in ports
    assert f":{settings.pbx.rtp_start}-{settings.pbx.rtp_end}/udp" in ports


def test_the_settings_that_are_shipped_hold_no_password() -> None:
    def keys(tree: object) -> set[str]:
        if isinstance(tree, dict):
            return set(tree) | {key for part in tree.values() for key in keys(part)}
        return {key for part in tree for key in keys(part)} if isinstance(tree, list) else set()

    assert not {"secret", "password"} & keys(tomllib.loads((FILE.parent / "callfloor.toml").read_text()))


def test_what_a_read_only_service_writes_to_is_its_own() -> None:
    assert "/run/asterisk" in scratch(SERVICES["asterisk"])
    assert "/tmp" in scratch(SERVICES["callfloor"])


def test_make_secrets_makes_each_password_once_behind_a_closed_door(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets"
    script.write_bytes((FILE.parent / "make-secrets").read_bytes())
    paths = [tmp_path / secret["file"] for secret in DOCUMENT["secrets"].values()]
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    first = [path.read_text().strip() for path in paths]
    assert all(re.fullmatch(r"[A-Za-z0-9_=-]{32}", word) for word in first)
    assert len(set(first)) == len(paths)
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in paths)
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    assert [path.read_text().strip() for path in paths] == first
