"""Which network a checkpoint belongs to: read off the names and shapes of its tensors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch

from vidrestore.models.table import RESTORERS, RestorerSpec

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Name of a tensor -> its shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """The restorer that a checkpoint is for."""

    architecture: str
    """What the network is called in the literature."""
    spec: RestorerSpec
    """Builds it in the size of the checkpoint; ``fetched`` names what else it needs."""
    part: str = ""
    """Path of the submodule that the checkpoint fills; "" is the whole network."""


def recognised(shapes: Shapes) -> Recognised | None:
    """Return the restorer whose tensors have exactly these names, or None."""
    for recogniser in _RECOGNISERS:
        found = recogniser(shapes)
        if found is not None:
            return found
    return None


def _lite(shapes: Shapes) -> Recognised | None:
    spec = RESTORERS["lite"]
    with torch.device("meta"):
        same = spec.build().state_dict().keys() == shapes.keys()
    return Recognised(architecture="lite", spec=spec) if same else None


_RECOGNISERS: tuple[Callable[[Shapes], Recognised | None], ...] = (_lite,)
