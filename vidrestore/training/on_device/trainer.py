"""One stage: the restorer, its judges, and a step of both."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from vidrestore.models.lite import build_lite
from vidrestore.models.texture_discriminator import TextureDiscriminator
from vidrestore.training.engine.ema import Ema
from vidrestore.training.engine.run_state import Moment
from vidrestore.training.engine.schedules import ema_decay
from vidrestore.training.engine.train_state import Part
from vidrestore.training.losses.adversarial import hinge_generator_loss
from vidrestore.training.losses.feature_extractors import FeatureNetwork, feature_network
from vidrestore.training.losses.freeze import frozen_weights
from vidrestore.training.losses.identity import IdentityNetwork, identity_loss, identity_network
from vidrestore.training.losses.perceptual import feature_loss
from vidrestore.training.losses.pixel import log_l1_loss, ssim_loss
from vidrestore.training.on_device.config import DeviceRunConfig, StageConfig
from vidrestore.training.on_device.data.batches import FaceBatch
from vidrestore.training.on_device.data.sampling import detail_matrices, sampled
from vidrestore.training.on_device.teacher import Teacher
from vidrestore.training.on_device.terms import (
    component_places,
    consistency_loss,
    detail_error,
    face_window,
    gradient_size,
    judged_features,
    sharp_hinge_loss,
    sharpened,
    tone_loss,
    unit_feature_loss,
)
from vidrestore.training.on_device.update import DeviceUpdater
from vidrestore.training.tasks.discriminators import CropWindow

FEATURE_LAYERS = ("conv1_2", "conv2_2", "conv3_4", "conv4_4")
DISCRIMINATOR_CH = 48
_TONES_SHARE = 0.5
"""Of the weight of components, for their tones: those are wide, and nearly right from the start."""


class BatchSource(Protocol):
    """Where a stage's batches come from."""

    @property
    def all_sharp(self) -> bool:
        """Whether every sample has all the detail of its size."""
        ...

    def batch(self, moment: Moment) -> FaceBatch:
        """Return the batch of a step."""
        ...


class Judges(NamedTuple):
    """Frozen networks that losses ask."""

    identity: IdentityNetwork | None
    features: FeatureNetwork | None


def judges_of(config: DeviceRunConfig, device: torch.device) -> Judges:
    """Return the networks that some stage has a weight for.

    Raises:
        WeightsError: Their files are missing or hold something else.
    """
    weights = [stage.weights for stage in config.stages]
    identity = config.identity if any(each.identity for each in weights) else None
    return Judges(
        identity=None if identity is None else identity_network(identity).to(device),
        features=feature_network(config.features, layers=FEATURE_LAYERS).to(device)
        if any(each.features for each in weights)
        else None,
    )


class _Seen(NamedTuple):
    """What a restorer made of a batch."""

    image: Tensor
    """``(N, 3, S, S)`` float32."""
    again: Tensor | None
    """The second views."""
    window: CropWindow
    """The part that features and adversary see."""


