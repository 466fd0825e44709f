"""The flight recorder: raw AMI bytes on disk, append-only, rotated, bounded, readable while it is written.

A file ``journal-<number>.ami`` is a run of records. A record is one line of text and the bytes it announces::

    @<kind> <unix microseconds> <epoch> <length>\\n<length bytes>\\n

``E`` holds event frames as they came, ``L`` the items of a resync's lists, ``B`` and ``F`` its beginning and its giving
up, ``R`` the news that Asterisk had restarted. ``epoch`` counts the connections. The state of the tracker is a function
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


def _records(stream: BinaryIO, file: Path) -> Iterator[Record]:
    end = os.fstat(stream.fileno()).st_size
    first = stream.read(1)
    stream.seek(0)
    if first and first != b"@":
        yield Record(EVENTS, 0.0, 0, stream.read())
        return
    while True:
        header = stream.readline(LONGEST_HEADER)
        if not header.endswith(b"\n"):
            return
        try:
            mark, *words = header.decode("ascii")[1:].split()
            micros, epoch, size = map(int, words)
            if not header.startswith(b"@") or size < 0:
                raise ValueError(header)
        except ValueError:
            where = f"{file}: damaged near byte {stream.tell()}"
            raise JournalError(f"{where}; only what stands before can be read") from None
        if size > end - stream.tell():
            return  # torn, or still being written
        data = stream.read(size)
        stream.read(1)
        yield Record(mark, micros / 1e6, epoch, data)
