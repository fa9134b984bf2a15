"""Values computed from weights once, and again only when a weight has changed."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class DerivedFrom(Generic[T]):
    """Something computed from several tensors, kept while none of them changes.

    Writes, moves and casts of the tensors are noticed, but not writes through ``.data``. Of tensors
    that require gradients nothing is kept: fused optimisers write them without a trace.
    """

    def __init__(self) -> None:
        self._kept: tuple[tuple[Tensor, ...], tuple[int, ...], T] | None = None

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # A copied or stored network computes its own.
        return DerivedFrom, ()

    def of(self, tensors: Sequence[Tensor], compute: Callable[[], T]) -> T:
        """Return ``compute()``, or what it gave when ``tensors`` were last as they are now."""
        if any(each.requires_grad or each.is_inference() for each in tensors):
            self._kept = None  # of the time before, when they may have been frozen
            return compute()  # tensors made in inference mode count no writes either
        versions = tuple(each._version for each in tensors)
        kept = self._kept
        if kept is not None and kept[1] == versions and all(map(_same_storage, kept[0], tensors)):
            return kept[2]
        # A value made in inference mode could not be used where gradients flow.
        with torch.inference_mode(False):
            value = compute()
            # Kept alive, so that no other tensor can come to lie at the same address.
            seen = tuple(each.detach() for each in tensors)
        self._kept = (seen, versions, value)
        return value


def _same_storage(seen: Tensor, now: Tensor) -> bool:
    same = seen.data_ptr() == now.data_ptr() and seen.dtype == now.dtype
    return same and seen.device == now.device
