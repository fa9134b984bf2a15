"""``--background``: what becomes of every sample, and of the faces."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture, sideways_face_picture
from support.frames import (
    FORMATS,
    GBR,
    GBRA16,
    GRAY16,
    YUV420,
    YUV422P10,
    YUV444,
    random_frame,
)
from support.restoring import face_at, restored_face
from support.video_copies import frames_of
from support.zoo import compact_file, compact_state

from vidrestore import RestoreReport, RestoreSettings, restore_video
from vidrestore.errors import DeviceError, MediaError, WeightsError
from vidrestore.media.color.plane_upscale import upscale_planes
from vidrestore.media.input.video_info import probe
from vidrestore.models.lite import build_lite
from vidrestore.pipeline.background.tiled_upscaler import Upscaler
from vidrestore.pipeline.background.tiles import CONTEXT_PX, split_into_tiles
from vidrestore.pipeline.background.upscale_frames import Background
from vidrestore.pipeline.loading.load_upscaler import load_upscaler
from vidrestore.progress import Progress
from vidrestore.types import ColorTags, DisplayGeometry, Frame, PixelFormat, RestoredFrame

pytest.importorskip("spandrel", reason="needs the extra [zoo]")

CPU = torch.device("cpu")
SIZE_HW = (70, 91)
LOSSLESS = {"codec": "ffv1", "device": "cpu", "precision": "fp32"}


@pytest.fixture
def upscaler(tmp_path: Path) -> Upscaler:
    """Repeats every pixel twice along both axes."""
    return load_upscaler(compact_file(tmp_path, 2), device=CPU, dtype=torch.float32)


@pytest.fixture
def inventive(tmp_path: Path) -> Upscaler:
    """Adds something to every pixel that depends on its neighbors, and on which side they are."""
    return load_upscaler(compact_file(tmp_path, 2, seed=1), device=CPU, dtype=torch.float32)


def upscaled(
    upscaler: Upscaler,
    frame: Frame,
    geometry: DisplayGeometry | None = None,
    *,
    keep_chroma: bool = False,
) -> Frame:
    geometry = geometry or DisplayGeometry(coded_hw=frame.coded_hw)
    background = Background(upscaler, geometry, on_share=lambda _: None)
    bare = RestoredFrame(frame=frame, shot=0, faces=())
    return background.upscale(bare, keep_chroma=keep_chroma).frame


def repeated(plane: np.ndarray, times: int) -> np.ndarray:
    return plane.repeat(times, axis=0).repeat(times, axis=1)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("pixel_format", FORMATS, ids=lambda pixel_format: pixel_format.name)
def test_an_upscaler_that_repeats_pixels_repeats_samples_at_any_depth(
    tmp_path: Path, pixel_format: PixelFormat, scale: int
) -> None:
    # Waves, so that no YUV sample lies outside of RGB, where networks do not see it.
    frame = random_frame(pixel_format, SIZE_HW, smooth=True)
    network = load_upscaler(compact_file(tmp_path, scale), device=CPU, dtype=torch.float32)
    large = upscaled(network, frame)

    assert large.pixel_format == pixel_format
    exact = 1 if pixel_format.model == "yuv" and pixel_format.chroma_shift_xy != (0, 0) else 3
    for plane, source in list(zip(large.planes, frame.planes, strict=True))[:exact]:
        np.testing.assert_array_equal(plane, repeated(source, scale))


def test_alpha_is_interpolated(upscaler: Upscaler) -> None:
    frame = random_frame(GBRA16, SIZE_HW)

    np.testing.assert_array_equal(
        upscaled(upscaler, frame).planes[3], upscale_planes(frame, 2).planes[3]
    )


def test_samples_above_white_are_kept(upscaler: Upscaler) -> None:
    frame = random_frame(YUV444, SIZE_HW, color=ColorTags(matrix=1))
    above_white = np.full(SIZE_HW, 250, np.uint8)
    frame = frame.with_planes((above_white, *(np.full(SIZE_HW, 128, np.uint8),) * 2))

    assert (upscaled(upscaler, frame).planes[0] == 250).all()


@pytest.mark.parametrize(
    "pixel_format", [YUV420, YUV422P10, GBR], ids=lambda pixel_format: pixel_format.name
)
def test_tiles_have_no_seams(
    inventive: Upscaler, monkeypatch: pytest.MonkeyPatch, pixel_format: PixelFormat
) -> None:
    frame = random_frame(pixel_format, (150, 171))
    full = upscaled(inventive, frame)
    monkeypatch.setattr(Upscaler, "tile_side_px", 64)
    tiled = upscaled(inventive, frame)

    for first, other in zip(full.planes, tiled.planes, strict=True):
        # Sums of another order may round a last bit otherwise.
        assert np.abs(first.astype(int) - other).max() <= 1
        assert (first != other).mean() < 1e-3


def test_the_network_never_gets_more_than_a_tile_and_its_margin(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs: list[tuple[int, ...]] = []
    run = Upscaler.upscale

    def watched(self: Upscaler, rgb_CHW: torch.Tensor) -> torch.Tensor:
        inputs.append(tuple(rgb_CHW.shape[1:]))
        return run(self, rgb_CHW)

    monkeypatch.setattr(Upscaler, "tile_side_px", 64)
    monkeypatch.setattr(Upscaler, "upscale", watched)
    upscaled(upscaler, random_frame(YUV420, (200, 300)))

    assert len(inputs) == 4 * 5
    assert max(max(hw) for hw in inputs) <= 64 + 2 * CONTEXT_PX


@pytest.mark.parametrize("size_hw", [(1, 1), (33, 64), (576, 720), (2161, 3839)])
def test_tiles_cover_every_pixel_once(size_hw: tuple[int, int]) -> None:
    count = np.zeros(size_hw, np.uint8)
    for tile in split_into_tiles(size_hw, 256):
        left, top, right, bottom = tile.core_xyxy
        assert right - left <= 256
        assert bottom - top <= 256
        count[top:bottom, left:right] += 1
    assert (count == 1).all()


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_the_network_gets_the_frame_upright(
    inventive: Upscaler, turns: int, mirrored: bool
) -> None:
    upright = random_frame(GBR, SIZE_HW)

    def lying(plane: np.ndarray) -> np.ndarray:
        turned = np.rot90(plane, k=turns)
        return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)

    coded = upright.with_planes(tuple(lying(plane) for plane in upright.planes))
    geometry = DisplayGeometry(coded_hw=coded.coded_hw, quarter_turns=turns, mirrored=mirrored)
    wanted = upscaled(inventive, upright)

    for plane, expected in zip(
        upscaled(inventive, coded, geometry).planes, wanted.planes, strict=True
    ):
        np.testing.assert_array_equal(plane, lying(expected))


def test_monochrome_film_gets_no_color_from_the_network(inventive: Upscaler) -> None:
    frame = random_frame(YUV420, SIZE_HW, smooth=True)
    plain = upscale_planes(frame, 2)
    kept = upscaled(inventive, frame, keep_chroma=True)

    assert (kept.planes[0] != plain.planes[0]).any()
    for index in (1, 2):
        np.testing.assert_array_equal(kept.planes[index], plain.planes[index])


def test_an_untagged_small_film_states_its_matrix_after_enlargement(upscaler: Upscaler) -> None:
    frame = random_frame(YUV420, (480, 64))
    tagged = random_frame(YUV420, (480, 64), color=ColorTags(matrix=1))

    assert upscaled(upscaler, frame).color.matrix == 6
    assert upscaled(upscaler, tagged).color.matrix == 1


@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(64, 45)])
@pytest.mark.parametrize("turns", [0, 1])
def test_a_face_has_the_same_crop_in_the_enlarged_frame(
    upscaler: Upscaler, turns: int, aspect: Fraction
) -> None:
    frame = random_frame(GRAY16, (200, 210), smooth=True)
    geometry = DisplayGeometry(coded_hw=(200, 210), quarter_turns=turns, sample_aspect_ratio=aspect)
    display_h, display_w = geometry.display_hw
    face = restored_face(
        frame, geometry, face_at((display_w / 2, display_h / 2), size_px=100), gain=1.5
    )
    background = Background(upscaler, geometry, on_share=lambda _: None)
    restored_frame = RestoredFrame(
        frame=frame, shot=0, faces=(face,), skipped_faces=(face.aligned.face,)
    )
    enlarged = background.upscale(restored_frame, keep_chroma=False)
    (moved,), (skipped,) = enlarged.faces, enlarged.skipped_faces

    np.testing.assert_array_equal(skipped.landmarks_xy, moved.aligned.face.landmarks_xy)
    assert moved.restored_chw is face.restored_chw
    np.testing.assert_allclose(
        moved.aligned.face.landmarks_xy,
        2 * face.aligned.face.landmarks_xy + 0.5,
        # Display sizes are whole numbers: oblong pixels are stretched to the nearest one.
        atol=1.0 if aspect != 1 else 1e-3,
    )
    assert float((moved.aligned.crop_chw - face.aligned.crop_chw).abs().max()) < 0.01


def test_nan_from_an_upscaler_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    state = {key: each * 1e30 for key, each in compact_state(2, seed=1).items()}
    torch.save(state, tmp_path / "wild.pth")

    with pytest.raises(DeviceError, match="--precision fp32"):
        load_upscaler(tmp_path / "wild.pth", device=CPU, dtype=torch.bfloat16)
    with pytest.raises(WeightsError, match="is not finite; get another copy"):
        load_upscaler(tmp_path / "wild.pth", device=CPU, dtype=torch.float32)


def test_a_network_that_fails_in_bf16_runs_exactly_in_fp32(
    inventive: Upscaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_once = Upscaler.upscale

    def in_fp32_only(self: Upscaler, rgb_CHW: torch.Tensor) -> torch.Tensor:
        if self.dtype != torch.float32:
            raise RuntimeError("expected m1 and m2 to have the same dtype")
        return run_once(self, rgb_CHW)

    monkeypatch.setattr(Upscaler, "upscale", in_fp32_only)
    path = compact_file(tmp_path, 2, seed=1)
    fallen_back = load_upscaler(path, device=CPU, dtype=torch.bfloat16)
    picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))

    assert fallen_back.dtype == torch.float32
    assert torch.equal(fallen_back.upscale(picture), inventive.upscale(picture))


def test_a_face_restorer_is_refused_with_the_option_for_it(tmp_path: Path) -> None:
    torch.save(build_lite().state_dict(), tmp_path / "lite.pth")

    with pytest.raises(WeightsError, match=r"restores faces.*use --model"):
        load_upscaler(tmp_path / "lite.pth", device=CPU, dtype=torch.float32)


def test_a_network_for_other_channels_is_refused(tmp_path: Path) -> None:
    state = compact_state(2)
    state["body.0.weight"] = state["body.0.weight"][:, :1]
    state["body.4.weight"], state["body.4.bias"] = (
        state["body.4.weight"][:4],
        state["body.4.bias"][:4],
    )
    torch.save(state, tmp_path / "gray.pth")

    with pytest.raises(WeightsError, match="has 1 input and 1 output channels"):
        load_upscaler(tmp_path / "gray.pth", device=CPU, dtype=torch.float32)


def test_bf16_is_close_to_fp32(tmp_path: Path, inventive: Upscaler) -> None:
    path = compact_file(tmp_path, 2, seed=1)
    half = load_upscaler(path, device=CPU, dtype=torch.bfloat16)
    picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    error = (half.upscale(picture) - inventive.upscale(picture)).square().mean()

    assert half.dtype == torch.bfloat16
    assert float(-10 * torch.log10(error)) > 45.0


# Films


def face_film(folder: Path, name: str = "face.mkv", **changes: object) -> Path:
    settings = {"size_hw": FACE_SIZE_HW, "ticks": (0, 1, 2), "picture": face_picture}
    return make_clip(folder / name, Clip(**{**settings, **changes}))  # type: ignore[arg-type]


def run(
    source: Path, network: Path, name: str = "out.mkv", **settings: object
) -> tuple[Path, RestoreReport]:
    target = source.with_name(name)
    chosen = RestoreSettings(**{**LOSSLESS, "background": network, **settings})  # type: ignore[arg-type]
    return target, restore_video(source, target, settings=chosen)


def test_a_film_is_enlarged_with_its_face_restored(tmp_path: Path) -> None:
    source = face_film(tmp_path, pixel_format="yuv444p10le")
    network = compact_file(tmp_path, 2)
    side = tmp_path / "side.mkv"
    target, report = run(source, network, compare=side)

    assert (report.faces, report.scale, report.background) == (3, 2, "RealESRGAN Compact")
    assert report.to_json()["scale"] == 2
    assert any("no pixel of it is the source's" in note for note in report.notes)
    info = probe(target)
    assert info.pixel_format_name == "yuv444p10le"
    assert info.geometry.coded_hw == (480, 640)
    times = [frame.timestamp.seconds for frame in frames_of(target)]
    assert times == [frame.timestamp.seconds for frame in frames_of(source)]
    before, after = frames_of(source)[1], frames_of(target)[1]
    touched = repeated(before.planes[0], 2) != after.planes[0]
    assert 0.02 < touched.mean() < 0.5
    assert not touched[:, 500:].any()
    both = frames_of(side)[1]
    assert both.coded_hw == (480, 1280)
    np.testing.assert_array_equal(both.planes[0][:, 640:], after.planes[0])
    # Before: the source, enlarged by interpolation only.
    np.testing.assert_array_equal(both.planes[0][:, :640], upscale_planes(before, 2).planes[0])


def test_an_enlarged_film_keeps_rotation_pixel_aspect_and_odd_sizes(tmp_path: Path) -> None:
    source = face_film(
        tmp_path,
        "sideways.mp4",
        size_hw=(309, 231),
        pixel_format="yuv444p",
        picture=sideways_face_picture,
        rotation_degrees=-90,
        sample_aspect_ratio=Fraction(10, 11),
        ticks=(0, 1),
    )
    target, report = run(source, compact_file(tmp_path, 3), "out.mp4", codec="h264", crf=1)

    assert report.faces == 2
    assert probe(target).geometry == replace(probe(source).geometry, coded_hw=(927, 693))


def test_an_enlarged_image_sequence_keeps_its_file_names(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in (1, 2):
        picture = face_picture(number, FACE_SIZE_HW)[:, :, ::-1]
        cv2.imwrite(str(folder / f"take{number}.png"), picture)
    settings = RestoreSettings(device="cpu", background=compact_file(tmp_path, 4))
    restore_video(folder, tmp_path / "out", settings=settings)

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["take1.png", "take2.png"]
    after = cv2.imread(str(tmp_path / "out" / "take2.png"))
    before = cv2.imread(str(folder / "take2.png"))
    assert after is not None
    assert before is not None
    np.testing.assert_array_equal(after[:, 1000:], repeated(before[:, 250:], 4))


def test_an_enlarged_film_without_faces_is_not_reported_as_unchanged(
    tmp_path: Path,
) -> None:
    source = make_clip(tmp_path / "plain.mkv")
    target, report = run(source, compact_file(tmp_path, 2))

    assert probe(target).geometry.coded_hw == (96, 192)
    assert "no faces were found" in report.notes


def test_progress_is_reported_within_a_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Upscaler, "tile_side_px", 32)
    inputs: list[Progress] = []
    settings = RestoreSettings(**LOSSLESS, background=compact_file(tmp_path, 2))
    source = make_clip(tmp_path / "plain.mkv", Clip(ticks=tuple(range(9))))
    restore_video(source, tmp_path / "out.mkv", settings=settings, on_progress=inputs.append)

    moved = [
        update.frames_done + update.frame_share for update in inputs if update.stage == "restoring"
    ]
    assert moved == sorted(set(moved))
    # While the first frames wait for their neighbors, only the share of one is reported.
    assert len(moved) > 9 + 3 * 5


def test_an_interlaced_film_is_refused_before_writing(tmp_path: Path) -> None:
    source = face_film(tmp_path, field_order="tff", ticks=(0, 1))

    with pytest.raises(MediaError, match=r"interlaced.*--deinterlace frame"):
        run(source, compact_file(tmp_path, 2))
    assert not (tmp_path / "out.mkv").exists()


def test_interlaced_frames_are_refused_at_the_start_and_upscaled_later(
    upscaler: Upscaler,
) -> None:
    frame = replace(random_frame(YUV420, SIZE_HW), interlaced=True, top_field_first=True)
    background = Background(upscaler, DisplayGeometry(coded_hw=SIZE_HW), on_share=lambda _: None)

    with pytest.raises(MediaError, match="add --deinterlace frame"):
        background.upscale(RestoredFrame(frame=frame, shot=0, faces=()), keep_chroma=False)
    later = RestoredFrame(frame=replace(frame, index=7), shot=0, faces=())
    assert not background.upscale(later, keep_chroma=False).frame.interlaced
