"""Counts of a run are kept per segment, and added up for its report."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest
from support.frames import YUV420, random_frame

from vidrestore import RestoreReport, RestoreSettings
from vidrestore.media.input.source import Source
from vidrestore.pipeline.loading.model_facts import BackgroundFacts, ModelFacts
from vidrestore.pipeline.report import Tally
from vidrestore.pipeline.setup import Setup
from vidrestore.types import FinishedFrame


def counted(*, interlaced: int, frames: int) -> dict[str, Any]:
    """Return the counts of a segment, as its line of the journal has them."""
    tally = Tally()
    for index in range(frames):
        frame = replace(random_frame(YUV420, (16, 16)), index=index, interlaced=index < interlaced)
        tally.add(FinishedFrame(frame=frame, source=frame, shot=0, faces=()))
    return json.loads(json.dumps(tally.to_json()))


def report(tally: Tally, background: BackgroundFacts | None) -> RestoreReport:
    setup = Setup(source=cast(Source, None), settings=RestoreSettings(), notes=["a note"])
    return setup.report(
        ModelFacts(device="cpu", precision="float32", background=background),
        tally,
        notes=["of the output", "a note"],
        timing={},
        segments=2,
        damaged_packets=0,
        repaired_timestamps=0,
    )


def test_interlaced_frames_of_all_segments_are_reported_if_the_picture_is_enlarged() -> None:
    tally = Tally()
    for interlaced in (1, 2):
        tally.merge(counted(interlaced=interlaced, frames=3))
    background = BackgroundFacts(name="compact", kind="Compact", scale=2)
    assert any("3 frames are interlaced" in note for note in report(tally, background).notes)
    assert not any("are interlaced" in note for note in report(tally, None).notes)


def test_a_journal_from_before_interlaced_frames_were_counted_is_read() -> None:
    tally, before = Tally(), counted(interlaced=1, frames=3)
    del before["interlaced"]
    tally.merge(before)
    assert (tally.frames, tally.interlaced) == (3, 0)


def test_a_note_of_the_film_and_the_output_is_reported_once() -> None:
    assert report(Tally(), None).notes[:2] == ("a note", "of the output")
    assert report(Tally(), None).notes.count("a note") == 1


def test_something_else_is_no_count() -> None:
    with pytest.raises(ValueError, match="not a count of frames"):
        Tally().merge({"frames": 1})
