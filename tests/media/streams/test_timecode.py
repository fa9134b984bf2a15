from fractions import Fraction
from pathlib import Path

import av
import pytest
from support.clips import Clip, Sound, make_clip, run_ffmpeg
from support.dpx import DpxKind, make_dpx
from support.video_copies import copy_video

from vidrestore.errors import MediaError, UnsupportedStreamError
from vidrestore.media.input.video_info import probe
from vidrestore.media.streams.timecode import Timecode, parse_timecode

NTSC = Fraction(30000, 1001)


def successive_timecodes(start: str, rate: Fraction, count: int) -> list[str]:
    code = parse_timecode(start, rate)
    assert code is not None
    return [str(code.advanced(index)) for index in range(count)]


def test_drop_frame_skips_two_numbers_in_every_minute_but_each_tenth() -> None:
    assert successive_timecodes("00:00:59;28", NTSC, 4) == [
        "00:00:59;28", "00:00:59;29", "00:01:00;02", "00:01:00;03",
    ]  # fmt: skip
    assert successive_timecodes("00:09:59;29", NTSC, 2) == ["00:09:59;29", "00:10:00;00"]
    assert successive_timecodes("00:01:59;57", 2 * NTSC, 4)[2:] == ["00:01:59;59", "00:02:00;04"]
    assert successive_timecodes("00:00:59:29", NTSC, 2) == ["00:00:59:29", "00:01:00:00"]


@pytest.mark.parametrize("rate", [NTSC, 2 * NTSC])
def test_every_frame_number_of_a_day_is_read_back_from_its_text(rate: Fraction) -> None:
    for frames in range(0, 107_892 * 24, 997):
        code = Timecode(frames=frames, per_second=round(rate), drops_frames=True)
        assert parse_timecode(str(code), rate) == code


def test_an_hour_of_drop_frame_is_an_hour_of_real_time() -> None:
    start = parse_timecode("00:00:00;00", NTSC)
    assert start is not None
    assert str(start.advanced(round(3600 * NTSC))) == "01:00:00;00"


def test_a_time_code_wraps_after_a_day() -> None:
    assert successive_timecodes("23:59:59:24", Fraction(25), 2) == ["23:59:59:24", "00:00:00:00"]
    assert successive_timecodes("23:59:59;29", NTSC, 2) == ["23:59:59;29", "00:00:00;00"]


@pytest.mark.parametrize("text", ["", "1:2:3:4", "00:61:00:00", "00:00:00:25", "00:00:00"])
def test_an_invalid_time_code_is_none(text: str) -> None:
    assert parse_timecode(text, Fraction(25)) is None


def film_with_timecode(folder: Path, suffix: str, rate: Fraction, timecode: str) -> Path:
    """Write 50 frames with a time code and a reel's name."""
    plain = make_clip(folder / "plain.mov", Clip(ticks=tuple(range(40)), time_base=1 / rate))
    path = folder / f"film{suffix}"
    video = ("-c:v", "prores_ks") if suffix == ".mxf" else ("-c", "copy")
    tags = (
        "-timecode",
        timecode,
        "-metadata:s:v",
        "reel_name=REEL_7",
        "-metadata",
        "reel_name=REEL_7",
    )
    if suffix == ".mkv":
        tags = ("-metadata:s:v", f"timecode={timecode}", "-metadata:s:v", "reel_name=REEL_7")
    run_ffmpeg("-i", plain, *video, *tags, path)
    return path


def metadata_values(path: Path, key: str) -> set[str]:
    with av.open(str(path)) as container:
        holders = [container, *container.streams]
        return {v for h in holders for k, v in h.metadata.items() if k.lower() == key}


@pytest.mark.parametrize("target", [".mov", ".mp4", ".mkv", ".mxf"])
@pytest.mark.parametrize("source", [".mov", ".mp4", ".mkv", ".mxf"])
def test_the_time_code_is_copied_between_all_containers(
    tmp_path: Path, source: str, target: str
) -> None:
    path = film_with_timecode(tmp_path, source, NTSC, "00:00:59;20")
    codec = {".mp4": "h264", ".mkv": "ffv1"}.get(target, "prores")

    copy_video(path, tmp_path / f"out{target}", codec=codec)

    assert metadata_values(tmp_path / f"out{target}", "timecode") == {"00:00:59;20"}


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv", ".mxf"])
@pytest.mark.parametrize(
    ("rate", "timecode", "moved"),
    [(NTSC, "00:00:59;20", "00:01:00;22"), (Fraction(25), "01:00:00:00", "01:00:01:05")],
)
def test_a_time_range_begins_at_its_own_time_code(
    tmp_path: Path, suffix: str, rate: Fraction, timecode: str, moved: str
) -> None:
    path = film_with_timecode(tmp_path, suffix, rate, timecode)
    codec = {".mp4": "h264", ".mkv": "ffv1"}.get(suffix, "prores")

    copy_video(path, tmp_path / f"out{suffix}", codec=codec, start_seconds=float(30 / rate) - 0.01)

    assert metadata_values(tmp_path / f"out{suffix}", "timecode") == {moved}


@pytest.mark.parametrize("suffix", [".mov", ".mkv", ".mxf"])
def test_the_reel_name_is_kept(tmp_path: Path, suffix: str) -> None:
    path = film_with_timecode(tmp_path, ".mov", NTSC, "00:00:59;20")
    assert probe(path).reel_name == "REEL_7"

    copy_video(path, tmp_path / f"out{suffix}", codec="prores")

    assert metadata_values(tmp_path / f"out{suffix}", "reel_name") == {"REEL_7"}


def test_a_film_made_of_dpx_has_its_time_code_and_reel_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for index in range(5):
        name = f"{index}.dpx"
        (tmp_path / "in" / name).write_bytes(make_dpx(DpxKind(timecode=0x01020312), (48, 64)))

    copy_video(tmp_path / "in", tmp_path / "out.mov", codec="prores", start_seconds=0.12)

    # Folders run at 25 pictures a second here: three frames later.
    assert metadata_values(tmp_path / "out.mov", "timecode") == {"01:02:03:15"}
    assert metadata_values(tmp_path / "out.mov", "reel_name") == {"REEL_A007"}


def test_info_prints_time_code_and_reel_name(tmp_path: Path) -> None:
    info = probe(film_with_timecode(tmp_path, ".mov", NTSC, "00:00:59;20"))
    assert (info.timecode, info.reel_name) == ("00:00:59;20", "REEL_7")


def test_mxf_is_refused_for_streams_and_frame_rates_it_cannot_hold(tmp_path: Path) -> None:
    sound = make_clip(tmp_path / "a.mov", Clip(sounds=(Sound(),)))
    with pytest.raises(
        UnsupportedStreamError, match=r"\.mxf does not support stream 1 \(audio, aac"
    ):
        copy_video(sound, tmp_path / "out.mxf", codec="prores")
    uneven = make_clip(tmp_path / "b.mov", Clip(ticks=(0, 1, 2, 5, 6, 9)))
    with pytest.raises(MediaError, match=r"needs a constant rate of 23\.976 to 60 fps.*variable"):
        copy_video(uneven, tmp_path / "out.mxf", codec="prores")
    assert not (tmp_path / "out.mxf").exists()
