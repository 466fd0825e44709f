"""Settings: files, variables, and the one line that every mistake in them is worth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from telephony.settings import Settings, SettingsError, load

GOOD = """
[office]
name = "Modehaus Linden"
[ami]
port = 5039
secret = "top-secret-ami"
[[queues]]
name = "service"
label = { de = "Service", en = "Service" }
wrap_up = "none"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(file: Path | None, environment: Mapping[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as wrong:
        load(file, environment or {})
    text = str(wrong.value)
    assert "\n" not in text
    return text


def test_without_a_file_everything_has_a_default(here: Path) -> None:
    assert load(None, {}) == Settings()


def test_the_file_is_found_here_by_name_and_by_variable(here: Path) -> None:
    (here / "callfloor.toml").write_text(GOOD)
    assert load(None, {}).ami.port == 5039
    (here / "other.toml").write_text("[ami]\nport = 5040\n")
    assert load(None, {"CALLFLOOR_CONFIG": "other.toml"}).ami.port == 5040
    assert load(here / "callfloor.toml", {"CALLFLOOR_CONFIG": "other.toml"}).ami.port == 5039


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[ami]\nprot = 1\n", "s.toml: ami.prot: unknown key; check its spelling, or remove it"),
        ("[amy]\nport = 1\n", "s.toml: amy: unknown key; check its spelling, or remove it"),
        ("[ami]\nport = 70000\n", "s.toml: ami.port: Input should be less than or equal to 65535"),
        ("[ami]\nport = 'x'\nhost = 5\n", "(and 1 more)"),
        ("[office]\ntime_zone = 'Mars/Base'\n", "no such time zone; use a name like Europe/Berlin"),
        ("[office\n", "s.toml: is not valid TOML: "),
        ("[pbx]\nfallback_queue = 'nowhere'\n", "pbx.fallback_queue names no queue: 'nowhere' (have: ['service'])"),
        ("[pbx]\nmanaged = false\n", "ami.secret is missing"),
        ("[agi]\nsecret = 'tooshort'\n", "s.toml: agi.secret: use 16 to 128 letters, digits, '_' and '-'"),
        ("[agi]\nsecret = 'sixteen,signs,${X}'\n", "s.toml: agi.secret: use 16 to 128 letters, digits, '_' and '-'"),
        ("[pbx]\nrtp_start = 9000\nrtp_end = 9000\n", "pbx.rtp_end must be above pbx.rtp_start"),
        ("[http]\npublic_url = 'desk.example.org'\n", "like https://desk.example.org"),
        ("[http]\npublic_url = 'https://example.org/desk'\n", "without a path"),
        ("[http]\npublic_url = 'https://me@example.org'\n", "without a name"),
        ("[http]\npublic_url = 'https://example.org:99999'\n", "like https://desk.example.org"),
        ("[crm.adapter]\nkind = 'webhook'\nurl = 'http://x'\n", "s.toml: crm.adapter.secret: Field required"),
        ("[crm.adapter]\nkind = 'paper'\n", "s.toml: crm.adapter: "),
        ("[[phones]]\nname = 'p'\n[[phones]]\nname = 'p'\n", "phones has the name 'p' twice: names are unique"),
        ("[[queues]]\nname = 'service'\nlabel = {}\n", "wrap_up is 'required' but wrap_up_codes is empty"),
        ("[[queues]]\nname = 'a b'\nlabel = {}\nwrap_up = 'none'\n", "s.toml: queues.0.name: "),
        ("[[queues]]\nname='service'\nlabel={}\nwrap_up='none'\noverflow='x'\n", "overflow names no queue: 'x'"),
    ],
)
def test_every_mistake_is_one_line_with_file_key_and_mend(here: Path, content: str, says: str) -> None:
    (here / "s.toml").write_text(content)
    assert says in refused(Path("s.toml"))


