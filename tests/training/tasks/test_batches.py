"""Batches of a run: which process reads what, and the error for a face that cannot be read."""

from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
import pytest
import torch
from support.runs import data, write_faces
from torch.utils.data import Dataset

from vidrestore.errors import ConfigError
from vidrestore.toml_config import from_mapping
from vidrestore.training.data.dataset import DatasetConfig, FaceDataset, FaceSample
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.tasks.batches import BatchConfig, face_batches, to_device


class Unreadable(Dataset[FaceSample]):
    """Holds no image that can be read."""

    def __getitem__(self, index: int) -> NoReturn:
        """Say so."""
        raise ConfigError(f"{index}.png: not a readable image")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_face_gives_a_one_line_error_from_any_process(workers: int) -> None:
    config = BatchConfig(size=2, num_workers=workers)
    with pytest.raises(ConfigError) as caught:
        next(face_batches(Unreadable(), config, first_step=3, context=DistributedContext()))
    assert str(caught.value) == "6.png: not a readable image"


def test_bytes_become_float_samples_on_the_device(tmp_path: Path) -> None:
    faces = FaceDataset(
        from_mapping(data(write_faces(tmp_path)), DatasetConfig, where="test"), seed=0
    )
    options: dict[str, Any] = {"first_step": 1, "context": DistributedContext()}
    config = BatchConfig(size=2, num_workers=1, prefetch_batches=1)
    (plain,) = next(face_batches(faces, config, **options))
    (batch,) = next(face_batches(faces, config, **options, as_bytes=True))
    assert {batch.degraded.dtype, batch.target.dtype, batch.labels.dtype} == {torch.uint8}
    moved = to_device(batch, torch.device("cpu"))
    assert torch.equal(moved.degraded, plain.degraded)
    torch.testing.assert_close(moved.target, plain.target, atol=1.01 / 255, rtol=0)
    assert torch.equal(moved.labels, plain.labels)
    assert torch.equal(moved.boxes_xyxy, plain.boxes_xyxy)


class Threads(Dataset[FaceSample]):
    """Counts the threads that a worker would compute on."""

    def __getitem__(self, index: int) -> FaceSample:
        """Return the counts of OpenCV and of torch in every field."""
        return FaceSample(*[torch.tensor([cv2.getNumThreads(), torch.get_num_threads()])] * 5)


def test_a_loader_worker_computes_on_one_thread() -> None:
    # The threads of the parent, which a forked process does not have, must not be waited for.
    cv2.GaussianBlur(np.zeros((2048, 2048, 3), np.float32), (0, 0), 3)
    config = BatchConfig(size=1, num_workers=1)
    batches = face_batches(Threads(), config, first_step=0, context=DistributedContext())
    (batch,) = next(batches)
    assert batch.target.tolist() == [[1, 1]]
