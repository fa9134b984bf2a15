"""Batches of a run: who reads what, and what is said when a face cannot be read."""

from typing import NoReturn

import pytest
from torch.utils.data import Dataset

from vidrestore.errors import ConfigError
from vidrestore.training.data.dataset import FaceSample
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.tasks.batches import BatchConfig, face_batches


class Unreadable(Dataset[FaceSample]):
    """Holds no image that can be read."""

    def __getitem__(self, index: int) -> NoReturn:
        """Say so."""
        raise ConfigError(f"{index}.png: not a readable image")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_face_is_one_line_whichever_process_read_it(workers: int) -> None:
    config = BatchConfig(size=2, num_workers=workers)
    with pytest.raises(ConfigError) as caught:
        next(face_batches(Unreadable(), config, first_step=3, context=DistributedContext()))
    assert str(caught.value) == "6.png: not a readable image"
