import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from support.clips import Clip, Sound, make_clip
from support.reviews import BRIGHT, DARK, film_picture

from vidrestore.web.viewing_copy import ViewingCopies, copy_words

SIZE_HW = (96, 128)


@pytest.fixture
def copies() -> Iterator[ViewingCopies]:
    copies = ViewingCopies()
    yield copies
    copies.close()


def film(path: Path, level: int, frames: range) -> Path:
    def picture(number: int, size_hw: tuple[int, int]):
        return film_picture(level)(frames[number], size_hw)

    sounds = (Sound(seconds=Fraction(len(frames), 25)),)
    clip = Clip(size_hw=SIZE_HW, ticks=range(len(frames)), picture=picture, sounds=sounds)
    return make_clip(path, clip)


def wait(copies: ViewingCopies, copy: Path, source: Path, result: Path, start: str = "") -> str:
    for _ in range(600):
        state = copies.request(
            copy, source=source, result=result, size_wh=(SIZE_HW[1], SIZE_HW[0]), start=start
        )
        if state != "making":
            return state
        time.sleep(0.1)
    return "making"


@pytest.mark.parametrize("start_frame", [0, 5])
def test_both_sides_have_the_same_frame_and_audio(
    tmp_path: Path, copies: ViewingCopies, start_frame: int
) -> None:
    source = film(tmp_path / "source.mkv", DARK, range(20))
    result = film(tmp_path / "result.mkv", BRIGHT, range(start_frame, 20))
    copy = tmp_path / "view.mp4"
    start = f"{start_frame / 25}" if start_frame else ""

    assert wait(copies, copy, source, result, start) == "ready"
    with av.open(str(copy)) as opened:
        assert [stream.type for stream in opened.streams] == ["video", "audio"]
        frames = [frame.to_ndarray(format="gray") for frame in opened.decode(video=0)]
    assert len(frames) == 20 - start_frame
    for number, gray in enumerate(frames, start_frame):
        left, right = gray[:, :128], gray[:, 128:]
        assert left[44, 56] == pytest.approx(DARK, abs=12)
        assert right[44, 56] == pytest.approx(BRIGHT, abs=12)
        for side in (left, right):
            assert side[4:16, 4:16].mean() == pytest.approx(60 + 5 * number, abs=3)


def test_a_failed_copy_is_reported_and_not_retried(tmp_path: Path, copies: ViewingCopies) -> None:
    (tmp_path / "broken.mkv").write_bytes(b"x")
    source = film(tmp_path / "source.mkv", DARK, range(2))

    state = wait(copies, tmp_path / "view.mp4", source, tmp_path / "broken.mkv")
    assert "broken.mkv" in state or "Invalid data" in state
    assert [path.name for path in tmp_path.glob("view*")] == []


def test_a_large_film_is_downscaled_and_names_are_not_read_as_options(tmp_path: Path) -> None:
    arguments = copy_words(
        Path("-i.mkv"), Path("concat:x.mkv"), tmp_path / "v.mp4", (4096, 2161), ""
    )

    assert "scale=1280:676" in arguments[arguments.index("-filter_complex") + 1]
    assert arguments[arguments.index("-i") + 1] == "file:-i.mkv"
    assert "file:concat:x.mkv" in arguments
