"""Values computed from weights once, and again only when a weight has changed."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class WeightCache(Generic[T]):
    """A value computed from weights, cached until one of them changes.

    Writes, moves and casts of the tensors are noticed, but not writes through ``.data``. Nothing is
    cached for tensors that require gradients: fused optimizers write them without a new version.
    """

    def __init__(self) -> None:
        self._cached: tuple[tuple[Tensor, ...], tuple[int, ...], T] | None = None

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # A copied or stored network computes its value again.
        return WeightCache, ()

    def of(self, tensors: Sequence[Tensor], compute: Callable[[], T]) -> T:
        """Return ``compute()``, or the cached value if ``tensors`` have not changed."""
        if any(tensor.requires_grad or tensor.is_inference() for tensor in tensors):
            self._cached = None  # from a time when they were frozen
            return compute()  # tensors made in inference mode have no versions either
        versions = tuple(tensor._version for tensor in tensors)
        cached = self._cached
        if (
            cached is not None
            and cached[1] == versions
            and all(map(_same_storage, cached[0], tensors))
        ):
            return cached[2]
        # A value made in inference mode could not be used where gradients flow.
        with torch.inference_mode(False):
            value = compute()
            # Kept alive, so that no other tensor gets the same address.
            current = tuple(tensor.detach() for tensor in tensors)
        self._cached = (current, versions, value)
        return value


def _same_storage(first: Tensor, second: Tensor) -> bool:
    same = first.data_ptr() == second.data_ptr() and first.dtype == second.dtype
    return same and first.device == second.device
