"""Every face of a set once, as it is: to measure on."""

import numpy as np

from vidrestore.training.data.dataset import FaceDataset, FaceSample


class FaceEvalDataset(FaceDataset):
    """Sample ``k`` is face ``k``: not mirrored, its colours untouched, always degraded alike.

    Made as ``FaceDataset`` is; ``gray_share`` and the sources' weights are without effect.
    """

    def __getitem__(self, index: int) -> FaceSample:
        """Return face ``index``.

        Raises:
            IndexError: There are not so many.
        """
        row, detail = self._rows[index]
        face, points, mask = self._sized(self._cut(index), row)
        rng = np.random.default_rng((self._seed, index))
        return self._degraded(face.astype(np.float32) / 255.0, points, mask, detail, rng)
