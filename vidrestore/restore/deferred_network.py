"""A network that is loaded when it is first used: most runs need no network for small faces."""

from collections.abc import Callable
from threading import Lock

import torch
from torch import nn


class DeferredNetwork:
    """Loads a network at its first use; threads may share it."""

    def __init__(self, load: Callable[[], nn.Module]) -> None:
        """Keep how to load the network; what ``load`` raises, the first use raises."""
        self._load = load
        self._lock = Lock()
        self._network: nn.Module | None = None

    @property
    def loaded(self) -> nn.Module | None:
        """The network; None if nothing has used it yet."""
        return self._network

    def get(self) -> nn.Module:
        """Return the network; load it if that has not been done."""
        with self._lock:
            if self._network is None:
                # Parameters made in inference mode could never leave it.
                with torch.inference_mode(False):
                    self._network = self._load()
            return self._network
