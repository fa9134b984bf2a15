"""Training the face parser of PSFR-GAN (Chen et al. 2021, appendix A): labels and picture at once.

Pixels without a class count in neither term of the labels. The pixel term is the text's L2 on
request; the released code takes L1, which is the default.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.models.face_parser import CLASSES, FaceParser
from vidrestore.training.data.samples import UNKNOWN_CLASS, FaceSample, FaceSamples, SampleConfig
from vidrestore.training.data.sources import SourceConfig
from vidrestore.training.ema import Ema
from vidrestore.training.loop import Preview
from vidrestore.training.moment import Moment
from vidrestore.training.optimisers import AdamConfig, adam
from vidrestore.training.parts import Part
from vidrestore.training.schedules import ema_decay
from vidrestore.training.tasks.faces import BatchConfig, face_batches, moved
from vidrestore.training.tasks.looking import fixed_batch, painted
from vidrestore.training.update import Updater
from vidrestore.training.world import World


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
    test_faces: int = 60


class ParserTask:
    """The parser against known labels."""

    def __init__(self, config: ParserConfig, *, seed: int, device: torch.device) -> None:
        self._config = config
        self._device = device
        self._data = FaceSamples(config.data, seed=seed)
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
        part = Part(network=self._parser, optimiser=adam(self._parser, config.adam), ema=self._ema)
        self.parts: Mapping[str, Part] = {"parser": part}
        self._test = None if config.test_folder is None else self._test_faces(config, seed)

    @staticmethod
    def _test_faces(config: ParserConfig, seed: int) -> FaceSamples:
        source = SourceConfig(folder=str(config.test_folder))
        data = replace(config.data, sources=(source,), gray_share=0.0)
        return FaceSamples(data, seed=seed)

    def batches(self, *, first_step: int, world: World) -> Iterator[Sequence[FaceSample]]:
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
            lr=config.adam.lr_at(moment.step, steps=moment.steps),
            step=moment.step,
        )
        self._ema.update(self._parser, decay=ema_decay(moment.step, decay=config.ema_decay))
        return logged

    def validate(self, moment: Moment) -> tuple[dict[str, float], Preview]:
        """Return the mean F1 over classes on the test faces, and labelled pictures."""
        del moment
        parser = self.parts["parser"].averaged()
        shown = moved(fixed_batch(self._data, count=4), self._device)
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
        if self._test is None:
            return {}, preview
        pairs: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            for at in range(self._config.test_faces):
                face = self._test[at]
                logits = parser(face.degraded[None].to(self._device)).logits
                pairs.append((logits.argmax(dim=1)[0].cpu(), face.mask))
        return {"mean_f1": mean_f1(pairs)}, preview

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the parts are all there is."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up nothing."""


def mean_f1(pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Return the mean over classes of the F1 score of their pixels, over all pictures together.

    Args:
        pairs: Found and true classes ``(H, W)``; true pixels of ``UNKNOWN_CLASS`` count nowhere.
            Classes that no picture has and none was found in are left out.
    """
    scores: list[float] = []
    for each in range(len(CLASSES)):
        hit = found = true = 0
        for predicted, mask in pairs:
            known = mask != UNKNOWN_CLASS
            here, there = (predicted == each) & known, mask == each
            hit += int((here & there).sum())
            found += int(here.sum())
            true += int(there.sum())
        if found + true:
            scores.append(2 * hit / (found + true))
    return sum(scores) / len(scores) if scores else 0.0
