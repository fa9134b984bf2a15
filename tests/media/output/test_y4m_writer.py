"""Frames to standard output: lost properties are noted, and a closed reader ends the writer."""

import os
from collections.abc import Generator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support.clips import Clip, make_clip
from support.fields import interlaced_clip

from vidrestore.errors import PipeClosedError
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.input.source import open_source
from vidrestore.media.input.video_info import VideoInfo, probe
from vidrestore.media.output.open_output import open_output
from vidrestore.media.output.y4m_writer import y4m_format
from vidrestore.media.y4m import COLOR_SPACES, Y4mHeader
from vidrestore.storage import standard_streams
from vidrestore.types import Frame

STDOUT = Path("-")


@pytest.fixture
def read_fd(monkeypatch: pytest.MonkeyPatch) -> Generator[int]:
    read_fd, write_fd = os.pipe()
    monkeypatch.setattr(standard_streams, "_film_fd", write_fd)
    yield read_fd
    os.close(write_fd)
    os.close(read_fd)


def info_and_frames(path: Path) -> tuple[VideoInfo, list[Frame]]:
    with open_source(path) as source:
        return source.info, list(source)


def test_a_writer_without_a_reader_can_be_closed(tmp_path: Path, read_fd: int) -> None:
    info, frames = info_and_frames(
        make_clip(tmp_path / "film.mkv", Clip(size_hw=(720, 1280), ticks=[0]))
    )

    with open_output(STDOUT, info=info, source_path=None) as output:
        writer = output.open_segment(tmp_path / "000000.film")
        for number in range(4):  # the first alone fills the pipe
            writer.write(replace(frames[0], index=number))
        assert os.read(read_fd, 10) == b"YUV4MPEG2 "
        writer.abort()


def test_a_closed_pipe_raises_its_own_error(tmp_path: Path, read_fd: int) -> None:
    info, frames = info_and_frames(make_clip(tmp_path / "film.mkv", Clip(ticks=[0])))
    spare_fd, _ = os.pipe()
    os.dup2(spare_fd, read_fd)

    with open_output(STDOUT, info=info, source_path=None) as output:
        writer = output.open_segment(tmp_path / "000000.film")
        writer.write(frames[0])
        with pytest.raises(PipeClosedError):
            writer.finish()


def notes_of(info: VideoInfo) -> str:
    with open_output(STDOUT, info=info, source_path=None) as output:
        return "; ".join(output.notes)


def test_properties_that_y4m_cannot_store_are_noted(tmp_path: Path, read_fd: int) -> None:
    del read_fd
    plain = probe(make_clip(tmp_path / "plain.mkv"))
    assert notes_of(plain) == ""

    color = make_clip(tmp_path / "color.mkv", Clip(color=(9, 9, 16, 1)))
    assert "-colorspace 9, -color_primaries 9, -color_trc 16" in notes_of(probe(color))
    uneven = make_clip(tmp_path / "uneven.mkv", Clip(ticks=(0, 1, 2, 9, 10, 11)))
    assert "uneven times" in notes_of(probe(uneven))
    turned = make_clip(tmp_path / "turned.mp4", Clip(rotation_degrees=90))
    assert "rotation" in notes_of(probe(turned))
    rgb = make_clip(tmp_path / "rgb.mkv", Clip(codec="ffv1", options={}, pixel_format="bgr0"))
    assert "exact RGB values" in notes_of(probe(rgb))
    assert "-colorspace 1," in notes_of(probe(rgb))  # of the conversion


def test_flags_of_only_some_frames_are_noted(tmp_path: Path, read_fd: int) -> None:
    info, frames = info_and_frames(interlaced_clip(tmp_path / "film.mkv"))

    with open_output(STDOUT, info=info, source_path=None) as output:
        writer = output.open_segment(tmp_path / "000000.film")
        for frame in frames[:3]:
            writer.write(replace(frame, interlaced=frame.index > 0))
        writer.finish()
        notes = output.notes

    assert any("2 of 3 frames are flagged as interlaced" in note for note in notes)
    assert os.read(read_fd, 10) == b"YUV4MPEG2 "


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("yuv420p10le", "yuv420p10le"),
        ("gray14le", "gray16le"),
        ("yuv440p", "yuv444p"),
        ("yuv410p", "yuv420p"),
        ("yuva420p", "yuva444p"),
        ("gbrp10le", "yuv444p10le"),
    ],
)
def test_the_format_with_the_least_loss_is_written(source: str, written: str) -> None:
    assert y4m_format(PLANAR[source]).name == written


@pytest.mark.parametrize("name", sorted({*COLOR_SPACES.values()}))
def test_a_y4m_stream_is_written_back_bit_for_bit(
    name: str, tmp_path: Path, read_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = Y4mHeader(
        coded_hw=(17, 31),
        pixel_format=PLANAR[name],
        frame_rate=Fraction(30_000, 1001),
        field_order="bottom first",
        sample_aspect_ratio=Fraction(10, 11),
        chroma_location=3 if name == "yuv420p" else 0,
        full_range=name.startswith("gray"),
    )
    samples = np.random.default_rng(2).bytes(header.frame_bytes)
    stream = header.to_line() + b"FRAME\n" + samples
    stdin_fd, sender_fd = os.pipe()
    monkeypatch.setattr(standard_streams, "_STDIN", stdin_fd)
    os.write(sender_fd, stream)
    os.close(sender_fd)

    with (
        open_source(Path("-")) as source,
        open_output(STDOUT, info=source.info, source_path=None) as output,
    ):
        writer = output.open_segment(tmp_path / "000000.film")
        for frame in source:
            writer.write(frame)
        writer.finish()

    os.close(stdin_fd)
    assert os.read(read_fd, 1 << 20) == stream
