"""Make pairs of small faces for training ``lite`` on crops of 256 px, and pack what was trained.

    python scripts/small_lite.py pairs configs/train/lite_small_cpu.toml runs/small_pairs
    python scripts/train_gpu.py train configs/train/lite_small_cpu.toml runs/small
    python scripts/small_lite.py pack runs/small/lite.safetensors lite_small.safetensors

A face of a pair is degraded as in the config, shrunk to the pixels that it would have in a film (90
to 340 a side), and cut out at 256 px as the program does. Its target is the original at 256 px. The
same command continues an interrupted one. ``pack`` makes the trained weights the default of the
packaged file, whose fidelity end stays. The measurements are in configs/train/lite.md.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from distill_small_lite import DEFAULT_POSITION, crop_of, film_image, write_ends
from torch.nn import functional as F
from train_gpu import add_source

from vidrestore.errors import VidrestoreError
from vidrestore.models.registry import LITE_SMALL_FILE
from vidrestore.toml_config import read_config
from vidrestore.training.data.dataset import FaceDataset, FaceSample
from vidrestore.training.on_device.config import DeviceRunConfig
from vidrestore.training.on_device.data.teacher_cache import TeacherCache
from vidrestore.types import CROP_SIZE_PX, SMALL_CROP_SIZE_PX
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.load import read_state, read_weights

_RATIO = CROP_SIZE_PX // SMALL_CROP_SIZE_PX


class SmallFaces(FaceDataset):
    """Faces of 512 px, degraded, as the program sees small faces; and their originals."""

    def __getitem__(self, index: int) -> FaceSample:
        """Return sample ``index`` at 256 px."""
        sample = super().__getitem__(index)
        rng = np.random.default_rng((9, self._seed, index))
        return sample._replace(
            degraded=crop_of(film_image(sample.degraded, rng), SMALL_CROP_SIZE_PX),
            target=F.avg_pool2d(sample.target[None], _RATIO)[0],
            resolution_ratio=(sample.resolution_ratio * _RATIO).clamp_max(1.0),
            boxes_xyxy=sample.boxes_xyxy / _RATIO,
        )


def pairs(arguments: argparse.Namespace) -> None:
    """Fill a cache of pairs that ``train_gpu.py`` reads."""
    config = read_config(arguments.config, DeviceRunConfig, overrides=arguments.set)
    faces = replace(config.data.faces, recipes=config.teacher.recipes)
    if arguments.generated is not None:
        faces = add_source(faces, arguments.generated, weight=0.4)
    cache = TeacherCache(arguments.folder, count=arguments.count, side_px=SMALL_CROP_SIZE_PX)
    samples = SmallFaces(faces, seed=arguments.seed)
    made = cache.fill(samples, None, device=torch.device("cpu"))
    print(f"{arguments.folder}: {made} more pairs")


def pack(arguments: argparse.Namespace) -> None:
    """Write a file whose default is the trained weights, and whose fidelity end is unchanged."""
    with bundled_file(LITE_SMALL_FILE) as path:
        fidelity = read_weights(path, detail=0.0).state
    trained = read_state(arguments.trained)
    detail = {
        name: value + (trained[name].float() - value) / DEFAULT_POSITION
        for name, value in fidelity.items()
    }
    write_ends(fidelity, detail, arguments.target, steps=arguments.steps, script=Path(__file__))
    print(arguments.target)


def main() -> int:
    """Parse the command line and run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="pairs|pack")
    making = commands.add_parser("pairs", help=pairs.__doc__)
    making.set_defaults(action=pairs)
    making.add_argument("config", type=Path)
    making.add_argument("folder", type=Path, help="folder of the pairs")
    making.add_argument("--count", type=int, default=7000)
    making.add_argument("--generated", type=Path, help="folder of prepare_faces.py --generate")
    making.add_argument("--seed", type=int, default=300)
    making.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    packing = commands.add_parser("pack", help=pack.__doc__)
    packing.set_defaults(action=pack)
    packing.add_argument("trained", type=Path)
    packing.add_argument("target", type=Path)
    packing.add_argument("--steps", type=int, default=0, help="steps of the run, for the metadata")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    try:
        arguments.action(arguments)
    except (VidrestoreError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
