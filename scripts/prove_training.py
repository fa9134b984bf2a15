"""Show that a small training run works, and what each of its loss terms does.

    python scripts/prove_training.py configs/train/proof/lite_128.toml --runs runs/proof

Trains the config, or continues its run, and writes files beside it: the log as a table
(``NAME.csv``), its curves (``NAME_curves.png``), and a sheet of held-out faces (``NAME.jpg``):
input, result and original; labels for a parser; random faces for a prior. Then the run goes on for
``--term-steps`` steps from one checkpoint, with each of ``--seeds`` seeds: as it is, and without
each loss term. ``NAME_terms.csv`` has what was measured on the held-out faces after that, and for
each term the mean and the standard error of what changes without it, over pairs of the same seed.
The same command continues what was stopped.
"""

import argparse
import csv
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from proof_measures import SHEET_ROWS, TrainedRun, unit_range
from torch import Tensor
from torch.nn import functional as F

from vidrestore.errors import VidrestoreError
from vidrestore.toml_config import read_config
from vidrestore.training.data.dataset import (
    DatasetConfig,
    FaceEvalDataset,
    FaceSample,
    SourceConfig,
)
from vidrestore.training.engine.loop import CHECKPOINT_NAME
from vidrestore.training.engine.run import RunConfig, train
from vidrestore.training.losses.identity import load_identity_network
from vidrestore.training.on_device.curves import draw_curves

ALL_TERMS = "all terms"
TILE_PX, JPEG_QUALITY = 128, 88
MEASURES: Mapping[str, Mapping[str, str]] = {
    "stylegan2": {"r1_weight": "+discriminator_slope", "path_weight": "+path_variation"},
    "parser": {"label_weight": "-mean_f1", "pixel_weight": "-psnr_db"},
    "psfrgan": {
        "matching_weight": "-ssim",
        "style_weight": "+style",
        "adversarial_weight": "-sharpness",
    },
    "restorer": {
        "loss_weights.l1": "-psnr_db",
        "loss_weights.ssim": "-ssim",
        "loss_weights.pyramid": "+coarse_error",
        "loss_weights.perceptual": "+perceptual",
        "loss_weights.style": "+style",
        "loss_weights.adversarial": "-sharpness",
        "loss_weights.component": "-component_sharpness",
        "loss_weights.component_style": "-component_sharpness",
        "loss_weights.identity": "+identity_distance",
        "loss_weights.styles": "+style_error",
    },
}
"""Task -> weight of a term that can be zero while the others stay -> the measure that the term is
for: + if it rises without the term, - if it falls. A restorer needs one of its pixel losses, so
that ``lite`` keeps ``log_l1``, and PSFR-GAN ``l1_weight``."""


def switches(config: RunConfig) -> dict[str, str]:
    """Return the weights above zero of a config's loss terms, by their keys, and their measures."""
    task = config.task_name

    def value(name: str) -> float:
        found = getattr(config, task)
        for part in name.split("."):
            found = getattr(found, part)
        return float(found or 0.0)

    return {f"{task}.{name}": measure for name, measure in MEASURES[task].items() if value(name)}


def held_out(data: DatasetConfig, *, folder: str, count: int) -> FaceSample:
    """Return the first faces of a folder beside the sources, degraded by the config's recipe."""
    config = replace(data, sources=(SourceConfig(folder=folder),), in_memory=False)
    faces = FaceEvalDataset(config, seed=0)
    samples = [faces[index] for index in range(min(count, len(faces)))]
    return FaceSample(*[torch.stack(fields) for fields in zip(*samples, strict=True)])


def write_sheet(columns: Sequence[Tensor], path: Path) -> None:
    """Write images side by side, a face in each row."""
    large = [F.interpolate(each[:SHEET_ROWS], (TILE_PX, TILE_PX)) for each in columns]
    rows = unit_range(torch.cat(large, dim=3)).permute(0, 2, 3, 1).flatten(0, 1)
    image = np.rint(rows.numpy() * 255).astype(np.uint8)
    cv2.imwrite(
        str(path), np.ascontiguousarray(image[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )


def write_curves(log: Path, path: Path) -> None:
    """Draw the curves of a log small enough for a repository."""
    draw_curves(log, path)
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    # Sixteen grays.
    small = cv2.resize(image, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), np.asarray(small, np.uint8) // 17 * 17, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def write_table(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    """Write rows as CSV, with a column for every key."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {name: f"{value:.5g}" if isinstance(value, float) else value
             for name, value in row.items()}
            for row in rows
        )  # fmt: skip


