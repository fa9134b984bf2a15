"""Trains the last layers of ``lite`` on a few faces, and measures what that gained."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.errors import ConfigError, NonFiniteLossError
from vidrestore.metrics.psnr_ssim import gradient_magnitude, psnr_db
from vidrestore.models.lite import Lite
from vidrestore.safeguard.identity import IdentityMeter
from vidrestore.training.data.clip_pairs import motion_between
from vidrestore.training.degradations.base import Recipe
from vidrestore.training.losses.pixel import l1_loss
from vidrestore.training.losses.temporal import temporal_loss
from vidrestore.types import FloatArray

_COARSE_SIGMA_PX = 5.0
"""What is finer counts as detail in the loss."""
_GAIN_STEP, _MAX_GAIN = 0.1, 4.0
"""How fast the gain of the target's detail follows the sharpness, and its maximum."""
_IDENTITY_RESOLUTION_PX = 256.0
_DRAWS = 3
"""Degradations of every face that is held out."""
_HELD_OUT_STREAM = 1
_FILM_STREAM = 1_000_000
"""Beyond the numbers of the faces of a step."""
_MIN_PSNR_GAIN_DB = -0.05
_WORTH_PSNR_DB, _WORTH_IDENTITY = 0.1, 0.01
"""Gains from which a tuned network is worth keeping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneConfig:
    """How a restorer is tuned."""

    steps: int = 300
    faces_per_step: int = 2
    window_px: int = 256
    """Side of the windows of faces that are trained on; a multiple of 32."""
    learning_rate: float = 1e-4
    tuned_convolutions: int = 4
    """Last convolutions of the stack that are trained, beside its head."""
    temporal_weight: float = 0.0
    """Weight of the temporal loss on neighboring frames of the film. It more than doubles the time
    and softens: docs/training.md has figures."""
    sharpness: float = 0.85
    """Mean gradient to reach, relative to that of the true faces; more costs fidelity."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.faces_per_step < 1:
            raise ConfigError("steps and faces_per_step must be >= 1")
        if self.temporal_weight < 0:
            raise ConfigError(f"temporal_weight must be >= 0, got {self.temporal_weight}")
        if self.window_px % 32 or self.window_px < 32:
            raise ConfigError(f"window_px must be a multiple of 32, got {self.window_px}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneScores:
    """Means over the faces that were held out."""

    psnr_db: float
    identity_distance: float
    """Between the embeddings of restored and true faces; 0 for equal faces."""
    sharpness: float
    """Mean gradient over that of the true faces."""

    def is_gain_over(self, before: "TuneScores") -> bool:
        """Return whether neither got worse, and one gained enough to be worth a file."""
        psnr_gain_db = self.psnr_db - before.psnr_db
        identity_gain = before.identity_distance - self.identity_distance
        is_worse = psnr_gain_db < _MIN_PSNR_GAIN_DB or identity_gain < 0
        return not is_worse and (psnr_gain_db >= _WORTH_PSNR_DB or identity_gain >= _WORTH_IDENTITY)


def at_sharpness(scores: Sequence[TuneScores], sharpness: float) -> TuneScores:
    """Return the scores of a network between those measured, at a sharpness.

    A softer result always has fewer errors, so networks are compared when they are equally sharp.

    Args:
        scores: Of one network at some values of ``--detail``; one or more.
        sharpness: Outside of theirs, the nearest counts.
    """
    ordered = sorted(scores, key=lambda score: score.sharpness)
    known = [score.sharpness for score in ordered]
    psnr, identity, reached = (
        float(np.interp(sharpness, known, values))
        for values in (
            [score.psnr_db for score in ordered],
            [score.identity_distance for score in ordered],
            known,
        )
    )
    return TuneScores(psnr_db=psnr, identity_distance=identity, sharpness=reached)


def tune_last_layers(
    network: Lite,
    faces: Sequence[Tensor],
    recipe: Recipe,
    *,
    config: TuneConfig,
    film: Sequence[Tensor] = (),
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> None:
    """Train the last layers of ``network``, in place; the result depends on the seed alone.

    The coarse part of the result is compared with the true face, and its fine part with the true
    face's times a gain. A network that minimizes pixel errors draws detail softer than its target;
    the gain follows what it draws, to reach ``config.sharpness``. What it makes of neighboring
    frames of the film is to move as they do (Lai et al. 2018, section 3.2).

    Args:
        network: In float32.
        faces: True faces, ``(3, 512, 512)`` RGB in [0, 1]; one or more.
        recipe: How their copies are degraded.
        config: How long, and how much of the network.
        film: A face in consecutive frames of the film, as the restorer gets them, like ``faces``;
            fewer than two leave the temporal loss out.
        on_step: Called after every step with its number, from 1, and its loss.

    Raises:
        NonFiniteLossError: Training diverged.
    """
    parameters = _trained_parameters(network, config.tuned_convolutions)
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    device = next(network.parameters()).device
    gain = 1.0
    for step in range(config.steps):
        pairs = [
            _draw_window(faces, recipe, np.random.default_rng((config.seed, step, index)), config)
            for index in range(config.faces_per_step)
        ]
        degraded, target = (torch.stack(images).to(device) for images in zip(*pairs, strict=True))
        restored = network(degraded * 2 - 1).image / 2 + 0.5
        loss = _loss(restored, target, gain)
        if config.temporal_weight and len(film) > 1:
            rng = np.random.default_rng((config.seed, step, _FILM_STREAM))
            loss = loss + config.temporal_weight * _unsteadiness(network, film, rng, config)
        if not torch.isfinite(loss):
            raise NonFiniteLossError(
                f"the loss of step {step + 1} is not finite; lower the learning rate"
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        gain += _GAIN_STEP * (config.sharpness - _sharpness(restored.detach(), target))
        gain = min(_MAX_GAIN, max(1.0, gain))
        on_step(step + 1, float(loss.detach()))


@torch.inference_mode()
def score_faces(
    network: nn.Module, faces: Sequence[Tensor], recipe: Recipe, *, meter: IdentityMeter, seed: int
) -> TuneScores:
    """Return how well ``network`` restores degraded copies of faces that it was not trained on.

    Args:
        network: A restorer.
        faces: True faces, ``(3, 512, 512)`` RGB in [0, 1]; one or more.
        recipe: How their copies are degraded; the same for every call with this seed.
        meter: Compares identities.
        seed: Of the degradations.
    """
    device = next(network.parameters()).device
    scores: list[tuple[float, float, float]] = []
    for index, face in enumerate(faces):
        for draw in range(_DRAWS):
            rng = np.random.default_rng((seed, index, draw, _HELD_OUT_STREAM))
            degraded, target = _degraded(face, recipe, rng)
            output = network(degraded[None].to(device) * 2 - 1).image
            restored = (output / 2 + 0.5).clamp(0, 1).cpu()
            distance = meter.distance(target, restored[0], resolution_px=_IDENTITY_RESOLUTION_PX)
            psnr = float(psnr_db(restored, target[None]))
            scores.append((psnr, distance, _sharpness(restored, target[None])))
    psnr, identity, sharpness = np.mean(scores, axis=0)
    return TuneScores(
        psnr_db=float(psnr), identity_distance=float(identity), sharpness=float(sharpness)
    )


def _sharpness(restored_NCHW: Tensor, target_NCHW: Tensor) -> float:
    restored, true = (gradient_magnitude(image).mean() for image in (restored_NCHW, target_NCHW))
    return float(restored / true.clamp_min(1e-6))


def _trained_parameters(network: Lite, convolutions: int) -> list[nn.Parameter]:
    """Freeze the network but for its last layers; return their parameters."""
    if not 0 <= convolutions <= len(network.body):
        raise ConfigError(
            f"tuned_convolutions must be 0 to {len(network.body)}, got {convolutions}"
        )
    network.requires_grad_(False)
    first = len(network.body) - convolutions
    layers = [*network.body[first:], *network.activations[first:], network.head]
    for layer in layers:
        layer.requires_grad_(True)
    return [parameter for layer in layers for parameter in layer.parameters()]


def _draw_window(
    faces: Sequence[Tensor], recipe: Recipe, rng: np.random.Generator, config: TuneConfig
) -> tuple[Tensor, Tensor]:
    """Return the same window of a degraded face and of its target, mirrored half the time."""
    face = faces[int(rng.integers(len(faces)))]
    if rng.random() < 0.5:
        face = face.flip(-1)
    pair = _degraded(face, recipe, rng)
    rows, columns = _draw_place(face.shape[-1], rng, config)
    return pair[0][:, rows, columns], pair[1][:, rows, columns]


def _unsteadiness(
    network: Lite, film: Sequence[Tensor], rng: np.random.Generator, config: TuneConfig
) -> Tensor:
    """Return the temporal loss of a window of two neighboring frames."""
    number = int(rng.integers(len(film) - 1))
    frames = film[number : number + 2]
    first, second = (np.ascontiguousarray(frame.permute(1, 2, 0).numpy()) for frame in frames)
    rows, columns = _draw_place(film[0].shape[-1], rng, config)
    device = next(network.parameters()).device
    flow, weight = (each[rows, columns].to(device) for each in motion_between(first, second))
    windows = torch.stack([frame[:, rows, columns] for frame in frames]).to(device)
    restored = network(windows * 2 - 1).image / 2 + 0.5
    return temporal_loss(restored[:1], restored[1:], flow[None], weight[None])


def _draw_place(side_px: int, rng: np.random.Generator, config: TuneConfig) -> tuple[slice, slice]:
    free = side_px - config.window_px
    top, left = (int(rng.integers(free + 1)) for _ in range(2))
    return slice(top, top + config.window_px), slice(left, left + config.window_px)


def _degraded(face_chw: Tensor, recipe: Recipe, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    image_hwc: FloatArray = np.ascontiguousarray(face_chw.permute(1, 2, 0).numpy())
    pair = recipe.draw(rng).degrade(image_hwc)
    degraded, target = (torch.from_numpy(image).permute(2, 0, 1).contiguous() for image in pair)
    return degraded, target


def _loss(restored_NCHW: Tensor, target_NCHW: Tensor, detail_gain: float) -> Tensor:
    coarse, true_coarse = (_blurred(image) for image in (restored_NCHW, target_NCHW))
    fine, true_fine = restored_NCHW - coarse, target_NCHW - true_coarse
    return l1_loss(coarse, true_coarse) + l1_loss(fine, detail_gain * true_fine)


def _blurred(image_NCHW: Tensor) -> Tensor:
    side = 2 * round(3 * _COARSE_SIGMA_PX) + 1
    kernel = torch.from_numpy(cv2.getGaussianKernel(side, _COARSE_SIGMA_PX)).to(image_NCHW)
    channels = image_NCHW.shape[1]
    row = kernel.reshape(1, 1, 1, side).expand(channels, 1, 1, side)
    padded = F.pad(image_NCHW, [side // 2] * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, row, groups=channels), row.transpose(2, 3), groups=channels)
