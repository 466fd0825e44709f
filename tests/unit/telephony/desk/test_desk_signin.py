"""Signing in and out over HTTP: cookies, lock-out, origins, sessions that end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from multidict import CIMultiDict

if TYPE_CHECKING:
    from tests.unit.telephony.desk.conftest import Desk, OpenDesk

SESSION = "/api/v1/session"
SIGN_IN = {"login": "anna", "password": "a good password"}
WRONG = {"login": "anna", "password": "another password"}


async def test_a_right_password_opens_the_desk(desk: Desk) -> None:
    client = desk.browser()
    answer = await desk.call(client, "POST", SESSION, json=SIGN_IN)
    assert answer.status == 200
    assert (answer.json["login"], answer.json["presence"], answer.json["queues"]) == ("anna", "paused", ["service"])
    cookie = answer.cookies["callfloor_session"]
    flags = (cookie["httponly"], cookie["samesite"], cookie["secure"], cookie["path"], cookie["max-age"])
    assert flags == (True, "Strict", "", "/", str(12 * 3600))
    assert (await desk.call(client, "GET", SESSION)).json == answer.json
    assert desk.office.asked == [("signed_in", "anna")]


async def test_behind_tls_the_cookie_is_secure_and_the_browser_told_to_stay(open_desk: OpenDesk) -> None:
    desk = await open_desk(http={"public_url": "https://desk.example.org"})
    client = desk.browser(origin=False, Origin="https://desk.example.org")
    answer = await desk.call(client, "POST", SESSION, json=SIGN_IN)
    assert answer.cookies["callfloor_session"]["secure"] is True
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


@pytest.mark.parametrize("body", [WRONG, {"login": "nobody", "password": "x"}, {"login": "ANNA", "password": "x"}])
async def test_a_wrong_password_and_an_unknown_login_look_the_same(desk: Desk, body: dict[str, str]) -> None:
    answer = await desk.call(desk.browser(), "POST", SESSION, json=body)
    expected = await desk.call(desk.browser(), "POST", SESSION, json=WRONG)
    assert (answer.status, answer.problem) == (401, "wrong-credentials")
    assert answer.json == expected.json
    assert "callfloor_session" not in answer.cookies


async def test_a_closed_account_cannot_sign_in(desk: Desk) -> None:
    await desk.accounts.update("anna", active=False)
    answer = await desk.call(desk.browser(), "POST", SESSION, json=SIGN_IN)
    assert answer.problem == "wrong-credentials"


async def test_guessing_is_stopped_even_with_the_right_password_and_forgiven_in_time(desk: Desk) -> None:
    client = desk.browser()
    for _ in range(6):
        assert (await desk.call(client, "POST", SESSION, json=WRONG)).status == 401
    locked = await desk.call(client, "POST", SESSION, json=SIGN_IN)
    assert (locked.status, locked.problem, locked.headers["Retry-After"]) == (429, "login-locked", "5")
    assert "5 Sekunden" in locked.json["detail"]
    desk.clock.now += 5
    assert (await desk.call(client, "POST", SESSION, json=SIGN_IN)).status == 200


async def test_signing_out_ends_the_session_and_takes_the_cookie(desk: Desk) -> None:
    client = await desk.signed_in("anna")
    token = {cookie.key: cookie.value for cookie in client.cookie_jar}["callfloor_session"]
    answer = await desk.call(client, "DELETE", SESSION)
    assert (answer.status, answer.cookies["callfloor_session"].value) == (204, "")
    assert desk.office.asked[-1] == ("signed_out", "anna")
    again = await desk.call(desk.browser(Cookie=f"callfloor_session={token}"), "GET", SESSION)
    assert again.problem == "not-signed-in"


async def test_with_a_second_browser_open_a_person_stays_at_work(desk: Desk) -> None:
    first, second = await desk.signed_in("anna"), await desk.signed_in("anna")
    await desk.call(first, "DELETE", SESSION)
    assert ("signed_out", "anna") not in desk.office.asked
    assert (await desk.call(second, "GET", SESSION)).status == 200


async def test_a_session_ends_when_its_time_is_over_and_the_office_hears_of_it(desk: Desk) -> None:
    client = await desk.signed_in("anna")
    desk.clock.now += 12 * 3600
    assert (await desk.call(client, "GET", SESSION)).problem == "not-signed-in"
    await desk.server.sweep()
    await desk.server.sweep()
    assert desk.office.asked.count(("signed_out", "anna")) == 1


async def test_after_a_restart_the_office_learns_who_is_there(desk: Desk) -> None:
    client = await desk.signed_in("anna")
    desk.board.drop("me", "anna")
    assert (await desk.call(client, "GET", SESSION)).json["login"] == "anna"
    assert desk.office.asked == [("signed_in", "anna")] * 2


async def test_no_session_is_left_when_the_office_cannot_take_somebody_in(desk: Desk) -> None:
    desk.office.failure = RuntimeError("a fault of ours")
    answer = await desk.call(desk.browser(), "POST", SESSION, json=SIGN_IN)
    assert (answer.status, answer.problem) == (500, "internal")
    assert "a fault of ours" not in answer.raw.decode()
    assert await desk.accounts.signed_in() == set()


@pytest.mark.parametrize(
    ("http", "origin", "host", "allowed"),
    [
        (None, "own", None, True),
        (None, "http://desk.test:9", "desk.test:9", True),
        (None, None, None, False),
        (None, "null", None, False),
        (None, "https://evil.example", None, False),
        (None, "http://127.0.0.1", None, False),
        (None, "file://", "", False),
        (None, "http://", "", False),
        (None, "http://[::1", "[::1", False),
        (None, "http://desk.test", "desk.test:80", True),
        (None, "http://desk.test/page", "desk.test", False),
        (None, "http://me@desk.test", "me@desk.test", False),
        ({"public_url": "https://desk.test"}, "https://desk.test", None, True),
        ({"public_url": "https://desk.test/"}, "https://desk.test", None, True),
        ({"public_url": "https://Desk.Test:443/"}, "https://desk.test", None, True),
        ({"public_url": "https://desk.test:8443"}, "https://desk.test:8443", None, True),
        ({"public_url": "https://desk.test:8443"}, "https://desk.test", None, False),
        ({"public_url": "https://bücher.test"}, "https://xn--bcher-kva.test", None, True),
        ({"public_url": "https://desk.test"}, "https://[::1", None, False),
        ({"public_url": "https://desk.test"}, "http://desk.test", None, False),
        ({"public_url": "https://desk.test"}, "own", None, False),
        ({"public_url": "https://desk.test"}, "https://desk.test.evil.example", None, False),
    ],
)
async def test_only_our_own_page_may_change_things(
    open_desk: OpenDesk, http: dict[str, Any] | None, origin: str | None, host: str | None, allowed: bool
) -> None:
    desk = await open_desk(http=http)
    headers = {} if origin is None else {"Origin": desk.base if origin == "own" else origin}
    if host is not None:
        headers["Host"] = host
    answer = await desk.call(desk.browser(origin=False, **headers), "POST", SESSION, json=SIGN_IN)
    assert (answer.status == 200) is allowed
    assert allowed or answer.problem == "foreign-origin"


async def test_another_sites_page_changes_nothing_even_with_the_cookie(desk: Desk) -> None:
    client = await desk.signed_in("anna")
    evil = {"Origin": "https://evil.example"}
    changing = [route for route in desk.server.routes if route.unsafe]
    assert {route.method for route in changing} == {"POST", "PUT", "DELETE", "GET"}
    for route in changing:
        path = route.path.replace("{conversation}", "1").replace("{item}", "7")
        answer = await desk.call(client, route.method, path, headers=evil, json={})
        assert (answer.status, answer.problem) == (403, "foreign-origin"), path
    assert desk.office.asked == [("signed_in", "anna")]


@pytest.mark.parametrize(
    ("trusted", "forwarded", "expected"),
    [
        (False, ["203.0.113.9"], "127.0.0.1"),
        (True, ["203.0.113.9"], "203.0.113.9"),
        (True, ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        # HAProxy adds a line of its own to the client's.
        (True, ["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        (True, ["198.51.100.1, 198.51.100.2", "203.0.113.9"], "203.0.113.9"),
        (True, ["2001:DB8:0::9"], "2001:db8::9"),
        (True, ["198.51.100.1, whatever the client likes"], "127.0.0.1"),
        (True, ["198.51.100.1,"], "127.0.0.1"),
        (True, [""], "127.0.0.1"),
        (True, [], "127.0.0.1"),
    ],
)
async def test_the_address_that_is_counted_is_the_proxys_word_only_when_trusted(
    open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch, trusted: bool, forwarded: list[str], expected: str
) -> None:
    desk = await open_desk(http={"trust_proxy": trusted})
    seen: list[str] = []
    authenticate = desk.accounts.authenticate

    async def noted(login: str, password: str, address: str) -> Any:
        seen.append(address)
        return await authenticate(login, password, address)

    monkeypatch.setattr(desk.accounts, "authenticate", noted)
    lines = CIMultiDict([("X-Forwarded-For", line) for line in forwarded])
    await desk.call(desk.browser(), "POST", SESSION, json=SIGN_IN, headers=lines)
    assert seen == [expected]


async def test_a_made_up_address_in_front_of_the_proxys_frees_nobody_of_the_limit(open_desk: OpenDesk) -> None:
    desk = await open_desk(http={"trust_proxy": True})
    client, answers = desk.browser(), []
    for number in range(60):
        lines = CIMultiDict([("X-Forwarded-For", f"10.0.{number}.1"), ("X-Forwarded-For", "203.0.113.7")])
        body = {"login": f"nobody{number}", "password": "x"}
        answers.append((await desk.call(client, "POST", SESSION, json=body, headers=lines)).status)
    assert answers[-1] == 429
