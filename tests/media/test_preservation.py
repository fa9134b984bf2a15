"""What archives are promised of FFV1, ProRes and DNxHR."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from support.clips import RATE, Clip, make_clip, packets_of
from support.frames import random_frame
from support.video_copies import copy_video, frames_of, write_output

from vidrestore.errors import ConfigError, MediaError, UnsupportedStreamError
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.input.ffv1_checksums import SliceChecker
from vidrestore.media.input.source import open_source
from vidrestore.media.input.video_info import probe
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.encoders import encoder_choice, encoder_options

DEEP = {"codec": "ffv1", "options": {}}


def slices_of(packet: bytes) -> int:
    count, end = 0, len(packet)
    while end:
        end -= 8 + int.from_bytes(packet[end - 8 : end - 5], "big")
        count += 1
    return count


def flipped(path: Path, packet_number: int, at_share: float) -> None:
    """Flip a bit of one video packet of a film."""
    with av.open(str(path)) as container:
        payload = bytes(
            [packet for packet in container.demux(video=0) if packet.size][packet_number]
        )
    data = bytearray(path.read_bytes())
    data[data.index(payload) + int(len(payload) * at_share)] ^= 0x10
    path.write_bytes(data)


def profile_of(path: Path) -> str | None:
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_context.profile


@pytest.mark.parametrize(
    "name",
    [
        "gray", "gray16le", "yuv420p", "yuv422p10le", "yuv444p16le", "yuva444p16le", "gbrp",
        "gbrp10le", "gbrp16le", "gbrap16le", "yuv420p12le",
    ],
)  # fmt: skip
def test_ffv1_keeps_every_sample_at_any_depth(tmp_path: Path, name: str) -> None:
    frames = [random_frame(PLANAR[name], (70, 90), seed=index, index=index) for index in range(2)]
    film = make_clip(tmp_path / "a.mkv", Clip(ticks=(0, 1), size_hw=(70, 90)))
    info = replace(
        probe(film), pixel_format=PLANAR[name], color=frames[0].color, time_base=1 / RATE
    )

    target = tmp_path / "out.mkv"
    settings = EncoderSettings(codec="ffv1")
    write_output(target, frames, info=info, source_path=None, settings=settings)

    for frame, back in zip(frames, frames_of(target), strict=True):
        assert back.pixel_format.name == name
        for first, other in zip(frame.planes, back.planes, strict=True):
            assert np.array_equal(first, other)


@pytest.mark.parametrize(("hw", "slices"), [((720, 1280), 24), ((480, 640), 16), ((80, 96), 4)])
def test_ffv1_has_only_key_frames_in_slices_with_checksums(
    tmp_path: Path, hw: tuple[int, int], slices: int
) -> None:
    source = make_clip(tmp_path / "a.mkv", Clip(ticks=(0, 1, 2), size_hw=hw))

    copy_video(source, tmp_path / "out.mkv", codec="ffv1")

    checker = SliceChecker()
    with av.open(str(tmp_path / "out.mkv")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert all(packet.is_keyframe for packet in packets)
    for packet in packets:
        assert slices_of(bytes(packet)) == slices
        assert checker.damaged_slices(bytes(packet)) == 0
        broken = bytearray(bytes(packet))
        broken[len(broken) // 3] ^= 1
        assert checker.damaged_slices(bytes(broken)) == 1


@pytest.mark.parametrize("at_share", [0.1, 0.5, 0.999])
def test_a_flipped_bit_in_ffv1_is_counted(tmp_path: Path, at_share: float) -> None:
    source = make_clip(tmp_path / "a.mkv", Clip(ticks=tuple(range(6)), size_hw=(96, 128)))
    copy_video(source, tmp_path / "out.mkv", codec="ffv1")
    flipped(tmp_path / "out.mkv", 3, at_share)

    with open_source(tmp_path / "out.mkv") as film:
        frames = list(film)

    assert (len(frames), film.damaged_packets) == (6, 1)


def test_ffv1_without_checksums_is_not_reported_as_damaged(tmp_path: Path) -> None:
    old = Clip(ticks=(0, 1, 2), codec="ffv1", options={"level": "1"})
    with open_source(make_clip(tmp_path / "a.mkv", old)) as film:
        assert len(list(film)) == 3
    assert film.damaged_packets == 0


@pytest.mark.parametrize("suffix", [".mov", ".mxf"])
@pytest.mark.parametrize(
    ("pixel_format", "profile"),
    [("yuv422p", "DNXHR HQ"), ("yuv422p10le", "DNXHR HQX"), ("gbrp10le", "DNXHR 444")],
)
def test_dnxhr_uses_the_profile_that_holds_the_samples(
    tmp_path: Path, pixel_format: str, profile: str, suffix: str
) -> None:
    clip = Clip(ticks=(0, 1, 2), size_hw=(120, 256), pixel_format=pixel_format, **DEEP)
    source = make_clip(tmp_path / "a.mkv", clip)

    notes = copy_video(source, tmp_path / f"out{suffix}", codec="dnxhr")

    assert profile_of(tmp_path / f"out{suffix}") == profile
    assert not [note for note in notes if "loses" in note]
    assert probe(tmp_path / f"out{suffix}").pixel_format.name == pixel_format
    for before, after in zip(frames_of(source), frames_of(tmp_path / f"out{suffix}"), strict=True):
        top = before.pixel_format.max_value
        for first, other in zip(before.planes, after.planes, strict=True):
            assert np.abs(first.astype(int) - other).mean() < 0.01 * top


@pytest.mark.parametrize("preset", ["lb", "sq", "hq", "hqx", "444"])
def test_a_profile_of_dnxhr_can_be_chosen(preset: str) -> None:
    settings = EncoderSettings(codec="dnxhr", preset=preset)
    choice = encoder_choice(settings, PLANAR["yuv420p"], (720, 1280))
    options = encoder_options(settings, choice.planar, (720, 1280))
    assert options["profile"] == f"dnxhr_{preset}"
    assert choice.planar.bit_depth == (10 if preset in ("hqx", "444") else 8)


def test_dnxhr_refuses_profiles_and_formats_it_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="choose from: lb, sq, hq, hqx, 444"):
        EncoderSettings(codec="dnxhr", preset="uhq")
    source = make_clip(tmp_path / "a.mkv", Clip(ticks=(0, 1), size_hw=(120, 256)))
    with pytest.raises(
        UnsupportedStreamError, match=r"does not support dnxhr video; use -o out\.mov"
    ):
        copy_video(source, tmp_path / "out.mkv", codec="dnxhr")
    with pytest.raises(
        MediaError, match=r"96x48 is below the minimum frame size of dnxhr \(256x120\)"
    ):
        encoder_choice(EncoderSettings(codec="dnxhr"), PLANAR["yuv420p"], (48, 96))


@pytest.mark.parametrize(
    ("preset", "pixel_format", "profile"),
    [
        ("proxy", "yuv422p10le", "Proxy"), ("lt", "yuv422p10le", "LT"),
        ("standard", "yuv422p10le", "Standard"), ("hq", "yuv422p10le", "HQ"),
        (None, "yuv422p10le", "HQ"), ("4444", "yuv444p10le", "4444"),
        (None, "yuva444p10le", "4444"), ("4444xq", "yuva444p10le", "XQ"),
    ],
)  # fmt: skip
def test_prores_has_every_profile_and_keeps_alpha(
    tmp_path: Path, preset: str | None, pixel_format: str, profile: str
) -> None:
    clip = Clip(ticks=(0, 1), pixel_format=pixel_format, color=(9, 9, 16, 1), **DEEP)
    source = make_clip(tmp_path / "a.mkv", clip)
    settings = EncoderSettings(codec="prores", preset=preset)

    target = tmp_path / "out.mov"
    write_output(
        target, frames_of(source), info=probe(source), source_path=source, settings=settings
    )

    after = probe(tmp_path / "out.mov")
    assert profile_of(tmp_path / "out.mov") == profile
    assert (after.color.matrix, after.color.primaries, after.color.transfer) == (9, 9, 16)
    # Apple's own tools look for this vendor.
    assert packets_of(tmp_path / "out.mov", "video")[0].data[12:16] == b"apl0"
    if pixel_format.startswith("yuva"):
        for first, other in zip(frames_of(source), frames_of(tmp_path / "out.mov"), strict=True):
            assert first.pixel_format.has_alpha
            assert other.pixel_format.has_alpha
            # FFmpeg decodes alpha at the depth it was coded with.
            scale = other.pixel_format.max_value / first.pixel_format.max_value
            assert np.abs(first.planes[3] * scale - other.planes[3]).max() <= scale
