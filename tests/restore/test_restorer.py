import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from support.psfrgan import fill_weights, picture
from torch import Tensor, nn

from vidrestore.errors import DeviceError, WeightsError
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.face_parser import PARSING_CLASSES, FaceParser
from vidrestore.models.psfrgan.generator import PsfrganGenerator, PsfrganRestorer
from vidrestore.models.registry import RestorerSpec
from vidrestore.restore.restorer import Restorer

CPU = torch.device("cpu")
TINY = {"in_size": 128, "out_size": 128, "ch_range": (8, 16)}


class Identity(nn.Module):
    """Returns its input, and labels the left half as skin and the right half as hair."""

    def __init__(self) -> None:
        super().__init__()
        self.sides: list[int] = []

    def forward(self, image: Tensor) -> RestorerOutput:
        self.sides.append(image.shape[-1])
        logits = torch.zeros(len(image), len(PARSING_CLASSES), *image.shape[2:])
        logits[:, PARSING_CLASSES.index("skin"), :, : image.shape[-1] // 2] = 30.0
        logits[:, PARSING_CLASSES.index("hair"), :, image.shape[-1] // 2 :] = 30.0
        return RestorerOutput(image=image, parsing=logits)


class IdentityWithoutParser(nn.Module):
    """Returns its input, without a parsing map."""

    def forward(self, image: Tensor) -> RestorerOutput:
        return RestorerOutput(image=image)


def restorer(network: nn.Module, side: int, dtype: torch.dtype = torch.float32) -> Restorer:
    spec = RestorerSpec(build=lambda: network, crop_size_px=side, license="none")
    return Restorer(network, spec, device=CPU, dtype=dtype)


def crops(count: int, side: int = 512) -> Tensor:
    return torch.cat([picture(3, side, seed) for seed in range(count)]) * 0.5 + 0.5


@pytest.mark.parametrize("side", [128, 256, 384, 512, 1024])
def test_crops_are_resized_to_the_network_and_back(side: int) -> None:
    network = Identity()
    given = crops(2)
    restored = restorer(network, side).restore_crops(given)
    assert network.sides == [side]
    assert restored.images_nchw.shape == given.shape
    # No shift, and no blur beyond that of the smaller size: the image is smooth.
    inside = (restored.images_nchw - given)[..., 16:-16, 16:-16]
    assert float(inside.abs().max()) < 0.01


def test_downscaling_averages_over_areas() -> None:
    stripes = torch.zeros(1, 3, 512, 512)
    stripes[..., ::2] = 1.0
    restored = restorer(Identity(), 256).restore_images(stripes)
    torch.testing.assert_close(restored, torch.full_like(restored, 0.5))


@pytest.mark.parametrize("side", [128, 1024])
def test_crops_of_the_size_of_the_network_are_not_resized(side: int) -> None:
    given = crops(1, side)
    torch.testing.assert_close(restorer(Identity(), side).restore_images(given), given)


@pytest.mark.parametrize("shape", [(1, 3, 100, 128), (1, 3, 256, 256), (1, 4, 512, 512)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"crops must be \(N, 3, 128, 128\) or \(N, 3, 512, 512\)"):
        restorer(Identity(), 128).restore_crops(torch.zeros(shape))


@pytest.mark.parametrize("side", [64, 512])
def test_the_face_mask_is_the_fraction_of_face_in_each_cell(side: int) -> None:
    mask = restorer(Identity(), side).restore_crops(crops(2)).face_masks_nhw
    assert mask is not None
    assert mask.shape == (2, 128, 128)
    assert mask.dtype == torch.float32
    assert float(mask[..., :63].min()) > 0.99
    assert float(mask[..., 65:].max()) < 0.01


def test_a_network_without_a_parser_gives_no_masks() -> None:
    restored = restorer(IdentityWithoutParser(), 512).restore_crops(crops(1))
    assert restored.face_masks_nhw is None
    assert restored.head_masks_nhw is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_psfrgan_runs_in_the_restorer(dtype: torch.dtype) -> None:
    parser = fill_weights(FaceParser(in_size=128, out_size=128, base_ch=32, res_depth=1))
    generator = fill_weights(PsfrganGenerator(**TINY))
    assert isinstance(parser, FaceParser)
    assert isinstance(generator, PsfrganGenerator)
    network = PsfrganRestorer(parser=parser, generator=generator)
    restored = restorer(network, 128, dtype).restore_crops(crops(2))
    assert restored.images_nchw.shape == (2, 3, 512, 512)
    assert restored.images_nchw.dtype == torch.float32
    assert restored.face_masks_nhw is not None
    assert restored.head_masks_nhw is not None
    assert 0.0 <= float(restored.face_masks_nhw.min()) < float(restored.face_masks_nhw.max()) <= 1.0
    assert bool((restored.head_masks_nhw >= restored.face_masks_nhw - 1e-5).all())


class Overflowing(nn.Module):
    """Returns one pixel that is not a number."""

    def forward(self, image: Tensor) -> RestorerOutput:
        image = image.clone()
        image[0, 1, 5, 7] = float("nan")
        return RestorerOutput(image=image)


def test_an_output_that_is_not_finite_is_refused_with_what_to_do() -> None:
    with pytest.raises(DeviceError, match="overflows in bfloat16; use --precision fp32"):
        restorer(Overflowing(), 512, torch.bfloat16).restore_crops(crops(2))
    with pytest.raises(WeightsError, match="not finite; get another checkpoint"):
        restorer(Overflowing(), 512).restore_crops(crops(1))


def test_small_crops_go_to_the_network_for_them() -> None:
    large, small, tiny = Identity(), Identity(), Identity()
    spec = RestorerSpec(build=lambda: large, crop_size_px=512, license="none")
    loads = {256: lambda: small, 128: lambda: tiny}
    both = Restorer(large, spec, device=CPU, dtype=torch.float32, small_networks=loads)
    assert both.small_crop_sizes_px == (128, 256)
    for side in (256, 512, 128, 256):
        assert torch.equal(both.restore_images(crops(2, side)), crops(2, side))
    assert (small.sides, large.sides, tiny.sides) == ([256, 256], [512], [128])
    with pytest.raises(ValueError, match="crops must be"):
        restorer(Identity(), 512).restore_images(crops(1, 256))


def test_a_network_for_small_crops_is_loaded_once_with_the_first_of_them() -> None:
    loads: list[Identity] = []

    def load() -> Identity:
        time.sleep(0.05)  # time for other threads to ask, too
        loads.append(Identity())
        return loads[-1]

    spec = RestorerSpec(build=Identity, crop_size_px=512, license="none")
    run = Restorer(Identity(), spec, device=CPU, dtype=torch.float32, small_networks={256: load})
    run.restore_images(crops(1, 512))
    assert not loads
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: run.restore_images(crops(1, 256)), range(4)))
    assert len(loads) == 1
    assert loads[0].sides == [256] * 4
    assert not any(parameter.is_inference() for parameter in loads[0].parameters())


def test_a_network_for_small_crops_that_cannot_be_loaded_raises_with_each_of_them() -> None:
    def load() -> nn.Module:
        raise WeightsError("small.safetensors: damaged")

    spec = RestorerSpec(build=Identity, crop_size_px=512, license="none")
    run = Restorer(Identity(), spec, device=CPU, dtype=torch.float32, small_networks={256: load})
    for _ in range(2):
        with pytest.raises(WeightsError, match="damaged"):
            run.restore_images(crops(1, 256))
    assert torch.equal(run.restore_images(crops(1, 512)), crops(1, 512))
