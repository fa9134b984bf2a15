"""``--background``: runs a super-resolution network on the whole frame, and moves the faces.

Networks see upright RGB, coded pixel by coded pixel; rotation, pixel aspect and color tags stay
unchanged. A tile is treated as a small separate frame: its planes are enlarged by
interpolation, and the difference to the network's result is added to them. So the bit depth of the
film is kept, black-and-white film keeps its chroma, and alpha is interpolated.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from vidrestore.affine import compose_affines, invert_affine, scaling
from vidrestore.errors import MediaError
from vidrestore.faces.align import align_face
from vidrestore.media.color.matrices import assumed_matrix, with_stated_matrix
from vidrestore.media.color.plane_upscale import (
    upscale_planes,
    upscaled_geometry,
    upscaled_hw,
)
from vidrestore.media.color.region_rgb import add_rgb_change, region_sdr_rgb
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.pipeline.background.tiled_upscaler import Upscaler
from vidrestore.pipeline.background.tiles import Tile, split_into_tiles
from vidrestore.text import count_text
from vidrestore.types import (
    Affine,
    Box,
    DisplayGeometry,
    FloatArray,
    Frame,
    Plane,
    RestoredFace,
    RestoredFrame,
    TrackedFace,
)

_INTERLACED = (
    "each frame holds two fields, which enlarging would mix; add --deinterlace frame, or leave out "
    "--background"
)
_MIN_TILES_TO_MEASURE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundCost:
    """Cost of a frame on this machine."""

    name: str
    """Name of the network, as the user gave it."""
    device: str
    seconds_per_tile: float
    """Measured for the largest tile."""
    tiles_per_frame: int

    def line(self, frames: int | None) -> str:
        """Return one line about the cost of ``frames`` frames; None is an unknown number."""
        seconds = self.seconds_per_tile * self.tiles_per_frame
        counted = f"{count_text(self.tiles_per_frame, 'tile')} a frame"
        if frames is not None:
            seconds *= frames
            counted = f"{counted} x {count_text(frames, 'frame')}"
        unit = "a frame" if frames is None else "in all"
        return (
            f"--background {self.name}: {self.seconds_per_tile:.2g} s a tile x {counted}: about "
            f"{_duration_text(seconds)} {unit} ({self.device})"
        )


class Background:
    """Enlarges frames, and maps their faces into the enlarged frames."""

    def __init__(
        self,
        upscaler: Upscaler,
        geometry: DisplayGeometry,
        *,
        on_share: Callable[[float], None],
    ) -> None:
        """Prepare a network for frames of one film.

        Args:
            upscaler: The network.
            geometry: Display geometry of the source.
            on_share: Called after each tile with the share of the current frame that is done.
        """
        self.upscaler = upscaler
        self.scale = upscaler.scale
        self.geometry = upscaled_geometry(geometry, self.scale)
        """Display geometry of enlarged frames."""
        self._source_geometry = geometry
        self._on_share = on_share

    def upscale(self, restored: RestoredFrame, *, keep_chroma: bool) -> RestoredFrame:
        """Return the frame enlarged by the network, with its faces mapped into it.

        Args:
            restored: A frame of the source with its restored faces.
            keep_chroma: Use only the network's luma (for black-and-white and tinted shots).

        Raises:
            MediaError: The first frame is interlaced.
        """
        source = restored.frame
        if source.interlaced and source.index == 0:
            raise MediaError(f"the film is interlaced: {_INTERLACED}")
        frame = self._upscale_frame(source, keep_chroma=keep_chroma)
        moved = (self._move_face(face, frame) for face in restored.faces)
        faces = tuple(face for face in moved if face is not None)
        to_enlarged = self._display_to_enlarged()
        skipped_faces = tuple(_map_face(face, to_enlarged) for face in restored.skipped_faces)
        return replace(restored, frame=frame, faces=faces, skipped_faces=skipped_faces)

    def cost(self, frames: int | None) -> BackgroundCost | None:
        """Measure the cost of a frame on this machine, which takes as long as one tile.

        Args:
            frames: Number of frames of the film; None if unknown.

        Returns:
            None if the film has so few tiles that measuring would be a large part of the work.
        """
        tiles = self._tiles(self._source_geometry.coded_hw)
        if frames is not None and frames * len(tiles) < _MIN_TILES_TO_MEASURE:
            return None
        largest_hw = max((tile.padded_hw for tile in tiles), key=lambda hw: hw[0] * hw[1])
        return BackgroundCost(
            name=self.upscaler.name,
            device=str(self.upscaler.device),
            seconds_per_tile=self.upscaler.seconds_for(largest_hw),
            tiles_per_frame=len(tiles),
        )

    def interpolate_frame(self, frame: Frame) -> Frame:
        """Return a frame of the source enlarged by interpolation, for comparison."""
        return self._with_stated_color(upscale_planes(frame, self.scale), frame)

    def _with_stated_color(self, large: Frame, source: Frame) -> Frame:
        color = with_stated_matrix(source.color, source.pixel_format, source.coded_hw)
        if self.scale == 1:
            color = source.color
        return replace(large, color=color, interlaced=source.interlaced and self.scale == 1)

    def _upscale_frame(self, frame: Frame, *, keep_chroma: bool) -> Frame:
        size_hw = upscaled_hw(frame.coded_hw, self.scale)
        planes = [
            np.empty(frame.pixel_format.plane_hw(index, size_hw), plane.dtype)
            for index, plane in enumerate(frame.planes)
        ]
        tiles = self._tiles(frame.coded_hw)
        for number, tile in enumerate(tiles, start=1):
            part = self._upscale_tile(_crop(frame, tile.padded_xyxy), keep_chroma=keep_chroma)
            _copy_core(planes, part, tile.core_xyxy, tile.padded_xyxy, self.scale)
            self._on_share(number / len(tiles))
        for plane in planes:
            plane.flags.writeable = False
        return self._with_stated_color(frame.with_planes(tuple(planes)), frame)

    def _tiles(self, size_hw: tuple[int, int]) -> list[Tile]:
        return split_into_tiles(size_hw, self.upscaler.tile_side_px, self.upscaler.context_px)

    def _upscale_tile(self, part: Frame, *, keep_chroma: bool) -> Frame:
        """Return a small frame enlarged by the network, with an explicit color matrix."""
        base = upscale_planes(part, self.scale)
        network_rgb = self._run_network(region_sdr_rgb(part, _full_box(part)))
        change = network_rgb - region_sdr_rgb(base, _full_box(base))
        planes = [np.array(plane) for plane in base.planes]
        add_rgb_change(planes, base, _full_box(base), change, keep_chroma=keep_chroma)
        return base.with_planes(tuple(planes))

    def _run_network(self, rgb_hwc: FloatArray) -> FloatArray:
        geometry = self._source_geometry
        upright = rgb_hwc[:, ::-1] if geometry.mirrored else rgb_hwc
        upright = np.rot90(upright, k=-geometry.quarter_turns)
        image = torch.from_numpy(np.ascontiguousarray(upright)).permute(2, 0, 1)
        large = self.upscaler.upscale(image).permute(1, 2, 0).numpy()
        large = np.rot90(large, k=geometry.quarter_turns)
        return np.ascontiguousarray(large[:, ::-1] if geometry.mirrored else large)

    def _move_face(self, face: RestoredFace, frame: Frame) -> RestoredFace | None:
        """Return ``face`` in the enlarged frame; None if its crop is outside the frame.

        A new crop is cut, because the paste stage adds the change to what the enlarged frame shows.
        """
        tracked = _map_face(face.aligned.face, self._display_to_enlarged())
        crop = align_face(
            frame,
            self.geometry,
            tracked,
            device=face.restored_chw.device,
            side_px=face.aligned.side_px,
        )
        return None if crop is None else replace(face, aligned=crop)

    def _display_to_enlarged(self) -> Affine:
        to_coded = invert_affine(self._source_geometry.coded_to_display())
        to_enlarged = compose_affines(to_coded, scaling(self.scale))
        return compose_affines(to_enlarged, self.geometry.coded_to_display())


def _duration_text(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _map_face(face: TrackedFace, affine: Affine) -> TrackedFace:
    left, top, right, bottom = face.box_xyxy
    corners = np.array([[left, top], [right, bottom]]) @ affine[:, :2].T + affine[:, 2]
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    points, measured = (
        (landmarks_xy @ affine[:, :2].T + affine[:, 2]).astype(np.float32)
        for landmarks_xy in (face.landmarks_xy, face.raw_landmarks_xy)
    )
    return replace(
        face,
        box_xyxy=(float(x0), float(y0), float(x1), float(y1)),
        landmarks_xy=points,
        raw_landmarks_xy=measured,
    )


def _full_box(frame: Frame) -> Box:
    height, width = frame.coded_hw
    return 0, 0, width, height


def _crop(frame: Frame, box_xyxy: Box) -> Frame:
    """Return a box of a frame as a frame, with the color matrix of the whole frame."""
    planes: list[Plane] = []
    for index, plane in enumerate(frame.planes):
        planes.append(plane[frame.pixel_format.plane_box(index, box_xyxy)])
    color = with_stated_matrix(frame.color, frame.pixel_format, frame.coded_hw)
    if frame.pixel_format.model != "yuv":
        color = replace(color, matrix=assumed_matrix(frame.coded_hw))
    return replace(frame, planes=tuple(planes), color=color)


def _copy_core(
    planes: list[Plane],
    part: Frame,
    core_xyxy: Box,
    padded_xyxy: Box,
    scale: int,
) -> None:
    """Copy the core of an enlarged part to its place in the planes of the whole frame."""
    core_box, padded_box = _scaled(core_xyxy, scale), _scaled(padded_xyxy, scale)
    for index, plane in enumerate(planes):
        rows, columns = part.pixel_format.plane_box(index, core_box)
        outer_rows, outer_columns = part.pixel_format.plane_box(index, padded_box)
        down, across = outer_rows.start, outer_columns.start
        plane[rows, columns] = part.planes[index][
            rows.start - down : rows.stop - down, columns.start - across : columns.stop - across
        ]


def _scaled(box_xyxy: Box, scale: int) -> Box:
    left, top, right, bottom = box_xyxy
    return left * scale, top * scale, right * scale, bottom * scale


def reject_interlaced(info: VideoInfo, *, is_interlaced: bool = False) -> None:
    """Refuse interlaced films, whose fields would be mixed by enlarging.

    Args:
        info: Description of the film.
        is_interlaced: Whether its frames show that it is interlaced.

    Raises:
        MediaError: The film is interlaced.
    """
    if info.field_order in ("top first", "bottom first"):
        raise MediaError(f"{info.path}: interlaced ({info.field_order}): {_INTERLACED}")
    if is_interlaced:
        raise MediaError(f"{info.path}: interlaced, as its frames show: {_INTERLACED}")
