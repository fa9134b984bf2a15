"""Project real faces onto the packaged generator, and measure how close it comes.

    python scripts/project_faces.py FOLDER OUT.png --count 8 --steps 50

FOLDER has faces aligned to 512 px, or of any size with a ``faces.tsv``. The script writes a sheet
with the faces above and what the generator draws below. It prints the PSNR and the distance of
identity by dlib's network, which is about 0.6 between different people.
"""

import argparse
import sys
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch

from vidrestore.devices import resolve_device
from vidrestore.errors import VidrestoreError
from vidrestore.safeguard.identity import IdentityMeter, packaged_dlib_resnet
from vidrestore.training.data.eval_images import read_eval_images
from vidrestore.training.projection import ProjectionConfig, project
from vidrestore.weights.priors import load_mobile_stylegan


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
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    columns: list[np.ndarray] = []
    try:
        config = ProjectionConfig(steps=arguments.steps, lr=arguments.lr)
        device = resolve_device(arguments.device)
        network = load_mobile_stylegan().to(device)
        meter = IdentityMeter(packaged_dlib_resnet(), device=device)
        stills = islice(read_eval_images(arguments.folder), 0, None, arguments.every)
        for name, face in islice(stills, arguments.count):
            styles, losses = project(network, face[None].to(device) * 2 - 1, config)
            with torch.inference_mode():
                drawn = network.synthesize(styles)[0].clamp(-1, 1).cpu() * 0.5 + 0.5
            psnr_db = -10 * float(torch.log10((drawn - face).square().mean()))
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
