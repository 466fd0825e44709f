"""The board: everything that people see, as a store of entities with one numbered stream of changes.

An entity is ``(kind, id) -> value`` with an audience. Each change gets the next number of one global sequence, and
reaches exactly the viewers it concerns: a client that keeps what it is sent holds, at any moment, what a fresh
snapshot would give it. The last changes are kept, so that a client that was away asks for what it missed (field.md,
20). The numbers mean something only within one epoch: another process, another person or another role is another one.

No clock and no socket here. A change of a value for one login costs one serialisation and one write, however many
viewers there are; a value for everyone costs one write each, which is why the kinds that everyone sees can be paced:
their changes wait, the newest one wins, until ``flush``.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import orjson

PACED_KINDS = frozenset({"queue", "agent", "waiting", "office"})
"""Kinds that many people watch and nobody needs within the millisecond."""

KEPT_CHANGES = 8192
KEPT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may see an entity: everyone, or people with one of the roles, or one of the logins."""

    everyone: bool = False
    roles: frozenset[str] = frozenset()
    logins: frozenset[str] = frozenset()

    def admits(self, login: str, role: str) -> bool:
        return self.everyone or login in self.logins or role in self.roles


EVERYONE = Audience(everyone=True)
NOBODY = Audience()
SUPERVISION = Audience(roles=frozenset({"supervisor", "admin"}))


@lru_cache(maxsize=2048)
def only(*logins: str) -> Audience:
    """These people and nobody else. There are many pops for few people, so equal ones are one."""
    return Audience(logins=frozenset(logins))


def supervision_and(*logins: str) -> Audience:
    """Supervisors and admins, and these people."""
    return Audience(roles=SUPERVISION.roles, logins=frozenset(logins))


class Viewer:
    """One open desk.

    ``send`` takes one or several whole frames. It must neither block nor raise, and must not change the board: a
    viewer that cannot keep up is cut off by the owner of its connection.
    """

    __slots__ = ("login", "role", "send")

    def __init__(self, login: str, role: str, send: Callable[[bytes], None]) -> None:
        self.login = login
        self.role = role
        self.send = send


_Waiting = tuple[bytes | Callable[[], Any], Audience] | None
"""A change that waits: the new value, or what makes it; none for a drop."""


@dataclass(slots=True)
class _Entity:
    head: bytes
    value: bytes
    audience: Audience


@dataclass(frozen=True, slots=True)
class _Change:
    """What one step of the sequence was, for whoever asks later."""

    seq: int
    before: Audience | None
    after: Audience | None
    put: bytes
    drop: bytes
    value_changed: bool

    def seen_by(self, viewer: Viewer) -> bytes:
        """The frame this viewer gets of it; empty when it does not concern him."""
        had = self.before is not None and self.before.admits(viewer.login, viewer.role)
        has = self.after is not None and self.after.admits(viewer.login, viewer.role)
        if has:
            return self.put if self.value_changed or not had else b""
        return self.drop if had else b""


def _fitted(data: bytes) -> bytes:
    """A copy that takes no more memory than it needs: what orjson gives keeps several times its size."""
    return bytes(memoryview(data))


def _unframed(payload: bytes) -> bytes:
    return payload


