"""What judges a restorer in training: whole pictures, fine texture, and components of the face."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from vidrestore.models.gfpgan.component_discriminator import FacialComponentDiscriminator
from vidrestore.models.texture_discriminator import TextureDiscriminator
from vidrestore.training.data.component_boxes import COMPONENTS
from vidrestore.training.data.dataset import FaceSample
from vidrestore.training.engine.optimizer_step import Terms, Updater
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.engine.run_state import Moment
from vidrestore.training.engine.train_state import Part
from vidrestore.training.losses.adversarial import (
    hinge_discriminator_loss,
    hinge_generator_loss,
    logistic_discriminator_loss,
    logistic_generator_loss,
)
from vidrestore.training.losses.component_loss import (
    component_crops,
    component_discriminator_losses,
    component_generator_terms,
)
from vidrestore.training.losses.freeze import freeze_layers
from vidrestore.training.losses.regularizers import r1_penalty
from vidrestore.training.tasks.build import build_discriminator
from vidrestore.training.tasks.restorer_config import RestorerConfig


class CropWindow(NamedTuple):
    """A part of every picture of a batch."""

    y: int
    x: int
    side: int

    def of(self, image_NCHW: Tensor) -> Tensor:
        """Return that part."""
        return image_NCHW[..., self.y : self.y + self.side, self.x : self.x + self.side]

    @staticmethod
    def drawn(generator: torch.Generator, *, side: int, within: int) -> "CropWindow":
        """Return a square anywhere in pictures of side ``within``."""
        most = within - side + 1
        at = torch.randint(most, (2,), generator=generator, device=generator.device)
        y, x = (int(each) for each in at)
        return CropWindow(y, x, side)


class GanBatch(NamedTuple):
    """A batch and what the restorer made of it."""

    sample: FaceSample
    crop: CropWindow
    """What the restorer saw of each face."""
    restored: Tensor
    """That part, restored."""
    texture: CropWindow
    """The part of ``restored`` whose texture is judged."""

    def whole(self) -> Tensor:
        """Return whole faces: what was restored within the originals."""
        if self.restored.shape == self.sample.clean.shape:
            return self.restored
        whole = self.sample.clean.clone()
        self.crop.of(whole).copy_(self.restored)
        return whole

    def detached(self) -> "GanBatch":
        """Return the same without gradients."""
        return self._replace(restored=self.restored.detach())


class DiscriminatorTrainer(Protocol):
    """One judge, or several of a kind."""

    parts: Mapping[str, Part]

    def generator_terms(self, judged: GanBatch) -> dict[str, Tensor]:
        """Return the weighted loss terms of the restorer; the judge's weights are held."""
        ...

    def update(
        self, seen: Sequence[GanBatch], moment: Moment, updater: Updater
    ) -> dict[str, float]:
        """Teach the judge on detached micro-batches; return what to log."""
        ...


def build_discriminators(
    config: RestorerConfig, device: torch.device
) -> list[DiscriminatorTrainer]:
    """Return the adversaries that the weights of a config ask for."""
    weights = config.weights
    found: list[DiscriminatorTrainer] = []
    if weights.adversarial:
        found.append(GlobalAdversary(config, device))
    if weights.texture:
        found.append(TextureAdversary(config, device))
    if weights.component or weights.component_style:
        found.append(ComponentAdversary(config, device))
    return found


class GlobalAdversary:
    """StyleGAN2's discriminator on whole faces."""

    def __init__(self, config: RestorerConfig, device: torch.device) -> None:
        self._config = config
        self._network = build_discriminator(config).to(device)
        freeze_layers(self._network, config.frozen_layers)
        self.parts: Mapping[str, Part] = {
            "discriminator": Part(network=self._network, rates=_given(config.discriminator))
        }

    def generator_terms(self, judged: GanBatch) -> dict[str, Tensor]:
        """Return ``g_logistic``."""
        loss = logistic_generator_loss(self._network(judged.whole()))
        return {"g_logistic": self._config.weights.adversarial * loss}

    def update(
        self, seen: Sequence[GanBatch], moment: Moment, updater: Updater
    ) -> dict[str, float]:
        """Step once; now and then with R1."""
        config = self._config

        def terms(judged: GanBatch) -> Terms:
            real = judged.sample.clean
            scores = self._network(real), self._network(judged.whole())
            found = {"d_logistic": logistic_discriminator_loss(*scores)}
            if config.r1_weight and moment.is_due(config.r1_every):
                found["d_r1"] = r1_penalty(
                    self._network, real, weight=config.r1_weight, interval=config.r1_every
                )
            return found

        return updater.apply(
            "discriminator",
            self.parts["discriminator"],
            seen,
            terms,
            moment,
        )


