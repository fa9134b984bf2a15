"""Train PSFR-GAN (Chen et al. 2021, section 3): the generator, with a trained parser.

As in the released code, the generator sees the parsing map of the degraded image; discriminator and
style loss use that of the sharp image: the labels of the dataset, or else the output of the parser.
Terms are those of equation 9: reconstruction 10 (pixels and, equation 6,
discriminator features), semantic-aware style, adversarial 1 (hinge losses of equations 7 and 8).
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.errors import ConfigError
from vidrestore.models.face_parser import FaceParser, face_parser_from_shapes
from vidrestore.models.psfrgan.discriminator import MultiScaleDiscriminator
from vidrestore.models.psfrgan.generator import PsfrganGenerator, PsfrganRestorer
from vidrestore.restore.restorer import Restorer
from vidrestore.training.data.clip_pairs import ClipsConfig, check_clips
from vidrestore.training.data.dataset import DatasetConfig, FaceSample
from vidrestore.training.data.face_table import UNKNOWN_LABEL
from vidrestore.training.engine.loop import Preview
from vidrestore.training.engine.optimizer_step import LoggedTerms, OptimizerStep
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.engine.train_state import TrainState
from vidrestore.training.losses.adversarial import (
    ScaleReduction,
    hinge_discriminator_loss,
    hinge_generator_loss,
)
from vidrestore.training.losses.feature_extractors import load_feature_network
from vidrestore.training.losses.freeze import frozen_weights
from vidrestore.training.losses.perceptual import Norm, feature_matching_loss
from vidrestore.training.losses.pixel import l1_loss
from vidrestore.training.losses.semantic import (
    STYLE_FORMS,
    StyleForm,
    one_hot_labels,
    semantic_style_loss,
)
from vidrestore.training.tasks.base import FaceTask, make_preview
from vidrestore.training.tasks.batches import BatchConfig, to_device
from vidrestore.training.tasks.parser import colorize_labels
from vidrestore.training.validation import wrap_restorer
from vidrestore.weights.load import load_state, read_state


@dataclass(frozen=True, slots=True, kw_only=True)
class PsfrganConfig:
    """The networks' sizes and the paper's hyper-parameters (section 4.3)."""

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
    l1_weight: float = field(default=10.0, metadata={"alias": "pixel_weight"})
    """Weight of the L1 pixel error, as in the released code."""
    l2_weight: float = 0.0
    """Weight of the mean squared pixel error, as in equation 6."""
    matching_weight: float = 10.0
    matching_norm: Norm = "l2"
    style_form: StyleForm = "released"
    style_weight: float | None = None
    """None takes the weight of the form from ``STYLE_FORMS``."""
    adversarial_weight: float = 1.0
    temporal_weight: float = 0.0
    """Of the temporal loss (Lai et al. 2018), which is not in the paper, on pairs of ``clips``."""
    clips: ClipsConfig | None = None
    scale_reduction: ScaleReduction = field(default="sum", metadata={"alias": "over_scales"})
    """Whether adversarial and matching losses are summed over scales, as in equations 6 to 8, or
    averaged, as in the released code."""
    uses_map: bool = True
    """Whether generator and discriminator see parsing maps (table 2) or zeros."""
    feature_weights: Path | None = field(default=None, metadata={"alias": "features"})
    """VGG-19's weights; without them a smaller network replaces it, as the log says."""
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        weights = (self.l1_weight, self.l2_weight, self.matching_weight, self.adversarial_weight)
        check_clips(self.clips, self.temporal_weight, where="temporal_weight", table="psfrgan")
        weights += (self.temporal_weight,)
        if min(*weights, self.resolved_style_weight()) < 0:
            raise ConfigError("weights of losses must be >= 0")
        if not (self.l1_weight or self.l2_weight):
            raise ConfigError("one of l1_weight and l2_weight must be > 0")

    def resolved_style_weight(self) -> float:
        """Return the weight of the style loss: the config's, or the default of its form."""
        return (
            STYLE_FORMS[self.style_form].weight if self.style_weight is None else self.style_weight
        )


class _Maps(NamedTuple):
    """Parsing maps of a batch: one-hot, or zeros if the config uses none."""

    degraded: Tensor
    """``(N, classes, S, S)``: of the degraded images, for the generator."""
    sharp: Tensor
    """Same shape: of the targets, for the discriminator."""
    labels: Tensor
    """``(N, S, S)``: labels of the targets, for the style loss."""


class _GanBatch(NamedTuple):
    """A batch and the generator's output."""

    real: Tensor
    fake: Tensor
    """Without gradients."""
    sharp_map: Tensor