def prove(path: Path, arguments: argparse.Namespace) -> None:
    """Train a config, and write its files."""
    config = read_config(path, RunConfig)
    run, target = arguments.runs / path.stem, path.with_suffix("")
    run.mkdir(parents=True, exist_ok=True)
    checkpoint = train(config, folder=run, device="cpu")
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    kept = [{key: value for key, value in line.items() if key != "hours_left"} for line in lines]
    write_table([line for line in kept if line["step"] <= config.steps], Path(f"{target}.csv"))
    write_curves(run / "log.jsonl", Path(f"{target}_curves.png"))
    task = getattr(config, config.task_name)
    root = arguments.data or task.data.root
    faces = held_out(
        replace(task.data, root=root), folder=arguments.held_out, count=arguments.count
    )
    trained = TrainedRun(config, checkpoint)
    write_sheet(trained.columns(faces), Path(f"{target}.jpg"))
    if arguments.only_train:
        return
    identity = load_identity_network(arguments.identity)
    rows: list[dict[str, object]] = [{"run": "before", **trained.measures(faces, identity)}]
    steps = config.steps + arguments.term_steps
    terms = switches(config)
    variants = {ALL_TERMS: "", **{_without(key): f"{key}=0.0" for key in terms}}
    for seed in range(arguments.seeds):
        for name, change in variants.items():
            overrides = [f"steps={steps}", f"seed={seed}", *filter(None, [change])]
            changed = read_config(path, RunConfig, overrides=overrides)
            folder = arguments.runs / f"{path.stem} {name}, seed {seed}"
            if not folder.is_dir():
                folder.mkdir()
                shutil.copy(checkpoint, folder / CHECKPOINT_NAME)
            trained = TrainedRun(changed, train(changed, folder=folder, device="cpu"))
            rows.append({"run": name, "seed": seed, **trained.measures(faces, identity)})
            changes = [
                row for key, measure in terms.items() for row in _changes(rows, key, measure)
            ]
            write_table([*rows, *changes], Path(f"{target}_terms.csv"))
            print(path.stem, rows[-1], flush=True)


def _without(key: str) -> str:
    return f"without {key.rsplit('.')[-1]}"


def _changes(
    rows: Sequence[Mapping[str, object]], key: str, measure: str
) -> list[dict[str, object]]:
    """Return what measures change by without a term, over pairs of runs with the same seed.

    Two rows: means, and their standard errors (from two seeds on). ``shown`` says whether the
    term's own measure changes in its direction by more than two standard errors.
    """
    with_all = {row["seed"]: row for row in rows if row["run"] == ALL_TERMS}
    runs = [row for row in rows if row["run"] == _without(key) and row["seed"] in with_all]
    if len(runs) < 2:
        return []
    changes = {
        name: [float(str(row[name])) - float(str(with_all[row["seed"]][name])) for row in runs]
        for name in runs[0]
        if name not in {"run", "seed"}
    }
    means = {name: float(np.mean(values)) for name, values in changes.items()}
    errors = {
        name: float(np.std(values, ddof=1)) / len(values) ** 0.5 for name, values in changes.items()
    }
    own = measure[1:]
    worse = means[own] if measure[0] == "+" else -means[own]
    facts = {"measure": measure, "shown": "yes" if worse > 2 * errors[own] else "no"}
    return [
        {"run": f"{_without(key)}: change", **means, **facts},
        {"run": f"{_without(key)}: standard error", **errors},
    ]


def main() -> None:
    """Prove the configs that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("configs", type=Path, nargs="+")
    parser.add_argument("--runs", type=Path, default=Path("runs/proof"))
    parser.add_argument("--term-steps", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3, help="seeds of every run of the terms")
    parser.add_argument("--only-train", action="store_true", help="switch no term off")
    parser.add_argument("--data", type=Path, help="folder of the held-out one; the config's root")
    parser.add_argument("--held-out", default="canada", help="folder of faces that none trains on")
    parser.add_argument("--count", type=int, default=16, help="held-out faces")
    parser.add_argument(
        "--identity", type=Path, default=Path("../shared/data/weights/mobilefacenet.ckpt")
    )
    arguments = parser.parse_args()
    try:
        for path in arguments.configs:
            prove(path, arguments)
    except VidrestoreError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
