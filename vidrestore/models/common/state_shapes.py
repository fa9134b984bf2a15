"""Reading a network's configuration off the shapes of its tensors."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import nn

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Name of a tensor -> its shape."""


def block_count(shapes: Shapes, prefix: str) -> int:
    """Return how many blocks ``prefix.0``, ``prefix.1``, ... the names speak of."""
    start = f"{prefix}."
    heads = (key[len(start) :].split(".", 1)[0] for key in shapes if key.startswith(start))
    return len({head for head in heads if head.isdecimal()})


def matches_state(build: Callable[[], nn.Module], shapes: Shapes) -> bool:
    """Whether ``build`` makes a network with exactly these tensors; False if it cannot."""
    try:
        with torch.device("meta"):
            state = build().state_dict()
    except ValueError:
        return False
    return {key: tuple(tensor.shape) for key, tensor in state.items()} == dict(shapes)
