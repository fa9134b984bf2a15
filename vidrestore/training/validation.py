"""Validates a restorer during training, with the metrics of ``evaluation``."""

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vidrestore.errors import ConfigError
from vidrestore.faces.detection.mtcnn_detector import MtcnnDetector, packaged_mtcnn
from vidrestore.metrics.scores import MetricNetworks
from vidrestore.models.registry import RestorerSpec
from vidrestore.restore.restorer import Restorer
from vidrestore.training.data.eval_images import read_eval_images
from vidrestore.training.degradations.recipes.table import recipe_named
from vidrestore.training.engine.loop import Preview
from vidrestore.training.evaluation import (
    EvaluationResults,
    degrade_images,
    measure_images,
)
from vidrestore.training.metric_networks import detect_landmarks, load_identity_embedder


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationConfig:
    """The faces that a restorer is validated on."""

    folder: Path
    """Folder of aligned faces of 512 px, or of any faces with a table: see ``read_eval_images``."""
    recipe: str = "gfpgan"
    seed: int = 0
    """Seed of the degradations: face ``k`` is degraded by ``(seed, k)``, as in
    ``scripts/evaluate.py``."""
    count: int = 16
    """Maximum number of faces; each needs one or two seconds, and 12 MB."""
    identity_weights: Path | None = field(default=None, metadata={"alias": "identity"})
    """Weights of ArcFace or MobileFaceNet; None does not measure identity."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"validation.count must be >= 1, got {self.count}")
        recipe_named(self.recipe)


class RestorerValidation:
    """Validates restorers on the same degraded faces every time."""

    def __init__(self, config: ValidationConfig) -> None:
        """Read, degrade and measure the faces.

        Raises:
            ConfigError: The folder holds no aligned faces.
            WeightsError: The recognition network cannot be loaded.
        """
        cpu = torch.device("cpu")
        detector = MtcnnDetector(packaged_mtcnn(), device=cpu)
        self._metric_networks = MetricNetworks(
            identity=None
            if config.identity_weights is None
            else load_identity_embedder(config.identity_weights),
            landmarks=detect_landmarks(detector),
        )
        self._images = list(
            degrade_images(
                islice(read_eval_images(config.folder), config.count),
                recipe=recipe_named(config.recipe),
                seed=config.seed,
                metric_networks=self._metric_networks,
            )
        )
        if not self._images:
            raise ConfigError(f"validation.folder: {config.folder} holds no aligned faces")

    def validate(self, restorer: Restorer) -> tuple[dict[str, float], Preview]:
        """Return the means ``input/METRIC`` and ``output/METRIC`` over faces, and a contact sheet.

        A metric without a finite mean is left out, such as landmarks if none were detected.
        """

        def restore(crops: Tensor) -> Tensor:
            return restorer.restore_images(crops).cpu()

        results = measure_images(
            self._images, restore=restore, metric_networks=self._metric_networks
        )
        scores = {
            f"{variant}/{name}": value
            for variant in ("input", "output")
            for name, value in results.summary(variant).items()
            if np.isfinite(value)
        }
        return scores, _preview(results)


def wrap_restorer(network: nn.Module, *, side_px: int, device: torch.device) -> Restorer:
    """Return a network in training as a ``Restorer`` in float32.

    Args:
        network: A copy that is not trained; its forward returns ``RestorerOutput``.
        side_px: Side of the network's input.
        device: Device of the restorer.
    """
    spec = RestorerSpec(build=lambda: network, crop_size_px=side_px, license="in training")
    return Restorer(network, spec, device=device, dtype=torch.float32)


def _preview(results: EvaluationResults) -> Preview:
    sheet = torch.from_numpy(results.sheet()).permute(2, 0, 1)
    return Preview(sheet[None].float() / 127.5 - 1, columns=1)
