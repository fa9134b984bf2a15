"""Values computed from a weight once, and again only when the weight has changed."""

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class Derived(Generic[T]):
    """A function of one weight that remembers its last value while nothing is trained.

    Where gradients flow the function is called anew each time. Elsewhere the value is kept
    until the weight is written to, moved or cast.
    """

    def __init__(self, compute: Callable[[Tensor], T]) -> None:
        self._compute = compute
        self._seen: Tensor | None = None
        self._version = -1
        self._value: T | None = None

    def of(self, weight: Tensor) -> T:
        """Return the function's value for ``weight`` as it is now."""
        if (torch.is_grad_enabled() and weight.requires_grad) or weight.is_inference():
            return self._compute(weight)  # tensors made in inference mode count no writes
        if self._value is None or self._is_stale(weight):
            # Keeping the weight alive keeps its address from being given to another one.
            self._seen, self._version = weight.detach(), weight._version
            self._value = self._compute(weight)
        return self._value

    def _is_stale(self, weight: Tensor) -> bool:
        seen = self._seen
        return (
            seen is None
            or seen.data_ptr() != weight.data_ptr()
            or seen.dtype != weight.dtype
            or seen.device != weight.device
            or self._version != weight._version
        )
