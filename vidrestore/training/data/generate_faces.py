"""Training faces of nobody, by the package's own generator, numbered, and filtered for broken ones.

A face depends on its number and the settings alone: not on what was made before, nor on the batch.
"""

import json
from collections.abc import Callable, Sequence
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
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.training.data.component_boxes import COMPONENTS, component_boxes
from vidrestore.training.data.face_table import POINT_COLUMNS
from vidrestore.training.data.photo_checks import yaw_ratio
from vidrestore.training.data.prepare_faces import TABLE, PrepareReport
from vidrestore.types import CROP_SIZE_PX

_SETTINGS, _LOG = "generated.json", "numbers.tsv"
_SEARCH_PX = 256
"""Side at which faces are looked for; the detector's last network sees 48 pixels anyway."""
_CODE, _TRUNCATION = 0, 1
"""What a number's random streams are for."""

Typicality: TypeAlias = Callable[[NDArray[np.uint8]], float]
"""An aligned face ``(S, S, 3)`` to the norm of its embedding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateConfig:
    """Which faces are drawn, and which of them are fit."""

    truncation: tuple[float, float] = (0.6, 0.95)
    """Least and most distance from the mean style: near 1 faces vary most and some are broken."""
    min_score: float = 0.98
    """Of the detector."""
    norm: tuple[float, float] = (1.25, 1.8)
    """Least and most norm of an embedding; 48 faces looked at had 1.36 to 1.70."""
    eye_asymmetry: float = 0.65
    """Largest difference of one eye and the other's mirror image, in parts of their contrast, of
    frontal faces; those looked at had up to 0.57."""
    turned: float = 0.12
    """How far the nose may lie off the middle of the eyes where eyes are compared."""

    def __post_init__(self) -> None:
        low, high = self.truncation
        if not 0 <= low <= high <= 1:
            raise ConfigError(f"truncation must be two numbers from 0 to 1, got {self.truncation}")


def drawn_codes(numbers: Sequence[int], config: GenerateConfig) -> tuple[Tensor, Tensor]:
    """Return codes in Z ``(N, 512)`` and truncations ``(N, 1)`` of numbered faces."""
    codes = [
        np.random.default_rng((number, _CODE)).standard_normal(512, dtype=np.float32)
        for number in numbers
    ]
    low, high = config.truncation
    shares = [
        [low + (high - low) * np.random.default_rng((number, _TRUNCATION)).random()]
        for number in numbers
    ]
    return torch.from_numpy(np.stack(codes)), torch.tensor(shares, dtype=torch.float32)


@torch.inference_mode()
def drawn_faces(
    network: MobileStyleGAN, numbers: Sequence[int], config: GenerateConfig
) -> list[NDArray[np.uint8]]:
    """Return numbered faces, ``(512, 512, 3)`` RGB each.

    Raises:
        WeightsError: A picture is not finite.
    """
    place = network.get_buffer("mean_style")
    z, truncation = (each.to(place.device) for each in drawn_codes(numbers, config))
    faces: list[NDArray[np.uint8]] = []
    # One by one: rounding in a batch of another size would be another picture.
    for at in range(len(numbers)):
        picture = network(z[at : at + 1], truncation=truncation[at : at + 1])[0].float()
        if not bool(torch.isfinite(picture).all()):
            raise WeightsError(
                f"face {numbers[at]} is not finite: the generator's weights are damaged, or its "
                "precision is too low"
            )
        levels = ((picture.clamp(-1, 1) + 1) * 127.5).round().byte()
        faces.append(np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy()))
    return faces


def eye_asymmetry(face_hwc: NDArray[np.uint8], landmarks_xy: NDArray[np.float64]) -> float:
    """Return how far the left eye is from the right eye's mirror image, in parts of contrast.

    Args:
        face_hwc: RGB.
        landmarks_xy: ``(5, 2)`` in it.

    Returns:
        0 for a symmetric face; 1 where the eyes have nothing in common.
    """
    luma = cv2.cvtColor(face_hwc, cv2.COLOR_RGB2GRAY).astype(np.float32)
    left, right = (_eye(luma, box) for box in component_boxes(landmarks_xy)[:2])
    left, right = left - left.mean(), right[:, ::-1] - right.mean()
    contrast = float(np.sqrt((left**2).mean() + (right**2).mean()))
    return float(np.sqrt(((left - right) ** 2).mean()) / max(1e-6, contrast))


def _eye(luma_hw: NDArray[np.float32], box_xyxy: NDArray[np.float64]) -> NDArray[np.float32]:
    x0, y0, x1, y1 = box_xyxy
    side = 24
    to_eye = np.array([[side / (x1 - x0), 0.0, 0.0], [0.0, side / (y1 - y0), 0.0]])
    to_eye[:, 2] = -to_eye[[0, 1], [0, 1]] * [x0, y0]
    soft = cv2.GaussianBlur(luma_hw, (0, 0), max(0.1, (x1 - x0) / side / 2))
    return np.asarray(cv2.warpAffine(soft, to_eye, (side, side)), np.float32)


def fault_of(
    face_hwc: NDArray[np.uint8],
    detector: Detector,
    config: GenerateConfig,
    typicality: Typicality | None = None,
) -> tuple[str, NDArray[np.float64] | None]:
    """Return why a generated face is not fit, "" if it is, and its landmarks ``(5, 2)``."""
    side = (_SEARCH_PX, _SEARCH_PX)
    small = np.asarray(cv2.resize(face_hwc, side, interpolation=cv2.INTER_AREA), np.uint8)
    (found,) = detector.detect([small])
    sure = [face for face in found if face.score >= config.min_score]
    if not sure:
        return "no sure face", None
    if len(sure) > 1:
        return "more than one face", None
    landmarks = sure[0].landmarks_xy.astype(np.float64)
    landmarks = (landmarks + 0.5) * (face_hwc.shape[0] / _SEARCH_PX) - 0.5
    if (
        yaw_ratio(landmarks) <= config.turned
        and eye_asymmetry(face_hwc, landmarks) > config.eye_asymmetry
    ):
        return "unlike eyes", None
    if typicality is not None:
        low, high = config.norm
        if not low <= typicality(face_hwc) <= high:
            return "unlike a face to the identity network", None
    return "", landmarks


def generate(
    target: Path,
    *,
    first: int,
    count: int,
    network: MobileStyleGAN,
    detector: Detector,
    config: GenerateConfig,
    typicality: Typicality | None = None,
    on_face: Callable[[int], None] = lambda number: None,
) -> PrepareReport:
    """Write the fit faces among ``count`` numbers to ``target``: JPEGs and ``faces.tsv``.

    The same command again goes on where it was cut off.

    Args:
        target: A folder that is new, empty, or was begun with the same settings.
        first: The first number.
        count: How many numbers, of which some are dropped.
        network: As ``load_mobile_stylegan`` gives it, on any device.
        detector: Finds landmarks and faces that are none.
        config: What is drawn and what is fit.
        typicality: Judges faces by the norm of their embedding.
        on_face: Called with every number that is done.

    Raises:
        ConfigError: The folder holds something else, or numbers are negative.
        WeightsError: The generator gives numbers that are not finite.
    """
    if first < 0 or count < 1:
        raise ConfigError(
            f"numbers of faces start at 0 and there must be one, got {first}, {count}"
        )
    report = PrepareReport()
    _begin(target, config)
    rows = _done(target)
    try:
        for number in range(first, first + count):
            if number not in rows:
                (face,) = drawn_faces(network, [number], config)
                reason, landmarks = fault_of(face, detector, config, typicality)
                cells = "" if landmarks is None else _written(target, number, face, landmarks)
                rows[number] = (reason, cells)
                with (target / _LOG).open("a", encoding="utf-8") as file:
                    file.write(f"{number}\t{reason}\t{cells}\n")
            reason, cells = rows[number]
            report.images += 1
            report.kept += int(not reason)
            if reason:
                report.dropped[reason] += 1
            on_face(number)
    finally:
        boxes = [f"{name}_{side}" for name in COMPONENTS for side in ("x0", "y0", "x1", "y1")]
        columns = ["file", *POINT_COLUMNS, "eff_res512", "native_px", "source", "mask", *boxes]
        lines = ["\t".join(columns), *(cells for _, (_, cells) in sorted(rows.items()) if cells)]
        (target / TABLE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return report


def _begin(target: Path, config: GenerateConfig) -> None:
    settings = json.dumps(asdict(config), indent=1)
    path = target / _SETTINGS
    if path.is_file():
        if path.read_text(encoding="utf-8") != settings:
            raise ConfigError(f"{target}: was begun with other settings; name another folder")
        return
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target}: is not an empty folder; name another, or empty it")
    target.mkdir(parents=True, exist_ok=True)
    path.write_text(settings, encoding="utf-8")


def _done(target: Path) -> dict[int, tuple[str, str]]:
    """Return what became of numbers that are done: why not fit, and the row of the table."""
    log = target / _LOG
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True) if log.is_file() else []
    if lines and not lines[-1].endswith("\n"):  # cut off while it was written
        log.write_text("".join(lines[:-1]), encoding="utf-8")
        lines.pop()
    rows = [line.rstrip("\n").split("\t", 2) for line in lines]
    return {int(number): (reason, cells) for number, reason, cells in rows}


def _written(
    target: Path, number: int, face: NDArray[np.uint8], landmarks: NDArray[np.float64]
) -> str:
    """Write a face and return its row of the table."""
    name = f"{number:07d}.jpg"
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
    full_chroma = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    if not cv2.imwrite(str(target / name), face[:, :, ::-1], [*quality, *full_chroma]):
        raise ConfigError(f"{target / name}: could not be written")
    values = [*landmarks.ravel(), CROP_SIZE_PX, CROP_SIZE_PX]
    corners = component_boxes(landmarks).ravel()
    cells = [[f"{value:.1f}" for value in part] for part in (values, corners)]
    return "\t".join([name, *cells[0], f"mobile_stylegan:{number}", "", *cells[1]])
