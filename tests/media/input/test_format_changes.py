"""Pictures that change on the way are found before the work, in every codec that allows it."""

from pathlib import Path

import pytest
from support.clips import Clip, make_clip

from vidrestore.errors import MediaError
from vidrestore.media.input.clock import exact_seconds
from vidrestore.media.input.format_changes import check_constant_format
from vidrestore.media.input.video_info import probe
from vidrestore.types.time_range import TimeRange

WHOLE = TimeRange()
CODECS = {"libx264": {"bf": "0", "g": "4"}, "mpeg2video": {"bf": "0", "g": "4"}}


def joined(folder: Path, codec: str, sizes: list[tuple[int, int]], suffix: str = "ts") -> Path:
    parts = b""
    for number, size_hw in enumerate(sizes):
        ticks = tuple(range(number * 10, number * 10 + 10))
        clip = Clip(ticks=ticks, size_hw=size_hw, codec=codec, options=CODECS[codec])
        parts += make_clip(folder / f"{number}.{suffix}", clip).read_bytes()
    path = folder / f"film.{suffix}"
    path.write_bytes(parts)
    return path


# FFmpeg's muxer lets the first recording of MPEG-2 begin a frame later than the others.
@pytest.mark.parametrize(
    ("codec", "times"), [("libx264", ("0.400", "0.800")), ("mpeg2video", ("0.360", "0.760"))]
)
def test_every_format_change_is_reported_with_its_time(
    tmp_path: Path, codec: str, times: tuple[str, str]
) -> None:
    path = joined(tmp_path, codec, [(48, 96), (64, 128), (48, 96)])
    with pytest.raises(MediaError) as caught:
        check_constant_format(probe(path), WHOLE)
    assert str(caught.value) == (
        f"{path}: the frame format changes from 96x48 yuv420p to 128x64 yuv420p at {times[0]} s, "
        f"then to 96x48 yuv420p at {times[1]} s; restore each range separately with --start and "
        "--end"
    )


@pytest.mark.parametrize("codec", CODECS)
def test_recordings_without_format_changes_are_accepted(tmp_path: Path, codec: str) -> None:
    check_constant_format(probe(joined(tmp_path, codec, [(48, 96), (48, 96)])), WHOLE)


def test_a_time_range_without_a_format_change_is_accepted(tmp_path: Path) -> None:
    path = joined(tmp_path, "libx264", [(48, 96), (64, 128)])
    check_constant_format(probe(path), TimeRange(end_seconds=exact_seconds(0.4)))
