"""What the edit list of a MOV or MP4 hides stays hidden, and its times hold, in every output."""

from fractions import Fraction
from pathlib import Path

import pytest
from support.clips import run_ffmpeg
from support.edit_lists import movie_ticks_per_second, set_edits
from support.playback import decoded_frames
from support.verify_cases import changed_names
from support.video_copies import copy_video

from vidrestore.errors import UnsupportedStreamError
from vidrestore.settings import CodecName
from vidrestore.verify import verify

RATE_HZ = 44_100
VIDEO: dict[str, CodecName] = {".ts": "h264", ".mov": "prores"}
# Sound whose frames depend on the one before at most.
SOUND = {".ts": ("aac", "-aac_pns", "0"), ".mov": ("alac",)}
ROUNDING = Fraction(12, 10_000)
FRAME = Fraction(4096, RATE_HZ)


def film_with_edits(
    folder: Path,
    video: list[tuple[float, float]],
    sound: list[tuple[float, float]],
    codec: tuple[str, ...] = ("flac", "-frame_size", "1152"),
) -> Path:
    """Write 2 s of video and audio; edits are (seconds shown, from where in the media)."""
    path = folder / "film.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=96x48:r=25:d=2"),
        *("-f", "lavfi", "-i", f"anoisesrc=d=2:r={RATE_HZ}:seed=3"),
        *("-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "12"),
        *("-c:a", *codec, path),
    )
    for track, edits, ticks in ((0, video, 12_800), (1, sound, RATE_HZ)):
        movie = movie_ticks_per_second(path)
        # Two frames of reordering; a frame of AAC's delay.
        lead = 1024 if track == 0 or codec[0] == "aac" else 0
        entries = [
            (round(length * movie), -1 if at < 0 else round(at * ticks) + lead)
            for length, at in edits
        ]
        set_edits(path, track, entries)
    return path


@pytest.mark.parametrize("target", [".mkv", ".mp4", ".mov", ".ts"])
@pytest.mark.parametrize(
    ("video", "sound"),
    [
        pytest.param([(1.0, 0.8)], [(1.0, 0.8)], id="both begin late in their media"),
        pytest.param([(2.0, 0.0)], [(1.0, 1.0)], id="hidden sound"),
        pytest.param([(0.4, -1), (1.6, 0.0)], [(2.0, 0.0)], id="early sound"),
        pytest.param([(2.0, 0.0)], [(0.4, -1), (1.6, 0.0)], id="late sound"),
        pytest.param([(0.4, -1), (1.0, 0.4)], [(0.2, -1), (1.0, 0.6)], id="late and cut"),
        pytest.param([(1.0, 0.0)], [(1.0, 0.0)], id="trimmed end"),
        pytest.param([(0.48, 0.0), (0.48, 1.2)], [(0.48, 0.0), (0.48, 1.2)], id="cut out"),
    ],
)
def test_edits_are_kept_in_every_container(
    tmp_path: Path, target: str, video: list[tuple[float, float]], sound: list[tuple[float, float]]
) -> None:
    codec = SOUND.get(target, ("flac", "-frame_size", "1152"))
    film, copy = film_with_edits(tmp_path, video, sound, codec), tmp_path / f"copy{target}"

    copy_video(film, copy, codec=VIDEO.get(target, "ffv1"))

    before, after = decoded_frames(film, "v"), decoded_frames(copy, "v")
    assert len(before) == len(after)
    shift = after[0].seconds - before[0].seconds
    for a, b in zip(before, after, strict=True):
        assert abs(b.seconds - a.seconds - shift) <= ROUNDING
    audible, copied = decoded_frames(film, "a"), decoded_frames(copy, "a")
    times = {packet.checksum: packet.seconds - shift for packet in copied}
    # The first and last frames are cut where the edit is not between two of them.
    complete = [packet for packet in audible[2:-1] if packet.checksum in times]
    assert len(complete) >= len(audible) - 5
    assert all(abs(times[packet.checksum] - packet.seconds) <= ROUNDING for packet in complete)
    assert copied[0].seconds - shift > audible[0].seconds - FRAME - ROUNDING
    end = audible[-1].seconds + audible[-1].duration_seconds
    assert copied[-1].seconds + copied[-1].duration_seconds - shift < end + FRAME + ROUNDING
    assert [name for name in changed_names(verify(film, copy)) if name != "color tags"] == []


def test_a_second_video_stream_with_a_hidden_start_is_refused_if_it_would_show(
    tmp_path: Path,
) -> None:
    film = film_with_edits(tmp_path, [(2.0, 0.0)], [(2.0, 0.0)])
    two = tmp_path / "two.mp4"
    run_ffmpeg("-i", film, "-i", film, "-map", "0:v", "-map", "1:v", "-c", "copy", two)
    set_edits(two, 1, [(movie_ticks_per_second(two), 12_800 + 1024)])

    with pytest.raises(
        UnsupportedStreamError, match=r"cannot hide its first 0\.040 s.*-o out\.mp4"
    ):
        copy_video(two, tmp_path / "out.mkv")

    copy_video(two, tmp_path / "out.mp4", codec="h264")
    assert len(decoded_frames(tmp_path / "out.mp4", "v", 1)) == len(decoded_frames(two, "v", 1))
