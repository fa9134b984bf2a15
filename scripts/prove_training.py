"""Show that a small training run works, and what each of its loss terms does.

    python scripts/prove_training.py configs/train/proof/lite_64.toml --runs runs/proof

Trains the config, or continues its run, and writes files beside it: the log as a table
(``NAME.csv``), its curves (``NAME_curves.png``), and a sheet of held-out faces (``NAME.jpg``):
input, result and original; labels for a parser; random faces for a prior. Then the run goes on for
``--term-steps`` steps, from one checkpoint and with one seed: as it is, with another seed, and
without each loss term. ``NAME_terms.csv`` has what was measured on the held-out faces after that.
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
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.errors import VidrestoreError
from vidrestore.metrics.psnr_ssim import gradient_magnitude, psnr_db, ssim
from vidrestore.models.stylegan2.generator import StyleGAN2Generator
from vidrestore.toml_config import read_config
from vidrestore.training.data.dataset import (
    DatasetConfig,
    FaceEvalDataset,
    FaceSample,
    SourceConfig,
)
from vidrestore.training.engine.checkpoint import read_checkpoint
from vidrestore.training.engine.loop import CHECKPOINT_NAME, load_train_states
from vidrestore.training.engine.run import RunConfig, train
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.losses.component_loss import component_crops
from vidrestore.training.losses.feature_extractors import load_feature_network
from vidrestore.training.losses.identity import (
    IdentityNetwork,
    identity_loss,
    load_identity_network,
)
from vidrestore.training.losses.perceptual import perceptual_terms
from vidrestore.training.losses.regularizers import (
    PathLengthMean,
    path_length_penalty,
    r1_penalty,
)
from vidrestore.training.on_device.curves import draw_curves
from vidrestore.training.tasks.parser import colorize_labels
from vidrestore.training.tasks.psfrgan import PsfrganTask

CPU = torch.device("cpu")
SHEET_ROWS, TILE_PX, JPEG_QUALITY = 5, 128, 88
SWITCHES: Mapping[str, Sequence[str]] = {
    "stylegan2": ("r1_weight", "path_weight"),
    "parser": ("label_weight", "pixel_weight"),
    "psfrgan": ("matching_weight", "style_weight", "adversarial_weight", "temporal_weight"),
    "restorer": tuple(
        f"loss_weights.{name}"
        for name in (
            *("l1", "ssim", "pyramid", "perceptual", "style", "adversarial", "component"),
            *("component_style", "identity", "styles", "temporal"),
        )
    ),
}
"""Task -> the weights that can be zero while the others stay. A restorer needs one of its pixel
losses, so that ``lite`` keeps ``log_l1``, and PSFR-GAN ``l1_weight``."""


def switches(config: RunConfig) -> list[str]:
    """Return the weights of a config's loss terms that are above zero, by their keys."""
    task = config.task_name

    def value(name: str) -> float:
        found = getattr(config, task)
        for part in name.split("."):
            found = getattr(found, part)
        return float(found or 0.0)

    return [f"{task}.{name}" for name in SWITCHES[task] if value(name)]


def held_out(data: DatasetConfig, *, folder: str, count: int) -> FaceSample:
    """Return the first faces of a folder beside the sources, degraded by the config's recipe."""
    config = replace(data, sources=(SourceConfig(folder=folder),), in_memory=False)
    faces = FaceEvalDataset(config, seed=0)
    samples = [faces[index] for index in range(min(count, len(faces)))]
    return FaceSample(*[torch.stack(fields) for fields in zip(*samples, strict=True)])


class TrainedRun:
    """The networks of a checkpoint; moving averages where there are some."""

    def __init__(self, config: RunConfig, checkpoint: Path) -> None:
        torch.manual_seed(config.seed)
        self._config, self._task = config, config.build_task(device=CPU)
        load_train_states(self._task.train_states, read_checkpoint(checkpoint)["networks"])
        self._networks = {
            name: state.network if state.ema is None else state.ema_network()
            for name, state in self._task.train_states.items()
        }

    def restored(self, degraded: Tensor) -> Tensor:
        """Return restored faces in [-1, 1], of the side of ``degraded``."""
        if isinstance(self._task, PsfrganTask):
            return self._task.restorer().restore_images(_unit(degraded)) * 2 - 1
        name = "generator" if self._config.parser is None else "parser"
        with torch.no_grad():
            image = self._networks[name](degraded).image
        return F.interpolate(image, degraded.shape[-2:], mode="bilinear")

    def measures(self, faces: FaceSample, identity: IdentityNetwork) -> dict[str, float]:
        """Return what is measured on held-out faces."""
        config = self._config
        if config.stylegan2 is not None:
            return _measure_prior(self._networks, faces)
        restored = self.restored(faces.degraded)
        if config.parser is None:
            with torch.no_grad():
                return restorer_measures(restored, faces, identity)
        state = RunState(step=0, steps=config.steps, seed=config.seed, device=CPU)
        scores, _ = self._task.validate(state)
        psnr = float(psnr_db(_unit(restored), _unit(faces.target)).mean())
        return {"psnr_db": psnr, "mean_f1": scores["mean_f1"]}

    def columns(self, faces: FaceSample) -> list[Tensor]:
        """Return the columns of a sheet, ``(N, 3, S, S)`` in [-1, 1]."""
        config = self._config
        if config.stylegan2 is not None:
            rng = torch.Generator().manual_seed(1)
            codes = torch.randn(SHEET_ROWS * 4, config.stylegan2.style_dim, generator=rng)
            with torch.no_grad():
                return list(self._networks["generator"](codes).chunk(4))
        columns = [faces.degraded, self.restored(faces.degraded), faces.target]
        if config.parser is not None:
            with torch.no_grad():
                logits = self._networks["parser"](faces.degraded).logits
            columns.insert(1, colorize_labels(logits.argmax(dim=1)))
        return columns


