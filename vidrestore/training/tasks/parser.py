"""Training the face parser of PSFR-GAN (Chen et al. 2021, appendix A): labels and picture at once.

Pixels without a class count in neither term of the labels. The pixel term is the text's L2 on
request; the released code takes L1, which is the default.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.face_parser import CLASSES, FaceParser
from vidrestore.training.data.dataset import UNKNOWN_CLASS, FaceDataset, FaceSample, SampleConfig
from vidrestore.training.data.eval_dataset import FaceEvalDataset
from vidrestore.training.data.face_sources import SourceConfig
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.ema import Ema
from vidrestore.training.engine.loop import Preview
from vidrestore.training.engine.optimizer_step import Updater
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.engine.run_state import Moment
from vidrestore.training.engine.schedules import ema_decay
from vidrestore.training.engine.train_state import Part
from vidrestore.training.tasks.batches import BatchConfig, face_batches, moved
from vidrestore.training.tasks.previews import painted, preview_batch


@dataclass(frozen=True, slots=True, kw_only=True)
class ParserConfig:
    """The parser's size and the paper's hyper-parameters (appendix A)."""

    data: SampleConfig
    batch: BatchConfig
    adam: AdamConfig
    base_channels: int = 64
    most_channels: int = 256
    least_side_px: int = 32
    blocks: int = 10
    label_weight: float = 1.0
    pixel_weight: float = 1.0
    pixel_norm: Literal["l1", "l2"] = "l1"
    ema_decay: float = 0.999
    test_folder: Path | None = None
    """Faces with masks under ``data.root`` to measure F1 on; None measures nothing."""


class ParserTask:
    """The parser against known labels."""

    def __init__(self, config: ParserConfig, *, seed: int, device: torch.device) -> None:
        self._config = config
        self._device = device
        self._data = FaceDataset(config.data, seed=seed)
        side = config.data.size_px
        self._parser = FaceParser(
            in_size=side,
            out_size=side,
            min_feat_size=config.least_side_px,
            base_ch=config.base_channels,
            res_depth=config.blocks,
            ch_range=(min(32, config.base_channels), config.most_channels),
        ).to(device)
        self._ema = Ema(self._parser)
        part = Part(network=self._parser, rates=config.adam, ema=self._ema)
        self.parts: Mapping[str, Part] = {"parser": part}
        self._test = None if config.test_folder is None else self._test_faces(config, seed)

    @staticmethod
    def _test_faces(config: ParserConfig, seed: int) -> FaceEvalDataset:
        source = SourceConfig(folder=str(config.test_folder))
        return FaceEvalDataset(replace(config.data, sources=(source,)), seed=seed)

    def batches(
        self, *, first_step: int, world: DistributedContext
    ) -> Iterator[Sequence[FaceSample]]:
        """Yield the micro-batches of every step."""
        return face_batches(self._data, self._config.batch, first_step=first_step, world=world)

    def step(
        self, batches: Sequence[FaceSample], moment: Moment, updater: Updater
    ) -> dict[str, float]:
        """Update the parser."""
        config = self._config
        self._parser.train()

        def terms(sample: FaceSample) -> dict[str, Tensor]:
            sample = moved(sample, self._device)
            found = self._parser(sample.degraded)
            loss = F.cross_entropy(
                found.logits.float(), sample.mask, ignore_index=UNKNOWN_CLASS, reduction="sum"
            ) / (sample.mask != UNKNOWN_CLASS).sum().clamp_min(1)
            error = found.image.float() - sample.clean
            pixel = error.abs() if config.pixel_norm == "l1" else error.square()
            return {
                "labels": config.label_weight * loss,
                "pixels": config.pixel_weight * pixel.mean(),
            }

        logged = updater.apply(
            "parser",
            self.parts["parser"],
            batches,
            terms,
            moment,
        )
        self._ema.update(self._parser, decay=ema_decay(moment.step, decay=config.ema_decay))
        return logged

    def validate(self, moment: Moment) -> tuple[dict[str, float], Preview]:
        """Return the F1 scores of the test faces, and labelled pictures of the first of them.

        Every test face is seen once, degraded by the recipe and always alike. ``f1/CLASS`` is that
        of a class and ``mean_f1`` their mean, as ``mean_f1`` takes it; ``mean_f1_clean`` is that
        of the faces before they were degraded.
        """
        del moment
        parser = self.parts["parser"].averaged()
        faces = self._data if self._test is None else self._test
        shown = moved(preview_batch(faces, count=min(4, len(faces))), self._device)
        with torch.no_grad():
            found = parser(shown.degraded)
        rows = [
            shown.degraded,
            painted(found.logits.argmax(dim=1)),
            painted(shown.mask),
            found.image,
            shown.clean,
        ]
        preview = Preview(torch.stack(rows, dim=1).flatten(0, 1), len(rows))
        return ({} if self._test is None else self._scores(parser, self._test)), preview

    def _scores(self, parser: nn.Module, test: FaceEvalDataset) -> dict[str, float]:
        confusion = torch.zeros(2, len(CLASSES), len(CLASSES), dtype=torch.int64)
        with torch.no_grad():
            for at in range(len(test)):
                face = test[at]
                both = torch.stack([face.degraded, face.clean]).to(self._device)
                labels = parser(both).logits.argmax(dim=1).cpu()
                confusion += torch.stack([confusion_matrix(each, face.mask) for each in labels])
        degraded, clean = (f1_by_class(each) for each in confusion)
        scores = {"mean_f1": mean_f1(degraded), "mean_f1_clean": mean_f1(clean)}
        return scores | {f"f1/{name}": score for name, score in degraded.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the parts are all there is."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up nothing."""


def confusion_matrix(found_HW: Tensor, true_HW: Tensor) -> Tensor:
    """Return how many pixels of every class were taken for which, ``(true, found)`` int64.

    Args:
        found_HW: Classes.
        true_HW: Classes; pixels of ``UNKNOWN_CLASS`` count nowhere.
    """
    count = len(CLASSES)
    known = true_HW != UNKNOWN_CLASS
    pairs = true_HW[known] * count + found_HW[known]
    return torch.bincount(pairs, minlength=count**2).view(count, count)


def f1_by_class(confusion: Tensor) -> dict[str, float]:
    """Return the F1 score of the pixels of every class, all pictures taken together.

    Args:
        confusion: Sum of ``confusion_matrix`` over pictures.

    Returns:
        Name to score. A class that no picture has is left out, even where it was found: the
        pixels wrongly given to it are missed by the classes that they belong to.
    """
    right, true, found = confusion.diagonal(), confusion.sum(dim=1), confusion.sum(dim=0)
    scores = 2 * right / (true + found).clamp_min(1)
    return {name: float(scores[at]) for at, name in enumerate(CLASSES) if true[at]}


def mean_f1(scores: Mapping[str, float]) -> float:
    """Return the mean of the scores of ``f1_by_class`` but the background's; 0 of none.

    As the score of CelebAMask-HQ is commonly given.
    """
    counted = [score for name, score in scores.items() if name != CLASSES[0]]
    return sum(counted) / len(counted) if counted else 0.0
