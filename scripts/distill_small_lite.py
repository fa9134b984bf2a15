"""Train the weights of ``lite`` for small crops (256 px) to imitate its results on large ones.

    python scripts/distill_small_lite.py configs/train/lite_cpu.toml runs/small --minutes 90

Faces are degraded as in the config, and each is shrunk to the pixels that it would have in a film
(90 to 340 a side). The teacher sees it enlarged to 512 px, the student at 256 px; the target is the
teacher's result averaged over 2 x 2 pixels, with what is finer than 5 px strengthened, because a
student that is not sure of fine detail draws it weaker. Both ends of the weights, and the line
between them, are trained together. The same command continues an interrupted run. It leaves
``lite_small.safetensors`` in the folder. The measurements are in configs/train/lite.md.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from vidrestore.affine import scaling
from vidrestore.errors import VidrestoreError
from vidrestore.malloc_tuning import keep_freed_memory
from vidrestore.models.lite import build_lite
from vidrestore.models.registry import LITE_SMALL_FILE
from vidrestore.toml_config import read_config
from vidrestore.training.data.dataset import FaceDataset
from vidrestore.training.engine.checkpoint import VERSION, read_checkpoint, save_checkpoint
from vidrestore.training.on_device.config import DeviceRunConfig
from vidrestore.training.on_device.lite_weights import write_weights
from vidrestore.types import CROP_SIZE_PX, SMALL_CROP_SIZE_PX, FloatArray
from vidrestore.warp import warp_image
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.load import read_weights

Weights = dict[str, Tensor]

_PIXELS = (90, 340)
"""Range of the side that a face has in its film."""
_NOISE_LEVELS = (0.5, 3.0)
"""Range of the deviation, of 255, of noise added to half of the faces at that size."""
DEFAULT_POSITION = 0.95
"""Of the default on the line between the two ends."""
_POSITIONS, _PROBABILITIES = (0.0, 0.5, DEFAULT_POSITION, 1.0), (0.2, 0.15, 0.5, 0.15)
"""Positions on the line between the two ends that are trained, and how often."""
_BLUR = (1.0, 4.0, 6.0, 4.0, 1.0)
_FINE_WEIGHT = 2.0
_HEAD_LR_RATIO = 0.5
_EMA_DECAY = 0.998
_WARMUP_STEPS = 50
_MAX_GRAD_NORM = 0.5
_SAVE_EVERY_SECONDS = 300.0


def film_image(degraded_chw: Tensor, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return ``(s, s, 3)`` RGB: a degraded face, in [-1, 1], with the pixels of a small face."""
    low, high = (math.log(side) for side in _PIXELS)
    side = round(math.exp(rng.uniform(low, high)))
    image: FloatArray = (degraded_chw.permute(1, 2, 0).numpy() + np.float32(1)) * np.float32(127.5)
    resized = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    small = np.asarray(resized, dtype=np.float64)
    if rng.random() < 0.5:
        small += rng.normal(0, rng.uniform(*_NOISE_LEVELS), small.shape)
    return np.clip(np.rint(small), 0, 255).astype(np.uint8)


def crop_of(image_hwc: NDArray[np.uint8], side_px: int) -> Tensor:
    """Return ``(3, side_px, side_px)`` in [-1, 1], resampled as the crops of films are."""
    image = torch.from_numpy(image_hwc).permute(2, 0, 1).float() / 127.5 - 1
    ratio = side_px / image.shape[-1]
    return warp_image(image, scaling(ratio), (side_px, side_px), sharp=False)


def fine(image_NCHW: Tensor) -> Tensor:
    """Return what is finer than about 5 px."""
    weights = torch.tensor(_BLUR) / sum(_BLUR)
    kernel = (weights[:, None] * weights)[None, None].repeat(3, 1, 1, 1)
    padded = F.pad(image_NCHW, (2, 2, 2, 2), mode="reflect")
    return image_NCHW - F.conv2d(padded, kernel, groups=3)


def distance(output: Tensor, target: Tensor) -> Tensor:
    """Return the L1 of images, of differences between neighbors, and of what is fine."""
    error = output - target
    across = (error[..., 1:] - error[..., :-1]).abs().mean()
    down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return error.abs().mean() + across + down + _FINE_WEIGHT * fine(error).abs().mean()


