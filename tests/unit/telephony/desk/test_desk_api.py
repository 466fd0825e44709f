"""The routes: who may, what is taken, what is answered, in whose language."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from yarl import URL

from crm_bridge.database import DatabaseUnreachable
from crm_bridge.records import MAX_NOTE
from telephony.desk.bodies import NOTE_LIMIT
from telephony.desk.ports import Conflict, Readiness, Refused, Unavailable
from telephony.desk.problems import CATALOGUE, language
from telephony.desk.server import DeskError, DeskServer
from telephony.settings import Settings

if TYPE_CHECKING:
    from tests.unit.telephony.desk.conftest import Desk, OpenDesk

ROLES = {"agent": "anna", "supervisor": "sue", "admin": "adi"}
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/api/v1/session"): {"login": "anna", "password": "a good password"},
    ("PUT", "/api/v1/presence"): {"presence": "ready"},
    ("POST", "/api/v1/conversations/{conversation}/wrap-up"): {"code": "PARCEL", "note": "ok"},
    ("PUT", "/api/v1/conversations/{conversation}/note"): {"note": "draft"},
    ("PUT", "/api/v1/conversations/{conversation}/customer"): {"customer": "c-1"},
}


def concrete(path: str) -> str:
    return path.replace("{conversation}", "pbx1-1.1").replace("{item}", "7").replace("{file:.+}", "none.txt")


async def test_every_route_asks_for_its_roles_and_for_no_other(desk: Desk) -> None:
    clients = {role: await desk.signed_in(login) for role, login in ROLES.items()}
    for route in desk.server.routes:
        stranger = desk.browser()
        body = BODIES.get((route.method, route.path))
        options = {"json": body} if body else {}
        if not route.roles:
            answer = await desk.call(stranger, route.method, concrete(route.path), **options)
            assert answer.problem != "not-signed-in", route.path
            continue
        answer = await desk.call(stranger, route.method, concrete(route.path), **options)
        assert (answer.status, answer.problem) == (401, "not-signed-in"), route.path
        if route.method == "DELETE":
            continue
        for role, client in clients.items():
            answer = await desk.call(client, route.method, concrete(route.path), **options)
            assert (answer.problem == "role-missing") is (role not in route.roles), (route.path, role)
    asked = {call[0] for call in desk.office.asked}
    assert {"set_presence", "wrap_up", "save_note", "choose_customer", "outbox", "retry_outbox"} <= asked


async def test_what_supervisors_see_is_closed_to_agents(desk: Desk) -> None:
    client = await desk.signed_in("anna")
    for method, path in (("GET", "/api/v1/outbox"), ("POST", "/api/v1/outbox/7/retry")):
        answer = await desk.call(client, method, path)
        assert (answer.status, answer.problem) == (403, "role-missing")
    assert desk.office.asked == [("signed_in", "anna")]


async def test_nothing_is_served_that_is_not_in_the_table(desk: Desk) -> None:
    served = {(route.method, route.resource.canonical) for route in desk.server.app.router.routes() if route.resource}
    listed = {(route.method, route.path.replace(":.+", "")) for route in desk.server.routes}
    assert {(method, path) for method, path in served if method != "HEAD"} == listed
    for method, path, status in (("GET", "/api/v1/nothing", 404), ("PATCH", "/api/v1/presence", 405)):
        assert (await desk.call(desk.browser(), method, path)).status == status


async def test_presence_changes_and_the_answer_is_the_person_as_he_is_now(desk: Desk) -> None:
    client = await desk.signed_in("anna")
    answer = await desk.call(client, "PUT", "/api/v1/presence", json={"presence": "paused", "reason": "lunch"})
    assert (answer.json["presence"], answer.json["reason"]) == ("paused", "lunch")
    assert desk.office.asked[-1] == ("set_presence", "anna", "paused", "lunch")
    supervisor = await desk.signed_in("sue")
    answer = await desk.call(supervisor, "PUT", "/api/v1/presence", json={"presence": "ready"})
    assert (answer.status, answer.problem) == (409, "no-phone")


async def test_an_agent_closes_his_own_conversation_and_no_other(desk: Desk) -> None:
    desk.office.owners["pbx1-1.1"] = "anna"
    anna, ben = await desk.signed_in("anna"), await desk.signed_in("ben")
    path = "/api/v1/conversations/pbx1-1.1"
    answer = await desk.call(anna, "POST", f"{path}/wrap-up", json={"code": "PARCEL", "note": "sent"})
    assert answer.json == {"conversation": "pbx1-1.1", "code": "PARCEL"}
    assert desk.office.asked[-1] == ("wrap_up", "anna", "pbx1-1.1", "PARCEL", "sent")
    assert (await desk.call(anna, "PUT", f"{path}/note", json={"note": "ä"})).status == 204
    answer = await desk.call(anna, "PUT", f"{path}/customer", json={"customer": "c-1"})
    assert answer.json == {"conversation": "pbx1-1.1", "customer": "c-1"}
    for method, end, body in (
        ("POST", "wrap-up", {"code": "PARCEL"}),
        ("PUT", "note", {"note": ""}),
        ("PUT", "customer", {"customer": "c-1"}),
    ):
        answer = await desk.call(ben, method, f"{path}/{end}", json=body)
        assert (answer.status, answer.problem) == (404, "conversation-unknown")


@pytest.mark.parametrize(
    ("customer", "status"),
    [
        ("K 12/3", 200),
        ("Ä-2", 200),
        ("x" * 200, 200),
        ("x" * 201, 422),
        ("", 422),
        ("K\n12", 422),
        ("K12\n", 422),
        ("K\x9b12", 422),
    ],
)
async def test_a_customer_is_called_what_the_crm_calls_him(desk: Desk, customer: str, status: int) -> None:
    desk.office.owners["pbx1-1.1"] = "anna"
    anna = await desk.signed_in("anna")
    path = "/api/v1/conversations/pbx1-1.1/customer"
    assert (await desk.call(anna, "PUT", path, json={"customer": customer})).status == status
    assert (desk.office.asked[-1] == ("choose_customer", "anna", "pbx1-1.1", customer)) is (status == 200)


async def test_the_office_s_no_names_what_it_is_about(desk: Desk) -> None:
    desk.office.owners["1"] = "anna"
    client = await desk.signed_in("anna")
    answer = await desk.call(client, "POST", "/api/v1/conversations/1/wrap-up", json={"code": "OTHER"})
    assert (answer.status, answer.problem) == (422, "code-unknown")
    assert answer.json["params"] == {"code": "OTHER", "queue": "service"}
    assert "„OTHER“" in answer.json["detail"]


@pytest.mark.parametrize(
    ("failure", "status", "problem", "title"),
    [
        (Conflict("not-yet-in-the-table", place="7"), 409, "not-yet-in-the-table", "Zurzeit nicht möglich"),
        (Refused("not-yet-in-the-table"), 403, "not-yet-in-the-table", "Nicht erlaubt"),
        (Unavailable("pbx-down"), 503, "pbx-down", "Telefonanlage nicht erreichbar"),
        (DatabaseUnreachable("disk full"), 503, "database-down", "Datenbank nicht erreichbar"),
        (ZeroDivisionError("secret inside"), 500, "internal", "Interner Fehler"),
    ],
)
async def test_every_failure_is_a_problem_document(
    desk: Desk, failure: Exception, status: int, problem: str, title: str
) -> None:
    client = await desk.signed_in("anna")
    desk.office.failure = failure
    answer = await desk.call(client, "GET", "/api/v1/conversations")
    assert (answer.status, answer.problem, answer.json["title"]) == (status, problem, title)
    assert "secret inside" not in answer.raw.decode()


@pytest.mark.parametrize(
    ("raw", "content_type", "status", "problem", "errors"),
    [
        (b"{", "application/json", 400, "malformed-json", None),
        (b"", "application/json", 400, "malformed-json", None),
        (b"[1]", "application/json", 400, "malformed-json", None),
        (b'{"note": "\xff"}', "application/json", 400, "malformed-json", None),
        (b"[" * 60_000, "application/json", 400, "malformed-json", None),
        (b'{"note": "x"}', "text/plain", 415, "not-json", None),
        (b"note=x", "application/x-www-form-urlencoded", 415, "not-json", None),
        (b"{}", "application/json", 422, "invalid-fields", [("/note", "missing")]),
        (b'{"note": 1}', "application/json", 422, "invalid-fields", [("/note", "string_type")]),
        (b'{"note": "x", "a/b": 1}', "application/json", 422, "invalid-fields", [("/a~1b", "extra_forbidden")]),
        (json.dumps({"note": "x" * 8001}).encode(), "application/json", 422, "invalid-fields",
         [("/note", "string_too_long")]),
        (json.dumps({"note": "x" * 70_000}).encode(), "application/json", 413, "body-too-large", None),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_refused_before_the_office_hears_of_it(
    desk: Desk, raw: bytes, content_type: str, status: int, problem: str, errors: list[tuple[str, str]] | None
) -> None:
    client = await desk.signed_in("anna")
    answer = await desk.call(
        client, "PUT", "/api/v1/conversations/1/note", data=raw, headers={"Content-Type": content_type}
    )
    assert (answer.status, answer.problem) == (status, problem)
    if errors is not None:
        assert [(error["pointer"], error["reason"]) for error in answer.json["errors"]] == errors
    assert [call for call in desk.office.asked if call[0] == "save_note"] == []


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("from\r\nelsewhere\r", "from\nelsewhere\n"),
        ("nul\0 bell\a escape\x1b[31m delete\x7f c1\x9b", "nul bell escape[31m delete c1"),
    ],
)
async def test_a_note_keeps_its_lines_and_loses_what_no_database_and_no_terminal_can_take(
    desk: Desk, typed: str, kept: str
) -> None:
    desk.office.owners["pbx1-1.1"] = "anna"
    anna = await desk.signed_in("anna")
    path = "/api/v1/conversations/pbx1-1.1"
    assert (await desk.call(anna, "PUT", f"{path}/note", json={"note": typed})).status == 204
    assert desk.office.asked[-1] == ("save_note", "anna", "pbx1-1.1", kept)
    await desk.call(anna, "POST", f"{path}/wrap-up", json={"code": "PARCEL", "note": typed})
    assert desk.office.asked[-1] == ("wrap_up", "anna", "pbx1-1.1", "PARCEL", kept)


def test_a_note_may_be_as_long_here_as_where_it_is_kept() -> None:
    assert NOTE_LIMIT == MAX_NOTE


async def test_a_body_without_a_declared_length_is_cut_off_too(desk: Desk) -> None:
    async def endless() -> Any:
        for _ in range(70):
            yield b" " * 1024

    client = await desk.signed_in("anna")
    answer = await desk.call(
        client, "PUT", "/api/v1/presence", data=endless(), headers={"Content-Type": "application/json"}
    )
    assert answer.problem == "body-too-large"


async def test_a_login_is_text_that_a_database_takes(desk: Desk) -> None:
    body = {"login": "anna\0", "password": "a good password"}
    assert (await desk.call(desk.browser(), "POST", "/api/v1/session", json=body)).problem == "invalid-fields"


async def test_a_password_is_never_repeated(desk: Desk) -> None:
    answer = await desk.call(
        desk.browser(), "POST", "/api/v1/session", json={"login": "anna", "password": "hunter2", "extra": "hunter2"}
    )
    assert answer.problem == "invalid-fields"
    assert "hunter2" not in answer.raw.decode()


@pytest.mark.parametrize("bad", ["0", "201", "-1", "x", "1e3", "٣", "", "9" * 5000])
async def test_a_limit_is_a_number_in_its_range(desk: Desk, bad: str) -> None:
    client = await desk.signed_in("anna")
    answer = await desk.call(client, "GET", "/api/v1/conversations", params={"limit": bad})
    assert (answer.status, answer.problem) == (422, "invalid-fields")
    answer = await desk.call(client, "GET", "/api/v1/conversations", params={"limit": "1"})
    assert answer.json["items"][0]["customer_name"] == "Erika Muster"
    assert desk.office.asked[-1] == ("recent_conversations", "anna", "agent", 1)


@pytest.mark.parametrize("id", ["a%2F..%2Fb", "x" * 65, "%00", "a;b", "a|b"])
async def test_ids_that_cannot_be_ours_do_not_reach_the_office(desk: Desk, id: str) -> None:
    client = await desk.signed_in("sue")
    before = len(desk.office.asked)
    assert (await desk.call(client, "POST", f"/api/v1/outbox/{id}/retry")).status == 404
    answer = await desk.call(client, "PUT", f"/api/v1/conversations/{id}/note", json={"note": ""})
    assert answer.status == 404
    assert len(desk.office.asked) == before


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "Nicht gefunden"),
        ("en", "Not found"),
        ("en-GB,de;q=0.8", "Not found"),
        ("fr, de;q=0.3, en;q=0.2", "Nicht gefunden"),
        ("fr", "Nicht gefunden"),
    ],
)
async def test_strangers_are_answered_in_their_browser_s_language(
    desk: Desk, accept: str | None, expected: str
) -> None:
    headers = {} if accept is None else {"Accept-Language": accept}
    answer = await desk.call(desk.browser(**headers), "GET", "/nothing")
    assert answer.json["title"] == expected


@pytest.mark.parametrize(("login", "page"), [("anna", "en"), ("ben", "de")])
async def test_the_language_the_page_is_switched_to_goes_before_the_account_s(
    desk: Desk, login: str, page: str
) -> None:
    client = await desk.signed_in(login, **{"Accept-Language": page})
    answer = await desk.call(client, "PUT", "/api/v1/conversations/9/note", json={"note": ""})
    assert answer.headers["Content-Language"] == page
    assert answer.json["title"] == {"de": "Gespräch unbekannt", "en": "Conversation unknown"}[page]


async def test_people_are_answered_in_their_own_language(desk: Desk) -> None:
    for login, *expected in (("anna", "Gespräch unbekannt", "de"), ("ben", "Conversation unknown", "en")):
        client = await desk.signed_in(login, **{"Accept-Language": "fr"})
        answer = await desk.call(client, "PUT", "/api/v1/conversations/9/note", json={"note": ""})
        assert [answer.json["title"], answer.headers["Content-Language"]] == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [("de-AT", "de"), ("en;q=0", "de"), ("en;q=nan", "de"), ("en;q=x", "de"), (",;q=1,", "de"), ("*", "de"),
     ("en;q=0.1,de;q=0.2", "de"), ("EN", "en"), ("en ; q=0.5", "en")],
)  # fmt: skip
def test_a_language_is_chosen_from_whatever_a_browser_sends(accept: str, expected: str) -> None:
    assert language(accept, "de") == expected


def test_every_problem_has_its_texts_in_both_languages() -> None:
    for id, entry in CATALOGUE.items():
        assert 400 <= entry.status < 600, id
        for texts in (entry.title, entry.detail):
            assert set(texts) == {"de", "en"}, id
            assert all(texts.values()), id
        assert entry.detail["de"] != entry.detail["en"], id


async def test_the_document_describes_every_route(desk: Desk) -> None:
    document = (await desk.call(desk.browser(), "GET", "/api/v1/openapi.json")).json
    assert document["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert described == {(route.method, route.path.replace(":.+", "")) for route in desk.server.routes}
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for route in desk.server.routes:
        operation = document["paths"][route.path.replace(":.+", "")][route.method.lower()]
        assert ("requestBody" in operation) is (route.body is not None)
        assert operation.get("x-roles", []) == sorted(route.roles)
        assert ("401" in operation["responses"]) is (bool(route.roles) or route.path == "/api/v1/session")
    assert list(dangling(document, document)) == []
    assert document["components"]["schemas"]["SignIn"]["additionalProperties"] is False


def dangling(node: Any, document: Any) -> Any:
    """References of an OpenAPI document that point nowhere."""
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str):
            name = reference.removeprefix("#/components/schemas/")
            if name not in document["components"]["schemas"]:
                yield reference
        for value in node.values():
            yield from dangling(value, document)
    elif isinstance(node, list):
        for value in node:
            yield from dangling(value, document)


async def test_every_answer_carries_the_headers_that_keep_browsers_safe(desk: Desk) -> None:
    client = await desk.signed_in("anna")
    for path in ("/", "/nothing", "/api/v1/session", "/api/v1/nothing", "/healthz"):
        answer = await desk.call(client, "GET", path)
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert path == "/" or answer.headers["Cache-Control"] == "no-store"


async def test_strangers_are_not_told_which_versions_run_here(desk: Desk) -> None:
    for path in ("/", "/healthz", "/api/v1/session", "/nothing"):
        async with desk.browser().get(path) as answer:
            assert answer.headers.getall("Server") == ["Callfloor"], path


async def test_health_readiness_and_figures(desk: Desk) -> None:
    client = desk.browser()
    assert (await desk.call(client, "GET", "/healthz")).json == {"alive": True}
    assert (await desk.call(client, "HEAD", "/healthz")).status == 200
    assert (await desk.call(client, "GET", "/readyz")).status == 200
    desk.office.state = Readiness(False, ("no connection to Asterisk",))
    answer = await desk.call(client, "GET", "/readyz")
    assert (answer.status, answer.json) == (503, {"ready": False, "reasons": ["no connection to Asterisk"]})
    await desk.signed_in("anna")
    figures = (await desk.call(client, "GET", "/metrics")).raw.decode()
    assert 'callfloor_desk_sign_ins_total{result="accepted"} 1.0' in figures
    assert "callfloor_desk_sockets 0.0" in figures


async def test_pages_come_from_the_build_and_from_nowhere_else(open_desk: OpenDesk, tmp_path: Path) -> None:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<title>desk</title>")
    (static / "assets" / "index-4f3a.js").write_text("let x")
    (static / "link.txt").symlink_to(tmp_path / "desk.db")
    (tmp_path / "secret.txt").write_text("secret")
    desk = await open_desk(static=static)
    client = desk.browser()
    page = await desk.call(client, "GET", "/")
    assert (page.raw, page.headers["Cache-Control"]) == (b"<title>desk</title>", "no-cache")
    asset = await desk.call(client, "GET", "/assets/index-4f3a.js")
    assert (asset.raw, asset.headers["Cache-Control"]) == (b"let x", "public, max-age=31536000, immutable")
    for path in ("/%2e%2e/secret.txt", "/..%2fsecret.txt", "/assets/", "/link.txt", "/assets/../../secret.txt"):
        # As it is: the client would tidy the path up before it sends it.
        async with client.get(URL(desk.base + path, encoded=True)) as answer:
            assert answer.status == 404, path


async def test_without_a_build_the_page_says_how_to_make_one(desk: Desk) -> None:
    answer = await desk.call(desk.browser(), "GET", "/")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"run build" in answer.raw


async def test_a_port_that_is_taken_is_one_clear_line(desk: Desk) -> None:
    settings = Settings.model_validate({"http": {"port": desk.server.port}})
    second = DeskServer(settings, desk.accounts, desk.office, desk.board, CollectorRegistry())
    with pytest.raises(DeskError, match=rf"127\.0\.0\.1:{desk.server.port} .*http\.port") as taken:
        await second.start()
    assert "\n" not in str(taken.value)
    await second.stop()
