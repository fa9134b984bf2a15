"""Interface of face detectors."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vidrestore.types import Detection

Picture: TypeAlias = NDArray[np.uint8]
"""``(h, w, 3)`` gamma-encoded RGB."""


class Detector(Protocol):
    """Finds faces in pictures: box, score and five points, in pixels of the picture."""

    @property
    def has_fast_refine(self) -> bool:
        """Whether ``refine`` costs far less than ``detect`` on the same picture."""
        ...

    def detect(self, pictures: Sequence[Picture]) -> list[tuple[Detection, ...]]:
        """Search whole pictures.

        Args:
            pictures: RGB pictures, all of one shape.

        Returns:
            The faces of every picture, best first.
        """
        ...

    def refine(self, picture: Picture, guesses: Sequence[Detection]) -> list[Detection | None]:
        """Look for faces where they are expected.

        Args:
            picture: An RGB picture.
            guesses: Expected faces; their points give a face's roll.

        Returns:
            The face seen at each guess, or None.
        """
        ...


def check_pictures(pictures: Sequence[Picture]) -> None:
    """Raise ValueError unless all pictures are ``(h, w, 3)`` uint8 of one shape."""
    for picture in pictures:
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise ValueError(f"a picture must be (h, w, 3) uint8, got {picture.shape}")
        if picture.shape != pictures[0].shape:
            raise ValueError(f"pictures differ: {picture.shape} and {pictures[0].shape}")
