"""The lines at the end say what counts."""

from pathlib import Path

from vidrestore.cli.display.summary import dry_run_lines
from vidrestore.jobs.estimate import Estimate

TOLD = Estimate(
    frames=90_000,
    faces=71_200,
    segments=(120, 360),
    seconds=18_300.0,
    disk_bytes=5_200_000_000,
    free_bytes=2_000_000_000,
    sampled_frames=225,
)


def test_a_dry_run_is_summarized_in_three_lines() -> None:
    assert list(dry_run_lines(TOLD, Path("out.mkv"))) == [
        "out.mkv: about 90000 frames, about 71200 faces to restore, 120 to 360 segments; "
        "estimated from 225 frames",
        "time here: about 5:05:00",
        "disk: about 5.2 GB during the run, half of it for the output; 2.0 GB free: NOT ENOUGH",
    ]
