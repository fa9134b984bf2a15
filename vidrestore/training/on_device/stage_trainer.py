"""Trains one stage: a step updates the restorer, then its discriminator."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from vidrestore.models.texture_discriminator import TextureDiscriminator
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.engine.train_state import TrainState
from vidrestore.training.losses.adversarial import hinge_generator_loss
from vidrestore.training.losses.freeze import frozen_weights
from vidrestore.training.losses.identity import identity_loss
from vidrestore.training.losses.perceptual import feature_loss, style_loss
from vidrestore.training.losses.pixel import log_l1_loss, pyramid_loss, ssim_loss
from vidrestore.training.on_device.config import DeviceRunConfig, StageConfig
from vidrestore.training.on_device.data.batches import FaceBatch
from vidrestore.training.on_device.data.resize_matrices import apply_matrices, resolution_matrices
from vidrestore.training.on_device.losses import (
    LossNetworks,
    component_weight_map,
    consistency_loss,
    detail_error,
    discriminator_features,
    draw_face_window,
    gradient_size,
    masked_hinge_loss,
    phase_loss,
    sharpen,
    tone_loss,
    unit_feature_loss,
)
from vidrestore.training.on_device.networks import DeviceNetwork
from vidrestore.training.on_device.optimizer_step import DeviceOptimizerStep
from vidrestore.training.on_device.teacher import Teacher
from vidrestore.training.tasks.discriminators import CropWindow

DISCRIMINATOR_CH, DISCRIMINATOR_DETAIL_GAIN = 48, 6.0
_TONES_RATIO = 0.5
"""Factor of the weight of components for their tones, which are nearly right from the start."""


class BatchSource(Protocol):
    """Provides the batches of a stage."""

    @property
    def all_sharp(self) -> bool:
        """Whether all samples have full resolution."""
        ...

    def batch(self, run_state: RunState) -> FaceBatch:
        """Return the batch of a step."""
        ...


class _Output(NamedTuple):
    """The restorer's output for a batch."""

    image: Tensor
    """``(N, 3, S, S)`` float32."""
    second_view: Tensor | None
    """Output for the second views."""
    window: CropWindow
    """The window that the feature network and the discriminator receive."""
    is_whole: bool
    """Whether the images are whole faces."""
    pyramid: tuple[Tensor, ...]
    """The images of the U-Net in ``prior``; empty if no loss needs them."""
    styles: Tensor | None
    """``(N, num_latent, F)`` styles in W+ of ``prior``."""


