from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.clips import Clip, make_clip, run_ffmpeg
from support.fields import (
    NTSC,
    interlaced_clip,
    interlaced_picture,
    moving_picture,
    telecined_clip,
)

from vidrestore.media.fields.detection import FieldDetection, detect_fields
from vidrestore.media.input.source import open_source
from vidrestore.media.input.video_info import probe

COUNT = 25


def detect(path: Path) -> FieldDetection:
    return detect_fields(probe(path))


@pytest.mark.parametrize("flagged", [True, False])
@pytest.mark.parametrize(("order", "message"), [("tff", "top first"), ("bff", "bottom first")])
def test_the_field_order_is_detected_with_and_without_flags(
    tmp_path: Path, order: str, message: str, flagged: bool
) -> None:
    path = interlaced_clip(
        tmp_path / "film.mkv", order=order, flagged=flagged, ticks=tuple(range(COUNT))
    )

    result = detect(path)

    assert result.order == message
    assert (result.frames, result.flagged) == (COUNT, COUNT if flagged else 0)
    assert not result.pulldown


@pytest.mark.parametrize(
    ("codec", "arguments"),
    [
        ("libx264", ("-flags", "+ilme+ildct", "-x264-params", "tff=1")),
        ("mpeg2video", ("-flags", "+ilme+ildct", "-q:v", "4")),
    ],
)
@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_fields_are_detected_after_lossy_codecs_of_ten_and_eight_bits(
    tmp_path: Path, codec: str, arguments: tuple[str, ...], suffix: str
) -> None:
    plain = interlaced_clip(tmp_path / "plain.mkv", ticks=tuple(range(COUNT)), size_hw=(96, 128))
    path = tmp_path / f"film{suffix}"
    run_ffmpeg("-i", plain, "-c:v", codec, *arguments, path)

    result = detect(path)

    assert (result.order, result.flagged) == ("top first", result.frames)


@pytest.mark.parametrize("pixel_format", ["yuv422p10le", "gray", "bgr0"])
def test_fields_are_detected_in_every_pixel_format(tmp_path: Path, pixel_format: str) -> None:
    path = interlaced_clip(
        tmp_path / "film.mkv", ticks=tuple(range(COUNT)), pixel_format=pixel_format
    )
    assert detect(path).order == "top first"


