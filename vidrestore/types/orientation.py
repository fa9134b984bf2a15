"""How a viewer turns the stored rows and columns of an image."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self


@dataclass(frozen=True, slots=True)
class Orientation:
    """Mirror left to right first, then turn clockwise."""

    mirrored: bool = False
    quarter_turns: int = 0
    """Clockwise turns of 90 degrees, 0 to 3."""

    def __post_init__(self) -> None:
        if self.quarter_turns not in (0, 1, 2, 3):
            raise ValueError(f"quarter_turns must be 0 to 3, got {self.quarter_turns}")

    @classmethod
    def from_exif(cls, value: int) -> Self:
        """Return the orientation of a tag of EXIF 2.32, table 6; upright for unknown values."""
        return cls(*_EXIF.get(value, (False, 0)))

    @classmethod
    def from_dpx(cls, value: int) -> Self:
        """Return the orientation of SMPTE ST 268-1:2014, table 2; upright for unknown values."""
        return cls(*(_DPX[value] if value < len(_DPX) else (False, 0)))


_EXIF: Mapping[int, tuple[bool, int]] = MappingProxyType(
    {
        1: (False, 0), 2: (True, 0), 3: (False, 2), 4: (True, 2),
        5: (True, 3), 6: (False, 1), 7: (True, 1), 8: (False, 3),
    }
)  # fmt: skip
_DPX = (
    (False, 0), (True, 0), (True, 2), (False, 2), (True, 3), (False, 1), (False, 3), (True, 1),
)  # fmt: skip
