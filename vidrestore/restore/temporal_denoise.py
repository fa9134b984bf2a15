"""Stage: temporal denoising of face crops."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from torch import Tensor

from vidrestore.devices import retry_out_of_memory
from vidrestore.restore.motion_average import CropView, make_view, motion_compensated_average
from vidrestore.restore.settings import TemporalConfig
from vidrestore.sliding_window import Item, Window, sliding_window
from vidrestore.types import AlignedFrame

_Views = Mapping[int, CropView]
"""Crops of one frame, by track."""


def denoise_frames(
    frames: Iterable[AlignedFrame], *, config: TemporalConfig
) -> Iterator[AlignedFrame]:
    """Yield every frame with ``denoised_chw`` of its faces, in order.

    Tracks end at cuts, so nothing crosses one. A face alone in its track, as in a single image,
    stays as it is. Buffers ``context_frames`` later frames; of as many earlier ones, only the
    crops.

    Args:
        frames: In presentation order.
        config: How many neighbors count, and how much.
    """
    views = ((frame, _views_of(frame)) for frame in frames)
    for frame, denoised in _denoise(views, config):
        faces = (
            replace(face, denoised_chw=denoised.get(face.face.track_id)) for face in frame.faces
        )
        yield replace(frame, faces=tuple(faces))


def denoise_clip(
    crops: Iterable[Tensor], *, config: TemporalConfig, coarse_color: bool = False
) -> Iterator[Tensor]:
    """Yield the denoised crops of one face in one shot.

    Args:
        crops: ``(3, S, S)`` float32 RGB in [0, 1], in order.
        config: How many neighbors count, and how much.
        coarse_color: Whether their film stores color at a lower resolution than luma, as nearly
            all do.
    """
    views = ((crop, {0: make_view(crop, coarse_color=coarse_color)}) for crop in crops)
    for crop, denoised in _denoise(views, config):
        yield denoised.get(0, crop)


@retry_out_of_memory
def _views_of(frame: AlignedFrame) -> _Views:
    coarse_color = has_coarse_color(frame)
    return {
        face.face.track_id: make_view(face.crop_chw, coarse_color=coarse_color)
        for face in frame.faces
    }


def has_coarse_color(frame: AlignedFrame) -> bool:
    """Whether color is stored at a lower resolution than luma, or is none."""
    pixel_format = frame.frame.pixel_format
    is_coarse = pixel_format.model == "gray" or pixel_format.chroma_shift_xy != (0, 0)
    return frame.is_monochrome or is_coarse


def _denoise(
    items: Iterable[tuple[Item, _Views]], config: TemporalConfig
) -> Iterator[tuple[Item, dict[int, Tensor]]]:
    """Yield every item with the denoised crop of each track that has neighbors in time."""
    context = config.context_frames
    for window in sliding_window(items, before=context, after=context):
        denoised = {track: _average(track, window, config.strength) for track in window.value}
        yield window.item, {track: crop for track, crop in denoised.items() if crop is not None}


@retry_out_of_memory
def _average(track: int, window: Window[Item, _Views], strength: float) -> Tensor | None:
    current = window.value[track]

    def same_face(frames: Iterable[_Views]) -> list[CropView]:
        views = (views[track] for views in frames if track in views)
        return [view for view in views if view.crop_chw.shape == current.crop_chw.shape]

    before, after = window.before, window.after
    adjacent = same_face([*before[:1], *after[:1]])
    distant = same_face([*before[1:], *after[1:]])
    if not adjacent and not distant:
        return None
    return motion_compensated_average(current, adjacent, distant, strength=strength)
