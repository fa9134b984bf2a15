"""Train the face parser of PSFR-GAN (Chen et al. 2021, appendix A) on labels and images together.

The label loss ignores unlabeled pixels. The paper has an L2 pixel loss; the released code uses L1,
which is the default.
"""

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.metrics.segmentation import confusion_matrix, f1_by_class, mean_f1
from vidrestore.models.face_parser import PARSING_CLASSES, FaceParser
from vidrestore.training.data.dataset import (
    DatasetConfig,
    FaceEvalDataset,
    FaceSample,
    SourceConfig,
)
from vidrestore.training.data.face_table import UNKNOWN_LABEL
from vidrestore.training.engine.loop import Preview
from vidrestore.training.engine.optimizer_step import LoggedTerms, OptimizerStep
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.engine.train_state import TrainState
from vidrestore.training.tasks.base import FaceTask, make_preview
from vidrestore.training.tasks.batches import BatchConfig, to_device


@dataclass(frozen=True, slots=True, kw_only=True)
class ParserConfig:
    """The parser's size and the paper's hyper-parameters (appendix A)."""

    data: DatasetConfig
    batch: BatchConfig
    adam: AdamConfig
    base_channels: int = 64
    max_channels: int = field(default=256, metadata={"alias": "most_channels"})
    min_feature_px: int = field(default=32, metadata={"alias": "least_side_px"})
    blocks: int = 10
    label_weight: float = 1.0
    pixel_weight: float = 1.0
    pixel_norm: Literal["l1", "l2"] = "l1"
    ema_decay: float = 0.999
    test_folder: Path | None = None
    """Folder of labeled faces in ``data.root`` for F1 scores; None computes no scores."""


class ParserTask(FaceTask):
    """Trains the parser on labeled faces."""

    def __init__(self, config: ParserConfig, *, seed: int, device: torch.device) -> None:
        super().__init__(config.data, config.batch, seed=seed, device=device)
        self._config = config
        side = config.data.size_px
        self._parser = FaceParser(
            in_size=side,
            out_size=side,
            min_feat_size=config.min_feature_px,
            base_ch=config.base_channels,
            res_depth=config.blocks,
            ch_range=(min(32, config.base_channels), config.max_channels),
        ).to(device)
        self.train_states: Mapping[str, TrainState] = {
            "parser": TrainState(
                network=self._parser, optimizer_config=config.adam, ema_decay=config.ema_decay
            )
        }
        self._test: FaceEvalDataset | None = None
        if config.test_folder is not None:
            source = SourceConfig(folder=str(config.test_folder))
            self._test = FaceEvalDataset(replace(config.data, sources=(source,)), seed=seed)

    def step(
        self, batches: Sequence[FaceSample], run_state: RunState, optimizer_step: OptimizerStep
    ) -> LoggedTerms:
        """Update the parser."""
        config = self._config
        self._parser.train()

        def terms(sample: FaceSample) -> dict[str, Tensor]:
            sample = to_device(sample, self._device)
            output = self._parser(sample.degraded)
            labeled_pixels = (sample.labels != UNKNOWN_LABEL).sum().float()
            loss = F.cross_entropy(
                output.logits.float(), sample.labels, ignore_index=UNKNOWN_LABEL, reduction="sum"
            ) / self._context.mean(labeled_pixels).clamp_min(1 / self._context.size)
            error = output.image.float() - sample.target
            pixel = error.abs() if config.pixel_norm == "l1" else error.square()
            return {
                "labels": config.label_weight * loss,
                "pixels": config.pixel_weight * pixel.mean(),
            }

        return optimizer_step.apply(
            "parser", self.train_states["parser"], batches, terms, run_state
        )

    def validate(self, run_state: RunState) -> tuple[dict[str, float], Preview]:
        """Return the F1 scores of the test faces, and images of the first of them.

        Every test face is degraded by the recipe, always in the same way. ``f1/CLASS`` is the
        score of a class and ``mean_f1`` their mean; ``mean_f1_clean`` is the mean without
        degradation.
        """
        del run_state
        parser = self.train_states["parser"].ema_network()
        faces = self._dataset if self._test is None else self._test
        batch = self._preview_batch(count=min(4, len(faces)), dataset=faces)
        with torch.no_grad():
            output = parser(batch.degraded)
        preview = make_preview(
            batch.degraded,
            colorize_labels(output.logits.argmax(dim=1)),
            colorize_labels(batch.labels),
            output.image,
            batch.target,
        )
        return ({} if self._test is None else self._scores(parser, self._test)), preview

    def _scores(self, parser: nn.Module, test: FaceEvalDataset) -> dict[str, float]:
        confusion = torch.zeros(2, len(PARSING_CLASSES), len(PARSING_CLASSES), dtype=torch.int64)
        with torch.no_grad():
            for index in range(len(test)):
                face = test[index]
                pair = torch.stack([face.degraded, face.target]).to(self._device)
                labels = parser(pair).logits.argmax(dim=1).cpu()
                confusion += torch.stack(
                    [confusion_matrix(prediction, face.labels) for prediction in labels]
                )
        degraded, clean = f1_by_class(confusion[0]), f1_by_class(confusion[1])
        scores = {"mean_f1": mean_f1(degraded), "mean_f1_clean": mean_f1(clean)}
        return scores | {f"f1/{name}": score for name, score in degraded.items()}


def colorize_labels(labels_NHW: Tensor) -> Tensor:
    """Return labels as colors, ``(N, 3, H, W)`` in [-1, 1]; unknown ones are black."""
    colors = [(-1.0, -1.0, -1.0)] * 256
    for label in range(len(PARSING_CLASSES)):
        rgb = colorsys.hsv_to_rgb(label / len(PARSING_CLASSES), 0.65, 1.0 if label % 2 else 0.7)
        colors[label] = (rgb[0] * 2 - 1, rgb[1] * 2 - 1, rgb[2] * 2 - 1)
    table = torch.tensor(colors, device=labels_NHW.device)
    return table[labels_NHW].permute(0, 3, 1, 2)
