"""The networks of PSFR-GAN with fixed weights, and their formulas written plainly."""

import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

GOLDEN = Path(__file__).parents[1] / "golden" / "published"
"""What the published code gives for such fillings, at every few samples."""

State = Mapping[str, Tensor]


def fill_weights(network: nn.Module) -> nn.Module:
    """Return ``network`` with weights drawn from the names of its tensors, in evaluation mode."""
    state = network.state_dict()
    for key, tensor in state.items():
        if key.endswith("num_batches_tracked"):
            continue
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        x = rng.standard_normal(tuple(tensor.shape)).astype(np.float32)
        if key.endswith("running_var"):
            x = np.abs(x) * np.float32(0.5) + np.float32(0.5)
        elif tensor.ndim <= 1:
            is_gain = key.endswith("weight")
            x = np.float32(0.1) * x + np.float32(is_gain)
        elif tensor.ndim != 4 or tensor.shape[0] != 1:
            x = x / np.float32(np.sqrt(math.prod(tensor.shape[1:])))
        state[key] = torch.from_numpy(np.asarray(x, dtype=np.float32))
    for key in [key.removesuffix("_u") for key in state if key.endswith("weight_u")]:
        matrix = state[f"{key}_orig"].flatten(1)
        u = F.normalize(state[f"{key}_u"], dim=0)
        for _ in range(10):
            v = F.normalize(matrix.t() @ u, dim=0)
            u = F.normalize(matrix @ v, dim=0)
            state[f"{key}_v"] = v
        state[f"{key}_u"] = u
    network.load_state_dict(state, strict=True)
    return network.eval()


def picture(channels: int, size: int, seed: int = 0) -> Tensor:
    """Return a smooth ``(1, channels, size, size)`` image in [-0.8, 0.8]."""
    line = np.linspace(0, 1, size)
    y, x = np.meshgrid(line, line, indexing="ij")
    waves = [
        2 * np.pi * ((index + 1) * x + (index + 2) * y) + seed + index for index in range(channels)
    ]
    return torch.from_numpy((0.8 * np.sin(np.stack(waves)))[None].astype(np.float32))


def one_hot_map(size: int, *, cell_px: int, classes: int = 19) -> Tensor:
    """Return a ``(1, classes, size, size)`` one-hot map of diagonal stripes."""
    index = torch.arange(size) // cell_px
    label = (index[:, None] + index[None, :]) % classes
    return F.one_hot(label, classes).permute(2, 0, 1)[None].float()


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a network's tensors."""
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}


def published_error(name: str, key: str, ours: Tensor) -> float:
    """Return the largest difference to ``GOLDEN/name``, over its largest value."""
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        golden = file[key]
    if key in {"image", "logits"}:
        stride = json.loads((GOLDEN / f"{name}.json").read_text())["meta"]["stride"]
        ours = ours[:, :, ::stride, ::stride]
    return float(np.abs(ours.numpy() - golden).max() / np.abs(golden).max())


def plain_spectral(state: State, name: str, feat: Tensor, padding: int = 1) -> Tensor:
    """Convolve with weights over their largest singular value, as the buffers tell it."""
    weight = state[f"{name}.weight_orig"]
    sigma = state[f"{name}.weight_u"] @ (weight.flatten(1) @ state[f"{name}.weight_v"])
    return F.conv2d(feat, weight / sigma, state[f"{name}.bias"], padding=padding)


def plain_generator(state: State, image: Tensor, parsing: Tensor, *, steps: int) -> Tensor:
    """Restore by the formulas of section 3.1, step by step."""
    guide = torch.cat([image, parsing], dim=1)

    def styled(feat: Tensor, name: str) -> Tensor:
        small = F.interpolate(guide, feat.shape[2:], mode="bicubic", align_corners=False)
        features = F.leaky_relu(plain_spectral(state, f"{name}.conv1.0", small), 0.2)
        factor = plain_spectral(state, f"{name}.gamma_conv", features)
        summand = plain_spectral(state, f"{name}.beta_conv", features)
        mean = feat.mean((2, 3), keepdim=True)
        spread = (feat.var((2, 3), keepdim=True, correction=0) + 1e-5).sqrt()
        return F.leaky_relu(factor * (feat - mean) / spread + summand, 0.2)

    def block(feat: Tensor, name: str) -> Tensor:
        change = plain_spectral(state, f"{name}.conv_0", styled(feat, f"{name}.norm_0"))
        return feat + plain_spectral(state, f"{name}.conv_1", styled(change, f"{name}.norm_1"))

    constant = state["const_input"].expand(len(image), -1, -1, -1)
    feat = block(plain_spectral(state, "head.0", constant), "head.1")
    for index in range(steps):
        feat = F.interpolate(feat, scale_factor=2.0, mode="nearest")
        feat = block(plain_spectral(state, f"body.{index}.1", feat), f"body.{index}.2")
    return plain_spectral(state, "img_out", feat)


def plain_unit(
    state: State, name: str, feat: Tensor, *, scale: str = "none", training: bool = False
) -> Tensor:
    """Return reflection padding, convolution, and batch normalization where there is one."""
    if scale == "up":
        feat = F.interpolate(feat, scale_factor=2.0, mode="nearest")
    feat = F.pad(feat, (1, 1, 1, 1), mode="reflect")
    bias = state.get(f"{name}.conv2d.bias")
    stride = 2 if scale == "down" else 1
    feat = F.conv2d(feat, state[f"{name}.conv2d.weight"], bias, stride=stride)
    if f"{name}.norm.norm.weight" not in state:
        return feat
    mean, var = state[f"{name}.norm.norm.running_mean"], state[f"{name}.norm.norm.running_var"]
    gain, shift = state[f"{name}.norm.norm.weight"], state[f"{name}.norm.norm.bias"]
    return F.batch_norm(feat, mean.clone(), var.clone(), gain, shift, training=training)


def plain_parser(
    state: State, image: Tensor, *, down: int, body: int, up: int, training: bool = False
) -> tuple[Tensor, Tensor]:
    """Return logits and image by the architecture of appendix A.1, as released."""

    def unit(name: str, feat: Tensor, scale: str = "none") -> Tensor:
        return plain_unit(state, name, feat, scale=scale, training=training)

    def block(name: str, feat: Tensor, scale: str = "none") -> Tensor:
        shortcut = feat if scale == "none" else unit(f"{name}.shortcut_func", feat, scale)
        first = unit(f"{name}.conv1", feat, "up" if scale == "up" else "none")
        second = unit(
            f"{name}.conv2", F.leaky_relu(first, 0.2), "down" if scale == "down" else "none"
        )
        return shortcut + second

    feat = unit("encoder.0", image)
    for index in range(down):
        feat = block(f"encoder.{index + 1}", feat, "down")
    inner = feat
    for index in range(body):
        inner = block(f"body.{index}", inner)
    feat = feat + inner
    for index in range(up):
        feat = block(f"decoder.{index}", feat, "up")
    return unit("out_mask_conv", feat), unit("out_img_conv", feat)
