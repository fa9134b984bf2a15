"""What the embedded restorer does to a face with the weights and the detail that it ships with."""

from pathlib import Path

import pytest
import torch
from support.golden import ROOT
from torch import Tensor
from torch.nn import functional as F

from vidrestore.metrics.visibility import edges_and_flat
from vidrestore.pipeline.loading.load_models import load_detector, load_restorer
from vidrestore.safeguard.checks import crop_luma
from vidrestore.training.data.video_crops import align_clip

CPU = torch.device("cpu")
EXAMPLE: Path = ROOT / "examples" / "astronaut.mp4"


@pytest.fixture(scope="module")
def face_chw() -> Tensor:
    detector = load_detector("mtcnn", device=CPU)
    return align_clip(EXAMPLE, detector=detector, max_frames=2)[0]


def restore_crop(crop_chw: Tensor, detail: float | None = None) -> Tensor:
    restorer = load_restorer("lite", device=CPU, dtype=torch.float32, detail=detail)
    return restorer.restore_images(crop_chw[None])[0]


def test_the_default_visibly_sharpens_a_soft_face(face_chw: Tensor) -> None:
    small = F.interpolate(face_chw[None], (112, 112), mode="area")
    soft = F.interpolate(small, (512, 512), mode="bicubic")[0].clamp(0, 1)
    edges_before, flat_before = edges_and_flat(crop_luma(soft))
    edges, flat = edges_and_flat(crop_luma(restore_crop(soft)))

    assert edges > 1.25 * edges_before
    assert flat < 1.25 * flat_before, "edges are to be clear, and skin is not to be rough"


def test_higher_detail_gives_sharper_faces(face_chw: Tensor) -> None:
    edges = [
        edges_and_flat(crop_luma(restore_crop(face_chw, detail)))[0] for detail in (0.0, 0.5, 1.0)
    ]

    assert edges == sorted(edges)
    assert edges[2] > 1.05 * edges[0]


@pytest.mark.parametrize("detail", [0.0, None, 1.0])
@pytest.mark.parametrize("rgb", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.9, 0.1, 0.2)])
def test_a_crop_of_one_color_is_unchanged(
    rgb: tuple[float, float, float], detail: float | None
) -> None:
    crop = torch.tensor(rgb)[:, None, None].expand(3, 512, 512).contiguous()

    assert float((restore_crop(crop, detail) - crop).abs().max()) < 0.05
