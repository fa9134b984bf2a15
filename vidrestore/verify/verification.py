"""``verify``: decode source and result, and check every promise."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from vidrestore.media.file_kinds import LOSSLESS_CODECS, ffmpeg_codec
from vidrestore.media.input.inventory import read_inventory
from vidrestore.media.input.source import Source, open_source
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.record import RecordHeader
from vidrestore.storage.checksums import file_sha256
from vidrestore.text import count_text
from vidrestore.verify.checks import (
    Check,
    Verification,
    changed,
    kept,
    not_promised,
)
from vidrestore.verify.frame_comparison import (
    FrameResults,
    OnFrames,
    compare_frames,
    count_frames,
    frame_checks,
    sample_check,
)
from vidrestore.verify.metadata import description_checks
from vidrestore.verify.run_files import CHECKPOINTS, Evidence, RunReport, read_evidence
from vidrestore.verify.stream_matching import matched_streams, stream_checks
from vidrestore.verify.time_offset import OffsetEstimator
from vidrestore.verify.video_format import format_checks


def _ignore_frames(_frames: int, _total: int | None) -> None: ...


def verify(
    source: Path,
    result: Path,
    *,
    evidence_paths: Sequence[Path] = (),
    on_frames: OnFrames = _ignore_frames,
) -> Verification:
    """Decode a source and its result, and check what a restoration promises.

    Memory does not grow with their length.

    Args:
        source: Video, folder of images, or image.
        result: The output of the restoration.
        evidence_paths: The record of the run, its report, or both.
        on_frames: Called after every frame with the number of compared frames and the estimated
            total.

    Raises:
        MediaError: A file cannot be read.
        RecordError: A record or report cannot be read, or is truncated or invalid.
    """
    evidence = read_evidence(evidence_paths)
    fps = evidence.fps
    start, end = evidence.time_range.start_seconds, evidence.time_range.end_seconds
    with (
        open_source(
            source, start_seconds=start, end_seconds=end, fps=fps, program=evidence.program
        ) as before,
        open_source(result, fps=fps) as after,
    ):
        checks = tuple(_checks(before, after, evidence, on_frames))
    return Verification(source=str(source), result=str(result), checks=checks)


def _checks(
    before: Source, after: Source, evidence: Evidence, on_frames: OnFrames
) -> Iterator[Check]:
    source, result = before.info, after.info
    contents = read_inventory(source), read_inventory(result)
    pairs, _ = matched_streams(*contents)
    reason = evidence.why_frames_differ
    if reason is None:
        results = compare_frames(
            before,
            after,
            evidence,
            earliest_seconds=contents[0].earliest_seconds,
            on_frames=on_frames,
        )
        yield from frame_checks(results, source, result)
        offset, frames = results.offset, results.counts.result
        is_lossless = result.codec in LOSSLESS_CODECS or (
            evidence.header is not None and evidence.header.output.lossless
        )
        samples = sample_check(results, source, result, evidence, is_lossless=is_lossless)
    else:
        results = None
        expected, frames = count_frames(before, after, on_frames=on_frames)
        yield not_promised("frames", f"{expected} in the source, {frames} in the result: {reason}")
        samples = not_promised("samples outside masks", reason)
        offset = OffsetEstimator()
    yield from format_checks(source, result, evidence)
    yield from stream_checks(source, result, contents, evidence, offset)
    yield from description_checks(source, result, contents, pairs, evidence, offset)
    yield samples
    if evidence.header is not None:
        yield _record_check(evidence, evidence.header, source, result, results, frames)
    if evidence.report is not None:
        yield _report_check(evidence.report, evidence.header, frames)


def _record_check(
    evidence: Evidence,
    header: RecordHeader,
    source: VideoInfo,
    result: VideoInfo,
    results: FrameResults | None,
    frames: int,
) -> Check:
    """Return the check that the record is of this source and result."""
    name = "record"
    height, width = source.geometry.coded_hw
    if header.coded_hw != (height, width):
        recorded = f"{header.coded_hw[1]} x {header.coded_hw[0]}"
        return changed(
            name, f"describes a source of {recorded}, but this one is {width} x {height}"
        )
    if source.path.is_file() and (difference := _file_difference(header, source.path)):
        return changed(name, difference)
    if results is not None and results.mismatch is not None:
        return changed(name, f"describes another source: {results.mismatch}")
    if results is None and (recorded_frames := evidence.recorded_frames()) != frames:
        return changed(name, _frame_counts(recorded_frames, frames))
    codec = ffmpeg_codec(header.output.codec)
    if codec != result.codec:
        return changed(name, f"describes a result in {codec}, but this one is in {result.codec}")
    text = f"of {header.source.name!r}, restored by {header.model}"
    if results is not None:
        text += f", {count_text(results.recorded_faces, 'face')}"
    return kept(name, text)


def _file_difference(header: RecordHeader, path: Path) -> str | None:
    recorded_bytes, size_bytes = header.source.size_bytes, path.stat().st_size
    if recorded_bytes is not None and recorded_bytes != size_bytes:
        return f"describes a source of {recorded_bytes} bytes, but this one has {size_bytes}"
    if header.source.sha256 is not None and header.source.sha256 != file_sha256(path):
        return "describes a source with another checksum (sha256)"
    return None


def _report_check(report: RunReport, header: RecordHeader | None, frames: int) -> Check:
    if report.frames != frames:
        return changed("report", _frame_counts(report.frames, frames))
    if header is not None:
        pairs = ((getattr(header, name), getattr(report, name)) for name in CHECKPOINTS)
        if any(reported not in (None, recorded) for recorded, reported in pairs):
            return changed("report", "names other weights than the record")
    return kept("report", f"lists {count_text(frames, 'frame')}")


def _frame_counts(listed: int, frames: int) -> str:
    return f"lists {count_text(listed, 'frame')}, but the result has {frames}"
