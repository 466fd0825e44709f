"""The flight recorder: what is written is read back, whatever happens to the file."""

from __future__ import annotations

import errno
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.conversations import journal
from telephony.conversations.journal import RETRY_SECONDS, Journal, JournalError, Record, read, since_saved

LARGE = 1 << 20


def written(folder: Path, *batches: bytes, file_bytes: int = LARGE, files: int = 4) -> Journal:
    opened = Journal(folder, file_bytes, files)
    for number, batch in enumerate(batches):
        opened.write(journal.EVENTS, 1000.0 + number, 1, batch)
    opened.flush()
    return opened


def data(path: Path) -> list[bytes]:
    return [record.data for record in read(path)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@given(
    st.lists(
        st.builds(
            Record,
            st.sampled_from("ELBFR"),
            st.integers(0, 2**51).map(lambda micros: micros / 1e6),
            st.integers(0, 2**31),
            st.binary(max_size=200),
        ),
        max_size=20,
    )
)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, records: list[Record]) -> None:
    folder = tmp_path_factory.mktemp("journal")
    opened = Journal(folder, 300, 1000)
    for record in records:
        opened.write(record.kind, record.at, record.epoch, record.data)
    opened.close()
    if records:
        found = list(read(folder))
        assert found == records
    else:
        assert names(folder) == []


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    written(tmp_path, b"x").close()
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_files_are_rotated_and_the_oldest_go(tmp_path: Path) -> None:
    written(tmp_path, *(b"%d" % number * 100 for number in range(10)), file_bytes=100, files=3).close()
    assert names(tmp_path) == [f"journal-{number:08d}.ami" for number in (8, 9, 10)]
    assert [one[:1] for one in data(tmp_path)] == [b"7", b"8", b"9"]


def test_the_room_it_takes_is_bounded(tmp_path: Path) -> None:
    written(tmp_path, *(b"x" * 100 for _ in range(500)), file_bytes=1000, files=3).close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3 * (1000 + 200)


def test_a_new_run_goes_on_after_the_files_of_the_one_before(tmp_path: Path) -> None:
    written(tmp_path, b"one").close()
    written(tmp_path, b"two").close()
    assert names(tmp_path) == ["journal-00000001.ami", "journal-00000002.ami"]
    assert data(tmp_path) == [b"one", b"two"]


def test_other_peoples_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "journal-1.ami").write_bytes(b"not ours")
    written(tmp_path, *(b"x" * 100 for _ in range(9)), file_bytes=100, files=2).close()
    assert (tmp_path / "journal-1.ami").exists()


def test_it_is_read_while_it_is_written(tmp_path: Path) -> None:
    opened = written(tmp_path, b"one")
    assert data(tmp_path) == [b"one"]
    opened.write(journal.EVENTS, 1.0, 1, b"two")
    opened.flush()
    assert data(tmp_path) == [b"one", b"two"]
    opened.close()


def test_a_torn_end_ends_that_file_and_no_more(tmp_path: Path) -> None:
    written(tmp_path, b"one", b"two").close()
    written(tmp_path, b"three").close()
    first = tmp_path / "journal-00000001.ami"
    whole = first.read_bytes()
    record = len(b"@E 1000000000 1 3\none\n")
    for length in range(len(whole)):
        first.write_bytes(whole[:length])
        # The very last byte is an end of line that says nothing.
        before = [b"one"] * (length >= record - 1) + [b"two"] * (length >= 2 * record - 1)
        assert data(tmp_path) == [*before, b"three"], length


@pytest.mark.parametrize(
    "damage", [b"nonsense\n", b"@E x 1 3\nabc\n", b"@E 1 x 3\nabc\n", b"@E 1 1 -3\nabc\n", b"E 1 1 3\nabc\n", b"\n"]
)
def test_damage_is_named_after_what_stands_before(tmp_path: Path, damage: bytes) -> None:
    written(tmp_path, b"one").close()
    file = tmp_path / "journal-00000001.ami"
    file.write_bytes(file.read_bytes() + damage)
    records = read(file)
    assert next(records).data == b"one"
    with pytest.raises(JournalError, match="damaged near byte"):
        next(records)


def test_plain_bytes_are_one_record(tmp_path: Path) -> None:
    file = tmp_path / "plain.ami"
    file.write_bytes(b"Event: A\r\n\r\n")
    assert list(read(file)) == [Record(journal.EVENTS, 0.0, 0, b"Event: A\r\n\r\n")]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none.ami", "no such file"), (tmp_path, "no journal in this folder")):
        with pytest.raises(JournalError, match=said):
            list(read(path))
    with pytest.raises(JournalError, match=r"check storage\.folder"):
        Journal(Path("/dev/null/journal"), LARGE, 2)


