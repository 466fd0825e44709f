"""The images themselves: what is in them, whose they are, and what is not in them."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path

import pytest
from images.buildah import files_of
from images.compose import read
from images.conftest import IMAGES, MARK, ROOT, Built

from telephony.pbx.image import check_version, parse_version

pytestmark = pytest.mark.images

each_image = pytest.mark.parametrize("name", sorted(IMAGES))
_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{32}")
_NO_BUSINESS = re.compile(
    r"(^|/)(\.git|node_modules|secrets\.json|\.npmrc|pip\.conf|id_(rsa|ed25519))(/|$)|^run/ca\.crt$|^(root|home)/.+/"
)
"""Paths that a shipped image has no business to have."""


def found_secrets(path: str, content: bytes) -> list[str]:
    """What is wrong with a file of a layer."""
    wrong = []
    if MARK.encode() in content:
        wrong.append(f"{path}: holds a planted secret")
    if b"\0" not in content and _PRIVATE_KEY.search(content):  # crypto libraries test themselves with keys of their own
        wrong.append(f"{path}: holds a private key")
    if _NO_BUSINESS.search(path):
        wrong.append(f"{path}: should not be there")
    return wrong


@pytest.mark.parametrize(
    ("path", "content", "wrong"),
    [
        ("etc/motd", b"hello", 0),
        ("opt/callfloor/lib/x.py", b"-----BEGIN PRIVATE KEY-----", 0),
        ("opt/x", b"a\n" + MARK.encode() + b"\n", 1),
        ("opt/key", b"-----BEGIN RSA PRIVATE KEY-----\n" + b"A" * 64, 1),
        ("usr/lib/libcrypto.so", b"\x7fELF\0-----BEGIN RSA PRIVATE KEY-----\n" + b"A" * 64, 0),
        ("var/lib/callfloor/pbx/secrets.json", b"{}", 1),
        ("root/.npmrc", b"", 1),
        ("run/ca.crt", b"", 1),
        ("src/.git/config", b"", 1),
        ("root/.cache/pip/x", b"", 1),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_the_search_for_secrets_finds_them(path: str, content: bytes, wrong: int, compressed: bool) -> None:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w:gz" if compressed else "w") as tar:
        member = tarfile.TarInfo(f"./{path}")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    assert [len(found_secrets(*file)) for file in files_of(layer.getvalue())] == [wrong]


@each_image
def test_no_secret_is_in_any_layer(built: Built, name: str, tmp_path: Path) -> None:
    layers = built.buildah.layers(name, tmp_path / "image")
    assert len(layers) >= 2
    count = 0
    wrong = []
    for layer in layers:
        for path, content in files_of(layer):
            count += 1
            wrong += found_secrets(path, content)
    assert wrong == []
    assert count > 1000
    assert MARK not in json.dumps(built.buildah.inspect(name))


@each_image
def test_it_runs_as_the_user_that_owns_the_configuration(built: Built, name: str) -> None:
    config = built.buildah.config(name)
    assert config["User"] == "10001:10001"
    service = read()["services"]["callfloor" if name == "callfloor" else "asterisk"]
    assert service["user"] == config["User"]
    said = built.buildah.run(built.buildah.container(name), "id", "-u")
    assert said.stdout.strip() == "10001", said.stderr


@each_image
def test_its_health_check_is_the_one_of_the_compose_file(built: Built, name: str) -> None:
    service = read()["services"]["callfloor" if name == "callfloor" else "asterisk"]
    assert built.buildah.config(name)["Healthcheck"]["Test"] == service["healthcheck"]["test"]


@each_image
def test_its_user_can_change_no_program(built: Built, name: str) -> None:
    container = built.buildah.container(name)
    search = "find / -xdev ( -path /proc -o -path /sys -o -path /dev ) -prune -o -writable ! -type l -print"
    said = built.buildah.run(container, *search.split())
    writable = {line for line in said.stdout.splitlines() if line not in ("/tmp", "/var/tmp", "/run/lock")}
    own = {
        "callfloor": r"/var/lib/callfloor|/etc/asterisk",
        "callfloor-asterisk": r"/(etc|run|var/(lib|log|spool))/asterisk",
    }
    assert {path for path in writable if not re.match(own[name], path)} == set()
    assert writable, "the search found nothing at all: it did not run"


def test_callfloor_is_there_with_its_pages_and_without_tools(built: Built) -> None:
    buildah, container = built.buildah, built.buildah.container("callfloor")
    said = buildah.run(container, "callfloor", "--version")
    assert re.fullmatch(r"callfloor, version \d+\.\d+\.\d+\n", said.stdout), said.stderr
    package = next(buildah.root(container).glob("opt/callfloor/lib/python3*/site-packages/telephony"))
    page = (package / "desk/static/index.html").read_text()
    scripts = re.findall(r'(?:src|href)="/([^"]+)"', page)
    assert scripts
    assert all((package / "desk/static" / script).is_file() for script in scripts)
    assert not (package / "desk/web").exists()
    for tool in ("pip", "pip3", "npm", "node", "gcc"):
        assert buildah.run(container, "sh", "-c", f"command -v {tool}").returncode != 0, f"{tool} is in the image"
    assert "callfloor" in buildah.config("callfloor")["Cmd"]


def test_callfloor_has_exactly_the_locked_packages(built: Built) -> None:
    script = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
    said = built.buildah.run(built.buildah.container("callfloor"), "/opt/callfloor/bin/python", "-c", script)

    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    have = {plain(line.split()[0]): line.split()[1] for line in said.stdout.splitlines()}
    assert have.pop("callfloor")
    locked = re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert have.items() <= {plain(name): version for name, version in locked}.items()
    assert len(have) > 20


def test_the_doctor_runs_in_the_image_and_names_what_is_not_there(built: Built, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    said = built.buildah.run(
        built.buildah.container("callfloor"),
        "callfloor",
        "doctor",
        environment={"CALLFLOOR_AMI__SECRET_FILE": "/run/secrets/ami_secret", "CALLFLOOR_AMI__HOST": "127.0.0.1"},
        mounts={"/run/secrets/ami_secret": tmp_path / "secret"},
    )
    findings = re.findall(r"^(ok  |BAD ) ([a-z]+): (.*)$", said.stdout, re.MULTILINE)
    found = {what: (mark.strip(), text) for mark, what, text in findings}
    assert said.returncode == 1, said.stdout + said.stderr
    assert found["flow"][0] == "ok"
    assert found["database"][0] == "BAD"
    assert found["asterisk"][0] == "BAD"
    assert "127.0.0.1:5038" in found["asterisk"][1]


def test_without_its_password_it_says_so_in_one_line(built: Built) -> None:
    said = built.buildah.run(built.buildah.container("callfloor"), "callfloor", "serve")
    assert said.returncode == 2
    assert "ami.secret is missing" in said.stderr
    assert "Traceback" not in said.stderr


def test_prompts_can_be_spoken_in_both_languages(built: Built) -> None:
    container = built.buildah.container("callfloor")
    for voice in ("de", "en-gb"):
        said = built.buildah.run(container, "sh", "-c", f"echo eins | espeak-ng -v {voice} --stdin --stdout | wc -c")
        assert int(said.stdout) > 5000, said.stderr


def test_asterisk_is_new_enough_and_has_its_voices(built: Built) -> None:
    buildah, container = built.buildah, built.buildah.container("callfloor-asterisk")
    said = buildah.run(container, "asterisk", "-V")
    check_version(parse_version(said.stdout))
    for language in ("en", "de"):
        for sound in ("vm-goodbye", "vm-nobodyavail", "queue-thankyou"):
            found = buildah.run(container, "sh", "-c", f"ls /usr/share/asterisk/sounds/{language}/{sound}.*")
            assert found.returncode == 0, found.stderr
    assert buildah.run(container, "sh", "-c", "ls /etc/asterisk").stdout == ""
