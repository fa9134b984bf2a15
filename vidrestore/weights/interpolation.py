"""Two sets of weights, fidelity and detail, in one file, and interpolation between them.

Networks that were fine-tuned from common weights still work along the straight line between them
 (Wang et al. 2018, "ESRGAN", section 3.4, "Network interpolation")::

    weights = fidelity + position * difference

``--detail`` 0 is position 0, 1 is 1, and 0.5, the default, is the position that the file names.

A file holds the fidelity weights under the network's own names, in half precision, so that a reader
that ignores everything else gets a complete network; and the difference under
``detail.difference.NAME``. It has 8 bits for tensors with output channels along their first axis,
with one scale for each channel under ``detail.scale.NAME``, and half precision for the others,
which are small. An empty difference means that both sets have the same tensor.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from vidrestore.errors import WeightsError

_DIFFERENCE, _SCALE = "detail.difference.", "detail.scale."
_INT8_MAX = 127


def pack(fidelity: Mapping[str, Tensor], detail: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a file with two sets of weights.

    Args:
        fidelity: All tensors of the network at 0, by name.
        detail: The same at 1.

    Raises:
        WeightsError: They belong to different networks.
    """
    shapes = [{name: tensor.shape for name, tensor in end.items()} for end in (fidelity, detail)]
    if shapes[0] != shapes[1]:
        raise WeightsError("the two sets of weights belong to different networks")
    tensors = {name: tensor.to(torch.float16).contiguous() for name, tensor in fidelity.items()}
    for name in fidelity:
        if torch.equal(fidelity[name], detail[name]):
            tensors[_DIFFERENCE + name] = torch.zeros(0, dtype=torch.float16)
            continue
        # From the rounded weights, so that the rounding is compensated in the other set.
        difference = (detail[name].float() - tensors[name].float()).contiguous()
        if difference.ndim < 2 or len(difference) == 1:
            tensors[_DIFFERENCE + name] = difference.to(torch.float16)
            continue
        scale = _scales(difference)
        steps = (difference / _along_channels(scale, difference)).round()
        tensors[_DIFFERENCE + name] = steps.clamp(-_INT8_MAX, _INT8_MAX).to(torch.int8)
        tensors[_SCALE + name] = scale
    return tensors


def _scales(difference: Tensor) -> Tensor:
    """Return ``(O,)`` float16: the step of each output channel, never zero."""
    exact = difference.abs().flatten(1).amax(dim=1) / _INT8_MAX
    rounded = exact.to(torch.float16)
    # Rounded up, so that the largest difference of a channel is not clipped.
    up = torch.nextafter(rounded, torch.full_like(rounded, torch.inf))
    return torch.where((rounded.float() < exact) | (rounded == 0), up, rounded)


def _along_channels(scale: Tensor, tensor: Tensor) -> Tensor:
    return scale.float().view(-1, *[1] * (tensor.ndim - 1))


def has_two_ends(state: Mapping[str, Tensor]) -> bool:
    """Return whether tensors look like those of a file with two sets of weights."""
    return any(name.startswith(_DIFFERENCE) for name in state)


def interpolate(state: Mapping[str, Tensor], position: float, path: Path) -> dict[str, Tensor]:
    """Return the float32 tensors of the network at ``position``.

    Args:
        state: What ``pack`` returned; untrusted.
        position: Between the two sets, 0 (fidelity) to 1 (detail).
        path: Their file, for messages.

    Raises:
        WeightsError: These are not two sets of weights of one network.
    """
    own = [name for name in state if not name.startswith((_DIFFERENCE, _SCALE))]
    known = {prefix + name for prefix in ("", _DIFFERENCE, _SCALE) for name in own}
    if extra := sorted(state.keys() - known):
        raise WeightsError(f"{path}: differences without weights: {', '.join(extra[:3])}")
    return {name: state[name].float() + position * _difference(state, name, path) for name in own}


def _difference(state: Mapping[str, Tensor], name: str, path: Path) -> Tensor:
    """Return a float32 tensor in the shape of ``state[name]``."""
    shape = state[name].shape
    difference, scale = state.get(_DIFFERENCE + name), state.get(_SCALE + name)
    if difference is not None and difference.shape == (0,) and scale is None:
        return torch.zeros(shape)
    if difference is not None and difference.shape == shape:
        if difference.is_floating_point() and scale is None:
            return difference.float()
        if difference.dtype == torch.int8 and scale is not None and scale.shape == shape[:1]:
            return difference.float() * _along_channels(scale, difference)
    raise WeightsError(f"{path}: no difference fits {name}; export the file again")
