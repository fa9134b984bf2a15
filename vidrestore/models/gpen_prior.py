"""Convert a StyleGAN2 to the generator of GPEN and MMRB, which takes features instead of noise."""

from collections.abc import Mapping

import torch
from torch import Tensor

from vidrestore.models.gpen_generator import GpenGenerator

_RENAMED = (
    ("style_mlp.", "style."),
    ("constant_input.weight", "input.input"),
    ("style_conv1.", "conv1."),
    ("style_convs.", "convs."),
    ("modulated_conv.", "conv."),
)


def gpen_state_of_prior(state: Mapping[str, Tensor], generator: GpenGenerator) -> dict[str, Tensor]:
    """Return the weights of ``generator`` from those of a prior of its size.

    GPEN retrains StyleGAN2 with features in the place of noise before it restores, and MMRB starts
    from that (section 4.2): such weights are taken as they are. Those of a plain StyleGAN2 are
    widened: features have zero weight, so that at first it generates what the plain one does
    without noise.

    Args:
        state: State of GPEN's generator, or of ``StyleGAN2Generator``.
        generator: With concatenated features.

    Raises:
        ValueError: The state is of neither, or of another size.
    """
    own = generator.state_dict()
    if state.keys() == own.keys():
        _check_shapes(state, own)
        return dict(state)
    plain = {_renamed(key): tensor for key, tensor in state.items() if "noises." not in key}
    wider: dict[str, Tensor] = {}
    for name, tensor in own.items():
        if name.endswith(".kernel"):
            wider[name] = tensor
        elif name.endswith("noise.weight"):
            # Zero strength and zero weights of features would never learn.
            wider[name] = torch.ones_like(tensor)
        elif name in plain and _fits(plain[name], tensor):
            wider[name] = _widened(name, plain[name], tensor)
        else:
            raise ValueError(f"not a StyleGAN2 of this size: {name} is missing or does not fit")
    unused = sorted(plain.keys() - wider.keys() - _strengths(plain))
    if unused:
        raise ValueError(f"not a StyleGAN2 of this size: {unused[0]} is not expected")
    return wider


def _renamed(key: str) -> str:
    for old, new in _RENAMED:
        key = key.replace(old, new)
    return key


def _strengths(plain: Mapping[str, Tensor]) -> set[str]:
    """Return the strengths of the noise that features replace."""
    return {key for key, tensor in plain.items() if key.endswith(".weight") and tensor.numel() == 1}


def _widened(name: str, pretrained: Tensor, own: Tensor) -> Tensor:
    full = torch.ones_like(own) if name.endswith("modulation.bias") else torch.zeros_like(own)
    full[tuple(slice(side) for side in pretrained.shape)] = pretrained
    if name.endswith("conv.weight"):
        # The gain of an equalized layer falls with its channels.
        full *= (own.shape[2] / pretrained.shape[2]) ** 0.5
    return full


def _fits(pretrained: Tensor, own: Tensor) -> bool:
    is_wider = all(a in (b, b // 2) for a, b in zip(pretrained.shape, own.shape, strict=False))
    return pretrained.ndim == own.ndim and is_wider


def _check_shapes(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    wrong = sorted(key for key, tensor in own.items() if state[key].shape != tensor.shape)
    if wrong:
        raise ValueError(f"not a GPEN prior of this size: {wrong[0]} has another shape")
