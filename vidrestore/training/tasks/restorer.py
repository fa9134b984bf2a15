"""Train a restorer on pairs: GFP-GAN, MMRB and ``lite`` differ in their loss weights.

The losses are those of GFP-GAN (Wang et al. 2021, section 3.5) and MMRB (Hu et al. 2022,
section 3.4): reconstruction by pixels, pyramid and perceptual features, a global discriminator,
three discriminators of components, and identity; and our own choice of the temporal loss of Lai et
al. 2018. A term of weight zero is left out, with its networks.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.models.gfpgan.clean import GFPGANClean
from vidrestore.models.gfpgan.original import GFPGAN
from vidrestore.models.prior_restorer import PriorRestorer
from vidrestore.models.stylegan2.synthesis import sample_noise
from vidrestore.restore.restorer import Restorer
from vidrestore.training.data.clip_pairs import FramePair
from vidrestore.training.data.dataset import FaceSample, limit_resolution
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.loop import Preview
from vidrestore.training.engine.optimizer_step import LoggedTerms, OptimizerStep
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.engine.train_state import TrainState
from vidrestore.training.losses.feature_extractors import load_feature_network
from vidrestore.training.losses.freeze import frozen_weights
from vidrestore.training.losses.identity import identity_loss, load_identity_network
from vidrestore.training.losses.perceptual import perceptual_terms
from vidrestore.training.losses.pixel import l1_loss, log_l1_loss, pyramid_loss, ssim_loss
from vidrestore.training.tasks.base import FaceTask, make_preview
from vidrestore.training.tasks.batches import face_batches, to_device
from vidrestore.training.tasks.build import build_generator
from vidrestore.training.tasks.discriminators import CropWindow, GanBatch, build_discriminators
from vidrestore.training.tasks.generated_faces import GeneratedFaces
from vidrestore.training.tasks.restorer_config import RestorerConfig
from vidrestore.training.tasks.temporal import crop_pair
from vidrestore.training.validation import wrap_restorer
from vidrestore.types import CROP_SIZE_PX

_PREVIEW_ROWS = 6
_NOISE_STREAM, _PAIR_STREAM, _PAIR_NOISE_STREAM = 1000, 2000, 3000
"""Random streams of noise, and of windows and noise of pairs; the index of the micro-batch is
added."""

PIXEL_LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {
        "l1": l1_loss,
        "log_l1": lambda output, target: log_l1_loss(output.float(), target).mean(),
        "ssim": ssim_loss,
    }
)
"""Field of ``LossWeights`` -> its loss of output and target, ``(N, 3, H, W)`` in [-1, 1]."""


class RestorerTask(FaceTask):
    """Trains a restorer, and the discriminators that its loss weights need."""

    def __init__(self, config: RestorerConfig, *, seed: int, device: torch.device) -> None:
        super().__init__(config.data, config.batch, seed=seed, device=device, clips=config.clips)
        self._config = config
        weights = config.loss_weights
        self._network = build_generator(config).to(device)
        generator = TrainState(
            network=self._network,
            optimizer_config=config.generator_adam(),
            ema_decay=config.ema_decay,
        )
        takes_noise = isinstance(self._network, GFPGAN | GFPGANClean | PriorRestorer)
        self._draws_noise = config.draw_noise and takes_noise
        self._discriminators = build_discriminators(config, device)
        train_states = {"generator": generator}
        for discriminator in self._discriminators:
            train_states |= discriminator.train_states
        self.train_states: Mapping[str, TrainState] = train_states
        self._features = (
            load_feature_network(config.feature_weights).to(device)
            if weights.perceptual or weights.style
            else None
        )
        self._identity = (
            load_identity_network(config.identity_weights).to(device)
            if weights.identity and config.identity_weights is not None
            else None
        )

        self._generated = self._generated_faces(seed)

    def _generated_faces(self, seed: int) -> GeneratedFaces | None:
        config, network = self._config, self._network
        if config.generated is None or not isinstance(network, PriorRestorer):
            return None
        # A copy: the network's own may be tuned, and is on the device.
        prior = copy.deepcopy(network.stylegan_decoder).cpu().eval().requires_grad_(False)
        return GeneratedFaces(
            self._dataset,
            prior,
            config.generated,
            recipes=config.data.recipes,
            size_px=config.data.size_px,
            seed=seed,
        )

    def batches(
        self, *, first_step: int, context: DistributedContext
    ) -> Iterator[Sequence[FaceSample]]:
        """Yield the micro-batches, generated faces among them where the config has them."""
        batches = super().batches(first_step=first_step, context=context)
        if self._generated is None:
            return batches
        return face_batches(self._generated, self._batch, first_step=first_step, context=context)

    def _style_term(
        self, styles_NLF: Tensor, run_state: RunState, *, micro_batch: int
    ) -> Tensor | None:
        """Return the squared error of the styles of a micro-batch's generated faces."""
        generated, batch = self._generated, self._batch
        if generated is None:
            return None
        local = self._context.local_indices(batch.size, micro_batches=batch.accumulation_steps)
        first = run_state.step * batch.size
        count = len(styles_NLF)
        indices = [first + index for index in local[micro_batch * count :][:count]]
        drawn = [row for row, index in enumerate(indices) if generated.is_generated(index)]
        if not drawn:
            return None
        true = torch.stack([generated.style(indices[row]) for row in drawn]).to(styles_NLF.device)
        return (styles_NLF[drawn].float() - true[:, None]).square().mean()

    def step(
        self, batches: Sequence[FaceSample], run_state: RunState, optimizer_step: OptimizerStep
    ) -> LoggedTerms:
        """Update the restorer, then the discriminators on its output."""
        self._network.train()
        outputs: list[GanBatch] = []
        pairs = None if self._temporal is None else self._temporal.next_step()

        def generator_terms(sample: FaceSample) -> dict[str, Tensor]:
            sample = to_device(sample, self._device)
            windows = self._draw_windows(sample, run_state, micro_batch=len(outputs))
            window, texture_window = windows
            options: dict[str, Any] = {"with_pyramid": True} if self._has_pyramid(run_state) else {}
            if self._draws_noise:
                options["noise"] = self._draw_noise(
                    run_state, _NOISE_STREAM + len(outputs), len(sample.target)
                )
            if not self._config.loss_weights.looks_at_output:
                options["draws"] = False
            restored = self._network(window.crop(sample.degraded), **options)
            batch = GanBatch(sample, window, restored.image, texture_window, self._context)
            outputs.append(batch.detach())
            terms = self._content_terms(batch, restored.pyramid, run_state)
            if self._config.loss_weights.styles and restored.styles is not None:
                term = self._style_term(restored.styles, run_state, micro_batch=len(outputs) - 1)
                if term is not None:
                    terms["styles"] = self._config.loss_weights.styles * term
            for discriminator in self._discriminators:
                terms |= discriminator.generator_terms(batch)
            if pairs is not None:
                pair = pairs[len(outputs) - 1]
                terms["temporal"] = self._temporal_loss(pair, run_state, len(outputs) - 1)
            return terms

        states = [state for name, state in self.train_states.items() if name != "generator"]
        with frozen_weights(*(state.network for state in states)):
            logged = optimizer_step.apply(
                "generator", self.train_states["generator"], batches, generator_terms, run_state
            )
        for discriminator in self._discriminators:
            logged |= discriminator.update(outputs, run_state, optimizer_step)
        return logged

    def _temporal_loss(self, pair: FramePair, run_state: RunState, micro_batch: int) -> Tensor:
        """Return the weighted temporal loss; both frames of a pair get the same noise."""
        assert self._temporal is not None
        size_px = pair.target.shape[-1]
        window = CropWindow.draw(
            run_state.generator(_PAIR_STREAM + micro_batch),
            side=self._config.crop_px or size_px,
            within=size_px,
        )
        options: dict[str, Any] = {}
        if self._draws_noise:
            noise = self._draw_noise(run_state, _PAIR_NOISE_STREAM + micro_batch, len(pair.target))
            options["noise"] = [torch.cat([level, level]) for level in noise]
        loss = self._temporal.loss(
            lambda degraded: self._network(degraded, **options).image,
            crop_pair(pair, y=window.y, x=window.x, side=window.side),
        )
        return self._config.loss_weights.temporal * loss

    def _draw_noise(self, run_state: RunState, stream: int, batch: int) -> list[Tensor]:
        """Draw the noise of this process's part of a micro-batch."""
        context, rng = self._context, run_state.generator(stream)
        side_px = self._config.drawn_px
        levels = sample_noise(side_px, batch=batch * context.size, generator=rng)
        return [context.own_part(level) for level in levels]

    def _draw_windows(
        self, sample: FaceSample, run_state: RunState, *, micro_batch: int
    ) -> tuple[CropWindow, CropWindow]:
        """Draw the window that the network sees, and the texture window inside it."""
        generator = run_state.generator(micro_batch)
        size_px = sample.target.shape[-1]
        crop_px = self._config.crop_px or size_px
        window = CropWindow.draw(generator, side=crop_px, within=size_px)
        side = min(self._config.texture_px, crop_px)
        return window, CropWindow.draw(generator, side=side, within=crop_px)

    def _has_pyramid(self, run_state: RunState) -> bool:
        weights = self._config.loss_weights
        return weights.pyramid > 0 and run_state.step < weights.pyramid_until

    def _content_terms(
        self, batch: GanBatch, pyramid: Sequence[Tensor], run_state: RunState
    ) -> dict[str, Tensor]:
        weights, sample = self._config.loss_weights, batch.sample
        ratio = sample.resolution_ratio
        target = batch.window.crop(sample.target)
        if batch.restored.shape != target.shape:
            # Drawn smaller than the crop: so is the target, which has more of its resolution then.
            ratio = (ratio * target.shape[-1] / batch.restored.shape[-1]).clamp(max=1)
            target = F.adaptive_avg_pool2d(target, batch.restored.shape[-1])
        output, target = limit_resolution(batch.restored, ratio), limit_resolution(target, ratio)
        terms: dict[str, Tensor] = {}
        for name, loss in PIXEL_LOSSES.items():
            if weight := getattr(weights, name):
                terms[name] = weight * loss(output, target)
        if self._has_pyramid(run_state):
            terms["pyramid"] = weights.pyramid * pyramid_loss(pyramid, sample.target)
        if self._features is not None:
            terms |= perceptual_terms(
                self._features,
                output,
                target,
                content_weight=weights.perceptual,
                style_weight=weights.style,
                layer_weights=weights.perceptual_layers,
                norm=weights.perceptual_norm,
            )
        if self._identity is not None:
            terms["identity"] = identity_loss(
                self._identity,
                batch.whole(),
                sample.target,
                distance=weights.identity_distance,
                weight=weights.identity,
            )
        return terms

    def restorer(self) -> Restorer:
        """Return the moving average as a ``Restorer``."""
        config = self._config
        side_px = CROP_SIZE_PX if config.network == "lite" else config.data.size_px
        network = self.train_states["generator"].ema_network()
        return wrap_restorer(network, side_px=side_px, device=self._device)

    def validate(self, run_state: RunState) -> tuple[dict[str, float], Preview]:
        """Return the L1 errors of fixed samples, degraded and restored, and their images."""
        del run_state
        network = self.train_states["generator"].ema_network()
        batch = self._preview_batch(count=_PREVIEW_ROWS)
        with torch.no_grad():
            restored = network(batch.degraded).image
        degraded, target = batch.degraded, batch.target
        if restored.shape != target.shape:
            side = restored.shape[-1]
            degraded, target = (F.adaptive_avg_pool2d(image, side) for image in (degraded, target))
        scores = {
            "l1_input": float(l1_loss(degraded, target)),
            "l1": float(l1_loss(restored, target)),
        }
        return scores, make_preview(degraded, restored, target)
