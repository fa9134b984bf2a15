"""Infers a network's configuration from the shapes of its tensors."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import nn

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Name of a tensor -> its shape."""


def block_count(shapes: Shapes, prefix: str) -> int:
    """Return the number of blocks ``prefix.0``, ``prefix.1``, ... in a state dict."""
    start = f"{prefix}."
    heads = (key[len(start) :].split(".", 1)[0] for key in shapes if key.startswith(start))
    return len({head for head in heads if head.isdecimal()})


def matches_state(build: Callable[[], nn.Module], shapes: Shapes) -> bool:
    """Return whether ``build`` makes a network with exactly these tensors; False if it cannot."""
    try:
        with torch.device("meta"):
            state = build().state_dict()
    except ValueError:
        return False
    return {key: tuple(tensor.shape) for key, tensor in state.items()} == dict(shapes)
