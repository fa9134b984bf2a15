"""Films are decoded by a GPU only where that is asked for and possible; it is never replaced."""

from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error
import pytest
import torch
from support.clips import Clip, make_clip
from support.gpu_decoding import FakePacket, use_fake_gpu

from vidrestore.devices import gpu_number
from vidrestore.errors import ConfigError, DeviceError, MediaError
from vidrestore.media import hardware_decoding
from vidrestore.media.input.source import open_source
from vidrestore.types import Frame

H264 = Clip(ticks=tuple(range(20)))
HEVC = replace(H264, codec="libx265", options={"x265-params": "log-level=none:keyint=8"})
DECODED = {
    "h264": H264,
    "full range": replace(H264, pixel_format="yuvj420p"),
    "interlaced": replace(H264, field_order="tff"),
    "hevc": HEVC,
    "hevc 10 bits": replace(HEVC, pixel_format="yuv420p10le"),
}
REFUSED = {
    "h264 in yuv422p": replace(H264, pixel_format="yuv422p"),
    "h264 in yuv420p10le": replace(H264, pixel_format="yuv420p10le"),
    "mpeg2video in yuv420p": replace(H264, codec="mpeg2video", options={}),
    "ffv1 in yuv420p": replace(H264, codec="ffv1", options={}),
}


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "film.mkv", H264)


def facts(frame: Frame) -> tuple[object, ...]:
    """Return all of a frame but its planes, and their samples."""
    others = [getattr(frame, item.name) for item in fields(frame) if item.name != "planes"]
    return *others, [plane.tobytes() for plane in frame.planes]


def frames(path: Path, **more: Any) -> tuple[object, list[tuple[object, ...]]]:
    """Return info and frames of a film."""
    with open_source(path, **more) as source:
        shown = list(source)
    return source.info, [facts(frame) for frame in shown]


@pytest.mark.parametrize("clip", DECODED.values(), ids=DECODED.keys())
@pytest.mark.parametrize("start_seconds", [None, Fraction(2, 5)])
def test_frames_from_a_gpu_are_those_of_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip: Clip, start_seconds: Fraction | None
) -> None:
    film = make_clip(tmp_path / "film.mkv", clip)
    expected = frames(film, start_seconds=start_seconds)
    opened = use_fake_gpu(monkeypatch)
    assert frames(film, start_seconds=start_seconds, gpu=2) == expected
    assert len(opened) >= 2
    assert {*opened} == {2}
    assert len(expected[1]) >= 10


def test_a_gpu_decodes_only_where_it_is_asked_to(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = use_fake_gpu(monkeypatch)
    frames(film)
    assert opened == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_machine_without_a_gpu_is_refused(film: Path) -> None:
    with pytest.raises(DeviceError, match=r"no such GPU.*leave out --hardware-decoding"):
        frames(film, gpu=0)


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_not_decoded_alike_everywhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    film = make_clip(tmp_path / "film.mkv", REFUSED[words])
    opened = use_fake_gpu(monkeypatch)
    with pytest.raises(MediaError, match=f"is {words}; .*leave out --hardware-decoding"):
        frames(film, gpu=0)
    assert opened == []


@pytest.mark.parametrize("name", ["-", "images"])
def test_what_is_not_a_film_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "images").mkdir()
    path = Path(name) if name == "-" else tmp_path / name
    with pytest.raises(ConfigError, match="only films are decoded by a GPU"):
        frames(path, gpu=0)


def test_software_decoding_is_refused(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_gpu(monkeypatch)
    monkeypatch.setattr(hardware_decoding, "is_on_gpu", lambda _stream: False)
    with pytest.raises(DeviceError, match="does not decode it on GPU 0"):
        frames(film, gpu=0)
    monkeypatch.setattr(hardware_decoding, "is_on_gpu", lambda _stream: True)
    monkeypatch.setattr(FakePacket, "decode", lambda self: self._packet.decode())
    with pytest.raises(DeviceError, match="does not decode it on GPU 0"):
        frames(film, gpu=0)


def test_a_film_that_the_gpu_cannot_decode_is_refused(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_packet: FakePacket) -> None:
        raise av.error.InvalidDataError(1, "invalid data")

    use_fake_gpu(monkeypatch)
    monkeypatch.setattr(FakePacket, "decode", fail)
    with pytest.raises(DeviceError, match="decodes no frame of it"):
        frames(film, gpu=0)


def test_a_gpu_that_does_not_crop_as_the_film_says_is_refused(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(packet: FakePacket) -> list[av.VideoFrame]:
        decoded: list[av.VideoFrame] = packet._packet.decode()
        return [frame.reformat(width=112, height=48, format="nv12") for frame in decoded]

    use_fake_gpu(monkeypatch)
    monkeypatch.setattr(FakePacket, "decode", decode)
    with pytest.raises(DeviceError, match="112x48, which is not the 96x48"):
        frames(film, gpu=0)


@pytest.mark.parametrize(
    ("device", "expected"), [("auto", 0), ("cpu", 0), ("cuda", 0), ("cuda:3", 3)]
)
def test_the_gpu_is_that_of_the_networks(device: str, expected: int) -> None:
    assert gpu_number(device) == expected
