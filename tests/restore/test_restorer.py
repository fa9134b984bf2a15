"""Crops are fitted to the network and back, and the face's region comes with them."""

import pytest
import torch
from support.psfrgan import filled, picture
from torch import Tensor, nn

from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.face_parser import CLASSES, FaceParser
from vidrestore.models.psfrgan.generator import PsfrganGenerator, PsfrganRestorer
from vidrestore.models.registry import RestorerSpec
from vidrestore.restore.restorer import Restorer

CPU = torch.device("cpu")
TINY = {"in_size": 128, "out_size": 128, "ch_range": (8, 16)}


class Same(nn.Module):
    """Gives back what it gets, and calls its left half skin."""

    def __init__(self) -> None:
        super().__init__()
        self.sides: list[int] = []

    def forward(self, image: Tensor) -> RestorerOutput:
        self.sides.append(image.shape[-1])
        logits = torch.zeros(len(image), len(CLASSES), *image.shape[2:])
        logits[:, CLASSES.index("skin"), :, : image.shape[-1] // 2] = 30.0
        logits[:, CLASSES.index("hair"), :, image.shape[-1] // 2 :] = 30.0
        return RestorerOutput(image=image, parsing=logits)


class Silent(nn.Module):
    """Gives back what it gets, and says nothing of regions."""

    def forward(self, image: Tensor) -> RestorerOutput:
        return RestorerOutput(image=image)


def restorer(network: nn.Module, side: int, dtype: torch.dtype = torch.float32) -> Restorer:
    spec = RestorerSpec(build=lambda: network, crop_size_px=side, licence="none")
    return Restorer(network, spec, device=CPU, dtype=dtype)


def crops(count: int, side: int = 512) -> Tensor:
    return torch.cat([picture(3, side, seed) for seed in range(count)]) * 0.5 + 0.5


@pytest.mark.parametrize("side", [128, 256, 384, 512, 1024])
def test_the_pipelines_crops_are_fitted_to_a_network_of_any_size(side: int) -> None:
    network = Same()
    given = crops(2)
    found = restorer(network, side).restored(given)
    assert network.sides == [side]
    assert found.images_nchw.shape == given.shape
    # No shift and no blur beyond what the smaller size makes: the picture is smooth.
    inside = (found.images_nchw - given)[..., 16:-16, 16:-16]
    assert float(inside.abs().max()) < 0.01


def test_shrinking_takes_means_over_areas() -> None:
    stripes = torch.zeros(1, 3, 512, 512)
    stripes[..., ::2] = 1.0
    found = restorer(Same(), 256).restore(stripes)
    torch.testing.assert_close(found, torch.full_like(found, 0.5))


@pytest.mark.parametrize("side", [128, 1024])
def test_crops_in_the_networks_own_size_are_taken_as_they_are(side: int) -> None:
    given = crops(1, side)
    torch.testing.assert_close(restorer(Same(), side).restore(given), given)


@pytest.mark.parametrize("shape", [(1, 3, 100, 128), (1, 3, 256, 256), (1, 4, 512, 512)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"crops must be \(N, 3, 128, 128\) or \(N, 3, 512, 512\)"):
        restorer(Same(), 128).restored(torch.zeros(shape))


@pytest.mark.parametrize("side", [64, 512])
def test_the_region_is_the_share_of_face_in_each_cell(side: int) -> None:
    region = restorer(Same(), side).restored(crops(2)).face_masks_nhw
    assert region is not None
    assert region.shape == (2, 128, 128)
    assert region.dtype == torch.float32
    assert float(region[..., :63].min()) > 0.99
    assert float(region[..., 65:].max()) < 0.01


def test_a_network_without_a_parser_gives_no_region() -> None:
    found = restorer(Silent(), 512).restored(crops(1))
    assert found.face_masks_nhw is None
    assert found.head_nhw is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_psfrgan_runs_in_the_restorer(dtype: torch.dtype) -> None:
    parser = filled(FaceParser(in_size=128, out_size=128, base_ch=32, res_depth=1))
    generator = filled(PsfrganGenerator(**TINY))
    assert isinstance(parser, FaceParser)
    assert isinstance(generator, PsfrganGenerator)
    network = PsfrganRestorer(parser=parser, generator=generator)
    found = restorer(network, 128, dtype).restored(crops(2))
    assert found.images_nchw.shape == (2, 3, 512, 512)
    assert found.images_nchw.dtype == torch.float32
    assert found.face_masks_nhw is not None
    assert found.head_nhw is not None
    assert 0.0 <= float(found.face_masks_nhw.min()) < float(found.face_masks_nhw.max()) <= 1.0
    assert bool((found.head_nhw >= found.face_masks_nhw - 1e-5).all())
