"""The journal says what is done, whatever a run that was killed has left of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from vidrestore.errors import MediaError
from vidrestore.jobs.store.frame_analysis import FrameAnalysis
from vidrestore.jobs.store.job_folder import consecutive
from vidrestore.jobs.store.journal import (
    Job,
    JobState,
    JournalContent,
    JournalEntry,
    SegmentFile,
    read_frames,
    read_journal,
)

START = JournalContent(fingerprint={"--model": "lite"})


def entry(segment: int, folder: Path) -> JournalEntry:
    path = folder / f"{segment:06d}.film"
    path.write_bytes(bytes([segment]) * 100)
    return JournalEntry(
        segment=segment,
        first_frame=10 * segment,
        end_frame=10 * segment + 10,
        is_last=False,
        files=(SegmentFile.of(path, folder),),
        tally={"frames": 10},
    )


def analysis(index: int) -> FrameAnalysis:
    return FrameAnalysis(
        index=index,
        ticks=40 * index,
        rows_crc32=index,
        shot=0,
        is_monochrome=False,
        key_frame=True,
        faces=(),
    )


@pytest.fixture
def states(tmp_path: Path) -> list[JobState]:
    """States of three finished segments; a frame is analyzed before each, and one at the end."""
    states: list[JobState] = []
    with Job(tmp_path, replace(START, entries={})) as job:
        for segment in range(3):
            job.add_frame(analysis(segment))
            job.add_state(JobState(damaged_packets=segment), entry(segment, tmp_path))
            states.append(job.state)
        job.add_frame(analysis(3))
    return states


def test_journal_entries_are_read_back_unchanged(states: list[JobState], tmp_path: Path) -> None:
    content = read_journal(tmp_path)

    assert content.fingerprint == START.fingerprint
    assert content.state == states[-1]
    assert [*content.entries.values()] == [
        replace(entry(segment, tmp_path), state=state) for segment, state in enumerate(states)
    ]
    frames = [each for each, _ in read_frames(tmp_path, 0, content.state.journal_bytes)]
    assert [frame.to_json() for frame in frames] == [
        analysis(index).to_json() for index in range(3)
    ]


def test_a_missing_journal_reads_as_empty(tmp_path: Path) -> None:
    assert read_journal(tmp_path) == JournalContent()


@pytest.mark.parametrize("cut_bytes", [1, 2, 30, 200])
def test_an_incomplete_last_journal_line_is_ignored(
    states: list[JobState], tmp_path: Path, cut_bytes: int
) -> None:
    path = tmp_path / "journal"
    path.write_bytes(path.read_bytes()[: states[-1].journal_bytes - cut_bytes])

    assert len(read_journal(tmp_path).entries) == 2


def test_entries_after_a_damaged_line_are_ignored(states: list[JobState], tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(path.read_bytes().replace(b'"end_frame":20', b'"end_frame":21'))

    content = read_journal(tmp_path)
    assert [*content.entries] == [0]
    assert content.state == states[0]
    with pytest.raises(MediaError, match="is damaged; start over with --overwrite"):
        list(read_frames(tmp_path, 0, states[-1].journal_bytes))


def test_consecutive_segments_stop_at_the_first_missing_one(
    states: list[JobState], tmp_path: Path
) -> None:
    entries = read_journal(tmp_path).entries
    del entries[1]

    assert [entry.segment for entry in consecutive(entries)] == [0]


def test_journal_lines_after_the_last_saved_state_are_cut_off(
    states: list[JobState], tmp_path: Path
) -> None:
    content = read_journal(tmp_path)
    content.state = content.entries[1].state
    content.published = {(1, 2)}

    with Job(tmp_path, content) as job:
        job.add_frame(analysis(7))
        job.add_state(JobState(is_analyzed=True))

    again = read_journal(tmp_path)
    assert [*again.entries] == [0, 1]
    assert again.published == {(1, 2)}
    assert again.state.is_analyzed
    frames = read_frames(tmp_path, 0, again.state.journal_bytes)
    assert [each.index for each, _ in frames] == [0, 1, 7]


def test_a_changed_or_missing_file_is_not_intact(tmp_path: Path) -> None:
    part = entry(0, tmp_path).files[0]
    path = tmp_path / part.name
    assert part.is_intact(tmp_path)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert part.is_intact(tmp_path, read=False)
    assert not part.is_intact(tmp_path)
    path.unlink()
    assert not part.is_intact(tmp_path, read=False)
    assert not part.is_intact(tmp_path)
