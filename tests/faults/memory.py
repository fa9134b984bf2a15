"""Memory that runs out."""

import torch
from faults.bench import Bench, chapter
from support.faceclips import FACE_SIZE_HW, face_picture
from torch import Tensor

from vidrestore.restore.restorer import Restorer
from vidrestore.types import RestoredCrops

fault = chapter("Memory")


def _with_room_for(bench: Bench, room: int) -> list[int]:
    run, counts = Restorer._run, []

    def crowded(self: Restorer, crops_NCHW: Tensor) -> RestoredCrops:
        counts.append(len(crops_NCHW))
        if len(crops_NCHW) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return run(self, crops_NCHW)

    bench.patch.setattr(Restorer, "_run", crowded)
    return counts


@fault(
    "the memory of a device runs out",
    "the batch is halved until it fits, and stays so; no face is left out; the report says so",
)
def of_a_device(bench: Bench) -> None:
    film = bench.clip(ticks=range(4), size_hw=FACE_SIZE_HW, picture=face_picture)
    counts = _with_room_for(bench, 1)
    outcome = bench.restore(film, "--batch-size", "4").done()
    assert (outcome.report["frames"], outcome.report["faces"]) == (4, 4)
    assert counts == [4, 2, 1, 1, 1, 1]
    assert outcome.noted("out of memory")


@fault("memory does not suffice for one face", "one line says what to change")
def for_one_face(bench: Bench) -> None:
    film = bench.clip(ticks=(0, 1), size_hw=FACE_SIZE_HW, picture=face_picture)
    _with_room_for(bench, 0)
    bench.restore(film).refused("out of memory", "--device")
