"""The aftermath: what a journal tells of the moments before its end that the records on disk do not have yet.

Records are written in batches, and wait while the database is locked; a wrap-up is on the agent's screen at once. So a
new start reads the journal's end: whatever an agent was shown of a talk was in the system's hands before (``Watch``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from telephony.conversations import journal
from telephony.conversations.events import Merged
from telephony.conversations.history import Histories, History, StintRecord, TalkRecord
from telephony.conversations.replay import happenings
from telephony.conversations.tracker import Tracker

MOST_BYTES = 64 * 1024 * 1024
"""How far back the journal is read at most, a second or two of work. What stands before is taken from the records
alone: a talk in it that has ended meanwhile counts as one whose end nobody saw."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """``seen_until``: when the journal ends, if there is one; of what came after it, nobody knows."""

    histories: tuple[History, ...] = ()
    """The calls, live or ended, in which something happened that the records may lack. Only what the journal's end
    tells of them: ``add`` puts it to what was known before."""
    seen_until: float | None = None


def aftermath(folder: Path, most: int = MOST_BYTES) -> Aftermath:
    """Read the end of the journal in this folder. Raises ``JournalError``."""
    histories = Histories()
    touched: dict[str, History] = {}
    seen_until: float | None = None
    behind = False

    def records() -> Iterator[journal.Record]:
        nonlocal behind, seen_until
        for record, unsaved in journal.since_saved(folder, most):
            behind, seen_until = unsaved, record.at
            yield record

    for happening in happenings(records(), Tracker()):
        folded = histories.live.get(happening.folded) if isinstance(happening, Merged) else None
        history = histories.apply(happening)
        if folded is not None:
            folded.ended_at, folded.cause = happening.at, "merged"  # type: ignore[union-attr]
        for one in (history, folded):
            if one is not None and one.inbound and behind:
                touched[one.conversation] = one
    return Aftermath(tuple(touched.values()), seen_until)


def add(kept: History, seen: History) -> bool:
    """Put what the journal's end tells to what was known of the conversation; returns whether that is news.

    Where the reading began in the middle of a talk, the journal dates its beginning too late: the record knows better.
    """
    news = [_add_talk(kept, talk) for talk in seen.talks] + [_add_stint(kept, stint) for stint in seen.stints]
    if seen.customer and seen.certainty == "certain" and kept.customer != seen.customer:
        kept.customer, kept.certainty, kept.reason = seen.customer, seen.certainty, seen.reason
        news.append(True)
    if seen.path and seen.path != kept.path:
        kept.path, kept.language = seen.path, seen.language or kept.language
        news.append(True)
    if kept.ended_at is None and seen.ended_at is not None:
        kept.ended_at, kept.cause, kept.lost = seen.ended_at, seen.cause, seen.lost
        news.append(True)
    return any(news)


def _add_talk(kept: History, talk: TalkRecord) -> bool:
    known = next((one for one in kept.talks if _same(one, talk)), None)
    if known is None:
        kept.talks.append(talk)
        kept.talks.sort(key=lambda one: one.answered_at)
        return True
    if known.ended_at is not None or talk.ended_at is None:
        return False
    known.ended_at = talk.ended_at
    known.talked = talk.talked + max(0.0, talk.answered_at - known.answered_at)
    return True


def _same(known: TalkRecord, talk: TalkRecord) -> bool:
    if known.interface != talk.interface or known.answered_at > talk.answered_at:
        return False
    return known.answered_at == talk.answered_at or known.ended_at is None or known.ended_at > talk.answered_at


def _add_stint(kept: History, stint: StintRecord) -> bool:
    last = kept.stints[-1] if kept.stints else None
    if last is None or (last.queue != stint.queue and stint.joined_at > last.joined_at):
        kept.stints.append(stint)
        return True
    if last.queue == stint.queue and stint.end and not last.end:
        last.end, last.waited = stint.end, stint.waited
        return True
    return False