class Teacher:
    """``lite`` on large crops; keeps every result, since a face comes again."""

    def __init__(self, ends: Sequence[Weights]) -> None:
        """Take the weights of the two ends."""
        self._network = build_lite().eval().requires_grad_(False)
        self._network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._ends = ends
        self._results: dict[tuple[int, float], Tensor] = {}

    @torch.inference_mode()
    def result(self, number: int, image_hwc: NDArray[np.uint8], position: float) -> Tensor:
        """Return ``(3, 256, 256)`` in [-1, 1]: the result for face ``number``, averaged 2 x 2."""
        key = (number, position)
        if key not in self._results:
            self._network.load_state_dict(between(self._ends[0], self._ends[1], position))
            crop = crop_of(image_hwc, CROP_SIZE_PX)[None]
            with torch.autocast("cpu", dtype=torch.bfloat16):
                large = self._network(crop.contiguous(memory_format=torch.channels_last)).image
            small = F.avg_pool2d(large.float().clamp(-1, 1), 2)[0]
            self._results[key] = ((small + 1) * 127.5).round().to(torch.uint8)
        return self._results[key].float() / 127.5 - 1


def between(
    fidelity: Mapping[str, Tensor], detail: Mapping[str, Tensor], position: float
) -> Weights:
    """Return the weights on the line between two ends, 0 to 1."""
    return {name: fidelity[name].lerp(detail[name], position) for name in fidelity}


def read_ends() -> tuple[Weights, Weights]:
    """Return the two ends of the packaged weights of ``lite``."""
    with bundled_file("lite.safetensors") as path:
        return read_weights(path, detail=0.0).state, read_weights(path, detail=1.0).state


def write_ends(
    fidelity: Mapping[str, Tensor],
    detail: Mapping[str, Tensor],
    target: Path,
    *,
    steps: int,
    script: Path,
) -> None:
    """Write the two ends as the packaged file has them; ``script`` made them."""
    # Eight bits of the mantissa are what bf16 uses; the others would not compress.
    rounded = {name: value.to(torch.bfloat16) for name, value in fidelity.items()}
    write_weights(
        {"fidelity": rounded, "detail": detail},
        target,
        default_detail=DEFAULT_POSITION,
        steps=steps,
        config={"script": f"scripts/{script.name}"},
    )


