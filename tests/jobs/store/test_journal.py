"""The journal says what is done, whatever a run that was killed has left of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from vidrestore.jobs.store.journal import Journal, JournalEntry, SegmentFile


def entry(segment: int, folder: Path) -> JournalEntry:
    path = folder / f"{segment:06d}.film"
    path.write_bytes(bytes([segment]) * 100)
    return JournalEntry(
        segment=segment,
        first_frame=10 * segment,
        end_frame=10 * segment + 10,
        is_last=False,
        files=(SegmentFile.of(path, folder),),
        analysis_bytes=40 * segment,
        analysis_crc32=segment,
        tally={"frames": 10},
    )


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    made = Journal(tmp_path / "journal")
    for segment in range(3):
        made.append(entry(segment, tmp_path))
    return made


def test_entries_come_back_as_they_were_written(journal: Journal, tmp_path: Path) -> None:
    assert journal.entries() == tuple(entry(segment, tmp_path) for segment in range(3))


def test_a_journal_that_is_not_there_has_no_entries(tmp_path: Path) -> None:
    assert Journal(tmp_path / "journal").entries() == ()


@pytest.mark.parametrize("cut_bytes", [1, 2, 30, 200])
def test_half_a_line_at_the_end_is_no_entry(
    journal: Journal, tmp_path: Path, cut_bytes: int
) -> None:
    path = tmp_path / "journal"
    path.write_bytes(path.read_bytes()[:-cut_bytes])
    expected = 3 if cut_bytes == 1 else 2  # the line feed alone says nothing
    assert len(journal.entries()) == expected


def test_nothing_after_a_damaged_line_is_trusted(journal: Journal, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"end_frame":20', b'"end_frame":21')
    path.write_bytes(b"".join(lines))
    assert [each.segment for each in journal.entries()] == [0]


def test_entries_must_follow_each_other(journal: Journal, tmp_path: Path) -> None:
    journal.append(replace(entry(3, tmp_path), first_frame=31, end_frame=40))
    assert len(journal.entries()) == 3


def test_only_the_entries_kept_are_left(journal: Journal) -> None:
    kept = journal.entries()[:2]
    journal.rewrite(kept)
    assert journal.entries() == kept


def test_a_file_that_changed_or_went_is_not_whole(tmp_path: Path) -> None:
    part = entry(0, tmp_path).files[0]
    path = tmp_path / part.name
    assert part.is_intact(tmp_path)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert not part.is_intact(tmp_path)
    path.unlink()
    assert not part.is_intact(tmp_path)
