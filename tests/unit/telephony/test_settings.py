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


def faults(file: Path, content: str) -> list[str]:
    """Each fault of a file with this content, without the file's name before it."""
    file.write_text(content)
    with pytest.raises(SettingsError) as wrong:
        load(file, {})
    lines = str(wrong.value).splitlines()
    assert all(line.startswith(f"{file}: ") for line in lines), lines
    return [line.removeprefix(f"{file}: ") for line in lines]


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
        ("[ami]\nport = 70000\n", "s.toml: ami.port: write a whole number from 1 to 65535, like 5038"),
        ("[http]\nport = 'many'\n", "s.toml: http.port: write a whole number from 1 to 65535, like 8080"),
        ("[office]\nregion = 'Germany'\n", "s.toml: office.region: write two capital letters, the country's ISO 3166"),
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
        ("[crm.adapter]\nkind = 'webhook'\nurl = 'http://x'\n", "s.toml: crm.adapter.secret: is missing; add it"),
        ("[crm.adapter]\nkind = 'paper'\n", "crm.adapter: 'kind' is not known; write one of 'embedded', 'webhook'"),
        ("[crm.adapter]\n", "s.toml: crm.adapter: 'kind' is missing; add it"),
        ("[[phones]]\nname = 'p'\n[[phones]]\nname = 'p'\n", "phones has the name 'p' twice: names are unique"),
        ("[[queues]]\nname = 'service'\nlabel = {}\n", "wrap_up is 'required' but wrap_up_codes is empty"),
        ("[[queues]]\nname = 'a b'\nlabel = {}\nwrap_up = 'none'\n", "s.toml: queues.'a b'.name: write a name of"),
        ("[[queues]]\nname='service'\nlabel={}\nwrap_up='none'\noverflow='x'\n", "overflow names no queue: 'x'"),
    ],
)
def test_every_mistake_is_one_line_with_file_key_and_mend(here: Path, content: str, says: str) -> None:
    (here / "s.toml").write_text(content)
    assert says in refused(Path("s.toml"))


QUEUE = "[[queues]]\nname = '{name}'\nlabel = {{}}\nwrap_up = 'none'\n"


def test_all_mistakes_are_said_at_once_and_items_are_named_by_name(here: Path) -> None:
    told = faults(
        Path("s.toml"),
        "[office]\nregion = 'D'\nlanguage = 'fr'\n[ami]\nping_interval = 0\ntls = 'maybe'\nhost = 5\n[agi]\nallow = 1\n"
        + QUEUE.format(name="service")
        + "wrap_up_seconds = 'x'\nwrap_up_codes = [{ code = 'par cel', label = {} }, { label = 1 }]\n"
        + "[[queues]]\nlabel = { fr = 'Service' }\n",
    )
    assert told == [
        "office.region: write two capital letters, the country's ISO 3166 code, like DE",
        "office.language: write one of 'de' or 'en'",
        'ami.host: write text in quotes, like "127.0.0.1"',
        "ami.tls: write true or false",
        "ami.ping_interval: write a number from 0.05 to 60, like 5.0",
        'agi.allow: write a list in square brackets, like ["127.0.0.0/8", "::1/128"]',
        "queues.service.wrap_up_seconds: write a whole number from 5 to 3600",
        "queues.service.wrap_up_codes.'par cel'.code: "
        "write a code of capital letters, digits and _, at most 32, like PARCEL",
        "queues.service.wrap_up_codes number 2.code: is missing; add it",
        "queues.service.wrap_up_codes number 2.label: write a table in braces",
        "queues number 2.name: is missing; add it",
        "queues number 2.label.fr: write one of 'de' or 'en'",
    ]


def test_all_that_does_not_fit_together_is_said_at_once(here: Path) -> None:
    told = faults(
        Path("s.toml"),
        "[pbx]\nmanaged = false\nfallback_queue = 'nowhere'\nrtp_start = 9000\nrtp_end = 9000\n"
        + QUEUE.format(name="a") * 2
        + "overflow = 'x'\n",
    )
    assert [line.split(maxsplit=1)[0] for line in told] == [
        "queues", "pbx.fallback_queue", "queues.a.overflow", "pbx.rtp_end", "ami.secret",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("ami = 1\n", "ami: is a section: write [ami] and its keys below it"),
        ("phones = 'x'\n", "phones: write [[phones]] tables"),
        ("[pbx]\nfolder = 3\n", 'pbx.folder: write text in quotes, like "var/pbx"'),
        ("[crm]\nretry_first = 0\n", "crm.retry_first: write a number, more than 0 and at most 600, like 2.0"),
        ("[[queues]]\nname='service'\nlabel={}\nring_seconds=1.5\n", "a whole number from 3 to 120, like 15"),
    ],
)
def test_what_is_wanted_is_said_in_plain_words(here: Path, content: str, says: str) -> None:
    assert faults(Path("s.toml"), content)[0].endswith(says)


def test_relative_paths_count_from_the_settings_file_and_in_variables_from_here(here: Path) -> None:
    office = here / "office"
    office.mkdir()
    (office / "callfloor.toml").write_text(
        "[flows]\nfile = 'own.yaml'\n[pbx]\nasterisk = 'asterisk'\n[ami]\ntls_ca = '/etc/ca.pem'\n"
    )
    for file in (Path("office/callfloor.toml"), office / "callfloor.toml"):
        found = load(file, {"CALLFLOOR_FLOWS__PROMPTS": "voices"})
        assert found.storage.url == f"sqlite+aiosqlite:///{file.parent}/var/callfloor.db"
        assert (found.storage.folder, found.pbx.folder) == (file.parent / "var", file.parent / "var/pbx")
        assert (found.flows.file, found.flows.prompts) == (file.parent / "own.yaml", Path("voices"))
        assert (found.ami.tls_ca, found.pbx.asterisk) == (Path("/etc/ca.pem"), Path("asterisk"))
    named = load(None, {"CALLFLOOR_CONFIG": "office/callfloor.toml", "CALLFLOOR_STORAGE__URL": "sqlite:///x.db"})
    assert (named.storage.url, named.storage.folder) == ("sqlite:///x.db", Path("office/var"))
    for url in ("postgresql://u@h/x", "sqlite://", "sqlite:////srv/x.db", "sqlite:///:memory:"):
        (office / "callfloor.toml").write_text(f"[storage]\nurl = '{url}'\n")
        assert load(office / "callfloor.toml", {}).storage.url == url


def test_files_that_cannot_be_read(here: Path) -> None:
    assert "nope.toml: no such file; create it, or name another with --config" in refused(Path("nope.toml"))
    (here / "folder").mkdir()
    assert refused(Path("folder")) == "folder: is a folder; name the file in it, as folder/callfloor.toml"
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
