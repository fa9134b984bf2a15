"""Training the generative prior: StyleGAN2 (Karras et al. 2020) on whole faces."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.models.stylegan2.discriminator import StyleGAN2Discriminator
from vidrestore.models.stylegan2.generator import StyleGAN2Generator
from vidrestore.models.stylegan2.synthesis import sample_noise
from vidrestore.training.data.dataset import FaceDataset, FaceSample, SampleConfig
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.ema import Ema
from vidrestore.training.engine.loop import Preview
from vidrestore.training.engine.optimizer_step import Updater
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.engine.run_state import Moment
from vidrestore.training.engine.schedules import ema_decay
from vidrestore.training.engine.train_state import Part
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
from vidrestore.training.tasks.batches import BatchConfig, face_batches, moved

_PREVIEW_COLUMNS = 4
_GENERATOR, _DISCRIMINATOR, _PATH = 0, 1000, 2000
"""Purposes of random draws; micro-batches count up from them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleGan2Config:
    """The prior's size and the paper's hyper-parameters (StyleGAN2, appendix B)."""

    data: SampleConfig
    """Faces at the size of the pictures; ``least_detail`` must be 1."""
    batch: BatchConfig
    generator: AdamConfig
    discriminator: AdamConfig
    style_features: int = 512
    mapping_layers: int = 8
    channel_multiplier: float = 2.0
    narrow: float = 1.0
    mixing: float = 0.9
    """How often two codes are mixed."""
    r1_weight: float = 10.0
    r1_every: int = 16
    path_weight: float = 2.0
    path_every: int = 4
    path_shrink: int = 2
    """Part of a micro-batch whose path lengths are measured: one in so many."""
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        if self.data.least_detail < 1:
            raise ConfigError("a prior must see real detail only: set data.least_detail = 1.0")
        if min(self.r1_every, self.path_every, self.path_shrink) < 1:
            raise ConfigError("r1_every, path_every and path_shrink must be >= 1")


class StyleGan2Task:
    """Generator against discriminator."""

    def __init__(self, config: StyleGan2Config, *, seed: int, device: torch.device) -> None:
        self._config = config
        self._device = device
        self._size_px = config.data.size_px
        self._data = FaceDataset(config.data, seed=seed)
        self._generator = StyleGAN2Generator(
            out_size=self._size_px,
            num_style_feat=config.style_features,
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
        self._world = DistributedContext()
        ema = Ema(self._generator)
        self.parts: Mapping[str, Part] = {
            "generator": Part(network=self._generator, rates=config.generator, ema=ema),
            "discriminator": Part(
                network=self._discriminator,
                rates=config.discriminator,
            ),
        }
        self._ema = ema

    def batches(
        self, *, first_step: int, world: DistributedContext
    ) -> Iterator[Sequence[FaceSample]]:
        """Yield the micro-batches of every step."""
        self._world = world
        return face_batches(self._data, self._config.batch, first_step=first_step, world=world)

    def step(
        self, batches: Sequence[FaceSample], moment: Moment, updater: Updater
    ) -> dict[str, float]:
        """Update the discriminator, then the generator."""
        config = self._config
        numbered = [(at, moved(each, self._device).clean) for at, each in enumerate(batches)]

        def against(item: tuple[int, Tensor]) -> dict[str, Tensor]:
            at, real = item
            with torch.no_grad():
                fake = self._drawn(len(real), moment, _DISCRIMINATOR + at)
            scores = self._discriminator(real), self._discriminator(fake)
            terms = {"d_logistic": logistic_discriminator_loss(*scores)}
            if moment.is_due(config.r1_every):
                terms["d_r1"] = r1_penalty(
                    self._discriminator, real, weight=config.r1_weight, interval=config.r1_every
                )
            return terms

        def towards(item: tuple[int, Tensor]) -> dict[str, Tensor]:
            at, real = item
            fake = self._drawn(len(real), moment, _GENERATOR + at)
            terms = {"g_logistic": logistic_generator_loss(self._discriminator(fake))}
            if config.path_weight and moment.is_due(config.path_every):
                terms["g_path"] = self._path_penalty(len(real), moment, _PATH + at)
            return terms

        logged = updater.apply(
            "discriminator",
            self.parts["discriminator"],
            numbered,
            against,
            moment,
        )
        with frozen_weights(self._discriminator):
            logged |= updater.apply(
                "generator",
                self.parts["generator"],
                numbered,
                towards,
                moment,
            )
        self._ema.update(self._generator, decay=ema_decay(moment.step, decay=config.ema_decay))
        return logged

    def _path_penalty(self, batch: int, moment: Moment, purpose: int) -> Tensor:
        count = max(1, batch // self._config.path_shrink)
        rng = moment.generator(purpose)
        latents, noise = self._codes(count, rng)
        return path_length_penalty(
            lambda codes: self._generator.synthesise(codes, noise=noise),
            latents,
            self._path_mean,
            rng=rng,
            weight=self._config.path_weight,
            interval=self._config.path_every,
            average=self._world.mean,
        )

    def _drawn(self, batch: int, moment: Moment, purpose: int) -> Tensor:
        """Return pictures of fresh draws."""
        latents, noise = self._codes(batch, moment.generator(purpose))
        return self._generator.synthesise(latents, noise=noise)

    def _codes(self, batch: int, rng: torch.Generator) -> tuple[Tensor, list[Tensor]]:
        features = self._config.style_features
        z = torch.randn(2, batch, features, generator=rng, device=rng.device)
        chance = torch.rand(2, generator=rng, device=rng.device)
        generator = self._generator
        if float(chance[0]) < self._config.mixing:
            crossover = 1 + int(float(chance[1]) * (generator.num_latent - 1))
            styles = generator.style_mlp(z[0]), generator.style_mlp(z[1])
            latents = generator.mixed(*styles, crossover=crossover)
        else:
            latents = generator.broadcast(generator.style_mlp(z[0]))
        return latents, sample_noise(self._size_px, batch=batch, generator=rng)

    def validate(self, moment: Moment) -> tuple[dict[str, float], Preview]:
        """Return pictures of the moving average, of the same codes every time."""
        rng = torch.Generator(self._device).manual_seed(moment.seed)
        z = torch.randn(
            _PREVIEW_COLUMNS**2, self._config.style_features, generator=rng, device=rng.device
        )
        with torch.no_grad():
            pictures = self.parts["generator"].averaged()(z)
        return {}, Preview(pictures, _PREVIEW_COLUMNS)

    def state_dict(self) -> dict[str, Any]:
        """Return the running mean of path lengths."""
        return {"path_mean": self._path_mean.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self._path_mean.load_state_dict(state["path_mean"])
