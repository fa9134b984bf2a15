"""HDR side data from source to result, and the notes where it cannot be kept."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support.clips import Clip, make_clip, run_ffmpeg
from support.frames import random_frame
from support.video_copies import copy_video, write_output

from vidrestore.media.color.hdr_metadata import (
    HdrMetadata,
    LightLevel,
    MasteringDisplay,
    add_encoder_parameters,
    describe_losses,
)
from vidrestore.media.color.pixel_formats import PLANAR, plane_views
from vidrestore.media.input.video_info import probe
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.types import ColorTags

P3_AT_1000 = MasteringDisplay(
    primaries_xy=(
        (Fraction(34_000, 50_000), Fraction(16_000, 50_000)),
        (Fraction(13_250, 50_000), Fraction(34_500, 50_000)),
        (Fraction(7_500, 50_000), Fraction(3_000, 50_000)),
    ),
    white_xy=(Fraction(15_635, 50_000), Fraction(16_450, 50_000)),
    luminance_nits=(Fraction(5, 1000), Fraction(1000)),
)
LEVEL = LightLevel(max_cll_nits=993, max_fall_nits=387)
IN_HEVC = (
    "log-level=none:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)"
    "L(10000000,50):max-cll=993,387"
)
HDR10 = ColorTags(
    matrix=9, primaries=9, transfer=16, full_range=False, range_known=True, chroma_location=3
)


def make_hdr10(folder: Path, name: str = "hdr10.mp4", ticks: int = 3) -> Path:
    """Write 10 bits of PQ, BT.2020, with chroma at the top left and both kinds of side data."""
    options = {
        "x265-params": f"{IN_HEVC}:chromaloc=2:colorprim=9:transfer=16:colormatrix=9",
        "preset": "ultrafast",
    }
    clip = Clip(
        ticks=tuple(range(ticks)),
        codec="libx265",
        pixel_format="yuv420p10le",
        options=options,
        color=(9, 9, 16, 1),
    )
    return make_clip(folder / name, clip)


@pytest.fixture(scope="module")
def hdr10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_hdr10(tmp_path_factory.mktemp("hdr10"))


def is_close(result: MasteringDisplay | None, expected: MasteringDisplay) -> bool:
    """Whether two are the same up to AV1's steps of 1/65536 and 1/16384 cd/m2."""
    if result is None or None in (result.primaries_xy, result.white_xy, result.luminance_nits):
        return False

    def values(display: MasteringDisplay) -> list[float]:
        points = [
            *(display.primaries_xy or ()),
            display.white_xy or (),
            display.luminance_nits or (),
        ]
        return [float(value) for point in points for value in point]

    return np.allclose(values(result), values(expected), atol=1e-4)


def test_side_data_and_tags_of_a_film_are_read(hdr10: Path) -> None:
    info = probe(hdr10)
    assert info.side_data == HdrMetadata(mastering=P3_AT_1000, light_level=LEVEL)
    assert info.color == HDR10


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("h265", ".mkv"), ("h265", ".mp4"), ("h265", ".ts"), ("h264", ".mkv"), ("h264", ".mp4"),
        ("av1", ".mkv"), ("av1", ".mp4"), ("ffv1", ".mkv"), ("ffv1", ".mp4"), ("prores", ".mov"),
    ],
)  # fmt: skip
def test_a_result_has_the_side_data_and_tags_of_its_source(
    hdr10: Path, tmp_path: Path, codec: str, suffix: str
) -> None:
    target = tmp_path / f"out{suffix}"
    notes = copy_video(hdr10, target, codec=codec)
    info = probe(target)
    assert is_close(info.side_data.mastering, P3_AT_1000)
    assert info.side_data.light_level == LEVEL
    color = info.color
    assert (color.matrix, color.primaries, color.transfer) == (9, 9, 16)
    assert color.range_known
    assert not color.full_range
    kept_siting = codec in ("h265", "h264") or (codec, suffix) == ("ffv1", ".mkv")
    if kept_siting:
        assert color.chroma_location == HDR10.chroma_location
    if codec == "ffv1":
        assert any("chroma" in note for note in notes) == (suffix == ".mp4")


@pytest.mark.parametrize(("codec", "suffix"), [("h265", ".mkv"), ("ffv1", ".mp4")])
def test_the_container_states_side_data_before_a_frame_is_decoded(
    hdr10: Path, tmp_path: Path, codec: str, suffix: str
) -> None:
    target = tmp_path / f"out{suffix}"
    copy_video(hdr10, target, codec=codec)
    data = target.read_bytes()
    if suffix == ".mp4":
        assert b"mdcv" in data
        assert b"clli" in data
    else:
        # Matroska's MaxCLL and MaxFALL, of two bytes each (RFC 9559, section 5.1.4.1.28.29).
        assert b"\x55\xbc\x82\x03\xe1" in data
        assert b"\x55\xbd\x82\x01\x83" in data