class StageTrainer:
    """Trains the restorer for one stage.

    Args:
        config: Of the run.
        stage: Of its stages, this.
        state: The weights that the restorer begins with.
        source: Of batches.
        judges: As ``judges_of`` gives them.
        teacher: Where the stage asks one in every step.
        updater: Applies updates.
    """

    def __init__(
        self,
        config: DeviceRunConfig,
        stage: StageConfig,
        *,
        state: Mapping[str, Tensor],
        source: BatchSource,
        judges: Judges,
        teacher: Teacher | None,
        updater: DeviceUpdater,
    ) -> None:
        self._stage, self._judges, self._teacher = stage, judges, teacher
        self._source, self._updater = source, updater
        self._sharpen = config.teacher.sharpen
        network = build_lite()
        network.load_state_dict(dict(state))
        self._network = _placed(network, updater.device).train()
        self.ema = Ema(self._network)
        self.generator = Part(
            network=self._network, rates=stage.generator, ema=self.ema, fused=True
        )
        self._judge: TextureDiscriminator | None = None
        parts = {"generator": self.generator}
        if stage.adversary is not None and stage.weights.adversary:
            self._judge = TextureDiscriminator(base_ch=DISCRIMINATOR_CH)
            _placed(self._judge, updater.device)
            parts["texture"] = Part(network=self._judge, rates=stage.adversary, fused=True)
        self.parts: Mapping[str, Part] = parts
        self._forward: Any = torch.compile(self._network) if config.compile else self._network
        self._blurs = stage.weights.log_pixels + stage.weights.ssim > 0 and not source.all_sharp

    def step(self, moment: Moment) -> dict[str, Tensor]:
        """Update the restorer, then its adversary; return what to log, on the device."""
        batch = self._source.batch(moment)
        if self._teacher is not None:
            batch = self._teacher.taught(batch)
        seen = self._restored(batch, moment)
        terms = self._fidelity_terms(batch, seen) | self._detail_terms(batch, seen)
        if self._judge is not None and moment.step >= self._stage.adversary_from:
            terms |= self._adversary_terms(self._judge, batch, seen)
        logged = self._updater.apply(self.generator, terms, moment)
        if self._judge is not None:
            loss = self._judged(self._judge, batch, seen._replace(image=seen.image.detach()))
            logged |= self._updater.apply(self.parts["texture"], {"texture": loss}, moment)
        decay = ema_decay(moment.step, decay=self._stage.ema_decay)
        self.ema.update(self._network, decay=decay)
        return logged

    def _restored(self, batch: FaceBatch, moment: Moment) -> _Seen:
        count = len(batch.degraded)
        given = batch.degraded
        if batch.again is not None:
            given = torch.cat([given, batch.again.degraded])
        with self._updater.autocast():
            image = self._forward(given.contiguous(memory_format=torch.channels_last)).image
        image = image.float()
        rng = np.random.default_rng((moment.seed, moment.step))
        window = face_window(rng, side=self._stage.window_px, within=image.shape[-1])
        return _Seen(image[:count], None if batch.again is None else image[count:], window)

    def _fidelity_terms(self, batch: FaceBatch, seen: _Seen) -> dict[str, Tensor]:
        weights, terms = self._stage.weights, dict[str, Tensor]()
        found, aimed = seen.image, batch.clean
        if self._blurs:
            matrices = detail_matrices(batch.detail, side_px=found.shape[-1])
            found, aimed = (sampled(each, matrices, matrices) for each in (found, aimed))
        if weights.log_pixels:
            terms["log_pixels"] = weights.log_pixels * log_l1_loss(found, aimed).mean()
        if weights.ssim:
            terms["ssim"] = weights.ssim * ssim_loss(found, aimed)
        if weights.identity and self._judges.identity is not None:
            terms["identity"] = identity_loss(
                self._judges.identity,
                seen.image,
                batch.clean,
                distance="cosine",
                weight=weights.identity,
            )
        if weights.consistency and seen.again is not None:
            loss = consistency_loss(seen.image, seen.again, batch)
            terms["consistency"] = weights.consistency * loss
        return terms

    def _detail_terms(self, batch: FaceBatch, seen: _Seen) -> dict[str, Tensor]:
        weights, terms = self._stage.weights, dict[str, Tensor]()
        places = component_places(batch.boxes_xyxy, side_px=seen.image.shape[-1])
        counts = 1 + weights.components * places
        if weights.tones:
            loss = tone_loss(seen.image, batch.clean, _TONES_SHARE * weights.components * places)
            terms["tones"] = weights.tones * loss
        if weights.truth:
            error = counts * (seen.image - batch.clean).abs()
            if batch.taught is not None:
                error = error * (~batch.taught)[:, None, None, None]
            terms["truth"] = weights.truth * error.mean()
        if weights.teacher and batch.teacher is not None and batch.taught is not None:
            drawn = sharpened(batch.teacher, self._sharpen)
            error = counts * detail_error(seen.image, drawn, batch.taught)
            terms["teacher"] = weights.teacher * error.abs().mean()
            if weights.gradients:
                terms["gradients"] = weights.teacher * weights.gradients * gradient_size(error)
        if weights.features and self._judges.features is not None:
            with self._updater.autocast():
                found = self._judges.features(seen.window.of(seen.image))
                with torch.no_grad():
                    aimed = self._judges.features(seen.window.of(batch.clean))
            terms["features"] = weights.features * unit_feature_loss(found, aimed)
        return terms

    def _adversary_terms(
        self, judge: TextureDiscriminator, batch: FaceBatch, seen: _Seen
    ) -> dict[str, Tensor]:
        weights, degraded = self._stage.weights, seen.window.of(batch.degraded)
        with frozen_weights(judge), self._updater.autocast():
            scores, found = judged_features(judge, seen.window.of(seen.image), degraded)
            with torch.no_grad():
                _, aimed = judged_features(judge, seen.window.of(batch.clean), degraded)
        terms = {"adversary": weights.adversary * hinge_generator_loss(scores)}
        if weights.matching:
            terms["matching"] = weights.matching * feature_loss(found, aimed) / len(found)
        return terms

    def _judged(self, judge: nn.Module, batch: FaceBatch, seen: _Seen) -> Tensor:
        degraded = seen.window.of(batch.degraded)
        with self._updater.autocast():
            fake = judge(seen.window.of(seen.image), degraded)
            real = judge(seen.window.of(batch.clean), degraded)
        return sharp_hinge_loss(real, fake, batch.detail >= self._stage.real_detail)


def _placed(network: nn.Module, device: torch.device) -> nn.Module:
    return network.to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
