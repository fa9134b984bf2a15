"""Where memory runs out, batches are halved, and the work goes on."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from vidrestore.devices import out_of_memory
from vidrestore.errors import DeviceError
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.face_parser import CLASSES
from vidrestore.models.registry import RestorerSpec
from vidrestore.restore.restorer import Restorer

CPU = torch.device("cpu")
SIDE = 512


def of_a_gpu() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def of_this_machine() -> Exception:
    try:
        torch.empty(1 << 60, dtype=torch.uint8)
    except RuntimeError as error:
        return error
    raise AssertionError("this machine has an exabyte of memory")


class Crowded(nn.Module):
    """Has room for a few crops at once, and tells how many came."""

    def __init__(self, room: int, error: Callable[[], Exception] = of_a_gpu) -> None:
        super().__init__()
        self.room = room
        self.error = error
        self.counts: list[int] = []

    def forward(self, image: Tensor) -> RestorerOutput:
        self.counts.append(len(image))
        if len(image) > self.room:
            raise self.error()
        # What becomes of a crop tells how many came with it, as rounding does.
        return RestorerOutput(image=image * 0.5 + len(image) / 1000)


def restorer(network: nn.Module) -> Restorer:
    spec = RestorerSpec(build=lambda: network, crop_size_px=SIDE, licence="none")
    return Restorer(network, spec, device=CPU, dtype=torch.float32)


def crops(count: int) -> Tensor:
    levels = torch.linspace(0.2, 0.8, count)[:, None, None, None]
    return levels.expand(count, 3, SIDE, SIDE).contiguous()


@pytest.mark.parametrize("error", [of_a_gpu, of_this_machine])
def test_a_batch_that_does_not_fit_is_halved_until_it_does(
    error: Callable[[], Exception],
) -> None:
    network = Crowded(room=3, error=error)
    tried = restorer(network)

    found = tried.restored(crops(8)).images_nchw

    assert network.counts == [8, 4, 2, 2, 2, 2]
    assert tried.reduced_batch_size == 2
    expected = (crops(8) * 2 - 1) * 0.25 + 0.5 + 0.001
    torch.testing.assert_close(found, expected)


class ParserOutput(Crowded):
    """Calls hair what is bright, and the rest skin."""

    def forward(self, image: Tensor) -> RestorerOutput:
        restored = super().forward(image)
        logits = torch.zeros(len(image), len(CLASSES), SIDE, SIDE)
        logits[:, CLASSES.index("hair")] = 40.0 * image[:, 0]
        logits[:, CLASSES.index("skin")] = -40.0 * image[:, 0]
        return RestorerOutput(image=restored.image, parsing=logits)


def test_regions_of_all_parts_are_put_together() -> None:
    tried = restorer(ParserOutput(room=2))

    found = tried.restored(crops(4))

    assert tried.reduced_batch_size == 2
    assert found.face_masks_nhw is not None
    assert found.head_nhw is not None
    is_face = [float(each.mean()) > 0.5 for each in found.face_masks_nhw]
    assert is_face == [True, True, False, False]
    assert len(found.head_nhw) == 4
    assert float(found.head_nhw.min()) > 0.99


def test_the_smaller_size_is_remembered() -> None:
    network = Crowded(room=2)
    tried = restorer(network)
    tried.restored(crops(4))
    network.counts.clear()

    tried.restored(crops(4))

    assert network.counts == [2, 2]


def test_parts_are_filled_up_to_one_size() -> None:
    network = Crowded(room=2)
    tried = restorer(network)

    found = tried.restored(crops(5)).images_nchw

    assert network.counts == [5, 2, 2, 2]
    assert len(found) == 5
    torch.testing.assert_close(found, (crops(5) * 2 - 1) * 0.25 + 0.5 + 0.001)


def test_where_memory_suffices_nothing_is_cut() -> None:
    network = Crowded(room=8)
    tried = restorer(network)
    tried.restored(crops(8))
    assert network.counts == [8]
    assert tried.reduced_batch_size is None


def test_a_single_face_that_does_not_fit_is_a_plain_error() -> None:
    network = Crowded(room=0)
    with pytest.raises(DeviceError, match="out of memory on cpu with one face per batch; "):
        restorer(network).restored(crops(4))
    assert network.counts == [4, 2, 1]


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    network = Crowded(room=0, error=lambda: RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        restorer(network).restored(crops(4))
    assert network.counts == [4]


@pytest.mark.cuda
def test_a_gpu_that_is_nearly_full_is_used_in_smaller_batches(cuda: torch.device) -> None:
    class Hungry(nn.Module):
        def forward(self, image: Tensor) -> RestorerOutput:
            # Half of what is free, for every crop.
            free, _ = torch.cuda.mem_get_info(cuda)
            hoard = [torch.empty(free // 2, dtype=torch.uint8, device=cuda) for _ in image]
            return RestorerOutput(image=image + 0 * len(hoard))

    spec = RestorerSpec(build=Hungry, crop_size_px=SIDE, licence="none")
    tried = Restorer(Hungry(), spec, device=cuda, dtype=torch.float32)
    found = tried.restored(crops(8).to(cuda)).images_nchw
    torch.testing.assert_close(found.cpu(), crops(8))
    assert tried.reduced_batch_size in (1, 2)


def test_only_a_lack_of_memory_counts_as_one() -> None:
    assert out_of_memory(MemoryError())
    assert out_of_memory(of_this_machine())
    assert out_of_memory(RuntimeError("CUDA error: out of memory"))
    assert not out_of_memory(RuntimeError("CUDA error: an illegal memory access"))
    assert not out_of_memory(OSError("out of memory"))