def restorer_measures(
    restored: Tensor, faces: FaceSample, identity: IdentityNetwork
) -> dict[str, float]:
    """Return errors of restored faces, and their sharpness relative to the true faces."""
    target, features = faces.target, load_feature_network(None)
    unit, true = _unit(restored), _unit(target)
    parts, true_parts = (component_crops(image, faces.boxes_xyxy) for image in (unit, true))
    compared = perceptual_terms(features, restored, target, content_weight=1.0, style_weight=1.0)
    small, true_small = (F.adaptive_avg_pool2d(image, 8) for image in (unit, true))
    return {
        "psnr_db": float(psnr_db(unit, true).mean()),
        "ssim": float(ssim(unit, true).mean()),
        "coarse_error": 255 * float((small - true_small).abs().mean()),
        "perceptual": float(compared["perceptual"]),
        "style": float(compared["style"]),
        "identity_distance": float(
            identity_loss(identity, restored, target, distance="cosine")
        ),
        "sharpness": _sharpness(unit, true),
        "component_error": 255 * float(np.mean([
            float((parts[name] - true_parts[name]).abs().mean()) for name in parts
        ])),
        "component_sharpness": float(
            np.mean([_sharpness(parts[name], true_parts[name]) for name in parts])
        ),
    }  # fmt: skip


def _measure_prior(networks: Mapping[str, nn.Module], faces: FaceSample) -> dict[str, float]:
    """Return what the two penalties of a prior hold down."""
    generator = networks["generator"]
    assert isinstance(generator, StyleGAN2Generator)
    rng = torch.Generator().manual_seed(0)
    width = generator.style_mlp(torch.zeros(1, generator.num_style_feat)).shape[1]
    codes = generator.style_mlp(torch.randn(16, width, generator=rng)).detach()
    latents, mean = generator.to_w_plus(codes), PathLengthMean(decay=1.0)
    spread = path_length_penalty(generator.synthesize, latents, mean, rng=rng, weight=1, interval=1)
    with torch.no_grad():
        drawn = generator.synthesize(latents)
    slope = r1_penalty(networks["discriminator"], faces.target, weight=2.0, interval=1)
    return {
        "discriminator_slope": float(slope.detach()),
        "path_variation": float(spread.detach()) ** 0.5 / float(mean.value),
        "drawn_contrast": float(drawn.std(dim=(2, 3)).mean()),
        "true_contrast": float(faces.target.std(dim=(2, 3)).mean()),
    }


def _sharpness(restored: Tensor, target: Tensor) -> float:
    return float((gradient_magnitude(restored) / gradient_magnitude(target)).mean())


def _unit(image: Tensor) -> Tensor:
    return (image / 2 + 0.5).clamp(0, 1)


def write_sheet(columns: Sequence[Tensor], path: Path) -> None:
    """Write images side by side, a face in each row."""
    large = [F.interpolate(each[:SHEET_ROWS], (TILE_PX, TILE_PX)) for each in columns]
    rows = _unit(torch.cat(large, dim=3)).permute(0, 2, 3, 1).flatten(0, 1)
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
    rows = [{"run": "before", **trained.measures(faces, identity)}]
    steps = config.steps + arguments.term_steps
    variants = {"all terms": [], "all terms, other seed": ["seed=1"]}
    variants |= {f"without {name.rsplit('.')[-1]}": [f"{name}=0.0"] for name in switches(config)}
    for name, changes in variants.items():
        changed = read_config(path, RunConfig, overrides=[*changes, f"steps={steps}"])
        folder = arguments.runs / f"{path.stem} {name}"
        if not folder.is_dir():
            folder.mkdir()
            shutil.copy(checkpoint, folder / CHECKPOINT_NAME)
        trained = TrainedRun(changed, train(changed, folder=folder, device="cpu"))
        rows.append({"run": name, **trained.measures(faces, identity)})
        write_table(rows, Path(f"{target}_terms.csv"))
        print(path.stem, rows[-1], flush=True)


def main() -> None:
    """Prove the configs that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("configs", type=Path, nargs="+")
    parser.add_argument("--runs", type=Path, default=Path("runs/proof"))
    parser.add_argument("--term-steps", type=int, default=40)
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
