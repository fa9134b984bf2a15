"""Both films decoded side by side: frames, times and samples."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from vidrestore.media import Source, VideoInfo
from vidrestore.prefetch import prefetched
from vidrestore.verify.checks import (
    Check,
    changed,
    counted,
    kept,
    not_checked,
    not_promised,
    seconds_text,
)
from vidrestore.verify.frame_pairing import FrameCounts, Pairing, paired_by_order, paired_by_time
from vidrestore.verify.recorded_masks import MaskReader
from vidrestore.verify.run_files import Evidence
from vidrestore.verify.sample_comparison import SampleComparison
from vidrestore.verify.time_offset import OffsetEstimator

OnFrames: TypeAlias = Callable[[int, int | None], None]
"""Told how many frames were compared, and how many there are about; None where unknown."""

_FRAMES_AHEAD = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pictures:
    """What was found in the frames of two films."""

    counts: FrameCounts
    samples: SampleComparison
    shift: OffsetEstimator
    timed: bool
    """Whether frames were paired by time, not by order."""
    mismatch: str | None
    """Where the record is of another film."""
    recorded_faces: int


def compare_frames(
    source: Source,
    result: Source,
    evidence: Evidence,
    *,
    earliest_seconds: Fraction,
    on_frames: OnFrames,
) -> Pictures:
    """Decode both films once, side by side.

    Args:
        source: What was restored, or the part of it that was.
        result: What was made of it.
        evidence: Of the run.
        earliest_seconds: Where the source's first packets begin, 0 or less.
        on_frames: Told how many frames were compared.

    Raises:
        MediaError: One cannot be read.
        RecordError: The record is cut off, or says what cannot be.
    """
    before, after = source.info, result.info
    timed = after.kind == "film"
    shift = _possible_shift(before, after, evidence, earliest_seconds)
    counts, samples = FrameCounts(), SampleComparison()
    comparable = (
        before.pixel_format == after.pixel_format
        and before.geometry.coded_hw == after.geometry.coded_hw
    )
    with MaskReader(evidence) as masks:
        for pairing in _pairings(source, result, timed=timed, shift=shift):
            counts.add(pairing)
            on_frames(max(counts.source, counts.result), before.frame_count_estimate)
            allowed = None if pairing.source is None else masks.of(pairing.source)
            if comparable and pairing.source is not None and pairing.result is not None:
                samples.add(pairing.source, pairing.result, allowed or ())
        masks.finish()
    return Pictures(
        counts=counts,
        samples=samples,
        shift=shift,
        timed=timed,
        mismatch=masks.mismatch,
        recorded_faces=masks.faces,
    )


def _possible_shift(
    before: VideoInfo, after: VideoInfo, evidence: Evidence, earliest_seconds: Fraction
) -> OffsetEstimator:
    """Return which common shift of all streams is no harm."""
    if evidence.is_part or before.origin_seconds or after.origin_seconds:
        return OffsetEstimator()
    if after.container == "avi":
        # It begins at 0, whenever the source does.
        return OffsetEstimator()
    # Only MP4 and MOV hold times before 0, at which sound with an encoder's delay begins: other
    # muxers begin with it, and move everything.
    holds_negative = after.container.startswith("mov")
    if holds_negative or not earliest_seconds:
        return OffsetEstimator(Fraction(0), Fraction(0))
    return OffsetEstimator(earliest_seconds - after.time_base / 2, Fraction(0))


def _pairings(
    source: Source, result: Source, *, timed: bool, shift: OffsetEstimator
) -> Iterator[Pairing]:
    before, after = (prefetched(each, size=_FRAMES_AHEAD) for each in (source, result))
    if not timed:
        return paired_by_order(before, after)
    return paired_by_time(before, after, shift=shift, rounding_seconds=result.info.time_base / 2)


def counted_frames(source: Source, result: Source, *, on_frames: OnFrames) -> tuple[int, int]:
    """Return how many frames each film has, where they are not to be the same."""
    frames = [0, 0]
    for at, each in enumerate((source, result)):
        for _ in prefetched(each, size=_FRAMES_AHEAD):
            frames[at] += 1
            on_frames(sum(frames), None)
    return frames[0], frames[1]


def frame_checks(found: Pictures, before: VideoInfo, after: VideoInfo) -> Iterator[Check]:
    """Yield what became of the number of frames and their times."""
    counts = found.counts
    if counts.missing or counts.extra:
        yield changed("frames", _alone(counts))
    else:
        yield kept("frames", counted(counts.source, "frame"))
    if not found.timed:
        yield from _name_checks(counts, before, after)
        return
    if counts.first_moved is not None:
        first, other = counts.first_moved
        yield changed(
            "time stamps",
            f"{counted(counts.moved, 'frame')} moved; first frame {first.index} of the source at "
            f"{seconds_text(first.timestamp.seconds)}, in the result at "
            f"{seconds_text(other.timestamp.seconds)}",
        )
    elif counts.last is None and not (counts.missing or counts.extra):
        yield not_checked("time stamps", "there is no pair of frames")
    else:
        yield kept("time stamps", _times(found.shift, after))
    yield _last_duration(counts, after)


def _alone(counts: FrameCounts) -> str:
    parts = [f"{counts.source} in the source, {counts.result} in the result"]
    for noun, count, first in (
        ("missing", counts.missing, counts.first_missing),
        ("too many", counts.extra, counts.first_extra),
    ):
        if first is not None:
            place = f"frame {first.index} at {seconds_text(first.timestamp.seconds)}"
            parts.append(f"{count} {noun}, first {place}")
    return "; ".join(parts)


def _times(shift: OffsetEstimator, after: VideoInfo) -> str:
    exact = not shift.largest_rounding_seconds
    said = "exact" if exact else f"rounded to the container's {after.time_base} s"
    # It is known but for rounding, and most likely a whole number of ticks.
    seconds = round(shift.shift_seconds / after.time_base) * after.time_base
    if seconds:
        said += f", all {seconds_text(abs(seconds))} {'earlier' if seconds > 0 else 'later'}"
    return said


def _last_duration(counts: FrameCounts, after: VideoInfo) -> Check:
    name = "duration"
    if counts.last is None:
        return not_checked(name, "the last frames are no pair")
    before, last = counts.last
    wanted = before.duration_ticks * before.timestamp.time_base
    shown = last.duration_ticks * last.timestamp.time_base
    if not wanted or not shown:
        which = "source" if not wanted else "result"
        return not_checked(name, f"the {which} does not say how long the last frame is shown")
    said = f"the last frame is shown for {seconds_text(wanted)}"
    if abs(wanted - shown) <= after.time_base:
        return kept(name, said)
    return changed(name, f"{said} in the source, {seconds_text(shown)} in the result")


def _name_checks(counts: FrameCounts, before: VideoInfo, after: VideoInfo) -> Iterator[Check]:
    yield not_promised("time stamps", "pictures have no clock; they were taken in order")
    if before.kind != "folder" or after.kind != "folder":
        return
    if counts.first_renamed is None:
        yield kept("names", f"{counted(counts.source, 'picture')} under the same name")
    else:
        first, other = counts.first_renamed
        yield changed(
            "names",
            f"{counted(counts.renamed, 'picture')} under another name; first "
            f"{_printable(first.source_name)} became {_printable(other.source_name)}",
        )


def _printable(name: str | None) -> str:
    return "".join(each if each.isprintable() else "?" for each in name or "")


def sample_check(
    found: Pictures,
    before: VideoInfo,
    after: VideoInfo,
    evidence: Evidence,
    *,
    lossless: bool,
) -> Check:
    """Return what became of the samples outside of the masks."""
    name, samples = "samples outside masks", found.samples
    if evidence.background is not None:
        return not_promised(name, f"the whole picture went through {evidence.background}")
    if before.geometry.coded_hw != after.geometry.coded_hw:
        return not_checked(name, "the pictures differ in size")
    if before.pixel_format != after.pixel_format:
        formats = f"{before.pixel_format.name} to {after.pixel_format.name}"
        return not_promised(name, f"they were converted from {formats}")
    if not samples.frames:
        return not_checked(name, "there is no pair of frames")
    if found.mismatch is not None:
        return not_checked(name, "the record is not of this film")
    if not lossless:
        return not_promised(name, f"{after.codec} is not lossless; {_distance(samples)}")
    if evidence.header is None:
        if samples.first is None:
            return kept(name, f"all samples of {counted(samples.frames, 'frame')} are identical")
        said = "only the record of the run says where faces are: give it with --record"
        return not_checked(name, f"{said}; {_distance(samples)}")
    if samples.first is not None:
        return changed(
            name,
            f"{counted(samples.changed_samples, 'sample')} in "
            f"{counted(samples.changed_frames, 'frame')}; first {samples.first}",
        )
    return kept(
        name,
        f"bit-identical; masks cover {100 * samples.masked_share:.2f} % of "
        f"{counted(samples.frames, 'frame')}",
    )


def _distance(samples: SampleComparison) -> str:
    if samples.worst_frame is None or samples.first is None:
        return "all of them are identical here"
    worst_db, index = samples.worst_frame
    return f"PSNR {samples.psnr_db:.2f} dB, lowest {worst_db:.2f} dB in frame {index}"
