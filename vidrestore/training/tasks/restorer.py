"""Training a restorer on pairs: GFP-GAN, MMRB and ``lite``, by the weights of their losses.

The losses are those of GFP-GAN (Wang et al. 2021, section 3.5) and MMRB (Hu et al. 2022,
section 3.4): reconstruction by pixels, pyramid and perceptual features, a global and three local
adversaries, and identity. A weight of zero leaves a term out, its networks included.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.restore.restorer import Restorer
from vidrestore.training.data.dataset import FaceDataset, FaceSample, limit_resolution
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.ema import Ema
from vidrestore.training.engine.loop import Preview
from vidrestore.training.engine.optimizer_step import Updater
from vidrestore.training.engine.run_state import Moment
from vidrestore.training.engine.schedules import ema_decay
from vidrestore.training.engine.train_state import Part
from vidrestore.training.losses.feature_extractors import feature_network
from vidrestore.training.losses.freeze import frozen_weights
from vidrestore.training.losses.identity import identity_loss, identity_network
from vidrestore.training.losses.perceptual import perceptual_terms
from vidrestore.training.losses.pixel import l1_loss, log_l1_loss, pyramid_loss, ssim_loss
from vidrestore.training.losses.texture import texture_energy_loss
from vidrestore.training.tasks.batches import face_batches, moved
from vidrestore.training.tasks.build import build_generator
from vidrestore.training.tasks.discriminators import CropWindow, GanBatch, build_discriminators
from vidrestore.training.tasks.previews import preview_batch
from vidrestore.training.tasks.restorer_config import RestorerConfig
from vidrestore.training.validation import wrap_restorer
from vidrestore.types import CROP_SIZE_PX

_PREVIEW_ROWS = 6


class RestorerTask:
    """A restorer, and the discriminators that its weights ask for."""

    def __init__(self, config: RestorerConfig, *, seed: int, device: torch.device) -> None:
        self._config = config
        self._device = device
        self._data = FaceDataset(config.data, seed=seed)
        weights = config.weights
        self._network = build_generator(config).to(device)
        self._ema = Ema(self._network)
        self._adversaries = build_discriminators(config, device)
        parts = {
            "generator": Part(
                network=self._network,
                rates=config.generator,
                ema=self._ema,
            )
        }
        for adversary in self._adversaries:
            parts |= adversary.parts
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

    def batches(
        self, *, first_step: int, world: DistributedContext
    ) -> Iterator[Sequence[FaceSample]]:
        """Yield the micro-batches of every step."""
        return face_batches(self._data, self._config.batch, first_step=first_step, world=world)

    def step(
        self, batches: Sequence[FaceSample], moment: Moment, updater: Updater
    ) -> dict[str, float]:
        """Update the restorer, then the discriminators on what it gave."""
        config = self._config
        self._network.train()
        seen: list[GanBatch] = []

        def terms(sample: FaceSample) -> dict[str, Tensor]:
            sample = moved(sample, self._device)
            crop, texture = self._squares(sample, moment, micro=len(seen))
            restored = self._restored(crop.of(sample.degraded), moment)
            judged = GanBatch(sample, crop, restored.image, texture)
            seen.append(judged.detached())
            found = self._content_terms(judged, restored.pyramid, moment)
            for adversary in self._adversaries:
                found |= adversary.generator_terms(judged)
            return found

        judges = [part.network for name, part in self.parts.items() if name != "generator"]
        with frozen_weights(*judges):
            logged = updater.apply(
                "generator",
                self.parts["generator"],
                batches,
                terms,
                moment,
            )
        for adversary in self._adversaries:
            logged |= adversary.update(seen, moment, updater)
        self._ema.update(self._network, decay=ema_decay(moment.step, decay=config.ema_decay))
        return logged

    def _squares(
        self, sample: FaceSample, moment: Moment, *, micro: int
    ) -> tuple[CropWindow, CropWindow]:
        """Draw what the network sees of the faces of a micro-batch, and the texture judged."""
        generator = moment.generator(micro)
        whole_px = sample.clean.shape[-1]
        seen_px = self._config.crop_px or whole_px
        crop = CropWindow.drawn(generator, side=seen_px, within=whole_px)
        side = min(self._config.texture_px, seen_px)
        return crop, CropWindow.drawn(generator, side=side, within=seen_px)

    def _restored(self, degraded: Tensor, moment: Moment) -> RestorerOutput:
        if self._has_pyramid(moment):
            return self._network(degraded, with_pyramid=True)
        return self._network(degraded)

    def _has_pyramid(self, moment: Moment) -> bool:
        weights = self._config.weights
        return weights.pyramid > 0 and moment.step < weights.pyramid_until

    def _content_terms(
        self, judged: GanBatch, pyramid: Sequence[Tensor], moment: Moment
    ) -> dict[str, Tensor]:
        weights, sample = self._config.weights, judged.sample
        # Nothing is compared beyond what the photograph really showed.
        found = limit_resolution(judged.restored, sample.detail)
        aimed = limit_resolution(judged.crop.of(sample.clean), sample.detail)
        terms: dict[str, Tensor] = {}
        if weights.pixels:
            terms["pixels"] = weights.pixels * l1_loss(found, aimed)
        if weights.log_pixels:
            terms["log_pixels"] = weights.log_pixels * log_l1_loss(found.float(), aimed).mean()
        if weights.ssim:
            terms["ssim"] = weights.ssim * ssim_loss(found, aimed)
        if weights.texture_energy:
            loss = texture_energy_loss(found, aimed, places_N1HW=_outside_components(judged))
            terms["texture_energy"] = weights.texture_energy * loss
        if self._has_pyramid(moment):
            terms["pyramid"] = weights.pyramid * pyramid_loss(pyramid, sample.clean)
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
                judged.whole(),
                sample.clean,
                distance=weights.identity_distance,
                weight=weights.identity,
            )
        return terms

    def restorer(self) -> Restorer:
        """Return the moving average as it restores films."""
        config = self._config
        side_px = CROP_SIZE_PX if config.network == "lite" else config.data.size_px
        network = self.parts["generator"].averaged()
        return wrap_restorer(network, side_px=side_px, device=self._device)

    def validate(self, moment: Moment) -> tuple[dict[str, float], Preview]:
        """Return the L1 errors of fixed samples before and after, and pictures."""
        del moment
        network = self.parts["generator"].averaged()
        shown = moved(preview_batch(self._data, count=_PREVIEW_ROWS), self._device)
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


def _outside_components(judged: GanBatch) -> Tensor:
    """Return ``(N, 1, H, W)``: 0 on eyes and mouths, 1 elsewhere.

    What is there are lines that everyone knows the places of; texture in their stead shows.
    """
    whole = torch.ones_like(judged.sample.clean[:, :1])
    for picture, boxes in zip(whole, judged.sample.boxes_xyxy.cpu(), strict=True):
        for box in boxes:
            x0, y0, x1, y1 = (max(0, round(float(each))) for each in box)
            picture[:, y0:y1, x0:x1] = 0
    return judged.crop.of(whole)