class StageTrainer:
    """Trains the restorer for one stage.

    Args:
        config: The run's settings.
        stage: The stage.
        network: The network to train.
        state: Initial weights of the restorer.
        source: Provides the batches.
        loss_networks: From ``load_loss_networks``.
        teacher: None if the stage has no teacher, or a cache of its images.
        optimizer_step: Applies updates.
    """

    def __init__(
        self,
        config: DeviceRunConfig,
        stage: StageConfig,
        *,
        network: DeviceNetwork,
        state: Mapping[str, Tensor],
        source: BatchSource,
        loss_networks: LossNetworks,
        teacher: Teacher | None,
        optimizer_step: DeviceOptimizerStep,
    ) -> None:
        self._stage, self._loss_networks, self._teacher = stage, loss_networks, teacher
        self._source, self._optimizer_step = source, optimizer_step
        module = network.build()
        module.load_state_dict(dict(state))
        self._network = _to_device(module, optimizer_step.device).train()
        self._options = network.options(stage.loss_weights)
        self.generator = TrainState(
            network=self._network,
            optimizer_config=stage.generator,
            ema_decay=stage.ema_decay,
            fused=True,
        )
        self._discriminator: TextureDiscriminator | None = None
        train_states = {"generator": self.generator}
        if stage.adversary is not None and stage.loss_weights.adversary:
            self._discriminator = TextureDiscriminator(
                base_ch=DISCRIMINATOR_CH, detail_gain=DISCRIMINATOR_DETAIL_GAIN
            )
            _to_device(self._discriminator, optimizer_step.device)
            train_states["texture"] = TrainState(
                network=self._discriminator, optimizer_config=stage.adversary, fused=True
            )
        self.train_states: Mapping[str, TrainState] = train_states
        self._forward: Any = torch.compile(self._network) if config.compile else self._network
        self._limits_resolution = (
            stage.loss_weights.log_l1 + stage.loss_weights.ssim > 0 and not source.all_sharp
        )

    def ema_state(self) -> dict[str, Tensor]:
        """Return a copy of the averaged weights, on the CPU."""
        assert self.generator.ema is not None, "ema_decay is set"
        state = self.generator.ema.state
        return {name: value.detach().cpu().clone() for name, value in state.items()}

    def step(self, run_state: RunState) -> dict[str, Tensor]:
        """Update the restorer and the discriminator; return the loss terms, on the device."""
        batch = self._source.batch(run_state)
        if self._teacher is not None:
            batch = self._teacher.teach(batch)
        output = self._restore(batch, run_state)
        terms = self._fidelity_terms(batch, output) | self._detail_terms(batch, output)
        terms |= self._encoder_terms(batch, output)
        if self._discriminator is not None and run_state.step >= self._stage.adversary_start_step:
            terms |= self._adversary_terms(self._discriminator, batch, output)
        logged = self._optimizer_step.apply(self.generator, terms, run_state)
        if self._discriminator is not None:
            loss = self._discriminator_loss(
                self._discriminator, batch, output._replace(image=output.image.detach())
            )
            logged |= self._optimizer_step.apply(
                self.train_states["texture"], {"texture": loss}, run_state
            )
        return logged

    def _restore(self, batch: FaceBatch, run_state: RunState) -> _Output:
        count = len(batch.degraded)
        degraded = batch.degraded
        if batch.second_view is not None:
            degraded = torch.cat([degraded, batch.second_view.degraded])
        with self._optimizer_step.autocast():
            degraded = degraded.contiguous(memory_format=torch.channels_last)
            restored = self._forward(degraded, **self._options)
        image = restored.image.float()
        rng = np.random.default_rng((run_state.seed, run_state.step))
        window = draw_face_window(rng, side=self._stage.window_px, image_side=image.shape[-1])
        return _Output(
            image[:count],
            None if batch.second_view is None else image[count:],
            window,
            is_whole=image.shape[-1] == self._stage.side_px,
            pyramid=tuple(level[:count] for level in restored.pyramid),
            styles=None if restored.styles is None else restored.styles[:count],
        )

    def _encoder_terms(self, batch: FaceBatch, output: _Output) -> dict[str, Tensor]:
        """Return the terms of what ``prior`` computes before its generator draws."""
        weights, terms = self._stage.loss_weights, dict[str, Tensor]()
        if weights.pyramid:
            terms["pyramid"] = weights.pyramid * pyramid_loss(output.pyramid, batch.target)
        if weights.styles and output.styles is not None and batch.styles is not None:
            error = output.styles[: len(batch.styles)].float() - batch.styles[:, None]
            terms["styles"] = weights.styles * error.square().mean()
        return terms

    def _fidelity_terms(self, batch: FaceBatch, output: _Output) -> dict[str, Tensor]:
        weights, terms = self._stage.loss_weights, dict[str, Tensor]()
        image, target = output.image, batch.target
        if self._limits_resolution:
            matrices = resolution_matrices(batch.resolution_ratio, side_px=image.shape[-1])
            image = apply_matrices(image, matrices, matrices)
            target = apply_matrices(target, matrices, matrices)
        if weights.log_l1:
            terms["log_l1"] = weights.log_l1 * log_l1_loss(image, target).mean()
        if weights.ssim:
            terms["ssim"] = weights.ssim * ssim_loss(image, target)
        if weights.identity and output.is_whole and self._loss_networks.identity is not None:
            terms["identity"] = identity_loss(
                self._loss_networks.identity,
                output.image,
                batch.target,
                distance="cosine",
                weight=weights.identity,
            )
        if weights.consistency and output.second_view is not None:
            loss = consistency_loss(output.image, output.second_view, batch)
            terms["consistency"] = weights.consistency * loss
        return terms

    def _detail_terms(self, batch: FaceBatch, output: _Output) -> dict[str, Tensor]:
        weights, terms = self._stage.loss_weights, dict[str, Tensor]()
        component_weight = component_weight_map(batch.boxes_xyxy, side_px=output.image.shape[-1])
        pixel_weight = 1 + weights.components * component_weight
        if weights.tones:
            loss = tone_loss(
                output.image, batch.target, _TONES_RATIO * weights.components * component_weight
            )
            terms["tones"] = weights.tones * loss
        if weights.truth:
            error = pixel_weight * (output.image - batch.target).abs()
            if batch.use_teacher is not None:
                error = error * (~batch.use_teacher)[:, None, None, None]
            terms["truth"] = weights.truth * error.mean()
        if weights.teacher and batch.teacher is not None and batch.use_teacher is not None:
            error = detail_error(output.image, _detail_target(batch), batch.use_teacher)
            error = pixel_weight * error
            terms["teacher"] = weights.teacher * error.abs().mean()
            if weights.gradients:
                terms["gradients"] = weights.teacher * weights.gradients * gradient_size(error)
        if weights.phases:
            terms["phases"] = weights.phases * phase_loss(output.image, batch.target)
        if (weights.features or weights.style) and self._loss_networks.features is not None:
            with self._optimizer_step.autocast():
                features = self._loss_networks.features(output.window.crop(output.image))
                with torch.no_grad():
                    target = self._loss_networks.features(output.window.crop(batch.target))
            if weights.features:
                terms["features"] = weights.features * unit_feature_loss(features, target)
            if weights.style:
                terms["style"] = weights.style * style_loss(features, target)
        return terms

    def _adversary_terms(
        self, discriminator: TextureDiscriminator, batch: FaceBatch, output: _Output
    ) -> dict[str, Tensor]:
        weights, degraded = self._stage.loss_weights, output.window.crop(batch.degraded)
        with frozen_weights(discriminator), self._optimizer_step.autocast():
            scores, features = discriminator_features(
                discriminator, output.window.crop(output.image), degraded
            )
            with torch.no_grad():
                _, target = discriminator_features(
                    discriminator, output.window.crop(_detail_target(batch)), degraded
                )
        terms = {"adversary": weights.adversary * hinge_generator_loss(scores)}
        if weights.matching:
            terms["matching"] = weights.matching * feature_loss(features, target) / len(features)
        return terms

    def _discriminator_loss(
        self, discriminator: nn.Module, batch: FaceBatch, output: _Output
    ) -> Tensor:
        degraded = output.window.crop(batch.degraded)
        with self._optimizer_step.autocast():
            fake = discriminator(output.window.crop(output.image), degraded)
            real = discriminator(output.window.crop(batch.target), degraded)
        return masked_hinge_loss(
            real, fake, batch.resolution_ratio >= self._stage.real_resolution_ratio
        )


def _detail_target(batch: FaceBatch) -> Tensor:
    """Return the sharpened images of the teacher, and the targets of samples without a teacher."""
    if batch.teacher is None or batch.use_teacher is None:
        return batch.target
    teacher = batch.teacher if batch.sharpen is None else sharpen(batch.teacher, batch.sharpen)
    return torch.where(batch.use_teacher[:, None, None, None], teacher, batch.target)


def _to_device(network: nn.Module, device: torch.device) -> nn.Module:
    return network.to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
