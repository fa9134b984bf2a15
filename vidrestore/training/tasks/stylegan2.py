"""Train the generative prior: StyleGAN2 (Karras et al. 2020) on aligned faces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.models.stylegan2.discriminator import StyleGAN2Discriminator
from vidrestore.models.stylegan2.generator import StyleGAN2Generator
from vidrestore.models.stylegan2.synthesis import sample_noise
from vidrestore.training.data.dataset import DatasetConfig, FaceSample
from vidrestore.training.engine.loop import Preview
from vidrestore.training.engine.optimizer_step import LoggedTerms, OptimizerStep
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.engine.train_state import TrainState
from vidrestore.training.losses.adversarial import (
    logistic_discriminator_loss,
    logistic_generator_loss,
)
from vidrestore.training.losses.freeze import frozen_weights
from vidrestore.training.losses.regularizers import (
    PathLengthMean,
    path_length_penalty,
    r1_penalty,
)
from vidrestore.training.tasks.adaptive_augmentation import (
    AdaptiveAugmentation,
    AugmentationConfig,
    augment,
)
from vidrestore.training.tasks.base import FaceTask
from vidrestore.training.tasks.batches import BatchConfig, to_device

_PREVIEW_COLUMNS = 4
_GENERATOR, _DISCRIMINATOR, _PATH = 0, 1000, 2000
_AUGMENT_REAL, _AUGMENT_FAKE, _AUGMENT_GENERATED = 3000, 4000, 5000
"""Streams of random draws; the index of the micro-batch is added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleGan2Config:
    """The prior's size and the paper's hyper-parameters (StyleGAN2, appendix B)."""

    data: DatasetConfig
    """Faces at the size of the prior; ``min_resolution_ratio`` must be 1."""
    batch: BatchConfig
    generator: AdamConfig
    discriminator: AdamConfig
    style_dim: int = field(default=512, metadata={"alias": "style_features"})
    mapping_layers: int = 8
    channel_multiplier: float = 2.0
    narrow: float = 1.0
    style_mixing_probability: float = field(default=0.9, metadata={"alias": "mixing"})
    r1_weight: float = 10.0
    r1_interval: int = field(default=16, metadata={"alias": "r1_every"})
    path_weight: float = 2.0
    path_interval: int = field(default=4, metadata={"alias": "path_every"})
    path_shrink: int = 2
    """Path lengths are measured on one of this many samples of a micro-batch. Several processes
    measure as many as one if this divides the part of each."""
    ema_decay: float = 0.999
    augmentation: AugmentationConfig | None = None
    """Adaptive augmentation, for datasets below about ten thousand faces; None turns it off."""

    def __post_init__(self) -> None:
        if self.data.min_resolution_ratio < 1:
            raise ConfigError(
                "the prior needs full-resolution faces: set data.min_resolution_ratio = 1.0"
            )
        if min(self.r1_interval, self.path_interval, self.path_shrink) < 1:
            raise ConfigError("r1_interval, path_interval and path_shrink must be >= 1")


