"""The stage that keeps noise from trembling on: frames in, the same frames out."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from vidrestore.restore.motion_average import Sighting, motion_compensated_average, sketch_of
from vidrestore.restore.settings import TemporalDenoiseConfig
from vidrestore.types import AlignedFrame


def denoise_frames(
    frames: Iterable[AlignedFrame], *, config: TemporalDenoiseConfig
) -> Iterator[AlignedFrame]:
    """Yield every frame with ``denoised_chw`` of its faces, in order.

    Tracks end at cuts, so that nothing crosses one. A face alone in its track, as in a single
    picture, stays as it is. Holds ``reach_frames`` frames that come after, and of as many before
    only the crops.

    Args:
        frames: In presentation order.
        config: How far to look, and how much to take.
    """
    held: deque[AlignedFrame] = deque()

    def moments() -> Iterator[Mapping[int, Tensor]]:
        for frame in frames:
            held.append(frame)
            yield {each.face.track_id: each.crop_chw for each in frame.faces}

    for steadied in steadied_moments(moments(), config=config):
        frame = held.popleft()
        yield replace(
            frame,
            faces=tuple(
                replace(each, denoised_chw=steadied.get(each.face.track_id)) for each in frame.faces
            ),
        )


def denoise_clip(crops: Iterable[Tensor], *, config: TemporalDenoiseConfig) -> Iterator[Tensor]:
    """Yield the crops of one face in one shot as a restorer is shown them.

    Args:
        crops: ``(3, S, S)`` float32 RGB in [0, 1], in order.
        config: How far to look, and how much to take.
    """
    held: deque[Tensor] = deque()

    def moments() -> Iterator[Mapping[int, Tensor]]:
        for crop in crops:
            held.append(crop)
            yield {0: crop}

    for steadied in steadied_moments(moments(), config=config):
        crop = held.popleft()
        yield steadied.get(0, crop)


def steadied_moments(
    moments: Iterable[Mapping[int, Tensor]], *, config: TemporalDenoiseConfig
) -> Iterator[dict[int, Tensor]]:
    """Yield for every moment the steadied crop of each track that has neighbours in time.

    A crop depends on the same track in the ``reach_frames`` moments to each side, and on no others.

    Args:
        moments: Track -> its ``(3, S, S)`` crop, in order.
        config: How far to look, and how much to take.
    """
    past: deque[dict[int, Sighting]] = deque(maxlen=config.reach_frames)
    ahead: deque[dict[int, Sighting]] = deque()
    for crops in moments:
        ahead.append({track: Sighting(crop, sketch_of(crop)) for track, crop in crops.items()})
        if len(ahead) > config.reach_frames:
            yield _next_steadied(past, ahead, config)
    while ahead:
        yield _next_steadied(past, ahead, config)


def _next_steadied(
    past: deque[dict[int, Sighting]],
    ahead: deque[dict[int, Sighting]],
    config: TemporalDenoiseConfig,
) -> dict[int, Tensor]:
    now = ahead.popleft()
    sides = ([*reversed(past)], [*ahead])
    past.append(now)
    steadied: dict[int, Tensor] = {}
    for track, here in now.items():
        nearest = _sightings(track, [side[:1] for side in sides])
        farther = _sightings(track, [side[1:] for side in sides])
        if nearest or farther:
            steadied[track] = motion_compensated_average(
                here, nearest, farther, strength=config.strength
            )
    return steadied


def _sightings(track: int, sides: Sequence[Sequence[dict[int, Sighting]]]) -> list[Sighting]:
    return [each[track] for side in sides for each in side if track in each]
