"""Too little memory."""

import torch
from faults.bench import Bench, chapter
from support.faceclips import FACE_SIZE_HW, face_picture
from torch import Tensor

from vidrestore.restore.restorer import Restorer
from vidrestore.types import RestoredCrops

fault = chapter("Memory")


def _limit_memory(bench: Bench, room: int) -> list[int]:
    run, counts = Restorer._run, []

    def crowded(self: Restorer, crops_NCHW: Tensor) -> RestoredCrops:
        counts.append(len(crops_NCHW))
        if len(crops_NCHW) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return run(self, crops_NCHW)

    bench.patch.setattr(Restorer, "_run", crowded)
    return counts


@fault(
    "a device that runs out of memory",
    "the batch size is halved until a batch fits, and stays reduced; no face is left out; "
    "the report has a note",
)
def device_memory(bench: Bench) -> None:
    film = bench.clip(ticks=range(4), size_hw=FACE_SIZE_HW, picture=face_picture)
    counts = _limit_memory(bench, 1)
    outcome = bench.restore(film, "--batch-size", "4").assert_succeeded()
    assert (outcome.report["frames"], outcome.report["faces"]) == (4, 4)
    assert counts == [4, 2, 1, 1, 1, 1]
    assert outcome.has_note("out of memory")


@fault(
    "too little memory for one face",
    "a one-line error says which option to change",
)
def memory_for_one_face(bench: Bench) -> None:
    film = bench.clip(ticks=(0, 1), size_hw=FACE_SIZE_HW, picture=face_picture)
    _limit_memory(bench, 0)
    bench.restore(film).assert_refused("out of memory", "--device")
