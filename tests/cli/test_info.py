import hashlib
import json
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from vidrestore.cli import main
from vidrestore.errors import MediaError
from vidrestore.media.color.hdr_metadata import HdrMetadata, LightLevel, MasteringDisplay
from vidrestore.media.fields import detection
from vidrestore.media.fields.detection import FieldDetection
from vidrestore.media.input import video_info
from vidrestore.media.input.video_info import Chapter, StreamInfo, VideoInfo
from vidrestore.models.registry import RESTORERS
from vidrestore.pipeline.loading import model_info
from vidrestore.types import ColorTags, DisplayGeometry, PixelFormat
from vidrestore.weights.manifest import WEIGHTS
from vidrestore.weights.metadata import interpolation_metadata

INFO = VideoInfo(
    path=Path("film.mkv"),
    kind="film",
    container="matroska,webm",
    geometry=DisplayGeometry(
        coded_hw=(576, 720), sample_aspect_ratio=Fraction(16, 15), quarter_turns=1
    ),
    pixel_format_name="yuv420p10le",
    pixel_format=PixelFormat(name="yuv420p10le", model="yuv", bit_depth=10, chroma_shift_xy=(1, 1)),
    color=ColorTags(matrix=5, primaries=5, transfer=16, range_known=True, chroma_location=1),
    time_base=Fraction(1, 1000),
    duration_seconds=3725.5,
    average_rate=Fraction(24_000, 1001),
    frame_count_estimate=89_322,
    variable_rate=True,
    field_order="top first",
    codec="ffv1",
    bit_rate=8_000_000,
    streams=(
        StreamInfo(index=0, kind="video", codec="ffv1", default=True),
        StreamInfo(
            index=1,
            kind="audio",
            codec="flac",
            language="eng",
            title="[bold]left\x1b[31m",
            sample_rate_hz=48_000,
            channels=1,
            channel_layout="mono",
            start_seconds=Fraction(1, 40),
        ),
    ),
    chapters=(Chapter(start_seconds=Fraction(0), end_seconds=Fraction(60), title="One"),),
    metadata={"title": "Süßes Leben"},
)


SEEN = FieldDetection(
    frames=75,
    flagged=75,
    top_first=60,
    bottom_first=0,
    progressive=15,
    order="top first",
    pulldown=True,
)


