"""Interface of face detectors."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vidrestore.types import Detection

RgbImage: TypeAlias = NDArray[np.uint8]
"""``(h, w, 3)`` gamma-encoded RGB."""
MIN_FACE_PX = 24.0
"""Smallest face to find, in pixels of the image."""


class Detector(Protocol):
    """Finds faces in images: box, score and five landmarks, in pixels of the image."""

    @property
    def has_fast_refine(self) -> bool:
        """Whether ``refine`` costs far less than ``detect`` on the same image."""
        ...

    def detect(self, images: Sequence[RgbImage]) -> list[tuple[Detection, ...]]:
        """Search whole images.

        Args:
            images: Images of one shape.

        Returns:
            The faces of every image, best first.
        """
        ...

    def refine(self, image: RgbImage, predictions: Sequence[Detection]) -> list[Detection | None]:
        """Search for faces at predicted positions.

        Args:
            image: The image to search.
            predictions: Where the faces should be; their landmarks give the roll.

        Returns:
            The face found at each prediction, or None.
        """
        ...


def check_images(images: Sequence[RgbImage]) -> None:
    """Raise ValueError unless all images are ``(h, w, 3)`` uint8 of one shape."""
    for image in images:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"an image must be (h, w, 3) uint8, got {image.shape}")
        if image.shape != images[0].shape:
            raise ValueError(f"images differ: {image.shape} and {images[0].shape}")
