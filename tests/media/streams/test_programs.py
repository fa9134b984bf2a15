"""Programs of transport streams: one is restored, and what it is called by is kept or named."""

import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import pytest
from support.clips import Clip, Sound, make_clip
from support.transport import CUES, DVB_SUBTITLES, TELETEXT, add_streams
from support.video_copies import write_output

from vidrestore.errors import ConfigError, MediaError, UnsupportedStreamError
from vidrestore.media.input.source import open_source
from vidrestore.media.input.video_info import VideoInfo, probe
from vidrestore.media.output.containers import container_of
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.streams.programs import program_notes, program_options
from vidrestore.verify import verify


def ffmpeg(*words: str | Path) -> None:
    program = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([program, "-v", "error", "-y", *map(str, words)], check=True)


def two_programs(folder: Path) -> Path:
    """Write a transport stream of two programs with video and audio each."""
    sound = Sound(codec="mp2")
    films = [
        make_clip(folder / f"{width}.ts", Clip(size_hw=(48, width), sounds=(sound,)))
        for width in (96, 64)
    ]
    maps = ["-map", "0:v", "-map", "0:a", "-map", "1:v", "-map", "1:a", "-c", "copy"]
    programs = [
        *("-program", "title=News:program_num=10:st=0:st=1"),
        *("-program", "title=Sport:program_num=20:st=2:st=3"),
    ]
    numbers = ["-mpegts_transport_stream_id", "7", "-mpegts_original_network_id", "9018"]
    ids = ["-streamid", "2:700", "-streamid", "3:701"]
    path = folder / "two.ts"
    ffmpeg("-i", films[0], "-i", films[1], *maps, *programs, *numbers, *ids, path)
    return path


def copy_program(
    source: Path, target: Path, program: int | None = None, **options: bool
) -> list[str]:
    with open_source(source, program=program) as frames:
        settings = EncoderSettings(codec="h264")
        return write_output(
            target,
            frames,
            info=frames.info,
            source_path=source,
            settings=settings,
            **options,
        )


def stream_ids(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [stream.id for stream in container.streams]


def test_the_first_program_is_restored_and_noted(tmp_path: Path) -> None:
    info = probe(two_programs(tmp_path))

    assert info.program is not None
    assert str(info.program) == "10 (News)"
    assert info.geometry.coded_hw == (48, 96)
    (note,) = program_notes(info)
    assert note == "program 10 (News) was restored; --program chooses another: 20 (Sport)"


def test_another_program_is_chosen_and_keeps_its_names_and_numbers(tmp_path: Path) -> None:
    source, target = two_programs(tmp_path), tmp_path / "out.ts"

    notes = copy_program(source, target, 20)

    info = probe(target)
    assert [(program.number, program.name) for program in info.programs] == [(20, "Sport")]
    assert info.geometry.coded_hw == (48, 64)
    assert stream_ids(target) == [700, 701]
    assert any("program 10 (News) was dropped: stream 0 (video" in note for note in notes)
    spec = container_of(target)
    with open_source(source, program=20) as opened:
        before = program_options(opened.info, spec)
    after = program_options(info, spec)
    names = ("mpegts_transport_stream_id", "mpegts_original_network_id", "mpegts_service_id")
    assert (
        [before[name] for name in names] == [after[name] for name in names] == ["7", "9018", "20"]
    )


def test_a_result_of_the_first_program_is_verified(tmp_path: Path) -> None:
    source, target = two_programs(tmp_path), tmp_path / "out.ts"
    copy_program(source, target)

    checks = {check.name: check.result for check in verify(source, target).checks}

    assert checks["streams"] == "kept"
    assert checks["frames"] == "kept"


def test_a_container_without_programs_names_the_lost_programs(tmp_path: Path) -> None:
    notes = copy_program(two_programs(tmp_path), tmp_path / "out.mkv")

    assert any("the program's number 10, name News, provider FFmpeg" in note for note in notes)


def test_a_missing_program_is_refused_with_the_existing_ones(tmp_path: Path) -> None:
    with (
        pytest.raises(MediaError, match=r"no program 30; choose from: 10 \(News\), 20 \(Sport\)"),
        open_source(two_programs(tmp_path), program=30),
    ):
        pass


@pytest.mark.parametrize("name", ["film.mkv", "frames"])
def test_the_program_option_is_refused_for_sources_without_programs(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    if path.suffix:
        make_clip(path)
    else:
        path.mkdir()
    with (
        pytest.raises((MediaError, ConfigError), match="leave out --program"),
        open_source(path, program=1),
    ):
        pass


def service(folder: Path) -> Path:
    film = make_clip(folder / "film.ts", Clip(sounds=(Sound(codec="mp2"),)))
    path = folder / "service.ts"
    names = ["-metadata", "service_name=Channel", "-metadata", "service_provider=Provider"]
    ffmpeg("-i", film, "-c", "copy", *names, "-mpegts_service_id", "42", path)
    return path


def infos_by_codec(info: VideoInfo) -> dict[str | None, str | None]:
    return {stream.codec: stream.language for stream in info.streams}


def test_teletext_and_subtitles_are_kept_with_the_program(tmp_path: Path) -> None:
    source = add_streams(service(tmp_path), [TELETEXT, DVB_SUBTITLES])
    target = tmp_path / "out.ts"

    copy_program(source, target)

    info = probe(target)
    assert info.program is not None
    assert (info.program.name, info.program.provider) == ("Channel", "Provider")
    assert infos_by_codec(info) == infos_by_codec(probe(source))
    assert {TELETEXT.pid, DVB_SUBTITLES.pid} <= {*stream_ids(target)}
    assert all(check.result != "changed" for check in verify(source, target).checks)


def test_scte_35_cues_that_cannot_be_kept_are_named(tmp_path: Path) -> None:
    source = add_streams(service(tmp_path), [CUES])

    with pytest.raises(UnsupportedStreamError, match=r"stream 2 \(data, scte_35\)"):
        copy_program(source, tmp_path / "out.ts")
    notes = copy_program(source, tmp_path / "out.ts", drop_unsupported=True)

    assert any("stream 2 (data, scte_35) was dropped" in note for note in notes)


@pytest.mark.parametrize("codec", ["dvb_teletext", "dvb_subtitle"])
def test_a_container_that_cannot_hold_a_stream_names_its_codec(tmp_path: Path, codec: str) -> None:
    stream = TELETEXT if codec == "dvb_teletext" else DVB_SUBTITLES
    source = add_streams(service(tmp_path), [stream])

    with pytest.raises(UnsupportedStreamError, match=codec):
        copy_program(source, tmp_path / "out.mp4")
