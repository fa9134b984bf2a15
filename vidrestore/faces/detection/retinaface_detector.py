"""RetinaFace by facexlib: slower than MTCNN, more reliable on hard images.

Deng et al., "RetinaFace: Single-Shot Multi-Level Face Localization in the Wild", CVPR 2020.
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

from vidrestore.devices import retry_out_of_memory
from vidrestore.errors import UnknownModelError, WeightsError
from vidrestore.faces.detection.boxes import longer_side_px, suppress_contained
from vidrestore.faces.detection.detector import MIN_FACE_PX, RgbImage, check_images
from vidrestore.faces.tracking.association import assign_detections
from vidrestore.types import Detection

RETINAFACE_FILES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "retinaface": ("retinaface_resnet50", "detection_Resnet50_Final.pth"),
        "retinaface-mobile": ("retinaface_mobile0.25", "detection_mobilenet0.25_Final.pth"),
    }
)
"""Our name -> facexlib's, and the file name that facexlib requires."""
MIN_SCORE = 0.8
"""Minimum score of a face."""


class RetinaFaceDetector:
    """RetinaFace as a ``Detector``."""

    has_fast_refine = False

    def __init__(
        self, name: str, weights_path: Path, *, device: torch.device | str = "cpu"
    ) -> None:
        """Load a verified checkpoint from the disk.

        Args:
            name: A key of ``RETINAFACE_FILES``.
            weights_path: The checkpoint, with its name from ``RETINAFACE_FILES``.
            device: Device of the network.

        Raises:
            UnknownModelError: ``name`` is not known.
            WeightsError: The file is missing, misnamed, or does not fit.
        """
        self._device = torch.device(device)
        self._network = _load(name, weights_path, self._device)

    @retry_out_of_memory
    @torch.inference_mode()
    def detect(self, images: Sequence[RgbImage]) -> list[tuple[Detection, ...]]:
        """Search whole images; see ``Detector.detect``."""
        check_images(images)
        if not images:
            return []
        bgr = torch.from_numpy(np.stack(images)[..., ::-1].astype(np.float32))
        boxes, landmarks = self._network.batched_detect_faces(bgr, conf_threshold=MIN_SCORE)
        return [
            tuple(suppress_contained(self._to_detections(*arrays)))
            for arrays in zip(boxes, landmarks, strict=True)
        ]

    def refine(self, image: RgbImage, predictions: Sequence[Detection]) -> list[Detection | None]:
        """Search the whole image; return the nearest face for each prediction, if one is near."""
        (faces,) = self.detect([image])
        assigned = assign_detections(predictions, faces)
        return [
            faces[assigned[row]] if row in assigned else None for row in range(len(predictions))
        ]

    def _to_detections(
        self, boxes: NDArray[np.float32], landmarks: NDArray[np.float32]
    ) -> list[Detection]:
        faces: list[Detection] = []
        for row, five in zip(boxes.reshape(-1, 5), landmarks.reshape(-1, 5, 2), strict=True):
            left, top, right, bottom, score = (float(value) for value in row)
            # Edges of samples to centers of samples.
            box = (left - 0.5, top - 0.5, right - 0.5, bottom - 0.5)
            if longer_side_px(box) < MIN_FACE_PX:
                continue
            faces.append(
                Detection(
                    box_xyxy=box,
                    score=min(1.0, score),
                    landmarks_xy=five.astype(np.float32) - np.float32(0.5),
                )
            )
        return faces


def _load(name: str, weights_path: Path, device: torch.device) -> Any:
    if name not in RETINAFACE_FILES:
        known = ", ".join(sorted(RETINAFACE_FILES))
        raise UnknownModelError(f"unknown detector {name!r}; choose from: {known}")
    facexlib_name, file_name = RETINAFACE_FILES[name]
    if not weights_path.is_file():
        raise WeightsError(f"{weights_path}: file not found; fetch the {name} checkpoint first")
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
