"""Tunes the packaged restorer to a film: faces in, weights out, or a refusal."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.faces.detection.detector import Detector
from vidrestore.models.lite import build_lite
from vidrestore.models.registry import restorer_spec
from vidrestore.restore.settings import TemporalConfig
from vidrestore.restore.temporal_denoise import denoise_clip
from vidrestore.safeguard.identity import (
    IdentityMeter,
    embedding_norm,
    packaged_dlib_resnet,
)
from vidrestore.storage.atomic_output import check_target
from vidrestore.training.data.eval_images import read_eval_images
from vidrestore.training.data.preparation.generate_faces import GenerateConfig, generate
from vidrestore.training.data.preparation.photo_faces import PrepareConfig
from vidrestore.training.data.preparation.prepare_faces import prepare_faces
from vidrestore.training.data.video_crops import align_clip
from vidrestore.training.engine.progress import (
    ProgressCallback,
    TrainingProgress,
    ignore_progress,
)
from vidrestore.training.tuning.measured_recipe import (
    FilmQuality,
    MeasuredRecipe,
    measure_film,
)
from vidrestore.training.tuning.tuner import (
    TuneConfig,
    TuneScores,
    at_sharpness,
    score_faces,
    tune_last_layers,
)
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.interpolation import pack
from vidrestore.weights.load import load_state, read_weights
from vidrestore.weights.metadata import (
    DEFAULT_DETAIL,
    default_position,
    interpolation_metadata,
    read_metadata,
)
from vidrestore.weights.priors import load_mobile_stylegan
from vidrestore.weights.save import save_weights

_MIN_PHOTOS = 4
_MIN_PHOTO_PX = 256
"""Resolution that an aligned face of a photograph needs."""
_FILM_FRAMES = 100
_GENERATED_FACES = 32
_COMPARED_DETAILS = (0.0, 0.25, DEFAULT_DETAIL)
_HELD_OUT_RATIO = 4
"""One of so many faces is held out, to judge the result by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneReport:
    """What was tuned, and what it gained on faces that were held out."""

    quality: FilmQuality
    trained_faces: int
    held_out_faces: int
    before: TuneScores
    """Of ``lite`` at the ``--detail`` that is as sharp."""
    after: TuneScores