class FullDisk:
    """Takes nothing any more."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, _: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        self.write(b"")

    def close(self) -> None:
        self._file.close()


def test_a_full_disk_costs_neither_the_old_files_nor_the_new_ones(tmp_path: Path) -> None:
    opened = written(tmp_path, b"one", files=2)
    opened._file = FullDisk(opened._file)  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space left"):
        opened.write(journal.EVENTS, 2000.0, 1, b"lost")
    # Not tried again for every record.
    with pytest.raises(OSError, match="No space left"):
        opened.write(journal.EVENTS, 2000.0 + RETRY_SECONDS / 2, 1, b"lost")
    opened.flush()
    opened.write(journal.EVENTS, 2000.0 + RETRY_SECONDS, 1, b"two")
    opened.close()
    assert data(tmp_path) == [b"one", b"two"]


def test_a_file_that_nothing_could_be_written_to_is_taken_away(tmp_path: Path) -> None:
    opened = Journal(tmp_path, LARGE, 2)
    opened._rotate()
    opened._file = FullDisk(opened._file)  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space left"):
        opened.flush()
    assert names(tmp_path) == []


def test_a_folder_that_went_away_is_an_error_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    opened = Journal(folder, LARGE, 2)
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        opened.write(journal.EVENTS, 1000.0, 1, b"lost")
    folder.mkdir()
    opened.write(journal.EVENTS, 1000.0 + RETRY_SECONDS, 1, b"back")
    opened.close()
    assert data(folder) == [b"back"]


@pytest.mark.parametrize("length", [b"99999999999999999999", b"4611686018427387904", b"7"])
def test_a_record_longer_than_its_file_ends_the_reading(tmp_path: Path, length: bytes) -> None:
    path = tmp_path / "journal-00000001.ami"
    path.write_bytes(b"@E 1000000 1 3\nabc\n@E 2000000 1 " + length + b"\nabc")
    assert [record.data for record in read(path)] == [b"abc"]


# --- what a new start reads of it ------------------------------------------------------------------------------------


def scripted(folder: Path, script: str, file_bytes: int = LARGE) -> None:
    """A record for each letter, its number for data; at ``|`` the database takes what is there, at ``S`` it has it."""
    opened = Journal(folder, file_bytes, 1000)
    place = (0, 0)
    for number, kind in enumerate(script):
        if kind == "|":
            place = opened.place()
        elif kind == "S":
            opened.saved(place, float(number))
        else:
            opened.write(kind, float(number), 1, b"%d" % number)
    opened.close()


def end_of(folder: Path, most: int = LARGE) -> str:
    """The kinds of the records that are read, those that the database may lack behind a ``|``."""
    found = list(since_saved(folder, most))
    assert [unsaved for _, unsaved in found] == sorted(unsaved for _, unsaved in found)
    return "|".join("".join(record.kind for record, unsaved in found if unsaved is side) for side in (False, True))


@pytest.mark.parametrize("file_bytes", [1, 60, LARGE])
@pytest.mark.parametrize(
    ("script", "read_again"),
    [
        ("", "|"),
        ("EEBLE", "|EEBLE"),  # nothing was ever saved
        ("EBLEEBLE|ESE", "BLE|ESE"),  # from the last resync that the database has wholly
        ("EBEL|ESRE", "BEL|ESRE"),
        ("BLEBFE|ES", "BLEBFE|ES"),  # one that failed is none
        ("BLEBE|LES", "BLEBE|LES"),  # nor is one that was under way
        ("BLEBEBLE|ES", "BLE|ES"),  # or was cut off by another
        ("EEE|ES", "EEE|ES"),  # without any, from the beginning
        ("BLE|ESE|ESEE", "BLEESE|ESEE"),  # the last place counts
        ("BLEE|S", "|S"),  # everything is saved: nothing is worked through
        ("BLE|ES|S", "|S"),
    ],
)
def test_a_new_start_reads_what_the_database_may_lack_and_the_resync_before_it(
    tmp_path: Path, script: str, read_again: str, file_bytes: int
) -> None:
    scripted(tmp_path / "j", script, file_bytes)
    assert end_of(tmp_path / "j") == read_again


def test_a_new_start_reads_no_more_than_it_may(tmp_path: Path) -> None:
    scripted(tmp_path, "BLEEEEEE|EEEES" + "E" * 20, file_bytes=100)
    everything = sum(path.stat().st_size for path in tmp_path.iterdir())
    kinds = end_of(tmp_path).replace("|", "")
    for most in range(0, everything + 10, 7):
        found = list(since_saved(tmp_path, most))
        assert "".join(record.kind for record, _ in found) == kinds[len(kinds) - len(found) :]
        size = sum(len(b"@E %d 1 %d\n%s\n" % (round(one.at * 1e6), len(one.data), one.data)) for one, _ in found)
        assert size <= most
        assert most < everything or len(found) == len(kinds)


def test_damage_costs_a_new_start_the_rest_of_that_file_alone(tmp_path: Path) -> None:
    scripted(tmp_path, "BLEE|ESEE", file_bytes=60)
    first, *_, last = sorted(tmp_path.iterdir())
    with last.open("ab") as file:
        file.write(b"@E 1 1 100\ntorn")
    assert end_of(tmp_path) == "BLEE|ESEE"
    with first.open("ab") as file:
        file.write(b"nonsense\n")
    assert end_of(tmp_path) == "BLEE|ESEE"
    first.write_bytes(b"nonsense\n")
    assert end_of(tmp_path).endswith("|ESEE")


@pytest.mark.parametrize("named", [b"", b"1", b"x y", b"-1 -1", b"1 2 3", b"\xff"])
def test_a_place_that_is_none_is_as_if_nothing_was_saved(tmp_path: Path, named: bytes) -> None:
    scripted(tmp_path, "BLEE")
    (file,) = tmp_path.iterdir()
    with file.open("ab") as end:
        end.write(b"@S 9000000 0 %d\n%s\n" % (len(named), named))
    assert end_of(tmp_path) == "|BLEES"


def test_a_folder_that_is_not_there_is_an_empty_journal(tmp_path: Path) -> None:
    assert list(since_saved(tmp_path / "nowhere", LARGE)) == []