def test_a_progressive_film_is_detected_as_progressive(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mkv", Clip(ticks=tuple(range(COUNT)), picture=moving_picture))
    result = detect(path)
    assert (result.order, result.flagged, result.pulldown) == ("progressive", 0, False)
    assert result.progressive >= COUNT - 1


def test_the_field_order_of_a_still_scene_is_unknown(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "film.mkv",
        Clip(ticks=tuple(range(COUNT)), picture=lambda _, size_hw: moving_picture(0, size_hw)),
    )
    assert detect(path).order == "unknown"


def test_a_film_is_interlaced_if_one_sample_of_it_is(tmp_path: Path) -> None:
    def picture(number: int, size_hw: tuple[int, int]) -> np.ndarray:
        return (interlaced_picture if number > 100 else moving_picture)(number, size_hw)

    path = make_clip(tmp_path / "film.mkv", Clip(ticks=tuple(range(150)), picture=picture))

    result = detect(path)

    assert result.order == "top first"
    assert result.frames == 3 * COUNT
    assert result.progressive > result.top_first


def order_and_pulldown(result: FieldDetection) -> tuple[str, bool]:
    return result.order, result.pulldown


def test_early_termination_reads_fewer_frames_and_gives_the_same_decision(
    tmp_path: Path,
) -> None:
    plain = make_clip(
        tmp_path / "plain.mkv", Clip(ticks=tuple(range(COUNT)), picture=moving_picture)
    )
    still = make_clip(
        tmp_path / "still.mkv",
        Clip(ticks=tuple(range(COUNT)), picture=lambda _, size_hw: moving_picture(0, size_hw)),
    )
    combed = interlaced_clip(tmp_path / "combed.mkv", ticks=tuple(range(COUNT)))
    telecined = telecined_clip(tmp_path / "telecined.mkv", COUNT)

    for path in (plain, still, combed, telecined):
        assert order_and_pulldown(
            detect_fields(probe(path), until_clear=True)
        ) == order_and_pulldown(detect(path))
    assert detect_fields(probe(plain), until_clear=True).frames < COUNT
    for path in (still, combed, telecined):
        assert detect_fields(probe(path), until_clear=True) == detect(path)


def test_early_termination_does_not_miss_fields_late_in_a_sample(
    tmp_path: Path,
) -> None:
    def picture(number: int, size_hw: tuple[int, int]) -> np.ndarray:
        return (interlaced_picture if number >= 11 else moving_picture)(number, size_hw)

    path = make_clip(tmp_path / "film.mkv", Clip(ticks=tuple(range(COUNT)), picture=picture))

    assert detect(path).order == "top first"
    assert detect_fields(probe(path), until_clear=True) == detect(path)


def test_sample_positions_with_the_same_key_frame_are_read_once(tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "plain.mkv", Clip(ticks=tuple(range(100)), picture=moving_picture))
    few, many = tmp_path / "few.mp4", tmp_path / "many.mp4"
    for path, between in ((few, "1000"), (many, "5")):
        run_ffmpeg("-i", plain, "-c:v", "libx264", "-g", between, path)

    assert (detect(few).frames, detect(many).frames) == (COUNT, 2 * COUNT + 20)


@pytest.mark.parametrize("flagged", [True, False])
def test_pulldown_is_detected_by_its_cadence(tmp_path: Path, flagged: bool) -> None:
    path = telecined_clip(tmp_path / "film.mkv", COUNT, flagged=flagged)

    result = detect(path)

    assert result.pulldown
    assert result.order == "top first"
    assert probe(path).average_rate == pytest.approx(NTSC, rel=1e-3)


def test_the_first_timestamp_of_a_broadcast_stream_does_not_shift_the_samples(
    tmp_path: Path,
) -> None:
    plain = interlaced_clip(tmp_path / "plain.mkv", ticks=tuple(range(160)))
    path = tmp_path / "film.ts"
    flags = ("-flags", "+ilme+ildct", "-g", "5", "-q:v", "2")
    run_ffmpeg(
        "-i", plain, "-c:v", "mpeg2video", *flags, "-output_ts_offset", "50000", path
    )  # fmt: skip

    result = detect(path)

    assert probe(path).origin_seconds > Fraction(49_000)
    assert (result.order, result.frames) == ("top first", 3 * COUNT)


def fading_picture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return frame ``number`` of a screen with dark and bright rows that fades, and a moving spot.

    Replacing even rows by those of the frame before and odd rows by those of the frame after is
    smoother than the contrary, as in interlaced film; so it is in MJPEG, by its blocks.
    """
    height, width = size_hw
    y, x = np.mgrid[:height, :width]
    screen = 120 + 30 * np.sin(x / 20) + 10 * (y % 2) - number
    spot = np.exp(-((y - 30 - 3 * number) ** 2 + (x - width / 2) ** 2) / 200)
    gray = screen * (1 - spot) + 225 * spot
    return np.repeat(gray.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def test_differing_rows_without_motion_are_not_fields(tmp_path: Path) -> None:
    clip = Clip(
        codec="ffv1",
        options={"level": "3"},
        ticks=range(COUNT),
        size_hw=(144, 176),
        picture=fading_picture,
    )

    assert detect(make_clip(tmp_path / "film.mkv", clip)).order == "unknown"


def test_fields_are_detected_from_the_first_frames_of_a_pipe(tmp_path: Path) -> None:
    path = interlaced_clip(tmp_path / "film.mkv", flagged=False, ticks=tuple(range(COUNT)))
    with open_source(path) as source:
        head = list(source)

    assert detect_fields(probe(path), head=head) == detect(path)
