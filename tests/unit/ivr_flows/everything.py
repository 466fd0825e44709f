"""A flow with every kind of node, and what it takes to lead a caller through it without a shell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

from ivr_flows import engine
from ivr_flows.branches import Edge, edges
from ivr_flows.checks import House
from ivr_flows.ports import CallFacts, Finding, Level, Question, Recognition, Value
from ivr_flows.schema import Flow, parse
from ivr_flows.state import Answer, Ask, Command, Consult, Consulted, Finish, Next, Outcome, Play, Record, State
from ivr_flows.walk import enter

IBAN = "89370400440532013000"
"""A German account number as it is typed; its check digits are right."""
FACTS = CallFacts("pbx1-1.1", "+49301234567", "Erika", "allowed", "030123", "de")
KNOWN = Recognition("certain", "number of one customer", "0b51cf1a-8f3c-4b30-a4c5-90a2f0f3c001", "Erika", "en")
NONE = Recognition("none", "no customer has this number")
SHARED = Recognition("shared", "two customers")
WITHHELD = Recognition("withheld", "number not shown")
ORDER: dict[str, Value] = {
    "number": "204117",
    "total": 4990,
    "currency": "EUR",
    "status": "shipped",
    "placed_on": "2026-11-18",
}

FILES = {
    "everything.yaml": """
callfloor_flow: 1
name: everything
languages: [de, en]
default: {queue: person, priority: 2}
constants: {house: Linden}
words:
  shipped: {de: unterwegs, en: on its way}
  other: {de: in Arbeit, en: in the works}
