"""Kernels that layers compute from their weights, kept once a network is only used."""

from typing import Generic, TypeVar

from torch import nn

T = TypeVar("T")


class Fusible(nn.Module, Generic[T]):
    """A module that applies a value which it computes from its weights."""

    _is_fused = False
    _value: T | None = None

    def fused(self) -> T:
        """Return the value: computed from the weights, or kept after ``fuse``."""
        if not self._is_fused:
            return self.compute_fused()
        if self._value is None:
            self._value = self.compute_fused()
        return self._value

    def compute_fused(self) -> T:
        """Compute the value."""
        raise NotImplementedError

    def keep_fused(self) -> None:
        """Keep the value from its next use on."""
        self._is_fused, self._value = True, None


def fuse(network: nn.Module) -> None:
    """Let a network compute such values only once; its weights must not change any more."""
    for module in network.modules():
        if isinstance(module, Fusible):
            module.keep_fused()
