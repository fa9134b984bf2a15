"""Measure for whom a restorer does well: gains by groups of faces.

    python scripts/measure_groups.py --data ../shared/data/val/stills \
        --groups configs/evaluate/still_groups.toml --model lite --json out.json

Faces are degraded and restored as by ``scripts/evaluate.py``. Groups come from a TOML file of
names, from the pose, and from the brightness of the skin: terciles of the median luma of both
cheeks of the original. Every line has the number of faces; a group of fewer than eight says little.
``distance`` is the gain in identity by dlib's network, which puts different people 0.69 apart: it
is positive where the result is nearer to the original than the degraded face was. ``moved_away``
counts the faces where it is not. With ``--seeds``, figures of a face are means over its draws.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import sys
import tomllib
from collections.abc import Callable, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.devices import resolve_device, resolve_precision
from vidrestore.errors import ConfigError, VidrestoreError
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.metrics.scores import MetricNetworks, image_scores, mean_scores
from vidrestore.pipeline.loading.load_models import load_detector, load_restorer
from vidrestore.restore.edge_gain import EdgeGainConfig, strengthen_edges
from vidrestore.restore.restorer import Restorer
from vidrestore.safeguard.checks import yaw_ratio
from vidrestore.safeguard.identity import IdentityMeter, packaged_dlib_resnet
from vidrestore.training.data.eval_images import read_eval_images
from vidrestore.training.degradations.recipes.table import recipe_named
from vidrestore.training.evaluation import degrade_images
from vidrestore.training.metric_networks import detect_landmarks, load_identity_embedder

TURNED_RATIO = 0.12
"""``yaw_ratio`` from which a face counts as turned: about 15 degrees."""
SMALL_GROUP = 8
CHEEK_PX = 20
"""Half the side of the squares whose luma is that of the skin."""
ALL = "all"


def read_groups(path: Path) -> dict[str, list[str]]:
    """Return the names of the faces of each group of a TOML file.

    Raises:
        ConfigError: The file is unreadable, or has anything but lists of names.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {error}") from error
    groups: dict[str, list[str]] = {}
    for name, members in raw.items():
        given = cast("list[object]", members) if isinstance(members, list) else [members]
        groups[name] = [each for each in given if isinstance(each, str)]
        if not isinstance(members, list) or len(groups[name]) < len(given):
            raise ConfigError(f"{path}: {name}: must be a list of names of files")
    return groups


def skin_luma(face_chw: Tensor) -> float:
    """Return the median luma of both cheeks of an aligned face in [0, 1], 0 to 255."""
    luma = (face_chw * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=0) * 255
    scale = face_chw.shape[-1] / 512
    left_eye, right_eye, _, left_mouth, right_mouth = TEMPLATE_LANDMARKS_XY
    patches: list[Tensor] = []
    for eye, mouth in ((left_eye, left_mouth), (right_eye, right_mouth)):
        x, y = (int(value) for value in (0.45 * eye + 0.55 * mouth) * scale)
        half = max(1, int(CHEEK_PX * scale))
        patches.append(luma[y - half : y + half, x - half : x + half].flatten())
    return float(torch.cat(patches).median())


def measured_groups(lumas: Mapping[str, float], yaws: Mapping[str, float]) -> dict[str, list[str]]:
    """Return the groups by pose and by brightness of the skin."""
    low, high = np.quantile([*lumas.values()], [1 / 3, 2 / 3])
    return {
        "turned": [name for name, yaw in yaws.items() if yaw > TURNED_RATIO],
        "frontal": [name for name, yaw in yaws.items() if yaw <= TURNED_RATIO],
        f"skin darker than {low:.0f}": [name for name, luma in lumas.items() if luma < low],
        "skin between": [name for name, luma in lumas.items() if low <= luma <= high],
        f"skin lighter than {high:.0f}": [name for name, luma in lumas.items() if luma > high],
    }


def with_edges(restorer: Restorer, image_chw: Tensor) -> Tensor:
    """Return a restored face with its edges strengthened, as the program does."""
    if not restorer.detail:
        return image_chw
    edges = EdgeGainConfig()
    return strengthen_edges(
        image_chw, detail=restorer.detail, sigma_px=edges.min_sigma_px, config=edges
    )


