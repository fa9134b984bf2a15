"""Restorers on a GPU: as on a CPU, in every precision, in every batch, and when memory runs out."""

from functools import cache

import pytest
import torch
from support.noisy_crops import crops
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.devices import (
    describe_device,
    out_of_memory,
    prepare_device,
    resolve_device,
    resolve_precision,
    retry_out_of_memory,
)
from vidrestore.errors import DeviceError
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.registry import RestorerSpec
from vidrestore.pipeline.background.tiled_upscaler import Upscaler
from vidrestore.pipeline.loading.load_models import load_restorer
from vidrestore.pipeline.loading.load_upscaler import load_upscaler
from vidrestore.restore.restorer import Restorer

pytestmark = pytest.mark.cuda
CPU = torch.device("cpu")


@cache
def lite(device: torch.device, dtype: torch.dtype) -> Restorer:
    prepare_device(device)
    return load_restorer("lite", device=device, dtype=dtype)


def psnr_db(result: Tensor, expected: Tensor) -> float:
    return float(-10 * (result.cpu() - expected.cpu()).square().mean().log10())


def batch(count: int) -> Tensor:
    return torch.stack([crops()[index % len(crops())] for index in range(count)])


def test_auto_chooses_the_first_gpu(cuda: torch.device) -> None:
    assert resolve_device("auto") == cuda


def test_a_gpu_description_has_its_model_and_cudnn_version(cuda: torch.device) -> None:
    assert torch.cuda.get_device_name(cuda) in describe_device(cuda)
    assert "cuDNN" in describe_device(cuda)


@pytest.mark.parametrize(
    ("precision", "least_db"), [("fp32", 80.0), ("bf16", 40.0), ("fp16", 50.0), ("auto", 40.0)]
)
def test_lite_gives_the_same_result_on_gpu_and_cpu(
    cuda: torch.device, precision: str, least_db: float
) -> None:
    expected = lite(CPU, torch.float32).restore_images(batch(2))
    result = lite(cuda, resolve_precision(precision, cuda)).restore_images(batch(2).to(cuda))
    assert psnr_db(result, expected) > least_db


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_running_a_batch_twice_gives_the_same_bytes(cuda: torch.device, dtype: torch.dtype) -> None:
    images = batch(4).to(cuda)
    restorer = lite(cuda, dtype)
    assert torch.equal(restorer.restore_images(images), restorer.restore_images(images))


def test_a_crop_does_not_depend_on_the_others_in_its_batch(cuda: torch.device) -> None:
    restorer = lite(cuda, torch.float32)
    images = batch(4).to(cuda)
    other = images.flip(0).contiguous()
    other[0] = images[0]
    results = [restorer.restore_images(batch)[0] for batch in (images, other)]
    assert torch.equal(*results)


@pytest.mark.parametrize("count", [1, 3, 16, 33])
def test_batches_of_every_size_give_the_same_result(cuda: torch.device, count: int) -> None:
    restorer = lite(cuda, torch.float32)
    single = restorer.restore_images(batch(1).to(cuda))[0]
    assert psnr_db(restorer.restore_images(batch(count).to(cuda))[0], single) > 90


def test_float32_is_not_rounded_to_tf32(cuda: torch.device) -> None:
    prepare_device(cuda)
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 64, 32, 32, generator=generator)
    weight = torch.randn(64, 64, 3, 3, generator=generator) / 24
    exact = F.conv2d(image.double(), weight.double(), padding=1)
    result = F.conv2d(image.to(cuda), weight.to(cuda), padding=1).cpu().double()
    assert float((result - exact).abs().max()) < 1e-4


class Large(nn.Module):
    """Makes values that fp16 does not hold."""

    def forward(self, image: Tensor) -> RestorerOutput:
        return RestorerOutput(image=image.half() * 60000 * 60000)


def test_an_fp16_overflow_raises_an_error_that_says_what_to_do(cuda: torch.device) -> None:
    spec = RestorerSpec(build=Large, crop_size_px=512, license="none")
    restorer = Restorer(Large(), spec, device=cuda, dtype=torch.float16)
    with pytest.raises(DeviceError, match="overflows in float16; use --precision fp32"):
        restorer.restore_crops(batch(1).to(cuda))


class LimitedBatch(nn.Module):
    """Asks for more memory than there is unless a batch is small."""

    def forward(self, image: Tensor) -> RestorerOutput:
        if len(image) > 2:
            torch.empty(1 << 50, dtype=torch.uint8, device=image.device)
        return RestorerOutput(image=image)


def test_batches_shrink_when_memory_runs_out(cuda: torch.device) -> None:
    spec = RestorerSpec(build=LimitedBatch, crop_size_px=512, license="none")
    restorer = Restorer(LimitedBatch(), spec, device=cuda, dtype=torch.float32)
    result = restorer.restore_images(batch(7).to(cuda))
    assert restorer.reduced_batch_size in (1, 2)
    torch.testing.assert_close(result.cpu(), batch(7))


def test_the_out_of_memory_error_of_a_gpu_is_recognized(cuda: torch.device) -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, dtype=torch.uint8, device=cuda)
    assert out_of_memory(caught.value)


def test_a_step_can_use_memory_cached_by_pytorch(cuda: torch.device) -> None:
    free, _ = torch.cuda.mem_get_info(cuda)
    chunk = free // 3
    blocks = [torch.empty(chunk, dtype=torch.uint8, device=cuda) for _ in range(2)]
    del blocks  # cached by PyTorch in two blocks, neither large enough

    @retry_out_of_memory
    def step() -> int:
        return len(torch.empty(2 * chunk, dtype=torch.uint8, device=cuda))

    assert step() == 2 * chunk


def test_a_step_that_never_fits_is_an_error(cuda: torch.device) -> None:
    @retry_out_of_memory
    def step() -> None:
        torch.empty(1 << 50, dtype=torch.uint8, device=cuda)

    with pytest.raises(DeviceError, match="free memory"):
        step()


@pytest.mark.parametrize("scale", [1, 2])
def test_an_upscaler_gives_the_same_result_on_gpu_and_cpu(cuda: torch.device, scale: int) -> None:
    image = crops()[0][:, :96, :120].contiguous()

    def loaded(device: torch.device) -> Upscaler:
        return load_upscaler("compact", device=device, dtype=torch.float32, scale=scale)

    assert psnr_db(loaded(cuda).upscale(image), loaded(CPU).upscale(image)) > 70