@pytest.mark.parametrize("codec", ["h264", "h265", "av1"])
def test_the_stream_of_a_codec_holds_side_data_itself(
    hdr10: Path, tmp_path: Path, codec: str
) -> None:
    target, raw = tmp_path / "out.mkv", tmp_path / f"raw.{'obu' if codec == 'av1' else codec}"
    copy_video(hdr10, target, codec=codec)
    kind = {"h265": "hevc", "av1": "obu"}.get(codec, codec)
    run_ffmpeg("-i", target, "-map", "0:v", "-c", "copy", "-f", kind, raw)
    with av.open(str(raw), format=kind) as container:
        frame = next(container.decode(video=0))
        names = {item.type.name for item in frame.side_data}
    assert {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"} <= names


def test_frame_rate_and_times_stay_where_side_data_is_stated(hdr10: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    copy_video(hdr10, target, codec="ffv1")
    assert probe(target).average_rate == probe(hdr10).average_rate == 25
    assert probe(target).time_base == probe(hdr10).time_base


def test_a_film_without_side_data_gets_none(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "plain.mkv", Clip(ticks=(0, 1, 2), color=(1, 1, 1, 1)))
    notes = copy_video(source, tmp_path / "out.mkv", codec="ffv1")
    assert probe(tmp_path / "out.mkv").side_data == HdrMetadata()
    assert not notes


def test_an_incomplete_mastering_display_is_written_incomplete(tmp_path: Path) -> None:
    source = make_hdr10(tmp_path)
    partly = HdrMetadata(mastering=MasteringDisplay(luminance_nits=P3_AT_1000.luminance_nits))
    info = replace(probe(source), side_data=partly)
    target = tmp_path / "out.mkv"
    frame = random_frame(info.pixel_format, info.geometry.coded_hw, color=info.color)
    instant = replace(frame.timestamp, time_base=info.time_base)
    settings = EncoderSettings(codec="ffv1")
    frame = replace(frame, timestamp=instant)
    write_output(target, [frame], info=info, source_path=None, settings=settings)
    assert probe(target).side_data == partly


def test_what_an_output_cannot_store_is_noted() -> None:
    dynamic = HdrMetadata(unsupported=("HDR10+ metadata", "Dolby Vision metadata"))

    def noted(side_data: HdrMetadata, color: ColorTags, **names: str) -> str:
        pixel_format = PLANAR["yuv420p"]
        return "\n".join(describe_losses(side_data, color, pixel_format=pixel_format, **names))

    h265 = {"encoder": "libx265", "codec": "hevc", "container": "matroska"}
    assert "not kept: HDR10+ metadata, Dolby Vision metadata" in noted(dynamic, HDR10, **h265)
    assert "wrong" not in noted(dynamic, HDR10, **h265)
    assert "may show wrong colors" in noted(dynamic, ColorTags(), **h265)
    assert noted(HdrMetadata(mastering=P3_AT_1000), HDR10, **h265) == ""
    h264 = {"encoder": "libx264", "codec": "h264", "container": "mp4"}
    assert "--codec h265" in noted(HdrMetadata(), HDR10, **h264)
    assert noted(HdrMetadata(), ColorTags(matrix=1, primaries=1, transfer=1), **h264) == ""
    avi = {"encoder": "ffv1", "codec": "ffv1", "container": "avi"}
    assert "cannot store these color tags" in noted(HdrMetadata(), HDR10, **avi)
    assert noted(HdrMetadata(), ColorTags(), **avi) == ""
    other = {"encoder": "dnxhd", "codec": "dnxhd", "container": "mov"}
    assert "dnxhd cannot store HDR metadata" in noted(
        HdrMetadata(light_level=LEVEL), HDR10, **other
    )


def test_parameters_are_added_to_those_of_the_encoder() -> None:
    options = {"x265-params": "log-level=none"}
    add_encoder_parameters(options, "libx265", HdrMetadata(mastering=P3_AT_1000, light_level=LEVEL))
    assert options == {"x265-params": IN_HEVC}


def test_alpha_that_is_not_decoded_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "alpha.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx-vp9", 25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuva420p"
        picture = av.VideoFrame(64, 48, "yuva420p")
        for view in plane_views(picture, PLANAR["yuva420p"]):
            view[...] = 128
        picture.pts, picture.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    (message,) = probe(path).side_data.unsupported
    assert "transparency" in message


@pytest.mark.parametrize("name", ["yuva420p", "yuva422p10le", "gbrap", "gbrap16le"])
def test_a_film_with_alpha_can_be_encoded_with_every_codec(tmp_path: Path, name: str) -> None:
    source = tmp_path / "alpha.mkv"
    packed = {"gbrap": "bgra"}.get(name, name)
    make_clip(source, Clip(ticks=(0, 1), codec="ffv1", options={}, pixel_format=packed))
    for codec in ("h264", "h265", "av1", "prores"):
        notes = copy_video(source, tmp_path / f"{codec}.mkv", codec=codec)
        lost = codec != "prores"
        assert any("transparency" in note for note in notes) == lost
