"""``verify``: both films decoded, and every promise held against them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from vidrestore.media import Source, VideoInfo, open_source
from vidrestore.media.input.inventory import film_contents
from vidrestore.media.input.video_info import DEFAULT_PICTURE_RATE
from vidrestore.record import RecordHeader
from vidrestore.storage.checksums import file_sha256
from vidrestore.verify.checks import (
    Check,
    Verification,
    changed,
    counted,
    kept,
    not_promised,
)
from vidrestore.verify.frame_comparison import (
    OnFrames,
    Pictures,
    compare_frames,
    counted_frames,
    frame_checks,
    sample_check,
)
from vidrestore.verify.metadata import description_checks
from vidrestore.verify.run_files import Evidence, read_evidence
from vidrestore.verify.stream_matching import matched_streams, stream_checks
from vidrestore.verify.time_offset import OffsetEstimator
from vidrestore.verify.video_format import format_checks

LOSSLESS = frozenset(
    {"ffv1", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "rawvideo", "v210", "v410", "r210"}
    | {"png", "tif", "bmp", "dpx", "exr"}
)
"""Codecs and pictures that keep every sample, whatever their settings."""


def not_shown(_frames: int, _total: int | None) -> None:
    """Tell nobody about the frames."""


def verify(
    source: Path,
    result: Path,
    *,
    evidence_paths: Sequence[Path] = (),
    on_frames: OnFrames = not_shown,
) -> Verification:
    """Decode a source and its result, and check what a restoration promises.

    Memory does not grow with the length of the films.

    Args:
        source: Film, folder of pictures, or picture.
        result: What was made of it.
        evidence_paths: The record of the run, its report, or both.
        on_frames: Told how many frames were compared, and how many there are about.

    Raises:
        MediaError: A film cannot be read.
        RecordError: A record or report cannot be read, is cut off, or says what cannot be.
    """
    evidence = read_evidence(evidence_paths)
    fps = evidence.fps or DEFAULT_PICTURE_RATE
    start, end = evidence.start_seconds, evidence.end_seconds
    with (
        open_source(source, start_seconds=start, end_seconds=end, fps=fps) as before,
        open_source(result, fps=fps) as after,
    ):
        checks = tuple(_checks(before, after, evidence, on_frames))
    return Verification(source=str(source), result=str(result), checks=checks)


def _checks(
    before: Source, after: Source, evidence: Evidence, on_frames: OnFrames
) -> Iterator[Check]:
    source, result = before.info, after.info
    contents = film_contents(source), film_contents(result)
    pairs, _ = matched_streams(*contents)
    other = evidence.why_frames_differ
    if other is None:
        found = compare_frames(
            before,
            after,
            evidence,
            earliest_seconds=contents[0].earliest_seconds,
            on_frames=on_frames,
        )
        yield from frame_checks(found, source, result)
        shift, frames = found.shift, found.counts.result
        lossless = result.codec in LOSSLESS or (
            evidence.header is not None and evidence.header.output.lossless
        )
        pixels = [sample_check(found, source, result, evidence, lossless=lossless)]
    else:
        found = None
        wanted, frames = counted_frames(before, after, on_frames=on_frames)
        said = f"{wanted} in the source, {frames} in the result: {other}"
        yield not_promised("frames", said)
        pixels = [not_promised("samples outside masks", other)]
        shift = OffsetEstimator()
    yield from format_checks(source, result, evidence)
    yield from stream_checks(source, result, contents, evidence, shift)
    yield from description_checks(source, result, contents, pairs, evidence, shift)
    yield from pixels
    if evidence.header is not None:
        yield _record_check(evidence, evidence.header, source, result, found, frames)
    if evidence.report is not None:
        yield _report_check(evidence.report.frames, frames)


def _record_check(
    evidence: Evidence,
    header: RecordHeader,
    source: VideoInfo,
    result: VideoInfo,
    found: Pictures | None,
    frames: int,
) -> Check:
    """Return whether a record is of these films."""
    name = "record"
    height, width = source.geometry.coded_hw
    if header.coded_hw != (height, width):
        told = f"{header.coded_hw[1]} x {header.coded_hw[0]}"
        return changed(name, f"is of a film of {told}, the source is {width} x {height}")
    if source.path.is_file() and (wrong := _other_file(header, source.path)):
        return changed(name, wrong)
    if found is not None and found.mismatch is not None:
        return changed(name, f"is of another film: {found.mismatch}")
    if found is None and (told := evidence.recorded_frames()) != frames:
        return changed(name, f"tells of {counted(told, 'frame')}, the result has {frames}")
    if header.output.codec != result.codec:
        said = f"is of a result in {header.output.codec}, this one is in {result.codec}"
        return changed(name, said)
    said = f"of {header.source.name!r}, restored by {header.model}"
    if found is not None:
        said += f", {counted(found.recorded_faces, 'face')}"
    return kept(name, said)


def _other_file(header: RecordHeader, path: Path) -> str | None:
    told, found = header.source.size_bytes, path.stat().st_size
    if told is not None and told != found:
        return f"is of a file of {told} bytes, the source has {found}"
    if header.source.sha256 is not None and header.source.sha256 != file_sha256(path):
        return "is of a file with another checksum (sha256)"
    return None


def _report_check(told: int, found: int) -> Check:
    if told == found:
        return kept("report", f"tells of {counted(told, 'frame')}")
    return changed("report", f"tells of {counted(told, 'frame')}, the result has {found}")
