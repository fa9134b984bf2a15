"""Validation of a restorer in training, by the metrics that it will be judged by."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vidrestore.errors import ConfigError
from vidrestore.faces.config import DetectorConfig
from vidrestore.faces.detection.mtcnn_detector import MtcnnDetector, embedded_mtcnn
from vidrestore.metrics.scores import MetricNetworks
from vidrestore.models.registry import RestorerSpec
from vidrestore.restore.restorer import Restorer
from vidrestore.training.data.eval_images import stills_in
from vidrestore.training.degradations.recipes.table import recipe_named
from vidrestore.training.engine.loop import Preview
from vidrestore.training.evaluation import (
    Results,
    degraded_stills,
    detect_landmarks,
    load_identity_embedder,
    measure_stills,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationConfig:
    """What a restorer is measured on."""

    folder: Path
    """Aligned faces of 512 pixels; or any with a table, as ``stills_in`` takes them."""
    recipe: str = "gfpgan"
    seed: int = 0
    """Still ``k`` is degraded by ``(seed, k)``, as by scripts/evaluate.py."""
    count: int = 16
    """Faces at most; each takes a second or two, and 12 MB."""
    identity: Path | None = None
    """ArcFace's or MobileFaceNet's weights; without them identity is not measured."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"validation.count must be >= 1, got {self.count}")
        recipe_named(self.recipe)


class StillsValidation:
    """Degraded faces, the same every time, and what they are measured with."""

    def __init__(self, config: ValidationConfig) -> None:
        """Read, degrade and measure the faces.

        Raises:
            ConfigError: The folder holds no aligned faces.
            WeightsError: There is no such network for identity.
        """
        cpu = torch.device("cpu")
        detector = MtcnnDetector(embedded_mtcnn(), device=cpu, config=DetectorConfig())
        self._instruments = MetricNetworks(
            identity=None if config.identity is None else load_identity_embedder(config.identity),
            landmarks=detect_landmarks(detector),
        )
        self._stills = list(
            degraded_stills(
                islice(stills_in(config.folder), config.count),
                recipe=recipe_named(config.recipe),
                seed=config.seed,
                instruments=self._instruments,
            )
        )
        if not self._stills:
            raise ConfigError(f"validation.folder {config.folder}: holds no aligned faces")

    def measured(self, restorer: Restorer) -> tuple[dict[str, float], Preview]:
        """Return ``input/METRIC`` and ``output/METRIC``, means over faces, and a contact sheet.

        A metric that no face has, like landmarks where none is found, is left out.
        """

        def restore(crops: Tensor) -> Tensor:
            return restorer.restore(crops).cpu()

        results = measure_stills(self._stills, restore=restore, instruments=self._instruments)
        scores = {
            f"{side}/{name}": value
            for side in ("input", "output")
            for name, value in results.summary(side).items()
            if np.isfinite(value)
        }
        return scores, _preview(results)


def wrap_restorer(network: nn.Module, *, side_px: int, device: torch.device) -> Restorer:
    """Return a network of a run as films have it restored, in full precision.

    Args:
        network: A copy that no one else uses; its forward returns ``RestorerOutput``.
        side_px: Of the faces that it takes.
        device: Where it runs.
    """
    spec = RestorerSpec(build=lambda: network, crop_size_px=side_px, licence="in training")
    return Restorer(network, spec, device=device, dtype=torch.float32)


def _preview(results: Results) -> Preview:
    sheet = torch.from_numpy(results.sheet()).permute(2, 0, 1)
    return Preview(sheet[None].float() / 127.5 - 1, columns=1)