class PsfrganTask(FaceTask):
    """Trains generator and multi-scale discriminator."""

    def __init__(self, config: PsfrganConfig, *, seed: int, device: torch.device) -> None:
        super().__init__(config.data, config.batch, seed=seed, device=device, clips=config.clips)
        self._config = config
        side = config.data.size_px
        generator = PsfrganGenerator(
            in_size=side,
            out_size=side,
            min_feat_size=config.min_feature_px,
            ch_range=config.channels,
        )
        self._restorer = PsfrganRestorer(
            parser=read_parser(config.parser), generator=generator, uses_map=config.uses_map
        ).to(device)
        self._generator = self._restorer.generator
        self._discriminator = MultiScaleDiscriminator(
            base_ch=config.discriminator_channels,
            n_layers=config.discriminator_layers,
            num_D=config.discriminator_scales,
            spectral_norm=True,
        ).to(device)
        self._features = (
            load_feature_network(
                config.feature_weights, layers=STYLE_FORMS[config.style_form].layers
            ).to(device)
            if config.resolved_style_weight()
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
    ) -> LoggedTerms:
        """Update the generator, then the discriminator on its output."""
        self._restorer.train()
        samples = [to_device(batch, self._device) for batch in batches]
        maps = [self._maps(sample) for sample in samples]
        outputs: list[_GanBatch] = []
        pairs = None if self._temporal is None else self._temporal.next_step()

        def generator_terms(pair: tuple[FaceSample, _Maps]) -> dict[str, Tensor]:
            sample, sample_maps = pair
            fake = self._generator(sample.degraded, sample_maps.degraded).image
            outputs.append(_GanBatch(sample.target, fake.detach(), sample_maps.sharp))
            terms = self._generator_terms(sample.target, fake, sample_maps)
            if self._temporal is not None and pairs is not None:
                loss = self._temporal.loss(self._restored, pairs[len(outputs) - 1])
                terms["temporal"] = self._config.temporal_weight * loss
            return terms

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

    def _restored(self, degraded: Tensor) -> Tensor:
        parsing = self._restorer.parse_faces(degraded)[1]
        parsing = parsing if self._config.uses_map else torch.zeros_like(parsing)
        return self._generator(degraded, parsing).image

    def _maps(self, sample: FaceSample) -> _Maps:
        degraded = self._restorer.parse_faces(sample.degraded)[1]
        labels = sample.labels
        unlabeled_N = (labels == UNKNOWN_LABEL).flatten(1).all(dim=1)
        if bool(unlabeled_N.any()):
            parsed = self._restorer.parse_faces(sample.target)[1].argmax(dim=1)
            labels = torch.where(unlabeled_N[:, None, None], parsed, labels)
        sharp = one_hot_labels(labels, classes=degraded.shape[1])
        if not self._config.uses_map:
            degraded, sharp = torch.zeros_like(degraded), torch.zeros_like(sharp)
        return _Maps(degraded, sharp, labels)

    def _generator_terms(self, target: Tensor, output: Tensor, maps: _Maps) -> dict[str, Tensor]:
        config = self._config
        reduction = config.scale_reduction
        fake = self._discriminator(torch.cat([output, maps.sharp], dim=1))
        adversarial = hinge_generator_loss(fake.scores, scale_reduction=reduction)
        terms = {"g_hinge": config.adversarial_weight * adversarial}
        if config.l1_weight:
            terms["l1"] = config.l1_weight * l1_loss(output, target)
        if config.l2_weight:
            terms["l2"] = config.l2_weight * F.mse_loss(output.float(), target)
        if config.matching_weight:
            with torch.no_grad():
                real = self._discriminator(torch.cat([target, maps.sharp], dim=1))
            terms["matching"] = config.matching_weight * feature_matching_loss(
                fake.features, real.features, norm=config.matching_norm, scale_reduction=reduction
            )
        if self._features is not None:
            with torch.no_grad():
                target_features = self._features(target)
            terms["style"] = config.resolved_style_weight() * semantic_style_loss(
                self._features(output), target_features, maps.labels, form=config.style_form
            )
        return terms

    def _discriminator_terms(self, batch: _GanBatch) -> dict[str, Tensor]:
        fake = self._discriminator(torch.cat([batch.fake, batch.sharp_map], dim=1))
        real = self._discriminator(torch.cat([batch.real, batch.sharp_map], dim=1))
        loss = hinge_discriminator_loss(
            real.scores, fake.scores, scale_reduction=self._config.scale_reduction
        )
        return {"d_hinge": loss}

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
            restored = generator(batch.degraded, self._maps(batch).degraded).image
        labels = colorize_labels(parsing.argmax(dim=1))
        scores = {"l1": float(l1_loss(restored, batch.target))}
        return scores, make_preview(batch.degraded, labels, restored, batch.target)


def read_parser(path: Path) -> FaceParser:
    """Return the parser of a checkpoint, of any size.

    Raises:
        WeightsError: The checkpoint belongs to another network.
    """
    state = read_state(path)
    arguments = face_parser_from_shapes({key: tuple(tensor.shape) for key, tensor in state.items()})
    parser = FaceParser() if arguments is None else FaceParser(**arguments)
    load_state(parser, state, path)
    return parser
