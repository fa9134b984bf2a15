"""HDR, wide gamuts, linear light and film density have the same SDR view as on a CPU."""

import numpy as np
import pytest
import torch

from vidrestore.media.color.code_points import (
    HALF_FLOAT,
    HLG,
    LINEAR,
    PQ,
    PRIMARIES_BT2020,
    PRIMARIES_P3,
    PRINTING_DENSITY,
)
from vidrestore.media.color.sdr_view import sdr_view
from vidrestore.pipeline.on_device.images.sdr_colors import change_of_video, to_view
from vidrestore.types import ColorTags

COLORS = [
    ColorTags(transfer=transfer, primaries=primaries)
    for transfer in (1, PQ, HLG, LINEAR, PRINTING_DENSITY, HALF_FLOAT)
    for primaries in (1, PRIMARIES_BT2020, PRIMARIES_P3)
    if (transfer, primaries) != (1, 1)
]


def signals(color: ColorTags) -> tuple[np.ndarray, np.ndarray]:
    """Return RGB of a video, some of it out of range, and a change of its view."""
    rng = np.random.default_rng(0)
    middle = 0.74 if color.transfer == HALF_FLOAT else 0.45  # codes of light around a half
    spread = 0.01 if color.transfer == HALF_FLOAT else 0.3
    rgb = rng.normal(middle, spread, (40, 50, 3)).astype(np.float32)
    change = rng.normal(0, 0.05, rgb.shape).astype(np.float32)
    change[:, :20] = 0
    return rgb, change


def batch(image_hwc: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image_hwc).permute(2, 0, 1)[None]


def image(rgb_nchw: torch.Tensor) -> np.ndarray:
    return rgb_nchw[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("color", COLORS, ids=str)
def test_the_view_is_that_of_a_cpu(color: ColorTags) -> None:
    view, (rgb, _) = sdr_view(color), signals(color)
    assert view is not None
    np.testing.assert_allclose(image(to_view(batch(rgb), color)), view.to_view(rgb), atol=2e-4)


@pytest.mark.parametrize("color", COLORS, ids=str)
def test_a_change_of_the_view_is_mapped_back_as_on_a_cpu(color: ColorTags) -> None:
    view, (rgb, change) = sdr_view(color), signals(color)
    assert view is not None
    result = image(change_of_video(batch(rgb), batch(change), color))
    np.testing.assert_allclose(result, view.change(rgb, change), atol=5e-4)
    assert not result[:, :20].any()


def test_sdr_is_its_own_view() -> None:
    rgb = torch.rand(1, 3, 8, 8)
    assert to_view(rgb, ColorTags()) is rgb
    assert change_of_video(rgb, rgb, ColorTags()) is rgb
