"""Pictures for previews."""

import colorsys

import torch
from torch import Tensor
from torch.utils.data import Dataset

from vidrestore.models.face_parser import CLASSES
from vidrestore.training.data.dataset import FaceSample


def preview_batch(dataset: Dataset[FaceSample], *, count: int) -> FaceSample:
    """Return the first samples of a dataset as one batch: the same every time."""
    samples = [dataset[at] for at in range(count)]
    return FaceSample(*[torch.stack(field) for field in zip(*samples, strict=True)])


def painted(labels_NHW: Tensor) -> Tensor:
    """Return classes as colours, ``(N, 3, H, W)`` in [-1, 1]; unknown ones are black."""
    colours = [(-1.0, -1.0, -1.0)] * 256
    for at in range(len(CLASSES)):
        rgb = colorsys.hsv_to_rgb(at / len(CLASSES), 0.65, 1.0 if at % 2 else 0.7)
        colours[at] = (rgb[0] * 2 - 1, rgb[1] * 2 - 1, rgb[2] * 2 - 1)
    table = torch.tensor(colours, device=labels_NHW.device)
    return table[labels_NHW].permute(0, 3, 1, 2)
