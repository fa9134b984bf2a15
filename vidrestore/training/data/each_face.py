"""Every face of a set once, as it is: to measure on."""

import numpy as np
import torch
from torch import Tensor

from vidrestore.training.data.components import component_boxes
from vidrestore.training.data.samples import FaceSample, FaceSamples
from vidrestore.types import FloatArray


class EachFace(FaceSamples):
    """Sample ``k`` is face ``k``: not mirrored, its colours untouched, always degraded alike.

    Made as ``FaceSamples`` is; ``gray_share`` and the sources' weights are without effect.
    """

    def __getitem__(self, index: int) -> FaceSample:
        """Return face ``index``.

        Raises:
            IndexError: There are not so many.
        """
        row, detail = self._rows[index]
        face, points, mask = self._sized(self._cut(index), row)
        clean = face.astype(np.float32) / 255.0
        drawn = self._recipe.draw(np.random.default_rng((self._seed, index)))
        return FaceSample(
            degraded=_signed_chw(drawn.apply(clean)),
            clean=_signed_chw(drawn.target(clean)),
            detail=torch.tensor(detail, dtype=torch.float32),
            boxes_xyxy=torch.from_numpy(component_boxes(points).astype(np.float32)),
            mask=torch.from_numpy(mask.astype(np.int64)),
        )


def _signed_chw(image_hwc: FloatArray) -> Tensor:
    return torch.from_numpy(image_hwc).permute(2, 0, 1).contiguous() * 2 - 1