@pytest.fixture(autouse=True)
def patch_field_detection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "detect_fields", lambda info: SEEN)


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A film that the command finds, of which it sees what ``INFO`` says."""
    monkeypatch.chdir(tmp_path)
    INFO.path.write_bytes(b"read by the stand-in below")
    monkeypatch.setattr(video_info, "probe", lambda path: INFO)


@pytest.mark.usefixtures("probed")
@pytest.mark.parametrize(
    "line",
    [
        "film          film.mkv",
        "container     matroska,webm",
        "video codec   ffv1",
        "duration      01:02:05.500",
        "frames        about 89322",
        "frame rate    23.976 per second (24000/1001), variable",
        "bit rate      8000 kbit/s",
        "size          720 x 576",
        "display size  576 x 768 (turned 90 degrees clockwise, pixels 16:15)",
        "pixel format  yuv420p10le, 10 bits",
        "fields        top first",
        "fields seen   top first (of 75 frames: top first 60, progressive 15; 75 flagged)",
        "telecine      3:2 pulldown; --pulldown recovers the original frames, 19.181 per second",
        "time base     1/1000 s",
        "stream 0      video, ffv1, default",
        "chapter 1     00:00:00.000 to 00:01:00.000 One",
        "title         Süßes Leben",
    ],
)
def test_info_prints_the_expected_line(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "film.mkv"]) == 0
    assert line in [line.rstrip() for line in capfd.readouterr().out.splitlines()]


@pytest.mark.usefixtures("probed")
def test_color_is_printed_by_its_common_names(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "film.mkv"]) == 0
    assert (
        "matrix bt470bg, primaries bt470bg, transfer smpte2084, range limited, chroma_location left"
        in capfd.readouterr().out
    )


@pytest.mark.usefixtures("probed")
def test_control_characters_in_metadata_are_escaped(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "film.mkv"]) == 0
    out = capfd.readouterr().out
    assert "\x1b" not in out
    assert "audio, flac, eng, [bold]left [31m, 48000 Hz, mono, starts at 0.025 s" in out


@pytest.mark.usefixtures("probed")
def test_json_holds_exact_ratios_and_plain_values(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "film.mkv", "--json"]) == 0
    output: dict[str, Any] = json.loads(capfd.readouterr().out)

    assert output["average_rate"] == "24000/1001"
    assert output["time_base"] == "1/1000"
    assert output["duration_seconds"] == 3725.5
    assert (output["coded_width"], output["coded_height"]) == (720, 576)
    assert (output["display_width"], output["display_height"]) == (576, 768)
    assert output["rotation_degrees_clockwise"] == 90
    assert output["color"]["range"] == "limited"
    assert output["streams"][1]["channel_layout"] == "mono"
    assert output["detect_fields"]["order"] == "top first"
    assert output["detect_fields"]["pulldown"] is True
    assert output["chapters"] == [{"start_seconds": 0.0, "end_seconds": 60.0, "title": "One"}]
    assert output["metadata"] == {"title": "Süßes Leben"}


def test_an_unreadable_file_is_a_one_line_error(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def probe(path: Path) -> VideoInfo:
        raise MediaError(f"{path}: no such file or folder; check the name")

    monkeypatch.setattr(video_info, "probe", probe)

    assert main(["info", "absent.mkv"]) == 1
    assert capfd.readouterr() == ("", "error: absent.mkv: no such file or folder; check the name\n")


def test_info_on_the_packaged_model_prints_license_option_and_model_card(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["info", "lite"]) == 0

    out = capfd.readouterr().out
    lines = [line.strip().split(maxsplit=1) for line in out.splitlines()]
    assert lines[0] == ["model", "lite"]
    assert ["license", "Apache-2.0"] in lines
    assert any(line[:1] == ["--detail"] for line in lines)
    weights = [Path(line[1]) for line in lines if line[:1] == ["weights"]]
    assert [path.name for path in weights] == [
        "lite.safetensors",
        "lite_small.safetensors",
        "prior.safetensors",
        "mobile_stylegan.safetensors",
    ]
    checksums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in weights]
    assert [line[1] for line in lines if line[:1] == ["SHA-256"]] == checksums
    card = next(Path(line[1]) for line in lines if line[:1] == ["card"])
    assert out.endswith("\n\n" + card.read_text(encoding="utf-8").rstrip() + "\n")


@pytest.mark.parametrize("name", [name for name, spec in RESTORERS.items() if spec.packaged_file])
def test_every_packaged_model_has_a_card(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["info", name]) == 0
    assert "model card" in capfd.readouterr().out


def test_info_on_weights_with_two_ends_prints_default_detail_and_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    metadata = {**interpolation_metadata(0.4), "recipe": "here.toml, there.toml", "steps": "7, 9"}
    save_file({"weight": torch.zeros(1)}, tmp_path / "lite.safetensors", metadata=metadata)
    parts = ("lite_small", "prior", "mobile_stylegan")
    for name in parts:
        (tmp_path / f"{name}.safetensors").touch()
    (tmp_path / "lite.md").write_text("# the card\n")
    monkeypatch.setattr(model_info, "bundled_file", lambda name: nullcontext(tmp_path / name))

    assert main(["info", "lite"]) == 0
    out = capfd.readouterr().out
    for line in ("--detail  0 to 1 (default: 0.5)", "recipe    here.toml", "steps     7, 9"):
        assert line in out
    assert main(["info", "lite", "--json"]) == 0
    output = json.loads(capfd.readouterr().out)
    assert output["default_detail"] == 0.5
    assert output["metadata"] == metadata
    assert output["card"] == str(tmp_path / "lite.md")
    assert output["weights"].keys() == output["sha256"].keys() == {"lite", *parts}


@pytest.mark.parametrize("name", ["psfrgan", "codeformer"])
def test_info_on_a_published_model_names_the_files_to_fetch(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIDRESTORE_WEIGHTS", str(tmp_path))
    assert main(["info", name]) == 0
    out = capfd.readouterr().out
    assert f"weights   {name}, downloaded on first use" in out
    assert "--detail  not supported" in out

    assert main(["info", name, "--json"]) == 0
    output = json.loads(capfd.readouterr().out)
    assert set(output["weights"].values()) == {None}
    assert output["license"] == WEIGHTS[name].license


def test_info_treats_an_existing_file_named_like_a_model_as_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lite").write_bytes(b"no film")

    assert main(["info", "lite"]) == 1
    assert capfd.readouterr().err.startswith("error: lite: ")


@pytest.mark.usefixtures("probed")
def test_info_prints_hdr_side_data(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    level = LightLevel(max_cll_nits=993, max_fall_nits=387)
    mastering = MasteringDisplay(
        white_xy=(Fraction(3127, 10_000), Fraction(329, 1000)),
        luminance_nits=(Fraction(1, 200), Fraction(1000)),
    )
    side_data = HdrMetadata(
        mastering=mastering, light_level=level, unsupported=("HDR10+ metadata",)
    )
    monkeypatch.setattr(video_info, "probe", lambda path: replace(INFO, side_data=side_data))

    assert main(["info", "film.mkv"]) == 0
    output = capfd.readouterr().out
    assert main(["info", "film.mkv", "--json"]) == 0
    found: dict[str, Any] = json.loads(capfd.readouterr().out)["side_data"]

    assert "white 0.3127 0.329, 0.005 to 1000 cd/m2" in output
    assert "993 cd/m2, 387 on average of a frame" in output
    assert "HDR10+ metadata" in output
    assert found["mastering_luminance"] == [0.005, 1000.0]
    assert (found["max_cll"], found["max_fall"]) == (993, 387)
    assert found["not_kept"] == ["HDR10+ metadata"]
