"""What the restore stage gets back for a batch of crops."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RestoredCrops:
    """Restored crops, and where the face is in them if the network tells."""

    images_nchw: Tensor
    """``(N, 3, S, S)`` float32 RGB in [0, 1]."""
    face_masks_nhw: Tensor | None = None
    """``(N, R, R)`` float32 in [0, 1], R a divisor of S: how much of a cell the face fills, hair
    and ears not counted. None where the network does not tell."""
    head_nhw: Tensor | None = None
    """The same of the head: face, hair, hat, ears and neck."""

    def __post_init__(self) -> None:
        for regions in (self.face_masks_nhw, self.head_nhw):
            if regions is not None and len(regions) != len(self.images_nchw):
                raise ValueError(f"{len(self.images_nchw)} crops, but regions of {len(regions)}")

    def first(self, count: int) -> "RestoredCrops":
        """Return the first ``count`` of them."""
        regions, heads = self.face_masks_nhw, self.head_nhw
        return RestoredCrops(
            images_nchw=self.images_nchw[:count],
            face_masks_nhw=None if regions is None else regions[:count],
            head_nhw=None if heads is None else heads[:count],
        )
