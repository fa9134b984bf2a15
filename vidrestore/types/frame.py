"""Frames: their time, their planes, and how their samples appear on screen."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vidrestore.types.arrays import Affine, Plane
from vidrestore.types.color import ColorTags, PixelFormat
from vidrestore.types.repair import Repair


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A presentation time that survives container changes without drift."""

    ticks: int
    time_base: Fraction
    """Seconds per tick, for example ``Fraction(1, 90_000)``."""

    def __post_init__(self) -> None:
        if self.time_base <= 0:
            raise ValueError(f"time_base must be > 0, got {self.time_base}")

    @property
    def seconds(self) -> Fraction:
        """Exact time in seconds."""
        return self.ticks * self.time_base

    def rescaled(self, time_base: Fraction) -> "Timestamp":
        """Return the nearest timestamp in another time base."""
        return Timestamp(round(self.seconds / time_base), time_base)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayGeometry:
    """How coded samples map to the screen.

    Order of operations from coded to display: mirror left-right if ``mirrored``, then
    turn clockwise by ``quarter_turns``, after stretching x by ``sample_aspect_ratio``.
    """

    coded_hw: tuple[int, int]
    sample_aspect_ratio: Fraction = Fraction(1)
    quarter_turns: int = 0
    """Clockwise turns of 90 degrees a player applies, 0 to 3."""
    mirrored: bool = False
    rows: Literal["all", "top", "bottom"] = "all"
    """Rows of ``coded_hw`` that the samples occupy; those of a field are two rows apart."""

    def __post_init__(self) -> None:
        if self.quarter_turns not in (0, 1, 2, 3):
            raise ValueError(f"quarter_turns must be 0 to 3, got {self.quarter_turns}")
        if min(self.coded_hw) < 1 or self.sample_aspect_ratio <= 0:
            raise ValueError(f"impossible geometry: {self.coded_hw}, {self.sample_aspect_ratio}")

    @property
    def display_hw(self) -> tuple[int, int]:
        """Height and width a viewer sees, in square pixels (x is scaled, y never)."""
        height, width = self.coded_hw
        width = max(1, round(width * self.sample_aspect_ratio))
        return (width, height) if self.quarter_turns % 2 else (height, width)

    def of(self, frame: "Frame") -> "DisplayGeometry":
        """Return the geometry of ``frame``, which may be a field."""
        if frame.field_of is None:
            return self
        return replace(self, rows="bottom" if frame.is_bottom_field else "top")

    def coded_to_display(self) -> Affine:
        """Return the ``(2, 3)`` map from coded to display pixel centers."""
        height, width = self.coded_hw
        stretched = max(1, round(width * self.sample_aspect_ratio))
        ratio = stretched / width
        step, first = (1, 0) if self.rows == "all" else (2, int(self.rows == "bottom"))
        to_display = np.array([[ratio, 0.0, (ratio - 1) / 2], [0, step, first], [0, 0, 1]])
        if self.mirrored:
            to_display = np.array([[-1.0, 0, stretched - 1], [0, 1, 0], [0, 0, 1]]) @ to_display
        size_hw = (height, stretched)
        for _ in range(self.quarter_turns):
            turn = np.array([[0.0, -1, size_hw[0] - 1], [1, 0, 0], [0, 0, 1]])
            to_display = turn @ to_display
            size_hw = (size_hw[1], size_hw[0])
        return to_display[:2].astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One decoded frame: its planes and its time."""

    index: int
    """Position in presentation order, from 0 at the first frame read."""
    timestamp: Timestamp
    duration_ticks: int
    """Display time in ticks of ``timestamp.time_base``; 0 where the source gives none."""
    planes: tuple[Plane, ...]
    """Read-only 2-D arrays in the order of ``pixel_format``, uint8 or uint16."""
    pixel_format: PixelFormat
    color: ColorTags
    source_name: str | None = None
    """File name inside an image sequence; None for films."""
    interlaced: bool = False
    top_field_first: bool = False
    key_frame: bool = False
    """Whether decoding can start here."""
    field_of: "Frame | None" = None
    """The frame that a field was taken from; None if this is a frame."""
    is_bottom_field: bool = False
    """Whether this is the bottom field."""
    repair: Repair | None = None
    """What was repaired in the frame; None if its samples are as decoded."""

    def __post_init__(self) -> None:
        if len(self.planes) != self.pixel_format.plane_count:
            raise ValueError(
                f"{self.pixel_format.name} has {self.pixel_format.plane_count} planes, "
                f"got {len(self.planes)}"
            )
        dtype = np.uint8 if self.pixel_format.bit_depth == 8 else np.uint16
        for number, plane in enumerate(self.planes):
            if plane.shape != self.pixel_format.plane_hw(number, self.coded_hw):
                raise ValueError(f"plane {number} of {self.pixel_format.name} is {plane.shape}")
            if plane.dtype != dtype:
                raise ValueError(f"plane {number} of {self.pixel_format.name} is {plane.dtype}")

    @property
    def coded_hw(self) -> tuple[int, int]:
        """Height and width of the frame or field."""
        height, width = self.planes[0].shape
        return height, width

    @property
    def whole_hw(self) -> tuple[int, int]:
        """Height and width of the whole frame, of which this may be a field."""
        return self.coded_hw if self.field_of is None else self.field_of.coded_hw

    @property
    def decoded(self) -> "Frame":
        """The frame before it was repaired."""
        return self if self.repair is None else self.repair.source

    def with_planes(self, planes: tuple[Plane, ...]) -> "Frame":
        """Return the same frame with other samples."""
        return replace(self, planes=planes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RgbView:
    """A small upright RGB rendering of a frame, for detection of faces and cuts."""

    rgb_hwc: NDArray[np.uint8]
    """``(h, w, 3)``, gamma-encoded RGB, display orientation, square pixels."""
    view_to_display: Affine
    """Map from pixels of the view to display pixels."""

    def __post_init__(self) -> None:
        if self.rgb_hwc.ndim != 3 or self.rgb_hwc.shape[2] != 3:
            raise ValueError(f"rgb_hwc must be (h, w, 3), got {self.rgb_hwc.shape}")
        if self.view_to_display.shape != (2, 3):
            raise ValueError(f"view_to_display must be (2, 3), got {self.view_to_display.shape}")
