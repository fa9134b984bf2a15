"""Whether a film is interlaced, whatever its flags say: FFmpeg's ``idet`` on a sample of it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice

import av

from vidrestore.media.color.pixel_formats import frame_planes, source_layout
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.fields.filter_graph import FilterGraph, gray_picture, luma_8bit
from vidrestore.media.input.decoder import VideoDecoder
from vidrestore.media.input.video_info import FieldOrder, VideoInfo

_PLACES = (Fraction(1, 10), Fraction(9, 20), Fraction(4, 5))
FRAMES_PER_PLACE = 25
_TALLEST_INTERLACED = 1088
"""No format with fields has more lines."""
_WHOLE_FILM_SECONDS = 3.0
"""Shorter films are looked at from their start only."""
_LEAST_DECIDED = 8
"""Frames of a place that must show motion for it to tell anything."""
_CLEAR_SHARE = 0.5
"""Of these, how many must comb: of telecined film, half of the frames do."""
_CONTRARY_SHARE = 0.1
"""How many of them may comb in the other order."""
_PROGRESSIVE_SHARE = 0.9
_CYCLE = 5
_LEAST_CYCLES = 3
_CYCLES_ALIKE = 0.8
_INDEXED = "mov,"
"""Containers whose index lists every packet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDetection:
    """What a sample of a film's frames shows."""

    frames: int
    """Size of the sample."""
    flagged: int
    """How many say that they are interlaced."""
    top_first: int
    """How many comb as frames do whose top field is the earlier one."""
    bottom_first: int
    progressive: int
    """How many show one moment; the rest show no motion to tell by."""
    order: FieldOrder
    """What is clear from that; ``unknown`` where nothing is."""
    pulldown: bool
    """Whether fields come back in the rhythm of 3:2 pulldown: film at 24 frames per second,
    spread over 60 fields."""


def detect_fields(info: VideoInfo, *, until_clear: bool = False) -> FieldDetection:
    """Look at up to three short stretches of a film.

    Fields are told apart by luma alone. A film counts as interlaced if one stretch of it is. Of
    films with more lines than any format with fields has, nothing is looked at.

    Args:
        info: Of a film.
        until_clear: Leave a stretch as soon as it is clear that it shows single moments; the
            sample is smaller then, and decides the same.

    Raises:
        MediaError: Reading fails for another reason than damage.
    """
    may_have_fields = info.geometry.coded_hw[0] <= _TALLEST_INTERLACED
    places = _places(info, until_clear=until_clear) if may_have_fields else []
    found = [Counter(each.seen) for each in places]
    total = sum(found, Counter[str]())
    return FieldDetection(
        frames=sum(len(each.seen) for each in places),
        flagged=sum(each.flagged for each in places),
        top_first=total["tff"],
        bottom_first=total["bff"],
        progressive=total["progressive"],
        order=_order(found),
        pulldown=any(_is_pulldown(each.repeated) for each in places),
    )


@dataclass(slots=True, eq=False)
class _Place:
    """What ``idet`` says of every frame of a stretch."""

    seen: list[str]
    """``tff``, ``bff``, ``progressive`` or ``undetermined``, each frame judged for itself: with
    ``idet``'s memory, one frame judged by its noise would speak for many without motion."""
    repeated: list[str]
    """``top`` or ``bottom`` where that field is the one of the frame before, or ``neither``."""
    flagged: int = 0

    @property
    def is_clearly_progressive(self) -> bool:
        """Whether the frames to come cannot make it look interlaced any more."""
        moments = self.seen.count("progressive")
        combs = "tff" in self.seen or "bff" in self.seen
        comes_back = any(each != "neither" for each in self.repeated)
        return moments > (1 - _CLEAR_SHARE) * FRAMES_PER_PLACE and not combs and not comes_back


def _starts_ticks(info: VideoInfo) -> list[int | None]:
    length = info.duration_seconds
    if length is None or length < _WHOLE_FILM_SECONDS:
        return [None]
    starts = [info.origin_seconds + place * Fraction(length) for place in _PLACES]
    return [int(start / info.time_base) for start in starts]


