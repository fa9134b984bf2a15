"""Make a smaller generator of the packaged one: its first levels, with a head fitted to them.

    python scripts/small_prior.py OUT.safetensors --side 128

MobileStyleGAN has an image at its last level only. A smaller one draws nearly the same faces for a
part of the arithmetic, which training on a CPU needs: name the file by ``pretrained.prior`` and its
side by ``prior_px``. The head is the best linear map, by least squares, from the level's features,
scaled by the style as the next level scales them, to the large image shrunk to that side.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.errors import VidrestoreError
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.weights.priors import load_mobile_stylegan
from vidrestore.weights.save import save_weights

TESTED = 6


def level_features(network: MobileStyleGAN, latents_NLF: Tensor) -> Tensor:
    """Return the last features of a generator, ``(N, C, S, S)``."""
    found: list[Tensor] = []

    def keep(_module: object, inputs: tuple[Tensor, ...]) -> None:
        found.append(inputs[0].clone())

    handle = network.to_img.register_forward_pre_hook(keep)
    network.synthesize(latents_NLF)
    handle.remove()
    return found[0]


def first_levels(large: MobileStyleGAN, side: int) -> MobileStyleGAN:
    """Return a generator of ``side`` px with the weights of ``large``, but for its head."""
    small = MobileStyleGAN(out_size=side)
    given, state = large.state_dict(), small.state_dict()
    for name in state:
        if not name.startswith("to_img."):
            state[name] = given[name]
    following = f"layers.{len(small.layers)}.up.modulation"
    for part in ("weight", "bias"):
        state[f"to_img.conv.modulation.{part}"] = given[f"{following}.{part}"]
    small.load_state_dict(state)
    return small.eval().requires_grad_(False)


@torch.inference_mode()
def fit_head(small: MobileStyleGAN, large: MobileStyleGAN, *, count: int) -> list[float]:
    """Fit the head on ``count`` drawn faces; return the PSNR of others, in dB."""
    head, rng = small.to_img, torch.Generator().manual_seed(0)
    channels = head.conv.get_parameter("weight").shape[1]
    left = torch.zeros(channels + 1, channels + 1, dtype=torch.float64)
    right = torch.zeros(channels + 1, 3, dtype=torch.float64)
    scores: list[float] = []
    for number in range(count + TESTED):
        latent = torch.randn(1, small.num_style_feat, generator=rng)
        style = large.styles(latent, truncation=0.5 + 0.5 * float(torch.rand(1, generator=rng)))
        aimed = F.adaptive_avg_pool2d(large.synthesize(large.to_w_plus(style)), small.out_size)
        if number >= count:
            drawn = small.synthesize(small.to_w_plus(style))
            scores.append(-10 * float(torch.log10(((drawn - aimed) / 2).square().mean())))
            continue
        feat = level_features(small, small.to_w_plus(style))
        scale = head.conv.get_submodule("modulation")(style)[:, :, None, None]
        rows = (feat * scale).flatten(2)[0].double()
        rows = torch.cat([rows, torch.ones_like(rows[:1])])
        left += rows @ rows.T
        right += rows @ aimed.flatten(2)[0].T.double()
        if number == count - 1:
            ridge = 1e-7 * left.diagonal().mean() * torch.eye(channels + 1, dtype=torch.float64)
            solved = torch.from_numpy(
                np.linalg.solve((left + ridge).numpy(), right.numpy())
            ).float()
            weight = head.conv.get_parameter("weight").zero_()
            # The image is half of the low band (``ImageHead``).
            weight[:3, :, 0, 0] = 2 * solved[:-1].T / head.gain
            head.bias.zero_()[0, :3, 0, 0] = 2 * solved[-1]
    return scores


def main() -> None:
    """Fit, print how near it comes, and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, choices=(64, 128, 256), default=128)
    parser.add_argument("--count", type=int, default=40, help="faces to fit the head on")
    arguments = parser.parse_args()
    try:
        large = load_mobile_stylegan()
        small = first_levels(large, arguments.side)
        scores = fit_head(small, large, count=arguments.count)
        tensors = {name: value.contiguous().clone() for name, value in small.state_dict().items()}
        save_weights(tensors, arguments.out, {"source": "scripts/small_prior.py"})
    except VidrestoreError as error:
        sys.exit(f"error: {error}")
    print("other faces, dB:", *(f"{score:.1f}" for score in scores))


if __name__ == "__main__":
    main()