class TextureAdversary:
    """A judge of texture beside the degraded picture, taught by sharp photographs alone."""

    def __init__(self, config: RestorerConfig, device: torch.device) -> None:
        self._weight = config.weights.texture
        self._real_detail = config.real_detail
        self._network = TextureDiscriminator().to(device)
        self.parts: Mapping[str, Part] = {
            "texture": Part(network=self._network, rates=_given(config.texture))
        }

    def generator_terms(self, judged: GanBatch) -> dict[str, Tensor]:
        """Return ``g_texture``, which is 0 where no sample is sharp."""
        sharp = judged.sample.detail >= self._real_detail
        if not bool(sharp.any()):
            # All processes must have the same terms.
            return {"g_texture": judged.restored.sum() * 0.0}
        _, restored, degraded = _textures(judged, sharp)
        return {"g_texture": self._weight * hinge_generator_loss(self._network(restored, degraded))}

    def update(
        self, seen: Sequence[GanBatch], moment: Moment, updater: Updater
    ) -> dict[str, float]:
        """Step once."""

        def terms(judged: GanBatch) -> Terms:
            sharp = judged.sample.detail >= self._real_detail
            if not bool(sharp.any()):
                # Every process takes part in every update.
                return {"d_texture": _nothing(self._network)}
            clean, restored, degraded = _textures(judged, sharp)
            scores = self._network(clean, degraded), self._network(restored, degraded)
            return {"d_texture": hinge_discriminator_loss(*scores)}

        return updater.apply(
            "texture",
            self.parts["texture"],
            seen,
            terms,
            moment,
        )


def _textures(judged: GanBatch, chosen_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the judged squares of chosen samples: original, restored, degraded."""
    sample, crop, texture = judged.sample, judged.crop, judged.texture
    return (
        texture.of(crop.of(sample.clean[chosen_N])),
        texture.of(judged.restored[chosen_N]),
        texture.of(crop.of(sample.degraded[chosen_N])),
    )


def _nothing(network: nn.Module) -> Tensor:
    """Return zero, with gradients of zero."""
    return torch.stack([each.sum() for each in network.parameters()]).sum() * 0.0


class ComponentAdversary:
    """Eyes and mouth, each with its own discriminator."""

    def __init__(self, config: RestorerConfig, device: torch.device) -> None:
        self._weights = config.weights
        self._networks = {name: FacialComponentDiscriminator().to(device) for name in COMPONENTS}
        self.parts: Mapping[str, Part] = {
            f"component_{name}": Part(network=each, rates=_given(config.components))
            for name, each in self._networks.items()
        }

    def generator_terms(self, judged: GanBatch) -> dict[str, Tensor]:
        """Return a term for each component, and their style."""
        return component_generator_terms(
            self._networks,
            *_component_pairs(judged),
            adversarial_weight=self._weights.component,
            style_weight=self._weights.component_style,
        )

    def update(
        self, seen: Sequence[GanBatch], moment: Moment, updater: Updater
    ) -> dict[str, float]:
        """Step each once."""
        crops = [_component_pairs(judged) for judged in seen]
        logged: dict[str, float] = {}
        for name, network in self._networks.items():
            logged |= updater.apply(
                f"component_{name}",
                self.parts[f"component_{name}"],
                crops,
                lambda pair, name=name, network=network: {
                    f"d_{name}": component_discriminator_losses({name: network}, *pair)[name]
                },
                moment,
            )
        return logged


def _component_pairs(judged: GanBatch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return eyes and mouths, restored and real."""
    boxes = judged.sample.boxes_xyxy
    return component_crops(judged.whole(), boxes), component_crops(judged.sample.clean, boxes)


def _given(config: AdamConfig | None) -> AdamConfig:
    assert config is not None, "RestorerConfig has checked this"
    return config
