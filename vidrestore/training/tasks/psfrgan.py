"""Training PSFR-GAN (Chen et al. 2021, section 3.2): the generator, given a trained parser.

Parsing maps come from the parser at the degraded picture, as in the released code; the
discriminator sees picture and map together. Terms and weights are those of equation 9 and
section 4.1: reconstruction 10 (pixels and, equation 6, discriminator features), semantic-aware
style 100, adversarial 1, hinge losses of equations 7 and 8.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidrestore.models.face_parser import FaceParser, face_parser_from_shapes
from vidrestore.models.psfrgan.discriminator import MultiScaleDiscriminator
from vidrestore.models.psfrgan.generator import PsfrganGenerator, PsfrganRestorer
from vidrestore.restore.restorer import Restorer
from vidrestore.training.data.dataset import FaceDataset, FaceSample, SampleConfig
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.ema import Ema
from vidrestore.training.engine.loop import Preview
from vidrestore.training.engine.optimizer_step import Updater
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.engine.run_state import Moment
from vidrestore.training.engine.schedules import ema_decay
from vidrestore.training.engine.train_state import Part
from vidrestore.training.losses.adversarial import hinge_discriminator_loss, hinge_generator_loss
from vidrestore.training.losses.feature_extractors import STYLE_LAYERS, feature_network
from vidrestore.training.losses.freeze import frozen_weights
from vidrestore.training.losses.perceptual import feature_matching_loss
from vidrestore.training.losses.pixel import l1_loss
from vidrestore.training.losses.semantic import semantic_style_loss
from vidrestore.training.tasks.batches import BatchConfig, face_batches, moved
from vidrestore.training.tasks.previews import painted, preview_batch
from vidrestore.training.validation import wrap_restorer
from vidrestore.weights.load import load_state, read_state


@dataclass(frozen=True, slots=True, kw_only=True)
class PsfrganConfig:
    """The networks' sizes and the paper's hyper-parameters (section 4.1)."""

    data: SampleConfig
    batch: BatchConfig
    parser: Path
    """Checkpoint of a trained parser, of any configuration."""
    generator: AdamConfig
    discriminator: AdamConfig
    least_side_px: int = 16
    channels: tuple[int, int] = (32, 1024)
    discriminator_channels: int = 64
    discriminator_layers: int = 4
    discriminator_scales: int = 3
    pixel_weight: float = 10.0
    matching_weight: float = 10.0
    style_weight: float = 100.0
    adversarial_weight: float = 1.0
    features: Path | None = None
    """VGG-19's weights; without them an offline network takes its place, as the log says."""
    ema_decay: float = 0.999


