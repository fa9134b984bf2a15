"""The filter gives what the command line gives, in whatever order frames are asked for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture, three_shot_film
from support.video_copies import frames_of

import vidrestore
import vidrestore.vapoursynth
from vidrestore import ConfigError, MediaError, RestoreSettings
from vidrestore.types import Frame, Plane

vs: Any = pytest.importorskip("vapoursynth", reason="VapourSynth is not installed")

FRAMES = 18
SETTINGS = RestoreSettings(device="cpu", precision="fp32")
EXAMPLE = Path(__file__).parents[1] / "examples" / "restore.vpy"


def clip_of(frames: list[Frame], clip_format: Any) -> Any:
    """Return a clip of decoded frames, with the properties that a source filter sets."""
    height, width = frames[0].coded_hw
    color = frames[0].color
    blank = vs.core.std.BlankClip(
        width=width, height=height, format=clip_format, length=len(frames), fpsnum=25, fpsden=1
    )
    is_rgb = blank.format.color_family == vs.RGB

    def filled(n: int, f: Any) -> Any:
        output = f.copy()
        planes = frames[n].planes
        for number, plane in enumerate((planes[2], *planes[:2]) if is_rgb else planes):
            np.asarray(output[number])[:] = plane
        output.props.update(
            _Matrix=color.matrix, _Primaries=color.primaries, _Transfer=color.transfer
        )
        if color.range_known:
            output.props["_Range"] = int(color.full_range)
        if color.chroma_location:
            output.props["_ChromaLocation"] = color.chroma_location - 1
        return output

    return blank.std.ModifyFrame(clips=[blank], selector=filled)


def planes_of(clip: Any, number: int) -> list[Plane]:
    """Return copies of the planes of a frame, RGB as FFmpeg orders it."""
    with clip.get_frame(number) as frame:
        planes = [np.array(np.asarray(plane)) for plane in frame]
    return [*planes[1:], planes[0]] if clip.format.color_family == vs.RGB else planes


def expected(film: Path, settings: RestoreSettings) -> list[tuple[Plane, ...]]:
    return [frame.planes for frame in vidrestore.open(film, settings=settings).restored()]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of three shots."""
    return three_shot_film(tmp_path_factory.mktemp("film") / "film.mkv", frames=FRAMES)


def test_frames_equal_those_of_the_command_line_in_any_order(film: Path) -> None:
    frames, expected_frames = frames_of(film), expected(film, SETTINGS)
    assert any((a != b.planes[0]).any() for (a, *_), b in zip(expected_frames, frames, strict=True))

    in_order = vidrestore.vapoursynth.restore(clip_of(frames, vs.YUV420P8), settings=SETTINGS)
    mixed = vidrestore.vapoursynth.restore(clip_of(frames, vs.YUV420P8), settings=SETTINGS)
    for number in range(FRAMES):
        assert_planes(planes_of(in_order, number), expected_frames[number])
    for number in (FRAMES - 1, 7, 8, 2, 13, 0):
        assert_planes(planes_of(mixed, number), expected_frames[number])


def assert_planes(found: list[Plane], wanted: tuple[Plane, ...]) -> None:
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("pixel_format", "name"),
    [("yuv422p10le", "YUV422P10"), ("yuv444p16le", "YUV444P16"), ("bgr0", "RGB24"),
     ("gbrp16le", "RGB48"), ("gray", "GRAY8")],
)  # fmt: skip
def test_every_sample_type_is_restored_without_conversion(
    tmp_path: Path, pixel_format: str, name: str
) -> None:
    clip = Clip(
        size_hw=FACE_SIZE_HW,
        ticks=(0, 1, 2),
        codec="ffv1",
        pixel_format=pixel_format,
        options={},
        picture=face_picture,
    )
    film = make_clip(tmp_path / "film.mkv", clip)

    restored = vidrestore.vapoursynth.restore(
        clip_of(frames_of(film), getattr(vs, name)), settings=SETTINGS
    )
    assert restored.format.id == getattr(vs, name)
    for number, wanted in enumerate(expected(film, SETTINGS)):
        assert_planes(planes_of(restored, number), wanted)


def test_a_background_makes_a_larger_clip(tmp_path: Path) -> None:
    clip = Clip(size_hw=(96, 128), ticks=(0, 1), picture=face_picture)
    film = make_clip(tmp_path / "film.mkv", clip)
    settings = RestoreSettings(device="cpu", precision="fp32", background="compact", scale=2)

    restored = vidrestore.vapoursynth.restore(
        clip_of(frames_of(film), vs.YUV420P8), settings=settings
    )
    assert (restored.width, restored.height) == (256, 192)
    assert_planes(planes_of(restored, 1), expected(film, settings)[1])


def test_settings_that_do_not_apply_to_a_clip_are_refused() -> None:
    blank = vs.core.std.BlankClip(width=64, height=64, format=vs.YUV420P8, length=2)

    with pytest.raises(ConfigError, match="only_tracks: is not for a clip"):
        vidrestore.vapoursynth.restore(blank, settings=RestoreSettings(only_tracks=(1,)))
    with pytest.raises(MediaError, match="the clip is RGBS"):
        vidrestore.vapoursynth.restore(vs.core.std.BlankClip(format=vs.RGBS, length=1))
    with pytest.raises(MediaError, match="interlaced"):
        vidrestore.vapoursynth.restore(blank.std.SetFieldBased(2))


def test_the_example_pipes_the_bytes_of_the_command_line(film: Path, tmp_path: Path) -> None:
    vspipe = Path(sys.executable).with_name("vspipe")
    if not vspipe.exists() or not hasattr(vs.core, "bs"):
        pytest.skip("vspipe or BestSource is not installed: pip install vapoursynth-bestsource")
    # VSScript looks there for the Python that it runs.
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    config = [sys.executable, "-m", "vapoursynth", "config"]
    subprocess.run(config, env=environment, check=True, stdout=subprocess.DEVNULL)
    copy = Path(shutil.copy(film, tmp_path))  # BestSource writes its index beside it
    command = [vspipe, "-c", "y4m", "--arg", f"film={copy}", EXAMPLE, "-"]

    piped = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)

    wanted = b"".join(
        b"FRAME\n" + b"".join(plane.tobytes() for plane in planes)
        for planes in expected(film, RestoreSettings())
    )
    assert piped.stdout.partition(b"\n")[2] == wanted
