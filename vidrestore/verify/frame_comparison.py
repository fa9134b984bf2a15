"""Decode source and result together; compare frames, timestamps and samples."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from vidrestore.media.file_kinds import container_facts
from vidrestore.media.input.source import Source
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.prefetch import prefetched
from vidrestore.text import count_text, printable_text
from vidrestore.verify.checks import (
    Check,
    changed,
    kept,
    not_checked,
    not_promised,
    seconds_text,
)
from vidrestore.verify.folder_times import FolderTimes
from vidrestore.verify.frame_pairing import FrameCounts, Pairing, pair_by_order, pair_by_time
from vidrestore.verify.recorded_masks import MaskReader, RecordedChanges
from vidrestore.verify.run_files import Evidence
from vidrestore.verify.sample_comparison import SampleComparison
from vidrestore.verify.time_offset import OffsetEstimator

OnFrames: TypeAlias = Callable[[int, int | None], None]
"""Called with the number of compared frames and the estimated total, None where unknown."""

_FRAMES_AHEAD = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameResults:
    """The differences between the frames of source and result."""

    counts: FrameCounts
    samples: SampleComparison
    offset: OffsetEstimator
    is_timed: bool
    """Whether frames were paired by time, not by order."""
    folder_times: Check | None
    """The check of the times in a folder; None if the output is no folder of a film."""
    mismatch: str | None
    """Where the record differs from the source."""
    recorded_faces: int
    repaired_frames: int
    """Number of frames whose repair the record lists."""


def compare_frames(
    source: Source,
    result: Source,
    evidence: Evidence,
    *,
    earliest_seconds: Fraction,
    on_frames: OnFrames,
) -> FrameResults:
    """Decode source and result once, together.

    Args:
        source: The source, from the same time range as the result.
        result: The result.
        evidence: What the run wrote.
        earliest_seconds: Time of the first packets of the source, 0 or less.
        on_frames: Called after every frame.

    Raises:
        MediaError: A file cannot be read.
        RecordError: The record is truncated or invalid.
    """
    before, after = source.info, result.info
    is_timed = after.kind == "film"
    offset = _allowed_offset(before, after, evidence, earliest_seconds)
    counts, samples = FrameCounts(), SampleComparison()
    is_film_in_folder = before.kind == "film" and after.is_folder
    times = FolderTimes(before, after.path, offset) if is_film_in_folder else None
    comparable = (
        before.pixel_format == after.pixel_format
        and before.geometry.coded_hw == after.geometry.coded_hw
    )
    with MaskReader(evidence) as masks:
        for pairing in _pairings(source, result, is_timed=is_timed, offset=offset):
            if times is not None:
                times.add(pairing)
            counts.add(pairing)
            on_frames(max(counts.source, counts.result), before.frame_count_estimate)
            recorded = None if pairing.source is None else masks.changes_of(pairing.source)
            if comparable and pairing.source is not None and pairing.result is not None:
                changes = recorded or RecordedChanges()
                samples.add(changes.expected(pairing.source), pairing.result, changes.boxes_xyxy)
        masks.finish()
    return FrameResults(
        counts=counts,
        samples=samples,
        offset=offset,
        is_timed=is_timed,
        folder_times=None if times is None else times.check(),
        mismatch=masks.mismatch,
        recorded_faces=masks.faces,
        repaired_frames=masks.repaired_frames,
    )


def _allowed_offset(
    before: VideoInfo, after: VideoInfo, evidence: Evidence, earliest_seconds: Fraction
) -> OffsetEstimator:
    """Return the offsets by which all streams together may be moved."""
    if (
        not evidence.time_range.is_full
        or after.is_folder
        or before.origin_seconds
        or after.origin_seconds
    ):
        return OffsetEstimator()
    facts = container_facts(after.container)
    if facts.lacks_timestamps:
        # The result starts at 0, whenever the source does.
        return OffsetEstimator()
    # Audio with encoder delay starts before 0. Only edit lists store that: other muxers start at
    # 0 with this audio, and all streams start later.
    if facts.has_edit_lists or not earliest_seconds:
        return OffsetEstimator(Fraction(0), Fraction(0))
    return OffsetEstimator(earliest_seconds - after.time_base / 2, Fraction(0))


def _pairings(
    source: Source, result: Source, *, is_timed: bool, offset: OffsetEstimator
) -> Iterator[Pairing]:
    before, after = (prefetched(frames, size=_FRAMES_AHEAD) for frames in (source, result))
    if not is_timed:
        return pair_by_order(before, after)
    return pair_by_time(before, after, offset=offset, rounding_seconds=result.info.time_base / 2)


def count_frames(source: Source, result: Source, *, on_frames: OnFrames) -> tuple[int, int]:
    """Return the numbers of frames of source and result, which may differ."""
    counts = [0, 0]
    for index, frames in enumerate((source, result)):
        for _ in prefetched(frames, size=_FRAMES_AHEAD):
            counts[index] += 1
            on_frames(sum(counts), None)
    return counts[0], counts[1]


def frame_checks(results: FrameResults, before: VideoInfo, after: VideoInfo) -> Iterator[Check]:
    """Yield the checks of the number of frames, their times and names."""
    counts = results.counts
    if counts.missing or counts.extra:
        yield changed("frames", _single_frames(counts))
    else:
        yield kept("frames", count_text(counts.source, "frame"))
    if not results.is_timed:
        if results.folder_times is not None:
            yield results.folder_times
            return
        yield from _name_checks(counts, before, after)
        return
    if counts.first_moved is not None:
        first, other = counts.first_moved
        yield changed(
            "timestamps",
            f"{count_text(counts.moved, 'frame')} moved; first frame {first.index} of the source "
            f"at {seconds_text(first.timestamp.seconds)}, in the result at "
            f"{seconds_text(other.timestamp.seconds)}",
        )
    elif counts.last is None and not (counts.missing or counts.extra):
        yield not_checked("timestamps", "there is no pair of frames")
    else:
        yield kept("timestamps", _times(results.offset, after))
    yield _last_duration(counts, after)


def _single_frames(counts: FrameCounts) -> str:
    parts = [f"{counts.source} in the source, {counts.result} in the result"]
    for noun, count, first in (
        ("missing", counts.missing, counts.first_missing),
        ("extra", counts.extra, counts.first_extra),
    ):
        if first is not None:
            place = f"frame {first.index} at {seconds_text(first.timestamp.seconds)}"
            parts.append(f"{count} {noun}, first {place}")
    return "; ".join(parts)


def _times(offset: OffsetEstimator, after: VideoInfo) -> str:
    is_exact = not offset.largest_rounding_seconds
    precision = (
        "exact" if is_exact else f"rounded to the container's {seconds_text(after.time_base)}"
    )
    # The offset is known except for rounding, and most likely a whole number of ticks.
    seconds = round(offset.offset_seconds / after.time_base) * after.time_base
    if not seconds:
        return precision
    direction = "earlier" if seconds > 0 else "later"
    return f"{precision}, all {seconds_text(abs(seconds))} {direction}"


def _last_duration(counts: FrameCounts, after: VideoInfo) -> Check:
    name = "duration"
    if counts.last is None:
        return not_checked(name, "the last frames are not a pair")
    before, last = counts.last
    expected = before.duration_ticks * before.timestamp.time_base
    duration = last.duration_ticks * last.timestamp.time_base
    if not expected or not duration:
        which = "source" if not expected else "result"
        return not_checked(name, f"the {which} does not state the duration of its last frame")
    if not container_facts(after.container).stores_durations:
        return not_promised(name, f"{after.path.suffix} does not store that of the last frame")
    text = f"the last frame lasts {seconds_text(expected)}"
    if abs(expected - duration) <= after.time_base:
        return kept(name, text)
    return changed(name, f"{text} in the source, {seconds_text(duration)} in the result")


def _name_checks(counts: FrameCounts, before: VideoInfo, after: VideoInfo) -> Iterator[Check]:
    yield not_promised("timestamps", "images have no timestamps; compared in order of their names")
    if before.kind != "folder" or after.kind != "folder":
        return
    if counts.first_renamed is None:
        yield kept("names", f"{count_text(counts.source, 'image')} under the same name")
    else:
        first, other = counts.first_renamed
        yield changed(
            "names",
            f"{count_text(counts.renamed, 'image')} under another name; first "
            f"{printable_text(first.source_name or '')} became "
            f"{printable_text(other.source_name or '')}",
        )


def sample_check(
    results: FrameResults,
    before: VideoInfo,
    after: VideoInfo,
    evidence: Evidence,
    *,
    is_lossless: bool,
) -> Check:
    """Return the check of the samples outside the masks."""
    name, samples = "samples outside masks", results.samples
    if evidence.background is not None:
        return not_promised(name, f"whole frames were processed by {evidence.background}")
    if before.geometry.coded_hw != after.geometry.coded_hw:
        return not_checked(name, "the frames differ in size")
    if before.pixel_format != after.pixel_format:
        formats = f"{before.pixel_format.name} to {after.pixel_format.name}"
        return not_promised(name, f"they were converted from {formats}")
    if not samples.frames:
        return not_checked(name, "there is no pair of frames")
    if results.mismatch is not None:
        return not_checked(name, "the record is not of this source")
    if not is_lossless:
        return not_promised(name, f"{after.codec} is not lossless; {_distance(samples)}")
    if evidence.header is None:
        if samples.first is None:
            return kept(name, f"all samples of {count_text(samples.frames, 'frame')} are identical")
        advice = "pass the record of the run with --record: it lists the face positions"
        return not_checked(name, f"{advice}; {_distance(samples)}")
    if samples.first is not None:
        return changed(
            name,
            f"{count_text(samples.changed_samples, 'sample')} in "
            f"{count_text(samples.changed_frames, 'frame')}; first {samples.first}",
        )
    repaired = f"; {count_text(results.repaired_frames, 'frame')} repaired as recorded"
    return kept(
        name,
        f"bit-identical; masks cover {100 * samples.masked_ratio:.2f} % of "
        f"{count_text(samples.frames, 'frame')}{repaired if results.repaired_frames else ''}",
    )


def _distance(samples: SampleComparison) -> str:
    if samples.worst_frame is None or samples.first is None:
        return "all samples are identical"
    worst_db, index = samples.worst_frame
    return f"PSNR {samples.psnr_db:.2f} dB, lowest {worst_db:.2f} dB in frame {index}"
