"""Generates training faces of nonexistent people, by number, and leaves out malformed ones.

A face depends on its number and the settings alone.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.faces.detection.detector import Detector
from vidrestore.media.images.jpeg import jpeg_parameters
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.safeguard.checks import yaw_ratio
from vidrestore.training.data.component_boxes import component_boxes
from vidrestore.training.data.preparation.prepared_folder import PreparedFolder, PrepareReport
from vidrestore.types import CROP_SIZE_PX

_SEARCH_PX = 256
"""Side at which faces are detected; the detector's last network takes 48 pixels anyway."""
_LATENT_STREAM, _TRUNCATION_STREAM = 0, 1
"""Random streams of a number."""

EmbeddingNorm: TypeAlias = Callable[[NDArray[np.uint8]], float]
"""Returns the norm of the embedding of an aligned face ``(S, S, 3)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateConfig:
    """Ranges of the random draws, and conditions on a face."""

    truncation: tuple[float, float] = (0.6, 0.95)
    """Range of the distance from the mean style; near 1 faces vary most, and some are malformed."""
    min_score: float = 0.98
    """Minimum score of the detector."""
    norm: tuple[float, float] = (1.25, 1.8)
    """Range of the norm of an embedding; 48 inspected faces had 1.36 to 1.70."""
    eye_asymmetry: float = 0.65
    """Maximum of ``eye_asymmetry`` for frontal faces; inspected faces had up to 0.57."""
    turned: float = 0.12
    """Maximum ``yaw_ratio`` of faces whose eyes are compared."""

    def __post_init__(self) -> None:
        low, high = self.truncation
        if not 0 <= low <= high <= 1:
            raise ConfigError(f"truncation must be two numbers from 0 to 1, got {self.truncation}")


def draw_latent(number: int, config: GenerateConfig) -> tuple[Tensor, Tensor]:
    """Return the latent in Z ``(1, 512)`` and the truncation ``(1, 1)`` of a numbered face."""
    latent_rng = np.random.default_rng((number, _LATENT_STREAM))
    latent = torch.from_numpy(latent_rng.standard_normal((1, 512), dtype=np.float32))
    low, high = config.truncation
    position = np.random.default_rng((number, _TRUNCATION_STREAM)).random()
    return latent, torch.tensor([[low + (high - low) * position]], dtype=torch.float32)


@torch.inference_mode()
def generate_face(
    network: MobileStyleGAN, number: int, config: GenerateConfig
) -> NDArray[np.uint8]:
    """Return a numbered face, ``(512, 512, 3)`` RGB.

    Raises:
        WeightsError: The image is not finite.
    """
    device = network.get_buffer("mean_style").device
    latent, truncation = draw_latent(number, config)
    image = network(latent.to(device), truncation=truncation.to(device))[0].float()
    if not bool(torch.isfinite(image).all()):
        raise WeightsError(
            f"face {number} is not finite: the generator's weights are damaged, or its precision "
            "is too low"
        )
    levels = ((image.clamp(-1, 1) + 1) * 127.5).round().byte()
    return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())


def eye_asymmetry(face_hwc: NDArray[np.uint8], landmarks_xy: NDArray[np.float64]) -> float:
    """Return the difference of the left eye and the mirrored right eye, relative to their contrast.

    Args:
        face_hwc: RGB.
        landmarks_xy: ``(5, 2)`` in the image.

    Returns:
        0 for a symmetric face, 1 for uncorrelated eyes.
    """
    luma = cv2.cvtColor(face_hwc, cv2.COLOR_RGB2GRAY).astype(np.float32)
    left, right = (_crop_eye(luma, box) for box in component_boxes(landmarks_xy)[:2])
    left, right = left - left.mean(), right[:, ::-1] - right.mean()
    contrast = float(np.sqrt((left**2).mean() + (right**2).mean()))
    return float(np.sqrt(((left - right) ** 2).mean()) / max(1e-6, contrast))


def _crop_eye(luma_hw: NDArray[np.float32], box_xyxy: NDArray[np.float64]) -> NDArray[np.float32]:
    x0, y0, x1, y1 = box_xyxy
    side = 24
    to_eye = np.array([[side / (x1 - x0), 0.0, 0.0], [0.0, side / (y1 - y0), 0.0]])
    to_eye[:, 2] = -to_eye[[0, 1], [0, 1]] * [x0, y0]
    blurred = cv2.GaussianBlur(luma_hw, (0, 0), max(0.1, (x1 - x0) / side / 2))
    return np.asarray(cv2.warpAffine(blurred, to_eye, (side, side)), np.float32)


def check_generated_face(
    face_hwc: NDArray[np.uint8],
    detector: Detector,
    config: GenerateConfig,
    embedding_norm: EmbeddingNorm | None = None,
) -> tuple[str, NDArray[np.float64] | None]:
    """Return why a face is left out and None, or "" and its landmarks ``(5, 2)``."""
    size_wh = (_SEARCH_PX, _SEARCH_PX)
    small = np.asarray(cv2.resize(face_hwc, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    (detections,) = detector.detect([small])
    faces = [face for face in detections if face.score >= config.min_score]
    if not faces:
        return "no face", None
    if len(faces) > 1:
        return "more than one face", None
    landmarks = faces[0].landmarks_xy.astype(np.float64)
    landmarks = (landmarks + 0.5) * (face_hwc.shape[0] / _SEARCH_PX) - 0.5
    if (
        yaw_ratio(landmarks) <= config.turned
        and eye_asymmetry(face_hwc, landmarks) > config.eye_asymmetry
    ):
        return "asymmetric eyes", None
    if embedding_norm is not None:
        low, high = config.norm
        if not low <= embedding_norm(face_hwc) <= high:
            return "unusual norm of the embedding", None
    return "", landmarks


def generate(
    target: Path,
    *,
    first: int,
    count: int,
    network: MobileStyleGAN,
    detector: Detector,
    config: GenerateConfig,
    embedding_norm: EmbeddingNorm | None = None,
    on_face: Callable[[int], None] = lambda number: None,
) -> PrepareReport:
    """Generate ``count`` numbers; write the faces that pass the checks, and ``faces.tsv``.

    A call with the same settings continues an interrupted one.

    Args:
        target: A new or empty folder, or one of a call with the same settings.
        first: The first number.
        count: Count of numbers, including those whose faces are left out.
        network: The generator from ``load_mobile_stylegan``, on any device.
        detector: Detects landmarks, and images without a face.
        config: Ranges of the draws, and conditions on a face.
        embedding_norm: Measures the embedding's norm; None skips this check.
        on_face: Called after every number.

    Raises:
        ConfigError: The folder contains other files, or a number is negative.
        WeightsError: An image of the generator is not finite.
    """
    if first < 0 or count < 1:
        raise ConfigError(f"first must be >= 0 and count >= 1, got {first} and {count}")
    folder = PreparedFolder.open(target, asdict(config))
    try:
        for number in range(first, first + count):
            if str(number) not in folder:
                face = generate_face(network, number, config)
                reason, landmarks = check_generated_face(face, detector, config, embedding_norm)
                rows = [] if landmarks is None else [_write_face(target, number, face, landmarks)]
                folder.add(str(number), rows, {} if landmarks is not None else {reason: 1})
            on_face(number)
    finally:
        folder.write_table()
    return folder.report()


def _write_face(
    target: Path, number: int, face: NDArray[np.uint8], landmarks: NDArray[np.float64]
) -> list[str]:
    """Write a face; return its row of the table."""
    name = f"{number:07d}.jpg"
    if not cv2.imwrite(str(target / name), face[:, :, ::-1], jpeg_parameters(95)):
        raise ConfigError(f"{target / name}: cannot be written")
    values = [f"{value:.1f}" for value in (*landmarks.ravel(), CROP_SIZE_PX, CROP_SIZE_PX)]
    boxes = [f"{edge:.1f}" for edge in component_boxes(landmarks).ravel()]
    return [name, *values, f"mobile_stylegan:{number}", "", *boxes]
