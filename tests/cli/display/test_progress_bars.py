import io
from dataclasses import replace
from pathlib import Path

import pytest
from support.cli import open_terminal
from support.records import make_report

from vidrestore.cli.display.progress_bars import LogDisplay, print_line, restore_display
from vidrestore.cli.display.summary import summary_lines
from vidrestore.pipeline.report import RestoreReport, TrackRecord
from vidrestore.progress import Progress


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def progress(frames: int, total: int | None, faces: int = 0) -> Progress:
    return Progress(stage="restoring", frames_done=frames, frames_total=total, faces_done=faces)


def run_at_ten_frames_a_second(seconds: int, total: int | None) -> list[str]:
    clock, stream = Clock(), io.StringIO()
    display = LogDisplay(stream, clock)
    for frame in range(1, seconds * 10 + 1):
        clock.seconds = frame / 10
        display.show(progress(frame, total, faces=2 * frame))
    return stream.getvalue().splitlines()


def test_a_short_run_prints_no_progress() -> None:
    assert run_at_ten_frames_a_second(9, 90) == []


def test_a_long_run_prints_at_most_one_line_in_ten_seconds() -> None:
    assert len(run_at_ten_frames_a_second(60, 600)) <= 6


def test_a_progress_line_shows_percent_speed_time_left_and_faces() -> None:
    assert run_at_ten_frames_a_second(10, 40_000) == [
        "restoring: 100 of 40000 frames, 10.0 frames/s, 1:06:30 left, 200 faces"
    ]


def test_no_time_left_is_shown_for_a_film_of_unknown_length() -> None:
    assert run_at_ten_frames_a_second(10, None) == [
        "restoring: 100 frames, 10.0 frames/s, 200 faces"
    ]


def test_a_long_download_prints_lines_at_intervals() -> None:
    clock, stream = Clock(), io.StringIO()
    display = LogDisplay(stream, clock)
    for seconds in range(25):
        clock.seconds = seconds
        display.show_download("net", seconds * 1_000_000, 24_500_000)

    assert stream.getvalue().splitlines() == [
        "downloading net: 10.0 of 24.5 MB",
        "downloading net: 20.0 of 24.5 MB",
    ]


def test_progress_is_shown_within_a_slow_frame() -> None:
    clock, stream = Clock(), io.StringIO()
    display = LogDisplay(stream, clock)
    clock.seconds = 12.0
    display.show(replace(progress(0, 40), frame_share=0.25))

    assert stream.getvalue() == "restoring: 0 of 40 frames, 25 % of the next, 0 faces\n"


def test_a_closed_stderr_does_not_stop_the_run() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    print_line("a line", stream=Closed())


def test_quiet_suppresses_all_progress(capfd: pytest.CaptureFixture[str]) -> None:
    with restore_display(quiet=True) as display:
        display.show(progress(1, 2))
        display.show_download("net", 1, 2)

    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_a_bar_and_removes_it_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    with restore_display(quiet=False) as display:
        display.show(progress(0, None))
        display.show_download("net", 3_000_000, 12_000_000)
        display.show(progress(50, 200, faces=49))

    written = terminal.getvalue()
    assert "3.0/12.0 MB" in written
    assert "50/200 frames" in written
    assert "49 faces" in written
    assert written.endswith("\x1b[2K") or written.endswith("\x1b[0K")


def report(*, faces: int = 230, **changes: object) -> RestoreReport:
    track = TrackRecord(track=0, shot=0, first_frame=0, last_frame=239, faces=faces)
    return make_report(frames=240, faces=faces, track_records=(track,), **changes)


def test_the_summary_counts_frames_and_faces() -> None:
    (line,) = summary_lines(report(), Path("out.mp4"), 12.0)

    assert line == "out.mp4: 240 frames, 230 faces in 1 track, 12.0 s, 20.0 frames/s"


def test_the_summary_ends_with_damaged_packets_and_notes() -> None:
    damaged = report(damaged_packets=1, notes=("data stream 3 left out",))

    assert list(summary_lines(damaged, Path("out.mp4"), 12.0))[1:] == [
        "1 damaged packet in the source; everything else is restored",
        "note: data stream 3 left out",
    ]
