"""Training PSFR-GAN (Chen et al. 2021, section 3.2): the generator, with a trained parser.

The parser makes parsing maps of the degraded images, as in the released code; the discriminator
sees image and map together. Terms and weights are those of equation 9 and section 4.1:
reconstruction 10 (pixels and, equation 6, discriminator features), semantic-aware style 100,
adversarial 1, hinge losses of equations 7 and 8.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from vidrestore.models.face_parser import FaceParser, face_parser_from_shapes
from vidrestore.models.psfrgan.discriminator import MultiScaleDiscriminator
from vidrestore.models.psfrgan.generator import PsfrganGenerator, PsfrganRestorer
from vidrestore.restore.restorer import Restorer
from vidrestore.training.data.dataset import DatasetConfig, FaceSample
from vidrestore.training.engine.loop import Preview
from vidrestore.training.engine.optimizer_step import OptimizerStep
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.engine.train_state import TrainState
from vidrestore.training.losses.adversarial import hinge_discriminator_loss, hinge_generator_loss
from vidrestore.training.losses.feature_extractors import STYLE_LAYERS, load_feature_network
from vidrestore.training.losses.freeze import frozen_weights
from vidrestore.training.losses.perceptual import feature_matching_loss
from vidrestore.training.losses.pixel import l1_loss
from vidrestore.training.losses.semantic import semantic_style_loss
from vidrestore.training.tasks.base import FaceTask, preview_of
from vidrestore.training.tasks.batches import BatchConfig, to_device
from vidrestore.training.tasks.parser import colorize_labels
from vidrestore.training.validation import wrap_restorer
from vidrestore.weights.load import load_state, read_state


@dataclass(frozen=True, slots=True, kw_only=True)
class PsfrganConfig:
    """The networks' sizes and the paper's hyper-parameters (section 4.1)."""

    data: DatasetConfig
    batch: BatchConfig
    parser: Path
    """Checkpoint of a trained parser, of any size."""
    generator: AdamConfig
    discriminator: AdamConfig
    min_feature_px: int = field(default=16, metadata={"alias": "least_side_px"})
    channels: tuple[int, int] = (32, 1024)
    discriminator_channels: int = 64
    discriminator_layers: int = 4
    discriminator_scales: int = 3
    pixel_weight: float = 10.0
    matching_weight: float = 10.0
    style_weight: float = 100.0
    adversarial_weight: float = 1.0
    feature_weights: Path | None = field(default=None, metadata={"alias": "features"})
    """VGG-19's weights; without them a smaller network replaces it, as the log says."""
    ema_decay: float = 0.999


class _GanBatch(NamedTuple):
    """A batch and the generator's output."""

    real: Tensor
    fake: Tensor
    """Without gradients."""
    parsing: Tensor


class PsfrganTask(FaceTask):
    """Trains generator and multi-scale discriminator."""

    def __init__(self, config: PsfrganConfig, *, seed: int, device: torch.device) -> None:
        super().__init__(config.data, config.batch, seed=seed, device=device)
        self._config = config
        side = config.data.size_px
        generator = PsfrganGenerator(
            in_size=side,
            out_size=side,
            min_feat_size=config.min_feature_px,
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
            load_feature_network(config.feature_weights, layers=STYLE_LAYERS).to(device)
            if config.style_weight
            else None
        )
        self.train_states: Mapping[str, TrainState] = {
            "generator": TrainState(
                network=self._generator,
                optimizer_config=config.generator,
                ema_decay=config.ema_decay,
            ),
            "discriminator": TrainState(
                network=self._discriminator, optimizer_config=config.discriminator
            ),
        }

    def step(
        self, batches: Sequence[FaceSample], run_state: RunState, optimizer_step: OptimizerStep
    ) -> dict[str, float]:
        """Update the generator, then the discriminator on its output."""
        self._restorer.train()
        samples = [to_device(batch, self._device) for batch in batches]
        maps = [self._restorer.parse_faces(sample.degraded)[1] for sample in samples]
        outputs: list[_GanBatch] = []

        def generator_terms(pair: tuple[FaceSample, Tensor]) -> dict[str, Tensor]:
            sample, parsing = pair
            fake = self._generator(sample.degraded, parsing).image
            outputs.append(_GanBatch(sample.target, fake.detach(), parsing))
            return self._generator_terms(sample.target, fake, parsing)

        with frozen_weights(self._discriminator):
            logged = optimizer_step.apply(
                "generator",
                self.train_states["generator"],
                list(zip(samples, maps, strict=True)),
                generator_terms,
                run_state,
            )
        return logged | optimizer_step.apply(
            "discriminator",
            self.train_states["discriminator"],
            outputs,
            self._discriminator_terms,
            run_state,
        )

    def _generator_terms(
        self, target: Tensor, output: Tensor, parsing: Tensor
    ) -> dict[str, Tensor]:
        config = self._config
        fake = self._discriminator(torch.cat([output, parsing], dim=1))
        terms = {
            "pixels": config.pixel_weight * l1_loss(output, target),
            "g_hinge": config.adversarial_weight * hinge_generator_loss(fake.scores),
        }
        if config.matching_weight:
            with torch.no_grad():
                real = self._discriminator(torch.cat([target, parsing], dim=1))
            terms["matching"] = config.matching_weight * feature_matching_loss(
                fake.features, real.features
            )
        if self._features is not None:
            with torch.no_grad():
                target_features = self._features(target)
            terms["style"] = config.style_weight * semantic_style_loss(
                self._features(output), target_features, parsing.argmax(dim=1)
            )
        return terms

    def _discriminator_terms(self, batch: _GanBatch) -> dict[str, Tensor]:
        fake = self._discriminator(torch.cat([batch.fake, batch.parsing], dim=1))
        real = self._discriminator(torch.cat([batch.real, batch.parsing], dim=1))
        return {"d_hinge": hinge_discriminator_loss(real.scores, fake.scores)}

    def restorer(self) -> Restorer:
        """Return the moving average, with its parser, as a ``Restorer``."""
        network = copy.deepcopy(self._restorer)
        ema_network = self.train_states["generator"].ema_network()
        network.generator.load_state_dict(ema_network.state_dict())
        side_px = self._config.data.size_px
        return wrap_restorer(network, side_px=side_px, device=self._device)

    def validate(self, run_state: RunState) -> tuple[dict[str, float], Preview]:
        """Return the L1 error of fixed samples, and their images."""
        del run_state
        generator = self.train_states["generator"].ema_network()
        batch = self._preview_batch(count=4)
        with torch.no_grad():
            parsing = self._restorer.parse_faces(batch.degraded)[1]
            restored = generator(batch.degraded, parsing).image
        labels = colorize_labels(parsing.argmax(dim=1))
        scores = {"l1": float(l1_loss(restored, batch.target))}
        return scores, preview_of(batch.degraded, labels, restored, batch.target)


def read_parser(path: Path) -> FaceParser:
    """Return the parser of a checkpoint, in the size of its tensors.

    Raises:
        WeightsError: The checkpoint is of another network.
    """
    state = read_state(path)
    arguments = face_parser_from_shapes({key: tuple(tensor.shape) for key, tensor in state.items()})
    parser = FaceParser() if arguments is None else FaceParser(**arguments)
    load_state(parser, state, path)
    return parser