step_limit: 60
start: hello
hangup: gone
nodes:
  hello: {type: say, text: {de: "Hallo {{ house }}", en: Hello}, next: who, error: speak}
  who: {type: recognise, known: open, shared: speak, withheld: number, unknown: speak, error: speak}
  speak:
    type: language
    text: {de: eins, en: two}
    choices: {1: de, 2: en}
    default: de
    next: number
    error: number
    hangup: gone_too
  number:
    type: authenticate
    text: {de: Nummer, en: number}
    wrong: {de: falsch, en: wrong}
    pin_text: {de: PIN, en: your PIN}
    pin_wrong: {de: falsche PIN, en: wrong PIN}
    speak_language: true
    least: 3
    most: 6
    next: open
    invalid: nothing
    timeout: main
    skipped: open
    locked: queue
    no_pin: main
    error: nothing
    hangup: gone_too
  open: {type: hours, hours: office, open: main, closed: later, holiday: message, emergency: bye, error: main}
  main:
    type: menu
    text: {de: Menü, en: menu}
    wrong: {de: wie bitte, en: pardon}
    choices:
      {1: orders, 2: bank, 3: later, 4: message, 5: erp, 6: part, 7: partner, 8: who, 9: queue, 0: bye, "*": last}
    tries: 2
    visits: 3
    exhausted: queue
    invalid: queue
    timeout: bye
    error: last
    hangup: gone_too
  orders: {type: lookup, what: orders, into: order, next: tell, none: nothing, refused: number, error: nothing}
  tell:
    type: say
    text:
      de: >-
        Bestellung {{ order.number | digits }} vom {{ order.placed_on | date }},
        {{ order.total | amount(order.currency) }}, ist {{ order.status | word }}.
      en: >-
        Order {{ order.number | digits }} of {{ order.placed_on | date }},
        {{ order.total | amount(order.currency) }}, is {{ order.status | word }}.
    next: main
    error: nothing
    hangup: gone_too
  nothing: {type: say, text: {de: nichts, en: nothing}, interrupt: false, next: main, error: main}
  bank:
    type: collect
    text: {de: IBAN, en: your IBAN}
    wrong: {de: keine IBAN, en: no IBAN}
    into: iban
    secure: true
    form: iban_de
    skip: "*"
    next: code
    invalid: queue
    timeout: main
    skipped: nothing
    error: last
  code:
    type: collect
    text: {de: Code, en: code}
    into: code
    least: 2
    most: 4
    next: confirm
    invalid: queue
    timeout: main
    error: last
    hangup: gone_too
  confirm:
    type: menu
    text: {de: "Endet sie auf {{ iban | last4 | digits }}?", en: "Does it end in {{ iban | last4 | digits }}?"}
    choices: {1: file, 2: bank}
    visits: 2
    exhausted: queue
    invalid: queue
    error: last
  file:
    type: request
    kind: bank_details
    fields: {iban: "{{ iban }}"}
    next: filed
    refused: queue
    error: last
  filed:
    type: say
    text: {de: "Vorgang {{ request_reference | spell }}", en: "Request {{ request_reference | spell }}"}
    next: main
    error: main
  later: {type: callback, queue: service, next: bye, already: nothing, refused: queue, error: last}
  message:
    type: message
    text: {de: nach dem Ton, en: after the tone}
    recipient: "'service'"
    next: bye
    empty: nothing
    refused: queue
    error: last
    hangup: gone_too
  erp:
    type: http
    url: https://erp.example.org/ivr/delay
    body: {level: "{{ caller.level }}"}
    take: [days]
    into: erp
    next: days
    timeout: nothing
    error: last
  days:
    type: say
    text: {de: "{{ erp.days | number }} Tage", en: "{{ erp.days | number }} days"}
    next: note
    error: note
  note: {type: set, values: {weeks: "{{ erp.days // 7 }}"}, next: late, error: last}
  late: {type: condition, when: erp.days > 3, then: queue, otherwise: main, error: last}
  part: {type: subflow, flow: part.yaml, next: main}
  partner: {type: transfer, to: partner}
  queue:
    type: route
    queue: service
    priority: 10 if caller.level == 'pin' else 5 if caller.proven else 0
    prefer: {seconds: 15}
    penalty: {most: 3}
    wait: 120
    overflow: later
    empty: message
    full: nothing
    keys: {1: main}
    visits: 2
    exhausted: last
    error: last
  last: {type: route, queue: person, language: de}
  bye: {type: hangup, text: {de: tschüss, en: bye}, error: last}
  gone: {type: http, url: https://erp.example.org/ivr/gone, into: ended, next: gone_too}
  gone_too: {type: lookup, what: queue, arguments: {queue: service}, into: queue}
""",
    "part.yaml": """
callfloor_flow: 1
name: part
languages: [de, en]
default: {queue: nowhere}
constants: {house: somebody else, product: Mantel}
words: {shipped: {de: nie gesagt, en: never said}, blue: {de: blau, en: blue}}
start: a
nodes:
  a: {type: say, text: {de: "{{ house }}, {{ product }}", en: coat}, next: b}
  b: {type: subflow, flow: deep.yaml, next: c}
  c: {type: return}
""",
    "deep.yaml": """
callfloor_flow: 1
name: deep
languages: [de, en]
default: {queue: nowhere}
start: a
nodes:
  a: {type: condition, when: product < 'N' and caller.known, then: b, otherwise: c, error: c}
  b: {type: say, text: {de: tief, en: deep}, next: c}
  c: {type: return}
""",
}
FLOW = parse(FILES["everything.yaml"], "everything.yaml", FILES.__getitem__)
HOUSE = House(
    queues=["service", "person"],
    hours=["office"],
    transfers=["partner"],
    exit_keys={"service": "1"},
    http=["https://erp.example.org/ivr/"],
)


def all_edges(flow: Flow) -> dict[tuple[str, str], Edge]:
    return {(node_id, edge.branch): edge for node_id, node in flow.nodes.items() for edge in edges(node)}


Brought: TypeAlias = Mapping[str, object]
"""Parts of a caller's state."""


def at(node: str, brought: Brought | None = None, *, flow: Flow = FLOW) -> Next:
    """A caller who comes to that node, with what she brings along of an earlier one."""
    state = State(facts=FACTS, language="de")
    return enter(flow, replace(state, **(brought or {})), node)  # type: ignore[arg-type]


def found(branch: str, **values: Value) -> Consulted:
    return Consulted(Finding(branch, values))


def recognised(branch: str, recognition: Recognition) -> Consulted:
    return Consulted(Finding(branch, recognition=recognition))


def lead(after: Next, *answers: Answer, flow: Flow = FLOW) -> Next:
    for answer in answers:
        assert not isinstance(after[1], Finish), f"the flow ended before {answer}"
        after = engine.step(flow, after[0], answer)
    return after


def proven(level: Level) -> Brought:
    return {"recognition": KNOWN, "level": level}


def texts(command: Command) -> list[str]:
    assert isinstance(command, Play | Ask | Record), command
    return [phrase.text for phrase in command.phrases]


def asked(command: Command) -> Question:
    assert isinstance(command, Consult), command
    return command.question


def ended(command: Command) -> Outcome:
    assert isinstance(command, Finish), command
    return command.outcome
