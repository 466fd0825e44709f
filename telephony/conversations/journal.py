"""The flight recorder: raw AMI bytes on disk, append-only, rotated, bounded, readable while it is written.

A file ``journal-<number>.ami`` is a run of records. A record is one line of text and the bytes it announces::

    @<kind> <unix microseconds> <epoch> <length>\\n<length bytes>\\n

``E`` holds event frames as they came, ``L`` the items of a resync's lists, ``B`` and ``F`` its beginning and its giving
up, ``R`` the news that Asterisk had restarted, ``S`` that the database has all that was told before the place it names
(a file's number and an offset): what stands behind the last one is what a new start has to look at (``since_saved``).
``epoch`` counts the connections. The state of the tracker is a function
of these records, which is what makes a replay more than a log. A torn last record (a crash, or a reader that is
quicker than the writer) ends the reading of that file without an error.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

NAME = re.compile(r"^journal-(\d{8})\.ami$")

EVENTS = "E"
LISTS = "L"
RESYNC_BEGAN = "B"
RESYNC_FAILED = "F"
RESTARTED = "R"
SAVED = "S"

Place = tuple[int, int]
"""A file's number, and an offset in it."""

LONGEST_HEADER = 80
RETRY_SECONDS = 10.0
"""After a disk error, records are refused this long before a new file is tried."""


class JournalError(Exception):
    """A journal cannot be read or written; the message names the file."""


@dataclass(frozen=True, slots=True)
class Record:
    """One batch of bytes, as received at ``at`` (Unix seconds)."""

    kind: str
    at: float
    epoch: int
    data: bytes


class Journal:
    """The writer. Not thread-safe; one process writes a folder."""

    def __init__(self, folder: Path, file_bytes: int, files: int) -> None:
        self._folder, self._file_bytes, self._files = folder, file_bytes, files
        self._file: BinaryIO | None = None
        self._path = folder
        self._size = 0
        self._at = 0.0
        self._failure: OSError | None = None
        self.written = 0
        """Bytes written in this run."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as failed:
            raise JournalError(f"{folder}: cannot be made ({failed.strerror}); check storage.folder") from failed
        numbers = [number for number, _ in _files(folder)]
        self._number = max(numbers, default=0)

    def write(self, kind: str, at: float, epoch: int, data: bytes) -> None:
        """Append one record. Raises ``OSError`` when the disk is full: the caller decides what that is worth."""
        if self._failure is not None and at < self._at + RETRY_SECONDS:
            raise self._failure
        self._at = at
        record = b"@%s %d %d %d\n%s\n" % (kind.encode(), round(at * 1e6), epoch, len(data), data)
        try:
            if self._file is None or self._size >= self._file_bytes:
                self._rotate()
            assert self._file is not None
            self._file.write(record)
        except OSError as failed:
            self._drop(failed)
            raise
        self._failure = None
        self._size += len(record)
        self.written += len(record)

    def flush(self) -> None:
        """Hand what is buffered to the operating system, so that our own death loses nothing of it."""
        if self._file is None:
            return
        try:
            self._file.flush()
        except OSError as failed:
            self._drop(failed)
            raise

    @property
    def failing(self) -> bool:
        """Whether the last record could not be written."""
        return self._failure is not None

    def place(self) -> Place:
        """Where the next record will stand, or before: all records written up to now are in front of it."""
        return (self._number, self._size) if self._file is not None else (self._number + 1, 0)

    def saved(self, place: Place, at: float) -> None:
        """Note that the database has all that was told up to this place. Raises ``OSError``."""
        self.write(SAVED, at, 0, b"%d %d" % place)

    def close(self) -> None:
        """Raises ``OSError`` when the rest cannot be written."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def _rotate(self) -> None:
        self.close()
        self._number += 1
        self._path = self._folder / f"journal-{self._number:08d}.ami"
        # Callers' numbers are in it: nobody else reads it, not even while it is being made.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=64 * 1024)
        self._size = 0
        for _, old in _files(self._folder)[: -self._files]:
            old.unlink(missing_ok=True)

    def _drop(self, failed: OSError) -> None:
        """Give up a file in which a record may be torn: what follows goes into a new one, a while later."""
        self._failure = failed
        with contextlib.suppress(OSError):
            self.close()
        with contextlib.suppress(OSError):
            # A full disk must not push out the good files by a row of empty ones.
            if self._path.is_file() and self._path.stat().st_size == 0:
                self._path.unlink()


def _files(folder: Path) -> list[tuple[int, Path]]:
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := NAME.match(path.name))]
    return sorted(found)


def read(path: Path) -> Iterator[Record]:
    """The records of a file, or of a folder's files in order. A file of plain AMI bytes is one record of events."""
    try:
        files = [one for _, one in _files(path)] if path.is_dir() else [path]
        if not files:
            raise JournalError(f"{path}: no journal in this folder; name a journal-*.ami file or the folder with them")
        for file in files:
            with file.open("rb") as stream:
                yield from _records(stream, file)
    except FileNotFoundError:
        raise JournalError(f"{path}: no such file; name a journal file or the folder with them") from None
    except OSError as failed:
        raise JournalError(f"{path}: cannot be read ({failed.strerror})") from failed


