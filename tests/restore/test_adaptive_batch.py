from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from vidrestore.devices import out_of_memory
from vidrestore.errors import DeviceError
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.face_parser import PARSING_CLASSES
from vidrestore.models.registry import RestorerSpec
from vidrestore.restore.restorer import Restorer

CPU = torch.device("cpu")
SIDE = 512


def gpu_error() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def cpu_error() -> Exception:
    try:
        torch.empty(1 << 60, dtype=torch.uint8)
    except RuntimeError as error:
        return error
    raise AssertionError("this machine has an exabyte of memory")


class LimitedMemory(nn.Module):
    """Has memory for a few crops at once, and records the batch sizes."""

    def __init__(self, capacity: int, error: Callable[[], Exception] = gpu_error) -> None:
        super().__init__()
        self.capacity = capacity
        self.error = error
        self.counts: list[int] = []

    def forward(self, image: Tensor) -> RestorerOutput:
        self.counts.append(len(image))
        if len(image) > self.capacity:
            raise self.error()
        # Like rounding, the result depends on the batch size.
        return RestorerOutput(image=image * 0.5 + len(image) / 1000)


def restorer(network: nn.Module) -> Restorer:
    spec = RestorerSpec(build=lambda: network, crop_size_px=SIDE, license="none")
    return Restorer(network, spec, device=CPU, dtype=torch.float32)


def crops(count: int) -> Tensor:
    levels = torch.linspace(0.2, 0.8, count)[:, None, None, None]
    return levels.expand(count, 3, SIDE, SIDE).contiguous()


@pytest.mark.parametrize("error", [gpu_error, cpu_error])
def test_a_batch_that_does_not_fit_is_halved_until_it_does(
    error: Callable[[], Exception],
) -> None:
    network = LimitedMemory(capacity=3, error=error)
    runner = restorer(network)

    restored = runner.restore_crops(crops(8)).images_nchw

    assert network.counts == [8, 4, 2, 2, 2, 2]
    assert runner.reduced_batch_size == 2
    expected = (crops(8) * 2 - 1) * 0.25 + 0.5 + 0.001
    torch.testing.assert_close(restored, expected)


class FakeParser(LimitedMemory):
    """Labels bright pixels as hair and the rest as skin."""

    def forward(self, image: Tensor) -> RestorerOutput:
        restored = super().forward(image)
        logits = torch.zeros(len(image), len(PARSING_CLASSES), SIDE, SIDE)
        logits[:, PARSING_CLASSES.index("hair")] = 40.0 * image[:, 0]
        logits[:, PARSING_CLASSES.index("skin")] = -40.0 * image[:, 0]
        return RestorerOutput(image=restored.image, parsing=logits)


def test_masks_of_split_batches_are_concatenated() -> None:
    runner = restorer(FakeParser(capacity=2))

    restored = runner.restore_crops(crops(4))

    assert runner.reduced_batch_size == 2
    assert restored.face_masks_nhw is not None
    assert restored.head_masks_nhw is not None
    is_face = [float(mask.mean()) > 0.5 for mask in restored.face_masks_nhw]
    assert is_face == [True, True, False, False]
    assert len(restored.head_masks_nhw) == 4
    assert float(restored.head_masks_nhw.min()) > 0.99


def test_later_batches_have_the_reduced_size() -> None:
    network = LimitedMemory(capacity=2)
    runner = restorer(network)
    runner.restore_crops(crops(4))
    network.counts.clear()

    runner.restore_crops(crops(4))

    assert network.counts == [2, 2]


def test_masks_of_split_batches_are_padded_to_one_size() -> None:
    network = LimitedMemory(capacity=2)
    runner = restorer(network)

    restored = runner.restore_crops(crops(5)).images_nchw

    assert network.counts == [5, 2, 2, 2]
    assert len(restored) == 5
    torch.testing.assert_close(restored, (crops(5) * 2 - 1) * 0.25 + 0.5 + 0.001)


def test_a_batch_that_fits_is_not_split() -> None:
    network = LimitedMemory(capacity=8)
    runner = restorer(network)
    runner.restore_crops(crops(8))
    assert network.counts == [8]
    assert runner.reduced_batch_size is None


def test_a_single_face_that_does_not_fit_is_an_error() -> None:
    network = LimitedMemory(capacity=0)
    with pytest.raises(DeviceError, match="out of memory on cpu with one face per batch; "):
        restorer(network).restore_crops(crops(4))
    assert network.counts == [4, 2, 1]


def test_other_errors_are_not_taken_for_out_of_memory() -> None:
    network = LimitedMemory(capacity=0, error=lambda: RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        restorer(network).restore_crops(crops(4))
    assert network.counts == [4]


@pytest.mark.cuda
def test_a_nearly_full_gpu_gets_smaller_batches(cuda: torch.device) -> None:
    class MemoryFiller(nn.Module):
        def forward(self, image: Tensor) -> RestorerOutput:
            # Half of the free memory for every crop.
            free, _ = torch.cuda.mem_get_info(cuda)
            blocks = [torch.empty(free // 2, dtype=torch.uint8, device=cuda) for _ in image]
            return RestorerOutput(image=image + 0 * len(blocks))

    spec = RestorerSpec(build=MemoryFiller, crop_size_px=SIDE, license="none")
    runner = Restorer(MemoryFiller(), spec, device=cuda, dtype=torch.float32)
    restored = runner.restore_crops(crops(8).to(cuda)).images_nchw
    torch.testing.assert_close(restored.cpu(), crops(8))
    assert runner.reduced_batch_size in (1, 2)


def test_only_out_of_memory_errors_are_recognized() -> None:
    assert out_of_memory(MemoryError())
    assert out_of_memory(cpu_error())
    assert out_of_memory(RuntimeError("CUDA error: out of memory"))
    assert not out_of_memory(RuntimeError("CUDA error: an illegal memory access"))
    assert not out_of_memory(OSError("out of memory"))