def test_files_that_cannot_be_read(here: Path) -> None:
    assert "nope.toml: no such file; create it, or name another with --config" in refused(Path("nope.toml"))
    (here / "folder").mkdir()
    assert "folder: cannot be read (Is a directory)" in refused(Path("folder"))
    (here / "latin.toml").write_bytes(b"[office]\nname = 'B\xfcro'\n")
    assert "latin.toml: is not UTF-8 text" in refused(Path("latin.toml"))


@pytest.mark.parametrize(
    ("variable", "text", "path", "value"),
    [
        ("CALLFLOOR_AMI__PORT", "5041", "ami.port", 5041),
        ("CALLFLOOR_AMI__PING_INTERVAL", "0.5", "ami.ping_interval", 0.5),
        ("CALLFLOOR_AMI__TLS", "true", "ami.tls", True),
        ("CALLFLOOR_AMI__HOST", "pbx.example.org", "ami.host", "pbx.example.org"),
        ("CALLFLOOR_OFFICE__NAME", "2026-01-01", "office.name", "2026-01-01"),
        ("CALLFLOOR_OFFICE__NAME", '"Quoted"', "office.name", "Quoted"),
        ("CALLFLOOR_OFFICE__NAME", '"half quoted', "office.name", '"half quoted'),
        ("CALLFLOOR_AGI__ALLOW", '["10.0.0.0/8"]', "agi.allow", ("10.0.0.0/8",)),
        ("CALLFLOOR_STORAGE__FOLDER", "/srv/callfloor", "storage.folder", Path("/srv/callfloor")),
    ],
)
def test_variables_lie_on_top_of_the_file(here: Path, variable: str, text: str, path: str, value: object) -> None:
    (here / "callfloor.toml").write_text(GOOD)
    found: object = load(None, {variable: text})
    for step in path.split("."):
        found = getattr(found, step)
    assert found == value


@pytest.mark.parametrize("secret", ["0123456789", "1e5", "true", "2026-01-01", "0x10", "it's = odd"])
def test_a_password_in_a_variable_stays_what_it_is(here: Path, secret: str) -> None:
    found = load(None, {"CALLFLOOR_AMI__SECRET": secret}).ami.secret
    assert found is not None
    assert found.get_secret_value() == secret


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"CALLFLOOR_AMI__PROT": "1"}, "CALLFLOOR_AMI__PROT: ami.prot: unknown key"),
        ({"CALLFLOOR_AMIPORT": "1"}, "CALLFLOOR_AMIPORT: amiport: unknown key"),
        ({"CALLFLOOR_AMI__PORT": "many"}, "CALLFLOOR_AMI__PORT: ami.port: "),
        ({"CALLFLOOR_AMI__PORT__X": "1"}, "CALLFLOOR_AMI__PORT__X: port is not a section"),
        ({"CALLFLOOR_CONFIG": "nope.toml"}, "nope.toml: no such file"),
    ],
)
def test_mistakes_in_variables_name_the_variable(here: Path, environment: dict[str, str], says: str) -> None:
    (here / "callfloor.toml").write_text(GOOD)
    assert says in refused(None, environment)


def test_variables_of_other_purposes_are_no_settings(here: Path) -> None:
    assert load(None, {"CALLFLOOR_NEW_PASSWORD": "x"}) == Settings()


def test_secrets_are_never_printed(here: Path) -> None:
    (here / "s.toml").write_text(GOOD)
    settings = load(Path("s.toml"), {})
    assert "top-secret-ami" not in f"{settings} {settings!r} {settings.model_dump_json()}"
    for content in (
        "[ami]\nsecret = ['top-secret-ami']\n",
        "[crm.adapter]\nkind = 'webhook'\nurl = 1\nsecret = 'top-secret-ami'\n",
        "[[phones]]\nname = 'A B'\nsecret = 'top-secret-ami'\n",
        "[storage]\nurl = 'postgresql://host/x'\npassword = 'top-secret-ami'\n",
    ):
        (here / "s.toml").write_text(content)
        assert "top-secret-ami" not in refused(Path("s.toml"))
