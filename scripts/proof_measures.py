"""What the networks of a proof's checkpoints do to held-out faces, for ``prove_training.py``."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.metrics.psnr_ssim import gradient_magnitude, psnr_db, ssim
from vidrestore.models.prior_restorer import PriorRestorer
from vidrestore.models.stylegan2.generator import StyleGAN2Generator
from vidrestore.training.data.dataset import FaceEvalDataset, FaceSample
from vidrestore.training.engine.checkpoint import read_checkpoint
from vidrestore.training.engine.loop import load_train_states
from vidrestore.training.engine.run import RunConfig
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.losses.component_loss import component_crops
from vidrestore.training.losses.feature_extractors import load_feature_network
from vidrestore.training.losses.identity import IdentityNetwork, identity_loss
from vidrestore.training.losses.perceptual import perceptual_terms
from vidrestore.training.losses.regularizers import (
    PathLengthMean,
    path_length_penalty,
    r1_penalty,
)
from vidrestore.training.tasks.generated_faces import GeneratedConfig, GeneratedFaces
from vidrestore.training.tasks.parser import colorize_labels
from vidrestore.training.tasks.psfrgan import PsfrganTask

CPU = torch.device("cpu")
SHEET_ROWS = 5
STYLE_SEED, STYLE_FACES = 12345, 16


class TrainedRun:
    """The networks of a checkpoint; moving averages where there are some."""

    def __init__(self, config: RunConfig, checkpoint: Path) -> None:
        torch.manual_seed(config.seed)
        self._config, self._task = config, config.build_task(device=CPU)
        load_train_states(self._task.train_states, read_checkpoint(checkpoint)["networks"])
        self._networks = {
            name: state.network if state.ema is None else state.ema_network()
            for name, state in self._task.train_states.items()
        }

    def restored(self, degraded: Tensor) -> Tensor:
        """Return restored faces in [-1, 1], of the side of ``degraded``."""
        if isinstance(self._task, PsfrganTask):
            return self._task.restorer().restore_images(unit_range(degraded)) * 2 - 1
        name = "generator" if self._config.parser is None else "parser"
        with torch.no_grad():
            image = self._networks[name](degraded).image
        return F.interpolate(image, degraded.shape[-2:], mode="bilinear")

    def measures(self, faces: FaceSample, identity: IdentityNetwork) -> dict[str, float]:
        """Return what is measured on held-out faces."""
        config = self._config
        if config.stylegan2 is not None:
            return _measure_prior(self._networks, faces)
        restored = self.restored(faces.degraded)
        if config.parser is None:
            with torch.no_grad():
                return restorer_measures(restored, faces, identity) | self._style_error()
        state = RunState(step=0, steps=config.steps, seed=config.seed, device=CPU)
        scores, _ = self._task.validate(state)
        psnr = float(psnr_db(unit_range(restored), unit_range(faces.target)).mean())
        return {"psnr_db": psnr, "mean_f1": scores["mean_f1"]}

    def _style_error(self) -> dict[str, float]:
        """Return the squared error of the styles of generated faces that no run has drawn."""
        network, restorer = self._networks.get("generator"), self._config.restorer
        if not isinstance(network, PriorRestorer) or restorer is None:
            return {}
        faces = GeneratedFaces(
            FaceEvalDataset(restorer.data, seed=0),
            network.stylegan_decoder,
            GeneratedConfig(probability=1.0, pool=STYLE_FACES, repeats=1),
            recipes=restorer.data.recipes,
            size_px=restorer.data.size_px,
            seed=STYLE_SEED,
        )
        degraded = torch.stack([faces[index].degraded for index in range(STYLE_FACES)])
        true = torch.stack([faces.style(index) for index in range(STYLE_FACES)])
        styles = network(degraded, draws=False).styles
        return {"style_error": float((styles - true[:, None]).square().mean())}

    def columns(self, faces: FaceSample) -> list[Tensor]:
        """Return the columns of a sheet, ``(N, 3, S, S)`` in [-1, 1]."""
        config = self._config
        if config.stylegan2 is not None:
            rng = torch.Generator().manual_seed(1)
            codes = torch.randn(SHEET_ROWS * 4, config.stylegan2.style_dim, generator=rng)
            with torch.no_grad():
                return list(self._networks["generator"](codes).chunk(4))
        columns = [faces.degraded, self.restored(faces.degraded), faces.target]
        if config.parser is not None:
            with torch.no_grad():
                logits = self._networks["parser"](faces.degraded).logits
            columns.insert(1, colorize_labels(logits.argmax(dim=1)))
        return columns


def restorer_measures(
    restored: Tensor, faces: FaceSample, identity: IdentityNetwork
) -> dict[str, float]:
    """Return errors of restored faces, and their sharpness relative to the true faces."""
    target, features = faces.target, load_feature_network(None)
    unit, true = unit_range(restored), unit_range(target)
    parts, true_parts = (component_crops(image, faces.boxes_xyxy) for image in (unit, true))
    compared = perceptual_terms(features, restored, target, content_weight=1.0, style_weight=1.0)
    small, true_small = (F.adaptive_avg_pool2d(image, 8) for image in (unit, true))
    return {
        "psnr_db": float(psnr_db(unit, true).mean()),
        "ssim": float(ssim(unit, true).mean()),
        "coarse_error": 255 * float((small - true_small).abs().mean()),
        "perceptual": float(compared["perceptual"]),
        "style": float(compared["style"]),
        "identity_distance": float(
            identity_loss(identity, restored, target, distance="cosine")
        ),
        "sharpness": _sharpness(unit, true),
        "component_error": 255 * float(np.mean([
            float((parts[name] - true_parts[name]).abs().mean()) for name in parts
        ])),
        "component_sharpness": float(
            np.mean([_sharpness(parts[name], true_parts[name]) for name in parts])
        ),
    }  # fmt: skip


def _measure_prior(networks: Mapping[str, nn.Module], faces: FaceSample) -> dict[str, float]:
    """Return what the two penalties of a prior hold down."""
    generator = networks["generator"]
    assert isinstance(generator, StyleGAN2Generator)
    rng = torch.Generator().manual_seed(0)
    width = generator.style_mlp(torch.zeros(1, generator.num_style_feat)).shape[1]
    codes = generator.style_mlp(torch.randn(16, width, generator=rng)).detach()
    latents, mean = generator.to_w_plus(codes), PathLengthMean(decay=1.0)
    spread = path_length_penalty(generator.synthesize, latents, mean, rng=rng, weight=1, interval=1)
    with torch.no_grad():
        drawn = generator.synthesize(latents)
    slope = r1_penalty(networks["discriminator"], faces.target, weight=2.0, interval=1)
    return {
        "discriminator_slope": float(slope.detach()),
        "path_variation": float(spread.detach()) ** 0.5 / float(mean.value),
        "drawn_contrast": float(drawn.std(dim=(2, 3)).mean()),
        "true_contrast": float(faces.target.std(dim=(2, 3)).mean()),
    }


def _sharpness(restored: Tensor, target: Tensor) -> float:
    return float((gradient_magnitude(restored) / gradient_magnitude(target)).mean())


def unit_range(image: Tensor) -> Tensor:
    """Return an image of [-1, 1] in [0, 1]."""
    return (image / 2 + 0.5).clamp(0, 1)
