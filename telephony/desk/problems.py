"""Everything that can go wrong for somebody at the desk: RFC 9457 documents with stable types, in German and English.

The table is the catalogue: what is not in it is shown by its kind (not found, conflict, ...) under its own type, so
that a program can still tell it from others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from telephony.desk.ports import Conflict, NotFound, OfficeError, Refused

TYPE_PREFIX = "urn:callfloor:problem:"
CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """Ends a request with a problem document. ``extra``: members beside the standard ones."""

    def __init__(
        self,
        id: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(id)
        self.id = id
        self.params = dict(params or {})
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        self.status = status if status is not None else CATALOGUE.get(id, _INTERNAL).status


@dataclass(frozen=True, slots=True)
class Entry:
    status: int
    title: Mapping[str, str]
    detail: Mapping[str, str]


def _entry(status: int, german: str, german_detail: str, english: str, english_detail: str) -> Entry:
    return Entry(status, {"de": german, "en": english}, {"de": german_detail, "en": english_detail})


CATALOGUE: dict[str, Entry] = {
    # -- the request itself
    "malformed-json": _entry(
        400, "Kein gültiges JSON", "Der Inhalt der Anfrage ist kein gültiges JSON-Objekt.",
        "Not valid JSON", "The body of the request is not a valid JSON object.",
    ),
    "bad-request": _entry(
        400, "Ungültige Anfrage", "Die Anfrage ist kein gültiges HTTP oder kein gültiger WebSocket-Aufbau.",
        "Bad request", "The request is not valid HTTP, or not a valid WebSocket handshake.",
    ),
    "invalid-fields": _entry(
        422, "Ungültige Angaben", "Mindestens eine Angabe ist ungültig; welche, steht in „errors“.",
        "Invalid fields", "At least one field is invalid; “errors” says which.",
    ),
    "body-too-large": _entry(
        413, "Anfrage zu groß", "Der Inhalt der Anfrage ist größer als {limit} Bytes.",
        "Request too large", "The body of the request is larger than {limit} bytes.",
    ),
    "body-late": _entry(
        408, "Anfrage unvollständig", "Der Inhalt der Anfrage kam nicht rechtzeitig an.",
        "Request incomplete", "The body of the request did not arrive in time.",
    ),
    "body-encoded": _entry(
        415, "Komprimierter Inhalt", "Der Inhalt der Anfrage darf nicht komprimiert sein („Content-Encoding“).",
        "Compressed body", "The body of the request must not be compressed (“Content-Encoding”).",
    ),
    "not-json": _entry(
        415, "Falscher Inhaltstyp", "Die Anfrage braucht den Inhaltstyp application/json.",
        "Wrong content type", "The request needs the content type application/json.",
    ),
    "no-such-page": _entry(
        404, "Nicht gefunden", "Unter dieser Adresse gibt es nichts.",
        "Not found", "There is nothing at this address.",
    ),
    "wrong-method": _entry(
        405, "Methode nicht erlaubt", "Diese Adresse kennt die Methode {method} nicht.",
        "Method not allowed", "This address does not know the method {method}.",
    ),
    "foreign-origin": _entry(
        403, "Fremde Herkunft", "Die Anfrage kommt nicht von der Seite dieses Arbeitsplatzes (Kopfzeile „Origin“).",
        "Foreign origin", "The request does not come from this desk's own page (header “Origin”).",
    ),
    "websocket-only": _entry(
        426, "Nur über WebSocket", "Diese Adresse spricht nur WebSocket.",
        "WebSocket only", "This address speaks WebSocket only.",
    ),
    "internal": _entry(
        500, "Interner Fehler", "Das durfte nicht geschehen; es ist protokolliert. Bitte erneut versuchen.",
        "Internal error", "This should not have happened; it is in the log. Please try again.",
    ),
    # -- who asks
    "not-signed-in": _entry(
        401, "Nicht angemeldet", "Bitte anmelden; die Sitzung fehlt oder ist abgelaufen.",
        "Not signed in", "Please sign in; the session is missing or has expired.",
    ),
    "wrong-credentials": _entry(
        401, "Anmeldung abgelehnt", "Anmeldename oder Kennwort ist falsch.",
        "Sign-in refused", "The login or the password is wrong.",
    ),
    "login-locked": _entry(
        429, "Zu viele Versuche", "Zu viele Anmeldeversuche. Bitte in {seconds} Sekunden erneut versuchen.",
        "Too many attempts", "Too many attempts to sign in. Please try again in {seconds} seconds.",
    ),
    "role-missing": _entry(
        403, "Nicht erlaubt", "Dafür ist eine dieser Rollen nötig: {roles}.",
        "Not allowed", "This needs one of these roles: {roles}.",
    ),
    # -- what the office says
    "not-found": _entry(
        404, "Nicht gefunden", "Das gibt es nicht (mehr).",
        "Not found", "This does not exist (any more).",
    ),
    "conflict": _entry(
        409, "Zurzeit nicht möglich", "Das ist im jetzigen Zustand nicht möglich.",
        "Not possible now", "This is not possible in the present state.",
    ),
    "refused": _entry(
        403, "Nicht erlaubt", "Das ist hier nicht erlaubt.",
        "Not allowed", "This is not allowed here.",
    ),
    "unavailable": _entry(
        503, "Vorübergehend gestört", "Ein Dienst dahinter antwortet nicht. Bitte gleich erneut versuchen.",
        "Temporarily unavailable", "A service behind this one does not answer. Please try again shortly.",
    ),
    "conversation-unknown": _entry(
        404, "Gespräch unbekannt", "Dieses Gespräch gibt es nicht, oder es gehört jemand anderem.",
        "Conversation unknown", "There is no such conversation, or it belongs to somebody else.",
    ),
    "no-phone": _entry(
        409, "Kein Telefon", "Diesem Zugang fehlt ein Telefon. Teamleitung oder Administration können eines zuordnen.",
        "No phone", "This account has no phone. A supervisor or administrator can assign one.",
    ),
    "pause-unknown": _entry(
        422, "Pausengrund unbekannt", "Den Pausengrund „{reason}“ gibt es nicht.",
        "Pause reason unknown", "There is no pause reason “{reason}”.",
    ),
    "presence-locked": _entry(
        409, "Zurzeit nicht möglich", "Im Zustand „{presence}“ lässt sich das nicht umstellen.",
        "Not possible now", "This cannot be changed while “{presence}”.",
    ),
    "wrap-up-open": _entry(
        409, "Nacharbeit offen", "Bitte zuerst das Ergebnis des Gesprächs wählen und abschließen.",
        "Wrap-up is open", "Please choose the outcome of the call and finish first.",
    ),
    "wrap-up-not-open": _entry(
        409, "Keine Nacharbeit", "Für dieses Gespräch ist keine Nacharbeit (mehr) offen.",
        "No wrap-up open", "No wrap-up is open for this conversation (any more).",
    ),
    "already-wrapped-up": _entry(
        409, "Schon abgeschlossen", "Dieses Gespräch ist bereits mit dem Ergebnis „{code}“ abgeschlossen.",
        "Already closed", "This conversation has already been closed with the outcome “{code}”.",
    ),
    "code-unknown": _entry(
        422, "Code unbekannt", "Den Code „{code}“ gibt es in der Warteschlange „{queue}“ nicht.",
        "Code unknown", "There is no code “{code}” in the queue “{queue}”.",
    ),
    "customer-not-offered": _entry(
        409, "Kunde steht nicht zur Wahl", "Dieser Kunde gehört nicht zu den Vorschlägen für dieses Gespräch.",
        "Customer is no candidate", "This customer is not among the candidates of this conversation.",
    ),
    "outbox-item-unknown": _entry(
        404, "Eintrag unbekannt", "Diesen Eintrag gibt es im Ausgang nicht (mehr).",
        "Item unknown", "There is no such item in the outbox (any more).",
    ),
    "request-unknown": _entry(
        404, "Anliegen unbekannt", "Dieses Anliegen gibt es nicht.",
        "Request unknown", "There is no such request.",
    ),
    "request-decided": _entry(
        409, "Schon entschieden", "Über dieses Anliegen hat „{by}“ schon entschieden.",
        "Already decided", "“{by}” has already decided on this request.",
    ),
    "request-locked": _entry(
        403, "Identität nicht geprüft",
        "Die neue Bankverbindung wurde ohne PIN angesagt: Prüfen Sie erst, wer angerufen hat.",
        "Identity not checked", "The new bank details were given without a PIN: first check who called.",
    ),
    "message-unknown": _entry(
        404, "Nachricht unbekannt", "Diese Nachricht gibt es nicht, oder sie ist für jemand anderen.",
        "Message unknown", "There is no such message, or it is for somebody else.",
    ),
    "callback-unknown": _entry(
        404, "Rückruf unbekannt", "Diesen Rückruf gibt es nicht (mehr).",
        "Call-back unknown", "There is no such call-back (any more).",
    ),
    "queue-unknown": _entry(
        422, "Warteschlange unbekannt", "Die Warteschlange „{queue}“ gibt es nicht.",
        "Queue unknown", "There is no queue “{queue}”.",
    ),
    "number-not-callable": _entry(
        422, "Nummer nicht erlaubt", "Diese Nummer ist ungültig, oder sie darf nicht angerufen werden.",
        "Number not allowed", "This number is not valid, or may not be called.",
    ),
    "web-token-wrong": _entry(
        401, "Kein Zugang", "Das Token fehlt oder ist falsch (callbacks.web_token).",
        "No access", "The token is missing or wrong (callbacks.web_token).",
    ),
    "flow-version-unknown": _entry(
        404, "Version unbekannt", "Die Version {version} des Ablaufs „{flow}“ gibt es nicht.",
        "Version unknown", "There is no version {version} of the flow “{flow}”.",
    ),
    "pin-too-simple": _entry(
        422, "PIN zu einfach", "Diese PIN würde jeder zuerst probieren. Bitte eine andere wählen.",
        "PIN too simple", "This PIN is the first that anybody would try. Please choose another.",
    ),
    "pbx-down": _entry(
        503, "Telefonanlage nicht erreichbar", "Die Verbindung zur Telefonanlage fehlt. Sie wird wieder aufgebaut.",
        "Telephone system unreachable", "The connection to the telephone system is down. It is being restored.",
    ),
    "database-down": _entry(
        503, "Datenbank nicht erreichbar", "Die Datenbank antwortet nicht. Bitte gleich erneut versuchen.",
        "Database unreachable", "The database does not answer. Please try again shortly.",
    ),
}  # fmt: skip

_INTERNAL = CATALOGUE["internal"]


class _Blank(dict[str, Any]):
    """A text is never lost for want of a parameter."""

    def __missing__(self, key: str) -> str:
        return "?"


def document(problem: Problem, language: str, fallback: Entry | None = None) -> dict[str, Any]:
    """The problem as JSON data, its texts in the language (``de`` or ``en``)."""
    entry = CATALOGUE.get(problem.id) or fallback or _INTERNAL
    return {
        **problem.extra,
        "type": TYPE_PREFIX + problem.id,
        "title": entry.title[language],
        "status": problem.status,
        "detail": entry.detail[language].format_map(_Blank(problem.params)),
    }


def response(problem: Problem, language: str, fallback: Entry | None = None) -> web.Response:
    return web.Response(
        status=problem.status,
        body=orjson.dumps(document(problem, language, fallback)),
        content_type=CONTENT_TYPE,
        headers={"Content-Language": language, **problem.headers},
    )


def general(error: OfficeError) -> Entry:
    """The texts for the office's answer when its id has none of its own."""
    if isinstance(error, NotFound):
        return CATALOGUE["not-found"]
    if isinstance(error, Conflict):
        return CATALOGUE["conflict"]
    if isinstance(error, Refused):
        return CATALOGUE["refused"]
    return CATALOGUE["unavailable"]


def of_office(error: OfficeError) -> tuple[Problem, Entry]:
    """The office's answer as a problem, and the texts to fall back to."""
    entry = general(error)
    known = CATALOGUE.get(error.id)
    problem = Problem(
        error.id,
        params=error.params,
        extra={"params": error.params} if error.params else None,
        status=(known or entry).status,
    )
    return problem, entry


def language(accept: str | None, default: str) -> str:
    """``de`` or ``en``, whichever an ``Accept-Language`` prefers (RFC 9110, 12.5.4); ``default`` when neither."""
    best, best_weight = default, 0.0
    for part in (accept or "")[:500].split(","):
        tag, _, rest = part.strip().partition(";")
        primary = tag.strip().lower().partition("-")[0]
        weight = 1.0
        name, _, number = rest.strip().partition("=")
        if name.strip() == "q":
            try:
                weight = float(number)
            except ValueError:
                weight = 0.0
        if primary in ("de", "en") and weight > best_weight:
            best, best_weight = primary, weight
    return best