class Run:
    """The student's weights at both ends, their moving average, and the optimizer."""

    def __init__(self, ends: tuple[Weights, Weights], *, lr: float) -> None:
        """Start from the teacher's weights."""
        self._network = build_lite()
        self.ends = [
            {name: nn.Parameter(_channels_last(value.clone())) for name, value in end.items()}
            for end in ends
        ]
        self.average = [{name: value.clone() for name, value in end.items()} for end in ends]
        self.step, self.seconds, self._lr = 0, 0.0, lr
        self._optimizer = torch.optim.AdamW(
            [
                {
                    "params": [
                        value
                        for end in self.ends
                        for name, value in end.items()
                        if name.startswith("head.") is head
                    ],
                    "ratio": _HEAD_LR_RATIO if head else 1.0,
                }
                for head in (False, True)
            ],
            lr=lr,
            betas=(0.9, 0.99),
            weight_decay=0.0,
        )

    def learn(self, crops: Tensor, target: Tensor, *, position: float, progress: float) -> float:
        """Take one step; return the loss.

        Args:
            crops: ``(N, 3, 256, 256)`` in [-1, 1].
            target: What the teacher makes of them, strengthened.
            position: On the line between the ends.
            progress: Part of the run that is over, for the rate.
        """
        warm = min(1.0, (self.step + 1) / _WARMUP_STEPS)
        rate = self._lr * warm * (0.515 + 0.485 * math.cos(math.pi * progress))
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["ratio"]
        weights = between(self.ends[0], self.ends[1], position)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = functional_call(self._network, weights, (_channels_last(crops),)).image
        loss = distance(output.float(), target)
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(
            [value for group in self._optimizer.param_groups for value in group["params"]],
            _MAX_GRAD_NORM,
        )
        self._optimizer.step()
        self.step += 1
        decay = min(_EMA_DECAY, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for averaged, end in zip(self.average, self.ends, strict=True):
                for name, value in end.items():
                    averaged[name].lerp_(value, 1 - decay)
        return float(loss.detach())

    def save(self, folder: Path) -> None:
        """Write the checkpoint and the weights."""
        state = {
            "version": VERSION,
            "ends": [{name: value.data for name, value in end.items()} for end in self.ends],
            "average": self.average,
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        save_checkpoint(folder / "state.pt", state)
        fidelity, detail = self.average
        target = folder / LITE_SMALL_FILE
        write_ends(fidelity, detail, target, steps=self.step, script=Path(__file__))

    def restore(self, folder: Path) -> None:
        """Continue from the checkpoint of a folder, if it has one."""
        if not (folder / "state.pt").exists():
            return
        state = read_checkpoint(folder / "state.pt")
        for own, end in zip(self.ends, state["ends"], strict=True):
            for name, value in own.items():
                value.data.copy_(end[name])
        self.average = state["average"]
        self._optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]


def _channels_last(value: Tensor) -> Tensor:
    return value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value


def batches(
    faces: FaceDataset, teacher: Teacher, *, count: int, batch: int, sharpen: float, start: int
) -> Iterator[tuple[Tensor, Tensor, float]]:
    """Yield crops, targets and the position of each step from ``start``, without end.

    Args:
        faces: Degraded faces.
        teacher: Makes the targets.
        count: Number of faces; each is degraded once.
        batch: Crops of a step.
        sharpen: How much of what is fine in a target is added to it at the detail end.
        start: Number of the first step.
    """
    images: dict[int, NDArray[np.uint8]] = {}
    step = start
    while True:
        rng = np.random.default_rng((5, step))
        position = float(rng.choice(_POSITIONS, p=_PROBABILITIES))
        crops: list[Tensor] = []
        targets: list[Tensor] = []
        for number in rng.integers(count, size=batch).tolist():
            if number not in images:
                face_rng = np.random.default_rng((9, number))
                images[number] = film_image(faces[number].degraded, face_rng)
            pair = (
                crop_of(images[number], SMALL_CROP_SIZE_PX),
                teacher.result(number, images[number], position),
            )
            crop, target = (part.flip(-1) for part in pair) if rng.random() < 0.5 else pair
            crops.append(crop)
            targets.append(target)
        target = torch.stack(targets)
        yield torch.stack(crops), target + sharpen * (0.1 + 0.9 * position) * fine(target), position
        step += 1


def main() -> int:
    """Parse the command line, train until the time is over, and write the weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path, help="a TOML file like lite_cpu.toml, for its faces")
    parser.add_argument("folder", type=Path, help="folder of the run")
    parser.add_argument("--minutes", type=float, default=90.0)
    parser.add_argument("--count", type=int, default=2400, help="number of degraded faces")
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--lr", type=float, default=2.5e-4)
    parser.add_argument("--sharpen", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    keep_freed_memory()
    try:
        config = read_config(arguments.config, DeviceRunConfig, overrides=arguments.set)
        faces = replace(config.data.faces, recipes=config.teacher.recipes)
        ends = read_ends()
        run = Run(ends, lr=arguments.lr)
        arguments.folder.mkdir(parents=True, exist_ok=True)
        run.restore(arguments.folder)
        train(run, FaceDataset(faces, seed=777), Teacher(ends), arguments)
    except (VidrestoreError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def train(run: Run, faces: FaceDataset, teacher: Teacher, arguments: argparse.Namespace) -> None:
    """Train until the time is over; save now and then, and at the end."""
    seconds = 60 * arguments.minutes
    began = saved = time.monotonic() - run.seconds
    samples = batches(
        faces,
        teacher,
        count=arguments.count,
        batch=arguments.batch,
        sharpen=arguments.sharpen,
        start=run.step,
    )
    while run.seconds < seconds:
        crops, target, position = next(samples)
        loss = run.learn(crops, target, position=position, progress=run.seconds / seconds)
        run.seconds = time.monotonic() - began
        if run.step % 50 == 0:
            print(f"step {run.step}, {run.seconds / 60:.1f} min: {loss:.4f}", flush=True)
        if time.monotonic() - saved > _SAVE_EVERY_SECONDS:
            saved = time.monotonic()
            run.save(arguments.folder)
    run.save(arguments.folder)
    print(f"{arguments.folder / LITE_SMALL_FILE}: {run.step} steps")


if __name__ == "__main__":
    sys.exit(main())