def _places(info: VideoInfo, *, until_clear: bool) -> list[_Place]:
    """Look at every place; where key frames are rare, two begin at the same one, and are one."""
    found: dict[int | None, _Place] = {}
    decoder = VideoDecoder(info.path, info.video_stream_index)
    try:
        with media_errors(info.path):
            for start in _distinct(info, decoder):
                frames = _decoded(info, decoder, start)
                first = next(frames, None)
                if first is not None and first.pts not in found:
                    stretch = chain([first], frames)
                    found[first.pts] = _look(info, stretch, until_clear=until_clear)
    finally:
        decoder.close()
    return [*found.values()]


def _distinct(info: VideoInfo, decoder: VideoDecoder) -> list[int | None]:
    """Return where to begin, in ticks, without places that are known to be one."""
    starts = _starts_ticks(info)
    if len(starts) == 1 or not info.container.startswith(_INDEXED):
        return starts
    entries = decoder.stream.index_entries
    landings = {entries.search_timestamp(start or 0): start for start in reversed(starts)}
    return [start for start in starts if start in landings.values()]


def _look(info: VideoInfo, frames: Iterable[av.VideoFrame], *, until_clear: bool) -> _Place:
    place = _Place([], [])
    detector = FilterGraph([("idet", "")], size_hw=info.geometry.coded_hw, format_name="gray")
    for number, decoded in enumerate(frames):
        place.flagged += decoded.interlaced_frame
        luma = frame_planes(decoded, source_layout(decoded.format.name))[0]
        _note(place, detector.pushed(gray_picture(luma_8bit(luma, info.pixel_format), number)))
        if until_clear and place.is_clearly_progressive:
            break
    _note(place, detector.finished())
    return place


def _decoded(
    info: VideoInfo, decoder: VideoDecoder, start_ticks: int | None
) -> Iterator[av.VideoFrame]:
    """Yield frames of one format from a key frame on."""
    for decoded in islice(decoder.frames(start_ticks), FRAMES_PER_PLACE):
        size_hw = (decoded.height, decoded.width)
        if (size_hw, decoded.format.name) != (info.geometry.coded_hw, info.pixel_format_name):
            return
        yield decoded


def _note(place: _Place, pictures: Sequence[av.VideoFrame]) -> None:
    for picture in pictures:
        told = picture.metadata
        place.seen.append(told["lavfi.idet.single.current_frame"])
        place.repeated.append(told["lavfi.idet.repeated.current_frame"])


def _order(places: Sequence["Counter[str]"]) -> FieldOrder:
    found: set[FieldOrder] = set()
    names: tuple[tuple[str, str, FieldOrder], ...] = (
        ("tff", "bff", "top first"),
        ("bff", "tff", "bottom first"),
    )
    for place in places:
        decided = place["tff"] + place["bff"] + place["progressive"]
        if decided < _LEAST_DECIDED:
            continue
        for name, other, order in names:
            if (
                place[name] >= _CLEAR_SHARE * decided
                and place[other] <= _CONTRARY_SHARE * place[name]
            ):
                found.add(order)
    if len(found) == 1:
        return found.pop()
    total = sum(places, Counter[str]())
    decided = total["tff"] + total["bff"] + total["progressive"]
    clear = decided >= _LEAST_DECIDED and total["progressive"] >= _PROGRESSIVE_SHARE * decided
    return "progressive" if clear and not found else "unknown"


def _is_pulldown(repeated: Sequence[str]) -> bool:
    """Whether fields come back in the rhythm of 3:2 pulldown.

    Once in five frames that is the top field, and two or three frames later the bottom field.
    """
    cycles = len(repeated) // _CYCLE
    if cycles < _LEAST_CYCLES:
        return False
    for phase in range(_CYCLE):
        for apart in (2, 3):
            expected = ["neither"] * _CYCLE
            expected[phase], expected[(phase + apart) % _CYCLE] = "top", "bottom"
            alike = sum(
                list(repeated[at : at + _CYCLE]) == expected
                for at in range(0, cycles * _CYCLE, _CYCLE)
            )
            if alike >= max(_LEAST_CYCLES, _CYCLES_ALIKE * cycles):
                return True
    return False