def tune(
    film: Path,
    target: Path,
    *,
    photos: Path | None,
    detector: Detector,
    device: torch.device,
    config: TuneConfig,
    overwrite: bool = False,
    on_progress: ProgressCallback = ignore_progress,
) -> TuneReport:
    """Write a copy of ``lite`` that is tuned to a film, and to a person if there are photographs.

    Clear faces are degraded as the film's faces are, and the last layers learn to restore them. A
    part of the faces is held out; if the tuned network does not restore them better, nothing is
    written.

    Args:
        film: Its longest track of a face is measured.
        target: File of the tuned weights, a safetensors file with two ends as ``lite`` has.
        photos: Folder of clear photographs of the person; generated faces of nobody where None.
        detector: Detects faces in film and photographs.
        device: Device of the training.
        config: How long, and how much of the network.
        overwrite: Whether ``target`` may exist.
        on_progress: Called after every step.

    Raises:
        MediaError: The film cannot be read, or ``target`` exists.
        ConfigError: A face is missing in the film, there are too few photographs, or the tuned
            network is no better.
        NonFiniteLossError: Training diverged.
    """
    check_target(target, source_path=film, overwrite=overwrite)
    crops = align_clip(film, detector=detector, max_frames=_FILM_FRAMES)
    with tempfile.TemporaryDirectory() as folder:
        if photos is None:
            faces = _generated_faces(Path(folder) / "faces", detector)
        else:
            faces = _photographed_faces(photos, Path(folder) / "faces", detector)
    quality = measure_film(crops)
    recipe = MeasuredRecipe(quality=quality)
    held_out, trained = faces[::_HELD_OUT_RATIO], _all_but_every(faces, _HELD_OUT_RATIO)
    meter = IdentityMeter(packaged_dlib_resnet(), device=device)
    weights, position = _packaged_weights((*_COMPARED_DETAILS, 1.0))
    lite = build_lite().eval().to(device)

    def scores_at(detail: float) -> TuneScores:
        load_state(lite, weights[detail], target)
        return score_faces(lite, held_out, recipe, meter=meter, seed=config.seed)

    def show(step: int, loss: float) -> None:
        on_progress(
            TrainingProgress(stage="training", step=step, steps=config.steps, terms={"l1": loss})
        )

    untuned = [scores_at(detail) for detail in _COMPARED_DETAILS]
    start = weights[DEFAULT_DETAIL]
    load_state(lite, start, target)
    frames: list[Tensor] = []
    if config.temporal_weight:
        # As the program gives them to the restorer.
        frames += denoise_clip(crops, config=TemporalConfig(), coarse_color=True)
    tune_last_layers(lite, trained, recipe, config=config, film=frames, on_step=show)
    after = score_faces(lite, held_out, recipe, meter=meter, seed=config.seed)
    before = at_sharpness(untuned, after.sharpness)
    report = TuneReport(
        quality=quality,
        trained_faces=len(trained),
        held_out_faces=len(held_out),
        before=before,
        after=after,
    )
    if not after.is_gain_over(before):
        raise ConfigError(
            f"{film}: tuning gained nothing on {len(held_out)} faces that were held out (PSNR "
            f"{before.psnr_db:.2f} to {after.psnr_db:.2f} dB, identity distance "
            f"{before.identity_distance:.3f} to {after.identity_distance:.3f}, sharpness "
            f"{before.sharpness:.2f} to {after.sharpness:.2f}), so nothing was written; give more "
            "photographs or more steps, or restore with --model lite"
        )
    change = {name: tensor.cpu() - start[name] for name, tensor in lite.state_dict().items()}
    metadata = {
        "model": "lite",
        "licence": restorer_spec("lite").license,
        "recipe": "vidrestore tune",
        "steps": str(config.steps),
    }
    ends = [_moved(weights[detail], change) for detail in (0.0, 1.0)]
    save_weights(pack(*ends), target, metadata | interpolation_metadata(position))
    return report


def _packaged_weights(details: Sequence[float]) -> tuple[dict[float, dict[str, Tensor]], float]:
    """Return the weights of ``lite`` at some values of ``--detail``, and its default position."""
    file = restorer_spec("lite").packaged_file
    if file is None:
        raise ConfigError("lite has no packaged weights to start from")
    with bundled_file(file) as path:
        weights = {detail: read_weights(path, detail=detail).state for detail in details}
        position = default_position(read_metadata(path), path)
    return weights, 1.0 if position is None else position


def _moved(state: Mapping[str, Tensor], change: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor + change[name] for name, tensor in state.items()}


def _photographed_faces(photos: Path, folder: Path, detector: Detector) -> list[Tensor]:
    config = PrepareConfig(min_px=_MIN_PHOTO_PX, largest_only=True)
    report = prepare_faces(photos, folder, detector=detector, config=config)
    faces = [face for _, face in read_eval_images(folder, min_effective_px=_MIN_PHOTO_PX)]
    if len(faces) < _MIN_PHOTOS:
        reasons = ", ".join(f"{count} {reason}" for reason, count in report.dropped.items())
        raise ConfigError(
            f"{photos}: {len(faces)} clear faces, {_MIN_PHOTOS} are needed"
            + (f" (left out: {reasons})" if reasons else "")
            + f"; add photographs whose face is {_MIN_PHOTO_PX} px or larger"
        )
    return faces


def _generated_faces(folder: Path, detector: Detector) -> list[Tensor]:
    generate(
        folder,
        first=0,
        count=_GENERATED_FACES,
        network=load_mobile_stylegan(),
        detector=detector,
        config=GenerateConfig(),
        embedding_norm=embedding_norm(packaged_dlib_resnet(), device=torch.device("cpu")),
    )
    return [face for _, face in read_eval_images(folder, min_effective_px=_MIN_PHOTO_PX)]


def _all_but_every(faces: Sequence[Tensor], step: int) -> list[Tensor]:
    return [face for index, face in enumerate(faces) if index % step]