def since_saved(folder: Path, most: int) -> Iterator[tuple[Record, bool]]:
    """The end of a journal, as far back as a new start needs it: each record, and whether it is behind the last
    ``SAVED`` place, so that the database may not have it.

    The reading begins at the last resync that was complete before that place: from there on the state is known. It
    never begins more than ``most`` bytes before the end, and damage ends the reading of its file alone: a late start or
    none would cost more than what cannot be read. Raises ``JournalError`` if the files cannot be opened.
    """
    try:
        files = _files(folder) if folder.is_dir() else []
        sizes = [path.stat().st_size for _, path in files]
        start, saved = _where_to_begin(files, sizes, most)
        behind = sum(sizes)
        for (number, path), size in zip(files, sizes, strict=True):
            behind -= size
            if number < start[0] or behind > most:
                continue
            with path.open("rb") as stream, contextlib.suppress(_Damaged):
                for header in _headers(stream):
                    if (number, header.offset) >= start and behind + size - header.offset <= most:
                        yield header.read(stream), (number, header.offset) >= saved
    except OSError as failed:
        raise JournalError(f"{folder}: cannot be read ({failed.strerror})") from failed


def _where_to_begin(files: list[tuple[int, Path]], sizes: list[int], most: int) -> tuple[Place, Place]:
    """Where to begin, and the last ``SAVED`` place; nought when there is no such place in what is looked at."""
    saved: Place | None = None
    newest: Place = (0, 0)
    marks: list[tuple[Place, str]] = []
    looked = 0
    for (number, path), size in zip(reversed(files), reversed(sizes), strict=True):
        found: list[tuple[Place, str]] = []
        named = b""
        with path.open("rb") as stream, contextlib.suppress(_Damaged):
            for header in _headers(stream):
                if header.kind == SAVED:
                    named = header.read(stream).data
                    continue
                newest = max(newest, (number, header.offset))
                if header.kind != EVENTS:
                    found.append(((number, header.offset), header.kind))
        marks = found + marks
        if saved is None:
            saved = _place(named)
        if saved is not None and newest < saved and (newest > (0, 0) or number <= saved[0]):
            return saved, saved  # the database has everything: as after an orderly end
        looked += size
        begin = _complete_resync(marks, saved) if saved is not None else None
        if begin is not None and saved is not None:
            return begin, saved
        if looked >= most:
            break
    return (0, 0), saved or (0, 0)


def _place(named: bytes) -> Place | None:
    number, _, offset = named.partition(b" ")
    return (int(number), int(offset)) if number.isdigit() and offset.isdigit() else None


def _complete_resync(marks: list[tuple[Place, str]], before: Place) -> Place | None:
    """Where the last resync began that was complete before this place."""
    began: Place | None = None
    found: Place | None = None
    for place, kind in marks:
        if place >= before:
            break
        if kind == RESYNC_BEGAN:
            began = place
        elif kind == LISTS:
            found, began = began or found, None
        elif kind == RESYNC_FAILED:
            began = None
    return found


class _Damaged(Exception):
    """What stands here is no record."""


@dataclass(frozen=True, slots=True)
class _Header:
    offset: int
    kind: str
    at: float
    epoch: int
    size: int

    def read(self, stream: BinaryIO) -> Record:
        """The record; the stream stands behind the header."""
        return Record(self.kind, self.at, self.epoch, stream.read(self.size))


def _records(stream: BinaryIO, file: Path) -> Iterator[Record]:
    first = stream.read(1)
    stream.seek(0)
    if first and first != b"@":
        yield Record(EVENTS, 0.0, 0, stream.read())
        return
    try:
        for header in _headers(stream):
            yield header.read(stream)
    except _Damaged:
        where = f"{file}: damaged near byte {stream.tell()}"
        raise JournalError(f"{where}; only what stands before can be read") from None


def _headers(stream: BinaryIO) -> Iterator[_Header]:
    """The records' first lines, the stream behind each as it is given; whoever wants the record reads on from there."""
    end = os.fstat(stream.fileno()).st_size
    offset = 0
    while True:
        stream.seek(offset)
        header = stream.readline(LONGEST_HEADER)
        if not header.endswith(b"\n"):
            return
        try:
            mark, *words = header.decode("ascii")[1:].split()
            micros, epoch, size = map(int, words)
            if not header.startswith(b"@") or size < 0:
                raise ValueError(header)
        except ValueError:
            raise _Damaged from None
        start = offset + len(header)
        if size > end - start:
            return  # torn, or still being written
        yield _Header(offset, mark, micros / 1e6, epoch, size)
        offset = start + size + 1
