import pytest

from vidrestore.cli.display.frame_rate import FrameRateMeter, Speed
from vidrestore.progress import Progress


def speeds(first: int, last: int, total: int | None) -> list[Speed | None]:
    """Return the speed after each of some frames, at four frames per second."""
    seconds = iter(range(100))
    meter = FrameRateMeter(lambda: next(seconds) / 4)
    return [
        meter.speed(Progress(stage="restoring", frames_done=done, frames_total=total, faces_done=0))
        for done in range(first, last + 1)
    ]


def test_speed_is_measured_from_the_first_frame() -> None:
    waiting, first, *rest = speeds(0, 9, 20)

    assert waiting is first is None
    assert [speed.frames_per_second for speed in rest if speed] == pytest.approx([4.0] * len(rest))
    assert rest[-1] is not None
    assert rest[-1].seconds_left == pytest.approx(11 / 4)


def test_frames_restored_by_an_earlier_run_do_not_count_toward_speed() -> None:
    *_, last = speeds(1000, 1003, 1100)

    assert last is not None
    assert last.frames_per_second == pytest.approx(4.0)
    assert last.seconds_left == pytest.approx(97 / 4)


@pytest.mark.parametrize("total", [None, 3])
def test_no_time_left_is_shown_when_the_frame_count_is_unknown_or_reached(
    total: int | None,
) -> None:
    *_, last = speeds(1, 3, total)

    assert last is not None
    assert last.seconds_left is None
