"""The discriminators of restorer training: whole faces, fine texture, eyes and mouth."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from vidrestore.models.gfpgan.component_discriminator import FacialComponentDiscriminator
from vidrestore.models.texture_discriminator import TextureDiscriminator
from vidrestore.training.data.component_boxes import COMPONENTS
from vidrestore.training.data.dataset import FaceSample
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.optimizer_step import LoggedTerms, LossTerms, OptimizerStep
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.engine.train_state import TrainState
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
    """A square window of every image of a batch, in pixels."""

    y: int
    x: int
    side: int

    def crop(self, image_NCHW: Tensor) -> Tensor:
        """Return this window of images, as a view."""
        return image_NCHW[..., self.y : self.y + self.side, self.x : self.x + self.side]

    @staticmethod
    def draw(generator: torch.Generator, *, side: int, within: int) -> "CropWindow":
        """Draw a window anywhere in images of side ``within``."""
        corner = torch.randint(
            within - side + 1, (2,), generator=generator, device=generator.device
        )
        return CropWindow(int(corner[0]), int(corner[1]), side)


class GanBatch(NamedTuple):
    """A batch and the restorer's output."""

    sample: FaceSample
    window: CropWindow
    """Window of each face that the restorer saw."""
    restored: Tensor
    """Output of the restorer for that window."""
    texture_window: CropWindow
    """Window of ``restored`` that the texture discriminator sees."""
    context: DistributedContext = DistributedContext()
    """Processes of the run; this is one's part of their batch."""

    def whole(self) -> Tensor:
        """Return whole faces: the targets, with the output inserted at its window."""
        if self.restored.shape == self.sample.target.shape:
            return self.restored
        whole = self.sample.target.clone()
        self.window.crop(whole).copy_(self.restored)
        return whole

    def detach(self) -> "GanBatch":
        """Return the batch without gradients."""
        return self._replace(restored=self.restored.detach())


class DiscriminatorTrainer(Protocol):
    """Trains one discriminator, or several of one kind."""

    train_states: Mapping[str, TrainState]

    def generator_terms(self, batch: GanBatch) -> dict[str, Tensor]:
        """Return the restorer's weighted loss terms; the caller freezes the discriminator."""
        ...

    def update(
        self, batches: Sequence[GanBatch], run_state: RunState, optimizer_step: OptimizerStep
    ) -> LoggedTerms:
        """Update the discriminator on detached micro-batches; return its loss terms."""
        ...


def build_discriminators(
    config: RestorerConfig, device: torch.device
) -> list[DiscriminatorTrainer]:
    """Return the discriminators that the loss weights of a config need."""
    weights = config.loss_weights
    discriminators: list[DiscriminatorTrainer] = []
    if weights.adversarial:
        discriminators.append(GlobalDiscriminatorTrainer(config, device))
    if weights.texture_adversarial:
        discriminators.append(TextureDiscriminatorTrainer(config, device))
    if weights.uses_component_discriminators:
        discriminators.append(ComponentDiscriminatorTrainer(config, device))
    return discriminators


class GlobalDiscriminatorTrainer:
    """StyleGAN2's discriminator on whole faces."""

    def __init__(self, config: RestorerConfig, device: torch.device) -> None:
        self._config = config
        self._network = build_discriminator(config).to(device)
        freeze_layers(self._network, config.frozen_layers)
        self.train_states: Mapping[str, TrainState] = {
            "discriminator": _train_state(self._network, config.discriminator)
        }

    def generator_terms(self, batch: GanBatch) -> dict[str, Tensor]:
        """Return ``g_logistic``."""
        loss = logistic_generator_loss(self._network(batch.whole()))
        return {"g_logistic": self._config.loss_weights.adversarial * loss}

    def update(
        self, batches: Sequence[GanBatch], run_state: RunState, optimizer_step: OptimizerStep
    ) -> LoggedTerms:
        """Update the discriminator once, with R1 every ``r1_interval`` steps."""
        config = self._config

        def loss_terms(batch: GanBatch) -> LossTerms:
            real = batch.sample.target
            scores = self._network(real), self._network(batch.whole())
            terms = {"d_logistic": logistic_discriminator_loss(*scores)}
            if config.r1_weight and run_state.is_due(config.r1_interval):
                terms["d_r1"] = r1_penalty(
                    self._network, real, weight=config.r1_weight, interval=config.r1_interval
                )
            return terms

        train_state = self.train_states["discriminator"]
        return optimizer_step.apply("discriminator", train_state, batches, loss_terms, run_state)


