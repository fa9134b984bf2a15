"""Turn photographs into an aligned training set.

    python scripts/prepare_faces.py photos/ faces/
    python scripts/prepare_faces.py ffhq.zip faces/ --least 384 --parser parser.pth
    python scripts/prepare_faces.py celeba/images faces/ --masks celeba/masks

Detects faces, aligns them to 512 pixels, measures how much they really show (pixels, and the
sharpness of their spectrum, so that an enlarged photograph is recognised), drops the unfit and says
why, and writes PNGs, ``faces.tsv`` with points, effective resolution and the boxes of eyes and
mouth, and, with a parser or the photographs' own masks, masks. The folder can be named in the
``sources`` of a training config.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vidrestore.devices import resolve_device
from vidrestore.errors import VidrestoreError
from vidrestore.faces.config import DetectorConfig
from vidrestore.models.common.outputs import ParserOutput
from vidrestore.models.face_parser import FaceParser
from vidrestore.pipeline.loading.load_models import DETECTORS, load_detector
from vidrestore.training.data.prepare_faces import (
    AlignedPhoto,
    Labels,
    PrepareConfig,
    masks_in,
    prepare,
)
from vidrestore.types import CROP_SIZE_PX
from vidrestore.weights.load import load_weights


def parser_by(path: Path, device: torch.device) -> Labels:
    """Return the face parser of a checkpoint as labels of faces.

    Raises:
        WeightsError: The file is missing, or a checkpoint of something else.
    """
    network = FaceParser()
    load_weights(network, path)
    network.eval().requires_grad_(False).to(device)

    @torch.inference_mode()
    def labels(_origin: str, face: AlignedPhoto) -> NDArray[np.uint8]:
        chw = torch.from_numpy(np.ascontiguousarray(face.crop_hwc)).permute(2, 0, 1)
        crop = chw[None].to(device).float() / 127.5 - 1
        size = (CROP_SIZE_PX, CROP_SIZE_PX)
        sized = torch.nn.functional.interpolate(crop, size, mode="bilinear", antialias=True)
        parsed: ParserOutput = network(sized)
        logits = torch.nn.functional.interpolate(parsed.logits, crop.shape[2:], mode="bilinear")
        return logits.argmax(dim=1)[0].to(torch.uint8).cpu().numpy()

    return labels


def main() -> None:
    """Parse the command line and prepare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder, or zip or tar archive, of photographs")
    parser.add_argument("target", type=Path, help="new folder")
    parser.add_argument("--size", type=int, default=CROP_SIZE_PX, help="side of an aligned face")
    parser.add_argument("--least", type=int, default=192, help="real pixels a face must have")
    parser.add_argument("--turned", type=float, default=0.33, help="nose off the middle, at most")
    parser.add_argument("--detector", choices=DETECTORS, default="mtcnn")
    masks = parser.add_mutually_exclusive_group()
    masks.add_argument("--parser", type=Path, help="checkpoint of a face parser: write masks")
    masks.add_argument(
        "--masks",
        type=Path,
        help="PNGs of classes under the photographs' names; of each the largest face is taken",
    )
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    try:
        device = resolve_device(arguments.device)
        labels: Labels | None = None
        if arguments.parser is not None:
            labels = parser_by(arguments.parser, device)
        elif arguments.masks is not None:
            labels = masks_in(arguments.masks)
        report = prepare(
            arguments.source,
            arguments.target,
            detector=load_detector(arguments.detector, device=device, config=DetectorConfig()),
            config=PrepareConfig(
                size_px=arguments.size,
                least_px=arguments.least,
                turned=arguments.turned,
                largest_only=arguments.masks is not None,
            ),
            labels=labels,
        )
    except VidrestoreError as error:
        sys.exit(f"error: {error}")
    print(f"{report.pictures} pictures, {report.kept} faces kept in {arguments.target}")
    for reason, count in report.dropped.most_common():
        print(f"  {count:>6} {reason}")


if __name__ == "__main__":
    main()
