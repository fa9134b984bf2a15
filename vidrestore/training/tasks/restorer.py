"""Training a restorer on pairs: GFP-GAN, MMRB and ``lite``, by the weights of their losses.

The losses are those of GFP-GAN (Wang et al. 2021, section 3.5) and MMRB (Hu et al. 2022,
section 3.4): reconstruction by pixels, pyramid and perceptual features, a global and three local
adversaries, and identity. A weight of zero leaves a term out, its networks included.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vidrestore.models.components import FacialComponentDiscriminator
from vidrestore.models.outputs import Restored
from vidrestore.models.stylegan2.discriminator import StyleGAN2Discriminator
from vidrestore.training.data.components import COMPONENTS
from vidrestore.training.data.samples import FaceSample, FaceSamples, seen_at_detail
from vidrestore.training.ema import Ema
from vidrestore.training.loop import Preview
from vidrestore.training.losses.adversarial import (
    logistic_discriminator_loss,
    logistic_generator_loss,
)
from vidrestore.training.losses.components import (
    component_crops,
    component_discriminator_losses,
    component_generator_terms,
)
from vidrestore.training.losses.features import feature_network
from vidrestore.training.losses.freezing import freeze_layers, weights_held
from vidrestore.training.losses.identity import identity_loss, identity_network
from vidrestore.training.losses.perceptual import perceptual_terms
from vidrestore.training.losses.pixel import l1_loss, log_error, pyramid_loss
from vidrestore.training.losses.regularisers import r1_penalty
from vidrestore.training.moment import Moment
from vidrestore.training.optimisers import AdamConfig, adam
from vidrestore.training.parts import Part
from vidrestore.training.schedules import ema_decay
from vidrestore.training.tasks.faces import face_batches, moved
from vidrestore.training.tasks.looking import fixed_batch
from vidrestore.training.tasks.networks import begun_discriminator, begun_network
from vidrestore.training.tasks.restorer_config import RestorerConfig
from vidrestore.training.update import Updater
from vidrestore.training.world import World

_PREVIEW_ROWS = 6


class RestorerTask:
    """A restorer, and the discriminators that its weights ask for."""

    def __init__(self, config: RestorerConfig, *, seed: int, device: torch.device) -> None:
        self._config = config
        self._device = device
        self._data = FaceSamples(config.data, seed=seed)
        weights = config.weights
        self._network = begun_network(config).to(device)
        self._ema = Ema(self._network)
        self._global: StyleGAN2Discriminator | None = None
        self._local: dict[str, FacialComponentDiscriminator] = {}
        parts: dict[str, Part] = {
            "generator": Part(
                network=self._network,
                optimiser=adam(self._network, config.generator),
                ema=self._ema,
            )
        }
        if weights.adversarial:
            self._global = begun_discriminator(config).to(device)
            freeze_layers(self._global, config.frozen_layers)
            parts["discriminator"] = _part(self._global, _given(config.discriminator))
        if weights.component or weights.component_style:
            self._local = {name: FacialComponentDiscriminator().to(device) for name in COMPONENTS}
            for name, network in self._local.items():
                parts[f"component_{name}"] = _part(network, _given(config.components))
        self.parts: Mapping[str, Part] = parts
        self._features = (
            feature_network(config.features).to(device)
            if weights.perceptual or weights.style
            else None
        )
        self._identity = (
            identity_network(config.identity).to(device)
            if weights.identity and config.identity is not None
            else None
        )

    def batches(self, *, first_step: int, world: World) -> Iterator[Sequence[FaceSample]]:
        """Yield the micro-batches of every step."""
        return face_batches(self._data, self._config.batch, first_step=first_step, world=world)

    def step(
        self, batches: Sequence[FaceSample], moment: Moment, updater: Updater
    ) -> dict[str, float]:
        """Update the restorer, then the discriminators on what it gave."""
        config = self._config
        self._network.train()
        seen: list[tuple[FaceSample, Tensor]] = []

        def terms(sample: FaceSample) -> dict[str, Tensor]:
            sample = moved(sample, self._device)
            restored = self._restored(sample.degraded, moment)
            seen.append((sample, restored.image.detach()))
            return self._content_terms(sample, restored, moment) | self._adversarial_terms(
                sample, restored.image
            )

        with weights_held(*self._adversaries()):
            logged = updater.apply(
                "generator",
                self.parts["generator"],
                batches,
                terms,
                lr=config.generator.lr_at(moment.step, steps=moment.steps),
                step=moment.step,
            )
        logged |= self._adversaries_updated(seen, moment, updater)
        self._ema.update(self._network, decay=ema_decay(moment.step, decay=config.ema_decay))
        return logged

    def _adversaries(self) -> list[nn.Module]:
        return [*([] if self._global is None else [self._global]), *self._local.values()]

    def _restored(self, degraded: Tensor, moment: Moment) -> Restored:
        if self._has_pyramid(moment):
            return self._network(degraded, with_pyramid=True)
        return self._network(degraded)

    def _has_pyramid(self, moment: Moment) -> bool:
        weights = self._config.weights
        return weights.pyramid > 0 and moment.step < weights.pyramid_until

    def _content_terms(
        self, sample: FaceSample, restored: Restored, moment: Moment
    ) -> dict[str, Tensor]:
        weights = self._config.weights
        # Nothing is compared beyond what the photograph really showed.
        found = seen_at_detail(restored.image, sample.detail)
        aimed = seen_at_detail(sample.clean, sample.detail)
        terms: dict[str, Tensor] = {}
        if weights.pixels:
            terms["pixels"] = weights.pixels * l1_loss(found, aimed)
        if weights.log_pixels:
            terms["log_pixels"] = weights.log_pixels * log_error(found.float(), aimed).mean()
        if self._has_pyramid(moment):
            terms["pyramid"] = weights.pyramid * pyramid_loss(restored.pyramid, sample.clean)
        if self._features is not None:
            terms |= perceptual_terms(
                self._features,
                found,
                aimed,
                content_weight=weights.perceptual,
                style_weight=weights.style,
            )
        if self._identity is not None:
            terms["identity"] = identity_loss(
                self._identity,
                restored.image,
                sample.clean,
                distance=weights.identity_distance,
                weight=weights.identity,
            )
        return terms

    def _adversarial_terms(self, sample: FaceSample, restored: Tensor) -> dict[str, Tensor]:
        weights = self._config.weights
        terms: dict[str, Tensor] = {}
        if self._global is not None:
            loss = logistic_generator_loss(self._global(restored))
            terms["g_logistic"] = weights.adversarial * loss
        if self._local:
            terms |= component_generator_terms(
                self._local,
                component_crops(restored, sample.boxes_xyxy),
                component_crops(sample.clean, sample.boxes_xyxy),
                adversarial_weight=weights.component,
                style_weight=weights.component_style,
            )
        return terms

    def _adversaries_updated(
        self, seen: Sequence[tuple[FaceSample, Tensor]], moment: Moment, updater: Updater
    ) -> dict[str, float]:
        config = self._config
        logged: dict[str, float] = {}
        if self._global is not None:
            logged |= updater.apply(
                "discriminator",
                self.parts["discriminator"],
                seen,
                lambda pair: self._global_terms(*pair, moment),
                lr=_given(config.discriminator).lr_at(moment.step, steps=moment.steps),
                step=moment.step,
            )
        if not self._local:
            return logged
        crops = [
            (
                component_crops(restored, sample.boxes_xyxy),
                component_crops(sample.clean, sample.boxes_xyxy),
            )
            for sample, restored in seen
        ]
        for name, network in self._local.items():
            logged |= updater.apply(
                f"component_{name}",
                self.parts[f"component_{name}"],
                crops,
                lambda pair, name=name, network=network: _local_terms(name, network, *pair),
                lr=_given(config.components).lr_at(moment.step, steps=moment.steps),
                step=moment.step,
            )
        return logged

    def _global_terms(
        self, sample: FaceSample, restored: Tensor, moment: Moment
    ) -> dict[str, Tensor]:
        assert self._global is not None
        config = self._config
        scores = self._global(sample.clean), self._global(restored)
        terms = {"d_logistic": logistic_discriminator_loss(*scores)}
        if config.r1_weight and moment.is_due(config.r1_every):
            terms["d_r1"] = r1_penalty(
                self._global, sample.clean, weight=config.r1_weight, interval=config.r1_every
            )
        return terms

    def validate(self, moment: Moment) -> tuple[dict[str, float], Preview]:
        """Return the L1 errors of fixed samples before and after, and pictures."""
        del moment
        network = self.parts["generator"].averaged()
        shown = moved(fixed_batch(self._data, count=_PREVIEW_ROWS), self._device)
        with torch.no_grad():
            restored = network(shown.degraded).image
        scores = {
            "l1_input": float(l1_loss(shown.degraded, shown.clean)),
            "l1": float(l1_loss(restored, shown.clean)),
        }
        rows = torch.stack([shown.degraded, restored, shown.clean], dim=1)
        return scores, Preview(rows.flatten(0, 1), 3)

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the parts are all there is."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up nothing."""


def _given(config: AdamConfig | None) -> AdamConfig:
    assert config is not None, "RestorerConfig has checked this"
    return config


def _part(network: nn.Module, config: AdamConfig) -> Part:
    return Part(network=network, optimiser=adam(network, config))


def _local_terms(
    name: str,
    network: FacialComponentDiscriminator,
    restored: Mapping[str, Tensor],
    real: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    losses = component_discriminator_losses({name: network}, restored, real)
    return {f"d_{name}": losses[name]}
