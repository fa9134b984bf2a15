"""Project real faces onto the packaged generator, and measure how close it comes.

    python scripts/project_faces.py FOLDER OUT.png --count 8 --steps 50

    python scripts/project_faces.py FOLDER OUT.png --encoder prior.safetensors

FOLDER has faces aligned to 512 px, or of any size with a ``faces.tsv``. The script writes a sheet
with the faces above and what the generator draws below. It prints the PSNR and the distance of
identity by dlib's network, which is about 0.6 between different people.
"""

import argparse
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.devices import resolve_device, resolve_precision
from vidrestore.errors import ConfigError, VidrestoreError
from vidrestore.models.architecture_detection import detect_architecture
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.models.prior_restorer import PriorRestorer
from vidrestore.safeguard.identity import IdentityMeter, packaged_dlib_resnet
from vidrestore.training.data.eval_images import read_eval_images
from vidrestore.training.projection import ProjectionConfig, project
from vidrestore.training.tasks.build import read_pretrained
from vidrestore.types import CROP_SIZE_PX
from vidrestore.weights.load import load_state
from vidrestore.weights.priors import load_mobile_stylegan

Encode = Callable[[Tensor], Tensor]
"""Returns the styles in W+ of faces."""


def load_encoder(path: Path) -> tuple[MobileStyleGAN, Encode]:
    """Return the generator and the encoder of a restorer ``prior``: exported, or of a run.

    Raises:
        WeightsError: The file is missing or damaged.
        ConfigError: It is of another network.
    """
    state = read_pretrained(path, "generator")
    found = detect_architecture({name: tuple(each.shape) for name, each in state.items()})
    network = None if found is None else found.spec.build()
    if not isinstance(network, PriorRestorer):
        raise ConfigError(f"{path}: not weights of the restorer prior")
    load_state(network, state, path)
    network.eval().requires_grad_(False)
    return network.stylegan_decoder, lambda face: network.encode(face)[0]


def main() -> None:
    """Project, print and write the sheet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("sheet", type=Path)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--every", type=int, default=1, help="take every Nth face")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument(
        "--encoder",
        type=Path,
        help="weights of prior: start from its styles, draw by its generator",
    )
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    columns: list[np.ndarray] = []
    try:
        config = ProjectionConfig(steps=arguments.steps, lr=arguments.lr)
        device = resolve_device(arguments.device)
        dtype = resolve_precision(arguments.precision, device)
        network, encode = load_mobile_stylegan(), None
        if arguments.encoder is not None:
            network, encode = load_encoder(arguments.encoder)
        network = network.to(device)
        meter = IdentityMeter(packaged_dlib_resnet(), device=device)
        stills = islice(read_eval_images(arguments.folder), 0, None, arguments.every)
        for name, face in islice(stills, arguments.count):
            given = F.adaptive_avg_pool2d(face[None].to(device), network.out_size) * 2 - 1
            start = None if encode is None else encode(given)
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                styles, losses = project(network, given, config, start_NLF=start)
            with torch.inference_mode():
                drawn = network.synthesize(styles)[0].clamp(-1, 1).cpu() * 0.5 + 0.5
            small = F.adaptive_avg_pool2d(face, network.out_size)
            psnr_db = -10 * float(torch.log10((drawn - small).square().mean()))
            size = (CROP_SIZE_PX, CROP_SIZE_PX)
            drawn = F.interpolate(drawn[None], size, mode="bicubic").clamp(0, 1)[0]
            distance = meter.distance(face, drawn, resolution_px=512.0)
            print(
                f"{name}: loss {losses[0]:.3f} to {losses[-1]:.3f}, {psnr_db:.2f} dB, "
                f"identity {distance:.3f}",
                flush=True,
            )
            pair = torch.cat([face, drawn], dim=1).permute(1, 2, 0).numpy()[..., ::-1]
            columns.append((pair * 255).round().astype(np.uint8))
            if not cv2.imwrite(str(arguments.sheet), np.concatenate(columns, axis=1)):
                sys.exit(f"error: {arguments.sheet}: cannot be written")
    except VidrestoreError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
