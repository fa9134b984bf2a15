from pathlib import Path

import pytest
from support.clips import run_ffmpeg
from support.playback import decoded_frames
from support.verify_cases import changed_names
from support.video_copies import copy_video

from vidrestore.verify import verify


@pytest.mark.parametrize("source", [".mkv", ".mp4", ".ts"])
@pytest.mark.parametrize("target", [".mkv", ".mp4", ".ts"])
def test_a_second_video_track_with_b_frames_keeps_its_frames_and_times(
    tmp_path: Path, source: str, target: str
) -> None:
    film, copy = tmp_path / f"film{source}", tmp_path / f"copy{target}"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=96x48:r=25:d=1.2"),
        *("-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=1.2"),
        *("-map", "0", "-map", "1", "-c:v", "libx264", "-bf", "3", "-g", "10", film),
    )

    copy_video(film, copy, codec="h264")

    before, after = decoded_frames(film, "v", 1), decoded_frames(copy, "v", 1)
    assert [packet.checksum for packet in after] == [packet.checksum for packet in before]
    lag_before = before[0].seconds - decoded_frames(film, "v")[0].seconds
    lag_after = after[0].seconds - decoded_frames(copy, "v")[0].seconds
    assert abs(lag_after - lag_before) <= 0.0011
    for a, b in zip(before, after, strict=True):
        assert abs((b.seconds - after[0].seconds) - (a.seconds - before[0].seconds)) <= 0.0011
    assert changed_names(verify(film, copy)) == []
