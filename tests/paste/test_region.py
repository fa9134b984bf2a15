"""The mask follows the parsed face, inside the ellipse, and does not jump."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from support.frames import YUV444, random_frame
from support.restoring import face_at, restored_face

from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.paste.composite import paste_faces
from vidrestore.paste.face_mask import FaceMask, face_mask
from vidrestore.paste.masks import (
    cells_to_crop,
    combine_masks,
    face_ellipse,
    feather,
    mask_confidence,
    mask_on_grid,
)
from vidrestore.paste.settings import PasteConfig
from vidrestore.types import DisplayGeometry, Frame, RestoredFace

CELLS = 128
HW = (600, 640)


def oval(half_x_px: float, half_y_px: float, *, center_y_px: float = 290.0) -> np.ndarray:
    """Return the cells of an upright oval face, 1 inside and 0 outside."""
    index = np.arange(CELLS) * 4 + 1.5
    x, y = np.meshgrid((index - 255.5) / half_x_px, (index - center_y_px) / half_y_px)
    return (np.hypot(x, y) < 1).astype(np.float32)


def frame_with(region: np.ndarray | None, *, gain: float = 0.5) -> tuple[Frame, RestoredFace]:
    """Return a frame, and a face in it whose crop lies on it pixel by pixel."""
    frame = random_frame(YUV444, HW, smooth=True)
    geometry = DisplayGeometry(coded_hw=HW)
    face = restored_face(frame, geometry, face_at((319.5, 299.5), size_px=512), gain=gain)
    cells = None if region is None else torch.from_numpy(np.array(region, np.float32))
    return frame, RestoredFace(
        aligned=face.aligned, restored_chw=face.restored_chw, face_mask_hw=cells
    )


def mask_in_crop(region: np.ndarray | None) -> np.ndarray:
    """Return the mask at every pixel of the crop."""
    frame, face = frame_with(region)
    mask = face_mask(frame, DisplayGeometry(coded_hw=HW), face)
    assert mask is not None
    return on_crop(mask)


def on_crop(mask: FaceMask) -> np.ndarray:
    full = np.zeros(HW, dtype=np.float32)
    left, top, right, bottom = mask.box_xyxy
    full[top:bottom, left:right] = mask.mask_hw
    return full[44 : 44 + 512, 64 : 64 + 512]


@pytest.mark.parametrize(
    "region", [np.ones((CELLS, CELLS)), oval(130, 170), oval(400, 400), oval(130, 60)]
)
def test_the_mask_falls_to_zero_inside_the_crop(region: np.ndarray) -> None:
    mask = mask_in_crop(region)
    assert max(mask[0].max(), mask[-1].max(), mask[:, 0].max(), mask[:, -1].max()) == 0.0
    outside = mask_in_crop(None) == 0.0
    assert mask[outside].max() < 1e-6
    assert 0.0 <= mask.min() <= mask.max() <= 1.0


def test_the_mask_includes_features_and_all_of_the_skin() -> None:
    mask = mask_in_crop(oval(150, 195))
    for x, y in TEMPLATE_LANDMARKS_XY:
        assert mask[round(y), round(x)] == pytest.approx(1.0, abs=1e-3)
    inner = np.kron(oval(130, 175), np.ones((4, 4))) > 0
    assert mask[inner].min() > 0.85
    assert mask[inner].mean() > mask_in_crop(None)[inner].mean()


def test_the_mask_excludes_what_is_not_face_with_a_soft_border() -> None:
    face = oval(130, 170)
    face[90:] = 0.0
    mask = mask_in_crop(face)
    assert mask[400:].max() < 1e-6
    assert np.abs(np.diff(mask, axis=0)).max() < 0.08
    assert np.abs(np.diff(mask, axis=1)).max() < 0.08


def test_a_small_change_of_probability_hardly_changes_the_mask() -> None:
    before, after = oval(130, 170), oval(130, 170)
    after[80:84, 40:90] *= 0.9
    before[80:84, 40:90] *= 0.95
    assert np.abs(mask_in_crop(after) - mask_in_crop(before)).max() < 0.05


def test_the_mask_fades_to_the_ellipse_as_parser_confidence_falls() -> None:
    masks = [mask_in_crop(oval(130, 170) * share) for share in np.linspace(1.0, 0.0, 21)]
    steps = [np.abs(first - other).max() for first, other in pairwise(masks)]
    assert max(steps) < 0.3
    np.testing.assert_array_equal(masks[-1], mask_in_crop(None))


def test_without_a_parsed_face_the_mask_is_the_ellipse() -> None:
    ellipse = face_ellipse(TEMPLATE_LANDMARKS_XY.copy())
    expected = mask_on_grid(ellipse.to_unit, (512, 512))
    np.testing.assert_allclose(mask_in_crop(None), expected, atol=1e-3)


def test_mask_confidence_grows_with_the_fraction_of_face_in_the_middle() -> None:
    ellipse = face_ellipse(TEMPLATE_LANDMARKS_XY.copy())
    trusts = [mask_confidence(oval(130, 170) * share, ellipse) for share in (0.2, 0.4, 0.5, 0.8)]
    assert trusts[0] == 0.0
    assert trusts == sorted(trusts)
    assert trusts[-1] == 1.0


def test_feathering_keeps_full_and_empty_areas_and_the_position_of_the_border() -> None:
    cells = np.zeros((CELLS, CELLS), np.float32)
    cells[:, 64:] = 1.0
    feathered = feather(cells)
    assert feathered[:, :57].max() == 0.0
    assert feathered[:, 71:].min() == 1.0
    np.testing.assert_allclose(feathered[:, 63] + feathered[:, 64], 1.0, atol=1e-5)


def test_face_masks_of_every_cell_size_have_the_same_position() -> None:
    fine, coarse = np.ones((512, 512)), np.ones((64, 64))
    fine[:, :256], coarse[:, :32] = 0.0, 0.0
    difference = np.abs(mask_in_crop(fine) - mask_in_crop(coarse))
    assert difference.max() < 0.1
    np.testing.assert_allclose(cells_to_crop(512), np.eye(2, 3))


def test_at_confidence_0_the_mask_is_the_ellipse() -> None:
    ellipse = face_ellipse(TEMPLATE_LANDMARKS_XY.copy())
    feathered = np.zeros((512, 512), np.float32)
    result = combine_masks(feathered, ellipse.to_unit, confidence=0.0)
    np.testing.assert_array_equal(result, mask_on_grid(ellipse.to_unit, (512, 512)))


def test_pasting_does_not_change_samples_outside_the_face() -> None:
    region = oval(130, 170)
    region[90:] = 0.0
    frame, face = frame_with(region)
    geometry = DisplayGeometry(coded_hw=HW)
    config = PasteConfig(mask="face")
    after = paste_faces(frame, geometry, (face,), config=config, keep_chroma=False).frame
    assert (after.planes[0][300, 320 - 40 : 320 + 40] != frame.planes[0][300, 280:360]).any()
    for old, new in zip(frame.planes, after.planes, strict=True):
        np.testing.assert_array_equal(new[44 + 400 :], old[44 + 400 :])


@pytest.mark.parametrize("shape", [(100, 100), (128, 64), (1, 128, 128)])
def test_face_masks_that_do_not_divide_the_crop_are_refused(shape: tuple[int, ...]) -> None:
    _, face = frame_with(None)
    with pytest.raises(ValueError, match="face_mask_hw must be"):
        RestoredFace(
            aligned=face.aligned,
            restored_chw=face.restored_chw,
            face_mask_hw=torch.zeros(shape),
        )