class TextureDiscriminatorTrainer:
    """A texture discriminator, conditioned on the degraded image; only sharp targets are real."""

    def __init__(self, config: RestorerConfig, device: torch.device) -> None:
        self._weight = config.loss_weights.texture_adversarial
        self._real_resolution_ratio = config.real_resolution_ratio
        self._network = TextureDiscriminator().to(device)
        self.train_states: Mapping[str, TrainState] = {
            "texture": _train_state(self._network, config.texture_discriminator)
        }

    def generator_terms(self, batch: GanBatch) -> dict[str, Tensor]:
        """Return ``g_texture``, which is 0 if no sample is sharp in any process."""
        _, restored, degraded = self._sharp_windows(batch)
        loss = hinge_generator_loss(self._network(restored, degraded))
        return {"g_texture": self._weight * self._sharp_weight(batch) * loss}

    def update(
        self, batches: Sequence[GanBatch], run_state: RunState, optimizer_step: OptimizerStep
    ) -> LoggedTerms:
        """Update the discriminator once."""

        def loss_terms(batch: GanBatch) -> LossTerms:
            target, restored, degraded = self._sharp_windows(batch)
            scores = self._network(target, degraded), self._network(restored, degraded)
            return {"d_texture": self._sharp_weight(batch) * hinge_discriminator_loss(*scores)}

        train_state = self.train_states["texture"]
        return optimizer_step.apply("texture", train_state, batches, loss_terms, run_state)

    def _sharp(self, batch: GanBatch) -> Tensor:
        return batch.sample.resolution_ratio >= self._real_resolution_ratio

    def _sharp_weight(self, batch: GanBatch) -> Tensor:
        """Return the number of sharp samples divided by its mean over processes.

        With this weight, means over the sharp samples of each process average to the mean over all.
        """
        count = self._sharp(batch).sum().float()
        return count / batch.context.mean(count).clamp_min(1 / batch.context.size)

    def _sharp_windows(self, batch: GanBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the texture windows of sharp samples: target, restored, degraded.

        If no sample is sharp, those of the first, whose weight is 0: every forward pass updates the
        network's spectral norms, which must stay equal in all processes.
        """
        sample, window, texture_window = batch.sample, batch.window, batch.texture_window
        sharp_N = self._sharp(batch)
        if not bool(sharp_N.any()):
            sharp_N = torch.arange(len(sharp_N), device=sharp_N.device) == 0
        return (
            texture_window.crop(window.crop(sample.target[sharp_N])),
            texture_window.crop(batch.restored[sharp_N]),
            texture_window.crop(window.crop(sample.degraded[sharp_N])),
        )


class ComponentDiscriminatorTrainer:
    """One discriminator for each eye and one for the mouth."""

    def __init__(self, config: RestorerConfig, device: torch.device) -> None:
        self._weights = config.loss_weights
        self._networks = {name: FacialComponentDiscriminator().to(device) for name in COMPONENTS}
        self.train_states: Mapping[str, TrainState] = {
            f"component_{name}": _train_state(network, config.components)
            for name, network in self._networks.items()
        }

    def generator_terms(self, batch: GanBatch) -> dict[str, Tensor]:
        """Return a term for each component, and their style term."""
        return component_generator_terms(
            self._networks,
            *_component_pairs(batch),
            adversarial_weight=self._weights.component,
            style_weight=self._weights.component_style,
            matching_weight=self._weights.component_matching,
        )

    def update(
        self, batches: Sequence[GanBatch], run_state: RunState, optimizer_step: OptimizerStep
    ) -> LoggedTerms:
        """Update each discriminator once."""
        crops = [_component_pairs(batch) for batch in batches]
        logged: LoggedTerms = {}
        for name, network in self._networks.items():
            logged |= optimizer_step.apply(
                f"component_{name}",
                self.train_states[f"component_{name}"],
                crops,
                lambda pair, name=name, network=network: {
                    f"d_{name}": component_discriminator_losses({name: network}, *pair)[name]
                },
                run_state,
            )
        return logged


def _component_pairs(batch: GanBatch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the crops of eyes and mouth, restored and target."""
    boxes = batch.sample.boxes_xyxy
    return component_crops(batch.whole(), boxes), component_crops(batch.sample.target, boxes)


def _train_state(network: nn.Module, config: AdamConfig | None) -> TrainState:
    assert config is not None, "RestorerConfig has checked this"
    return TrainState(network=network, optimizer_config=config)
