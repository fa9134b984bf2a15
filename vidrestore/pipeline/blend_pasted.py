"""Stage: pasted faces blended over time, and the film's grain put back on them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from vidrestore.media.color.region_rgb import add_luma_change, region_luma
from vidrestore.paste.composite import PasteResult
from vidrestore.paste.grain import grain_to_add
from vidrestore.pipeline.on_device.stages import PasteTarget
from vidrestore.restore.detail_blending import FaceImage, luma_changes
from vidrestore.restore.settings import TemporalConfig
from vidrestore.types import FloatArray

_Pasted = tuple[PasteTarget, PasteResult]


def blend_pasted(
    frames: Iterable[_Pasted], *, config: TemporalConfig, grain: float
) -> Iterator[_Pasted]:
    """Yield every frame with the luma of its faces blended inside their masks, in order.

    A face alone in its track, as in a single image, is not blended. Holds as many
    later frames as the passes of ``luma_changes`` reach; of earlier ones, the luma of the faces.

    Args:
        frames: With their faces pasted, in presentation order.
        config: How many neighbors count, and how much.
        grain: How much of the source's grain is added, 0 to 1.
    """
    described = ((item, _face_images(*item)) for item in frames)
    items = (((item, images), images) for item, images in described)
    for ((target, pasted), images), changes in luma_changes(items, config=config):
        yield target, _with_changes(pasted, target, images, changes, grain)


def _face_images(target: PasteTarget, pasted: PasteResult) -> dict[int, FaceImage]:
    source, result = target.shown.frame, pasted.frame
    is_bottom_field = None if source.field_of is None else source.is_bottom_field
    images: dict[int, FaceImage] = {}
    for face, part in zip(target.shown.faces, pasted.faces, strict=True):
        if part is not None:
            box = part.mask.box_xyxy
            images[face.aligned.face.track_id] = FaceImage(
                origin_xy=(box[0], box[1]),
                before_hw=region_luma(source, box),
                after_hw=region_luma(result, box),
                strength=part.strength,
                is_bottom_field=is_bottom_field,
            )
    return images


def _with_changes(
    pasted: PasteResult,
    target: PasteTarget,
    images: Mapping[int, FaceImage],
    changes: Mapping[int, FloatArray],
    grain: float,
) -> PasteResult:
    if not changes and not (grain and images):
        return pasted
    frame = pasted.frame
    changed = range(3 if frame.pixel_format.model == "rgb" else 1)
    planes = [
        np.array(plane) if number in changed else plane for number, plane in enumerate(frame.planes)
    ]
    for face, part in zip(target.shown.faces, pasted.faces, strict=True):
        if part is None:
            continue
        track = face.aligned.face.track_id
        image, change = images[track], changes.get(track)
        if grain:
            result = image.after_hw if change is None else image.after_hw + change
            added = grain_to_add(image.before_hw, result, part.mask.mask_hw, part.mask.skin)
            if added is not None:
                added *= np.float32(grain)
                change = added if change is None else change + added
        if change is not None:
            weight = part.mask.mask_hw * np.float32(part.strength)
            weighted = np.asarray(change * weight, dtype=np.float32)
            add_luma_change(planes, frame, part.mask.box_xyxy, weighted)
    return replace(pasted, frame=frame.with_planes(tuple(planes)))