class PsfrganTask:
    """Generator against multi-scale discriminator."""

    def __init__(self, config: PsfrganConfig, *, seed: int, device: torch.device) -> None:
        self._config = config
        self._device = device
        self._data = FaceDataset(config.data, seed=seed)
        side = config.data.size_px
        generator = PsfrganGenerator(
            in_size=side,
            out_size=side,
            min_feat_size=config.least_side_px,
            ch_range=config.channels,
        )
        self._restorer = PsfrganRestorer(parser=read_parser(config.parser), generator=generator).to(
            device
        )
        self._generator = self._restorer.generator
        self._discriminator = MultiScaleDiscriminator(
            base_ch=config.discriminator_channels,
            n_layers=config.discriminator_layers,
            num_D=config.discriminator_scales,
            spectral_norm=True,
        ).to(device)
        self._features = (
            feature_network(config.features, layers=STYLE_LAYERS).to(device)
            if config.style_weight
            else None
        )
        self._ema = Ema(self._generator)
        self.parts: Mapping[str, Part] = {
            "generator": Part(
                network=self._generator,
                rates=config.generator,
                ema=self._ema,
            ),
            "discriminator": Part(
                network=self._discriminator,
                rates=config.discriminator,
            ),
        }

    def batches(
        self, *, first_step: int, world: DistributedContext
    ) -> Iterator[Sequence[FaceSample]]:
        """Yield the micro-batches of every step."""
        return face_batches(self._data, self._config.batch, first_step=first_step, world=world)

    def step(
        self, batches: Sequence[FaceSample], moment: Moment, updater: Updater
    ) -> dict[str, float]:
        """Update the generator, then the discriminator."""
        config = self._config
        self._restorer.train()
        samples = [moved(each, self._device) for each in batches]
        maps = [self._restorer.parse_faces(each.degraded)[1] for each in samples]
        pairs = list(zip(samples, maps, strict=True))
        with frozen_weights(self._discriminator):
            logged = updater.apply(
                "generator",
                self.parts["generator"],
                pairs,
                self._generator_terms,
                moment,
            )
        logged |= updater.apply(
            "discriminator",
            self.parts["discriminator"],
            pairs,
            self._discriminator_terms,
            moment,
        )
        self._ema.update(self._generator, decay=ema_decay(moment.step, decay=config.ema_decay))
        return logged

    def _generator_terms(self, pair: tuple[FaceSample, Tensor]) -> dict[str, Tensor]:
        config = self._config
        sample, parsing = pair
        restored = self._generator(sample.degraded, parsing).image
        fake = self._discriminator(torch.cat([restored, parsing], dim=1))
        terms = {
            "pixels": config.pixel_weight * l1_loss(restored, sample.clean),
            "g_hinge": config.adversarial_weight * hinge_generator_loss(fake.scores),
        }
        if config.matching_weight:
            with torch.no_grad():
                real = self._discriminator(torch.cat([sample.clean, parsing], dim=1))
            terms["matching"] = config.matching_weight * feature_matching_loss(
                fake.features, real.features
            )
        if self._features is not None:
            with torch.no_grad():
                aimed = self._features(sample.clean)
            terms["style"] = config.style_weight * semantic_style_loss(
                self._features(restored), aimed, parsing.argmax(dim=1)
            )
        return terms

    def _discriminator_terms(self, pair: tuple[FaceSample, Tensor]) -> dict[str, Tensor]:
        sample, parsing = pair
        with torch.no_grad():
            restored = self._generator(sample.degraded, parsing).image
        fake = self._discriminator(torch.cat([restored, parsing], dim=1))
        real = self._discriminator(torch.cat([sample.clean, parsing], dim=1))
        return {"d_hinge": hinge_discriminator_loss(real.scores, fake.scores)}

    def restorer(self) -> Restorer:
        """Return the moving average with its parser, as they restore films."""
        whole = copy.deepcopy(self._restorer)
        whole.generator.load_state_dict(self._ema.state)
        side_px = self._config.data.size_px
        return wrap_restorer(whole, side_px=side_px, device=self._device)

    def validate(self, moment: Moment) -> tuple[dict[str, float], Preview]:
        """Return the L1 error on fixed samples, and pictures."""
        del moment
        generator = self.parts["generator"].averaged()
        shown = moved(preview_batch(self._data, count=4), self._device)
        with torch.no_grad():
            parsing = self._restorer.parse_faces(shown.degraded)[1]
            restored = generator(shown.degraded, parsing).image
        rows = [shown.degraded, painted(parsing.argmax(dim=1)), restored, shown.clean]
        scores = {"l1": float(l1_loss(restored, shown.clean))}
        return scores, Preview(torch.stack(rows, dim=1).flatten(0, 1), len(rows))

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the parts are all there is."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up nothing."""


def read_parser(path: Path) -> FaceParser:
    """Return the parser of a checkpoint, in the configuration its tensors tell.

    Raises:
        WeightsError: It is no parser's.
    """
    state = read_state(path)
    arguments = face_parser_from_shapes({key: tuple(each.shape) for key, each in state.items()})
    parser = FaceParser() if arguments is None else FaceParser(**arguments)
    load_state(parser, state, path)
    return parser