def measure(
    arguments: argparse.Namespace,
) -> tuple[dict[str, dict[str, float]], dict[str, list[str]]]:
    """Return what every face gained, and the groups."""
    device = resolve_device(arguments.device)
    restorer = load_restorer(
        arguments.model,
        device=device,
        dtype=resolve_precision("fp32", device),
        detail=arguments.detail,
    )
    landmarks_of = detect_landmarks(load_detector("mtcnn", device=device))
    networks = MetricNetworks(
        identity=None if arguments.identity is None else load_identity_embedder(arguments.identity)
    )
    meter = IdentityMeter(packaged_dlib_resnet(), device=device)
    stills = chain.from_iterable(
        degrade_images(
            islice(read_eval_images(arguments.data), arguments.count),
            recipe=recipe_named(arguments.degradation),
            seed=seed,
            metric_networks=networks,
        )
        for seed in range(arguments.seeds)
    )
    drawn: dict[str, list[dict[str, float]]] = {}
    lumas: dict[str, float] = {}
    yaws: dict[str, float] = {}
    for still in stills:
        restored = with_edges(
            restorer, restorer.restore_images(still.degraded[None])[0].float().cpu()
        )
        scores = image_scores(restored, still.target, networks)
        gain = {
            key: scores[key] - still.scores["input"][key]
            for key in ("psnr", "identity")
            if key in scores
        }
        before, after = (
            meter.distance(still.target, image, resolution_px=512.0)
            for image in (still.degraded, restored)
        )
        drawn.setdefault(still.name, []).append(
            {**gain, "distance": before - after, "distance_after": after}
        )
        lumas[still.name] = skin_luma(still.target)
        yaws[still.name] = _yaw(still.target, landmarks_of)
    gains = {name: mean_scores(rows) for name, rows in drawn.items()}
    groups = {ALL: [*gains]}
    if arguments.groups is not None:
        groups |= read_groups(arguments.groups)
    return gains, groups | measured_groups(lumas, yaws)


def _yaw(face_chw: Tensor, landmarks_of: Callable[[Tensor], NDArray[np.float64] | None]) -> float:
    landmarks = landmarks_of(face_chw)
    return float("nan") if landmarks is None else yaw_ratio(landmarks)


def summarize(
    gains: Mapping[str, Mapping[str, float]], groups: Mapping[str, list[str]]
) -> dict[str, dict[str, Any]]:
    """Return count and means of every group, and the number of its faces that came out worse."""
    table: dict[str, dict[str, Any]] = {}
    for name, members in groups.items():
        rows = [gains[member] for member in members if member in gains]
        if not rows:
            continue
        means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        worse = sum(row["distance"] < 0 for row in rows)
        table[name] = {"faces": len(rows), **means, "moved_away": worse}
    return table


def main() -> None:
    """Parse the command line, measure, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="lite", help="name of a restorer, or a checkpoint")
    parser.add_argument("--detail", type=float, metavar="0..1")
    parser.add_argument("--degradation", default="gfpgan", help="name of a recipe")
    parser.add_argument("--data", type=Path, required=True, help="faces aligned to 512 px")
    parser.add_argument("--groups", type=Path, help="TOML file: name of a group = names of files")
    parser.add_argument(
        "--seeds", type=int, default=1, help="degrade every face so often, by seeds 0, 1, ..."
    )
    parser.add_argument("--identity", type=Path, help="checkpoint of ArcFace or MobileFaceNet")
    parser.add_argument("--count", type=int, help="maximum number of faces")
    parser.add_argument("--json", type=Path, help="write the figures of every face here")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    try:
        gains, groups = measure(arguments)
    except VidrestoreError as error:
        sys.exit(f"error: {error}")
    table = summarize(gains, groups)
    columns = [key for key in table[ALL] if key != "faces"]
    print(f"{'':<24}{'faces':>6}" + "".join(f"{column:>16}" for column in columns))
    for name, row in table.items():
        mark = " (few)" if row["faces"] < SMALL_GROUP else ""
        cells = "".join(f"{row[column]:>16.3f}" for column in columns)
        print(f"{name:<24}{row['faces']:>6}{cells}{mark}")
    if arguments.json is not None:
        report = {"faces": gains, "groups": groups, "table": table}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