class Board:
    """The entities, who watches them, and the last changes.

    ``frame`` wraps a JSON text for the wire, once per change and not once per viewer. Changes of ``paced`` kinds
    wait for ``flush``; ``on_pending`` is called when the first one begins to wait.
    """

    def __init__(
        self,
        *,
        frame: Callable[[bytes], bytes] = _unframed,
        paced: frozenset[str] = frozenset(),
        kept_changes: int = KEPT_CHANGES,
        kept_bytes: int = KEPT_BYTES,
        epoch: str | None = None,
    ) -> None:
        self.on_pending: Callable[[], None] | None = None
        self._frame = frame
        self._paced = paced
        self._epoch = epoch if epoch is not None else secrets.token_urlsafe(9)
        self._seq = 0
        self._entities: dict[str, dict[str, _Entity]] = {}
        self._pending: dict[tuple[str, str], _Waiting] = {}
        self._changes: deque[_Change] = deque()
        self._change_bytes = 0
        self._kept_changes = kept_changes
        self._kept_bytes = kept_bytes
        self._forgotten = 0
        """The number of the newest change that is no longer kept."""
        self._viewers: set[Viewer] = set()
        self._by_login: dict[str, set[Viewer]] = {}
        self._by_role: dict[str, set[Viewer]] = {}
        self._batch: dict[Viewer, list[bytes]] | None = None
        self._gathered: dict[tuple[str, str], _Waiting] | None = None
        self._unsent: dict[Viewer, list[bytes]] = {}

    # -- what is known ---------------------------------------------------------------------------------------------

    @property
    def seq(self) -> int:
        """The number of the last change; 0 before the first."""
        return self._seq

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    @property
    def pending(self) -> int:
        """How many changes wait for ``flush``."""
        return len(self._pending)

    def watched_by(self, login: str) -> bool:
        """Whether this person has a desk open."""
        return login in self._by_login

    def value(self, kind: str, id: str) -> Any:
        """The value as JSON data, or none. It is a copy."""
        entity = self._entities.get(kind, {}).get(id)
        return None if entity is None else orjson.loads(entity.value)

    def ids(self, kind: str) -> list[str]:
        """The ids of all entities of a kind."""
        return list(self._entities.get(kind, ()))

    def epoch(self, login: str, role: str) -> str:
        """Within what this viewer's numbers hold. Role and login are part of it: they decide what he was sent."""
        return f"{self._epoch}.{role}.{login}"

    # -- changes ---------------------------------------------------------------------------------------------------

    def put(self, kind: str, id: str, value: Any, audience: Audience) -> None:
        """Set an entity's whole value and who sees it. The same again is no change and is not sent.

        ``value``: anything orjson takes (mappings, dataclasses, numbers, strings).
        """
        data = orjson.dumps(value)
        if kind in self._paced:
            self._wait((kind, id), (data, audience))
        elif self._gathered is not None:
            self._gathered[kind, id] = (data, audience)
        else:
            self._put(kind, id, data, audience)

    def put_lazily(self, kind: str, id: str, make: Callable[[], Any], audience: Audience) -> None:
        """As ``put``; a paced kind's value is made when it is sent, not at each of its changes."""
        if kind in self._paced:
            self._wait((kind, id), (make, audience))
        else:
            self.put(kind, id, make(), audience)

    def drop(self, kind: str, id: str) -> None:
        """Remove an entity; one that is not there is no change."""
        if kind in self._paced:
            self._wait((kind, id), None)
        elif self._gathered is not None:
            self._gathered[kind, id] = None
        else:
            self._drop(kind, id)

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Changes within belong together: of each entity only the last one counts, and each viewer gets one write.

        They are carried out at the end, also when the block raises. Paced kinds are as always.
        """
        if self._gathered is not None:
            yield
            return
        self._gathered = {}
        try:
            yield
        finally:
            changes, self._gathered = self._gathered, None
            for viewer, frames in self._carry_out(changes).items():
                self._send(viewer, frames)

    def flush(self, most: int | None = None) -> bool:
        """Carry out the changes that wait, and send each viewer his in one write.

        ``most``: to so many viewers at most. Returns whether others still wait for theirs; see ``send_rest``.
        """
        pending, self._pending = self._pending, {}
        for viewer, frames in self._carry_out(pending).items():
            self._unsent.setdefault(viewer, []).extend(frames)
        return self.send_rest(most)

    def send_rest(self, most: int | None = None) -> bool:
        """Go on after a ``flush`` that has not reached everyone. Whoever gets another frame first, gets both then."""
        for viewer in list(islice(self._unsent, most)):
            self._send(viewer, [])
        return bool(self._unsent)

    def _carry_out(self, changes: Mapping[tuple[str, str], _Waiting]) -> dict[Viewer, list[bytes]]:
        """Make these changes; returns what each viewer is to be sent of them."""
        batch: dict[Viewer, list[bytes]] = {}
        self._batch = batch
        try:
            for (kind, id), change in changes.items():
                if change is None:
                    self._drop(kind, id)
                else:
                    data, audience = change
                    self._put(kind, id, data if isinstance(data, bytes) else orjson.dumps(data()), audience)
        finally:
            self._batch = None
        return batch

    def _send(self, viewer: Viewer, frames: Sequence[bytes]) -> None:
        waiting = self._unsent.pop(viewer, None)
        if waiting is not None:
            frames = [*waiting, *frames]
        viewer.send(frames[0] if len(frames) == 1 else b"".join(frames))

    def _wait(self, key: tuple[str, str], change: _Waiting) -> None:
        first = not self._pending
        self._pending[key] = change
        if first and self.on_pending is not None:
            self.on_pending()

    def _put(self, kind: str, id: str, data: bytes, audience: Audience) -> None:
        entities = self._entities.setdefault(kind, {})
        entity = entities.get(id)
        if entity is None:
            head = b',"kind":' + orjson.dumps(kind) + b',"id":' + orjson.dumps(id)
            entity = entities[id] = _Entity(head, _fitted(data), audience)
            before, value_changed = None, True
        else:
            before, value_changed = entity.audience, entity.value != data
            if not value_changed and before == audience:
                return
            entity.value, entity.audience = _fitted(data), audience
        self._seq += 1
        put = self._frame(b'{"type":"put","seq":%d%b,"value":%b}' % (self._seq, entity.head, data))
        if before is None or before is audience or before == audience:
            drop = b""
            self._deliver(self._admitted(audience), put)
        else:
            drop = self._drop_frame(entity.head)
            had, have = set(self._admitted(before)), set(self._admitted(audience))
            self._deliver(have if value_changed else have - had, put)
            self._deliver(had - have, drop)
        self._keep(_Change(self._seq, before, audience, put, drop, value_changed))

    def _drop(self, kind: str, id: str) -> None:
        entities = self._entities.get(kind, {})
        entity = entities.pop(id, None)
        if entity is None:
            return
        self._seq += 1
        drop = self._drop_frame(entity.head)
        self._deliver(self._admitted(entity.audience), drop)
        self._keep(_Change(self._seq, entity.audience, None, b"", drop, True))

    def _drop_frame(self, head: bytes) -> bytes:
        return self._frame(b'{"type":"drop","seq":%d%b}' % (self._seq, head))

    def _admitted(self, audience: Audience) -> Iterable[Viewer]:
        """The open desks of an audience, each once, without looking at the others."""
        if audience.everyone:
            return self._viewers
        groups = [self._by_login[login] for login in audience.logins if login in self._by_login]
        groups += [self._by_role[role] for role in audience.roles if role in self._by_role]
        if len(groups) == 1:
            return groups[0]
        return set().union(*groups)

    def _deliver(self, viewers: Iterable[Viewer], frame: bytes) -> None:
        if self._batch is None:
            for viewer in viewers:
                self._send(viewer, (frame,))
        else:
            for viewer in viewers:
                self._batch.setdefault(viewer, []).append(frame)

    def _keep(self, change: _Change) -> None:
        self._changes.append(change)
        self._change_bytes += len(change.put) + len(change.drop)
        while len(self._changes) > self._kept_changes or self._change_bytes > self._kept_bytes:
            oldest = self._changes.popleft()
            self._change_bytes -= len(oldest.put) + len(oldest.drop)
            self._forgotten = oldest.seq

    # -- viewers ---------------------------------------------------------------------------------------------------

    def attach(self, viewer: Viewer, since: int | None = None, epoch: str | None = None) -> bool:
        """Begin to send to a viewer: what he missed after ``since`` if that is known, else a snapshot.

        Returns whether he could resume.
        """
        missed = self.missed(viewer, since, epoch)
        if missed is None:
            first = self._frame(self.snapshot(viewer.login, viewer.role))
        else:
            hello = {
                "type": "hello",
                "epoch": self.epoch(viewer.login, viewer.role),
                # Where he is, not where we are: if the line breaks before the missed frames are through, he asks for
                # the same ones again.
                "seq": since,
                "resumed": True,
            }
            first = self._frame(orjson.dumps(hello)) + b"".join(missed)
        self._viewers.add(viewer)
        self._by_login.setdefault(viewer.login, set()).add(viewer)
        self._by_role.setdefault(viewer.role, set()).add(viewer)
        viewer.send(first)
        return missed is not None

    def detach(self, viewer: Viewer) -> None:
        """Stop sending to a viewer; one that is not attached is no error."""
        self._viewers.discard(viewer)
        self._unsent.pop(viewer, None)
        for index, key in ((self._by_login, viewer.login), (self._by_role, viewer.role)):
            members = index.get(key)
            if members is not None:
                members.discard(viewer)
                if not members:
                    del index[key]

    def missed(self, viewer: Viewer, since: int | None, epoch: str | None) -> list[bytes] | None:
        """The frames after ``since``, or none when only a snapshot can tell."""
        if since is None or epoch != self.epoch(viewer.login, viewer.role):
            return None
        if not self._forgotten <= since <= self._seq:
            return None
        return [frame for change in self._after(since) if (frame := change.seen_by(viewer))]

    def _after(self, since: int) -> Iterator[_Change]:
        # Every step of the sequence is one kept change, so the place is known without a search.
        for index in range(since - self._forgotten, len(self._changes)):
            yield self._changes[index]

    def snapshot(self, login: str, role: str) -> bytes:
        """The snapshot frame for one person, as JSON text."""
        kinds = []
        for kind, entities in self._entities.items():
            seen = [
                orjson.dumps(id) + b":" + entity.value
                for id, entity in entities.items()
                if entity.audience.admits(login, role)
            ]
            if seen:
                kinds.append(orjson.dumps(kind) + b":{" + b",".join(seen) + b"}")
        return b'{"type":"snapshot","epoch":%b,"seq":%d,"entities":{%b}}' % (
            orjson.dumps(self.epoch(login, role)),
            self._seq,
            b",".join(kinds),
        )
