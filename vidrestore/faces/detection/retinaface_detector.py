"""RetinaFace through facexlib: slower than MTCNN, more reliable on hard pictures.

Deng et al., "RetinaFace: Single-Shot Multi-Level Face Localisation in the Wild", CVPR 2020.
"""

import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vidrestore.errors import UnknownModelError, WeightsError
from vidrestore.faces.config import DetectorConfig
from vidrestore.faces.detection.boxes import suppress_contained
from vidrestore.faces.detection.detector import Picture, check_pictures
from vidrestore.faces.tracking.association import assign_detections
from vidrestore.types import Detection

RETINAFACE_FILES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "retinaface": ("retinaface_resnet50", "detection_Resnet50_Final.pth"),
        "retinaface-mobile": ("retinaface_mobile0.25", "detection_mobilenet0.25_Final.pth"),
    }
)
"""Our name to facexlib's, and the file name that facexlib insists on."""


class RetinaFaceDetector:
    """RetinaFace as a ``Detector``. It cannot search a single place cheaply."""

    has_fast_refine = False

    def __init__(
        self,
        name: str,
        weights_path: Path,
        *,
        config: DetectorConfig | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """Load a verified checkpoint from the disk.

        Args:
            name: A key of ``RETINAFACE_FILES``.
            weights_path: The checkpoint, with its name from ``RETINAFACE_FILES``.
            config: Smallest face and threshold.
            device: Device of the network.

        Raises:
            UnknownModelError: ``name`` is not known.
            WeightsError: The file is missing, misnamed, or does not fit.
        """
        self._config = config or DetectorConfig()
        self._device = torch.device(device)
        self._network = _loaded(name, weights_path, self._device)

    def detect(self, pictures: Sequence[Picture]) -> list[tuple[Detection, ...]]:
        """Search whole pictures; see ``Detector.detect``."""
        check_pictures(pictures)
        if not pictures:
            return []
        bgr = torch.from_numpy(np.stack(pictures)[..., ::-1].astype(np.float32))
        with torch.inference_mode():
            boxes, points = self._network.batched_detect_faces(
                bgr, conf_threshold=self._config.retinaface_threshold
            )
        return [
            tuple(suppress_contained(self._detections(*each)))
            for each in zip(boxes, points, strict=True)
        ]

    def refine(self, picture: Picture, guesses: Sequence[Detection]) -> list[Detection | None]:
        """Search the whole picture; return the nearest face for each guess, if one is near."""
        (seen,) = self.detect([picture])
        paired = assign_detections(guesses, seen)
        return [seen[paired[row]] if row in paired else None for row in range(len(guesses))]

    def _detections(
        self, boxes: NDArray[np.float32], points: NDArray[np.float32]
    ) -> list[Detection]:
        faces: list[Detection] = []
        for box, ten in zip(boxes.reshape(-1, 5), points.reshape(-1, 10), strict=True):
            left, top, right, bottom, score = (float(value) for value in box)
            if max(right - left, bottom - top) < self._config.min_face_px:
                continue
            faces.append(
                Detection(
                    # Edges of samples to centres of samples.
                    box_xyxy=(left - 0.5, top - 0.5, right - 0.5, bottom - 0.5),
                    score=min(1.0, score),
                    landmarks_xy=ten.reshape(5, 2).astype(np.float32) - np.float32(0.5),
                )
            )
        return faces


def _loaded(name: str, weights_path: Path, device: torch.device) -> Any:
    if name not in RETINAFACE_FILES:
        known = ", ".join(sorted(RETINAFACE_FILES))
        raise UnknownModelError(f"unknown detector {name!r}; choose from: {known}")
    facexlib_name, file_name = RETINAFACE_FILES[name]
    if not weights_path.is_file():
        raise WeightsError(f"{weights_path}: no such file; fetch the {name} checkpoint first")
    if weights_path.name != file_name:  # with another name facexlib would download one
        raise WeightsError(f"{weights_path}: has the wrong name; rename it to {file_name}")
    # facexlib takes seconds to import, so the default detector must not import it.
    from facexlib.detection import (
        init_detection_model,  # pyright: ignore[reportUnknownVariableType]
    )

    try:
        with warnings.catch_warnings():  # facexlib calls torchvision's ResNet by an old signature
            warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
            return init_detection_model(
                facexlib_name, device=str(device), model_rootpath=str(weights_path.parent)
            )
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{weights_path}: cannot load into {name}: {error}") from error