class StyleGan2Task(FaceTask):
    """Trains generator and discriminator."""

    def __init__(self, config: StyleGan2Config, *, seed: int, device: torch.device) -> None:
        super().__init__(config.data, config.batch, seed=seed, device=device)
        self._config = config
        self._size_px = config.data.size_px
        self._generator = StyleGAN2Generator(
            out_size=self._size_px,
            num_style_feat=config.style_dim,
            num_mlp=config.mapping_layers,
            channel_multiplier=config.channel_multiplier,
            narrow=config.narrow,
        ).to(device)
        self._discriminator = StyleGAN2Discriminator(
            out_size=self._size_px,
            channel_multiplier=config.channel_multiplier,
            narrow=config.narrow,
        ).to(device)
        self._path_mean = PathLengthMean()
        augmentation = config.augmentation
        self._augmentation = None if augmentation is None else AdaptiveAugmentation(augmentation)
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
        """Update the discriminator, then the generator."""
        config = self._config
        images = [
            (index, to_device(batch, self._device).target) for index, batch in enumerate(batches)
        ]

        def discriminator_terms(item: tuple[int, Tensor]) -> dict[str, Tensor]:
            index, real = item
            with torch.no_grad():
                fake = self._generate(len(real), run_state, _DISCRIMINATOR + index)
            real = self._augment(real, run_state, _AUGMENT_REAL + index)
            fake = self._augment(fake, run_state, _AUGMENT_FAKE + index)
            scores = self._discriminator(real), self._discriminator(fake)
            if self._augmentation is not None:
                self._augmentation.observe(scores[0], self._context)
            terms = {"d_logistic": logistic_discriminator_loss(*scores)}
            if run_state.is_due(config.r1_interval):
                terms["d_r1"] = r1_penalty(
                    self._discriminator, real, weight=config.r1_weight, interval=config.r1_interval
                )
            return terms

        def generator_terms(item: tuple[int, Tensor]) -> dict[str, Tensor]:
            index, real = item
            fake = self._generate(len(real), run_state, _GENERATOR + index)
            fake = self._augment(fake, run_state, _AUGMENT_GENERATED + index)
            terms = {"g_logistic": logistic_generator_loss(self._discriminator(fake))}
            if config.path_weight and run_state.is_due(config.path_interval):
                terms["g_path"] = self._path_penalty(len(real), run_state, _PATH + index)
            return terms

        discriminator, generator = (
            self.train_states[name] for name in ("discriminator", "generator")
        )
        logged = optimizer_step.apply(
            "discriminator", discriminator, images, discriminator_terms, run_state
        )
        with frozen_weights(self._discriminator):
            logged |= optimizer_step.apply(
                "generator", generator, images, generator_terms, run_state
            )
        if self._augmentation is not None:
            logged["augmentation"] = self._augmentation.adapt(
                step=run_state.step, batch=config.batch.size
            )
        return logged

    def _augment(self, image: Tensor, run_state: RunState, stream: int) -> Tensor:
        if self._augmentation is None:
            return image
        rng, probability = run_state.generator(stream), self._augmentation.probability
        return augment(image, probability, rng=rng, context=self._context)

    def _path_penalty(self, batch: int, run_state: RunState, stream: int) -> Tensor:
        count = max(1, batch // self._config.path_shrink)
        rng = run_state.generator(stream)
        latents, noise = self._draw_styles(count, rng)
        return path_length_penalty(
            lambda styles: self._generator.synthesize(styles, noise=noise),
            latents,
            self._path_mean,
            rng=rng,
            weight=self._config.path_weight,
            interval=self._config.path_interval,
            context=self._context,
        )

    def _generate(self, batch: int, run_state: RunState, stream: int) -> Tensor:
        """Generate images from new draws."""
        latents, noise = self._draw_styles(batch, run_state.generator(stream))
        return self._generator.synthesize(latents, noise=noise)

    def _draw_styles(self, batch: int, rng: torch.Generator) -> tuple[Tensor, list[Tensor]]:
        """Draw style codes in W+, with style mixing, and noise: this process's part of both."""
        context, total = self._context, batch * self._context.size
        latents_z = torch.randn(2, total, self._config.style_dim, generator=rng, device=rng.device)
        z = context.own_part(latents_z, dim=1)
        units = torch.rand(2, generator=rng, device=rng.device)
        generator = self._generator
        if float(units[0]) < self._config.style_mixing_probability:
            crossover = 1 + int(float(units[1]) * (generator.num_latent - 1))
            styles = generator.style_mlp(z[0]), generator.style_mlp(z[1])
            latents = generator.mix_styles(*styles, crossover=crossover)
        else:
            latents = generator.to_w_plus(generator.style_mlp(z[0]))
        noise = sample_noise(self._size_px, batch=total, generator=rng)
        return latents, [context.own_part(level) for level in noise]

    def validate(self, run_state: RunState) -> tuple[dict[str, float], Preview]:
        """Return images of the moving average, always from the same latents."""
        rng = torch.Generator(self._device).manual_seed(run_state.seed)
        z = torch.randn(
            _PREVIEW_COLUMNS**2, self._config.style_dim, generator=rng, device=rng.device
        )
        with torch.no_grad():
            images = self.train_states["generator"].ema_network()(z)
        return {}, Preview(images, _PREVIEW_COLUMNS)

    def state_dict(self) -> dict[str, Any]:
        """Return the running mean of path lengths, and the state of the augmentation."""
        state: dict[str, Any] = {"path_mean": self._path_mean.state_dict()}
        if self._augmentation is not None:
            state["augmentation"] = self._augmentation.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what ``state_dict`` returned."""
        self._path_mean.load_state_dict(state["path_mean"])
        if self._augmentation is not None:
            self._augmentation.load_state_dict(state["augmentation"])
