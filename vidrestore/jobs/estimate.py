"""What a run would do, measured by restoring samples of the film into a temporary folder."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.jobs.engine import Engine
from vidrestore.jobs.open_video import EmptyRangeError
from vidrestore.jobs.plan import SegmentRule
from vidrestore.jobs.run import restore_with_engine
from vidrestore.media.input.source import open_source
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.progress import DownloadCallback, not_shown
from vidrestore.settings import JobSettings, RestoreSettings, config_from
from vidrestore.storage.atomic_output import check_target

_SAMPLES = 6
_SAMPLE_SECONDS = Fraction(3, 2)
_PULLDOWN_UNDONE, _FRAME_PER_FIELD = Fraction(4, 5), Fraction(2)
_RATE_TOLERANCE = Fraction(1, 10)
"""Relative: a sample holds one frame more or fewer than its length says."""
_ONE_SEGMENT = JobSettings(segment_seconds=3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Estimates of what a run would do."""

    frames: int
    """Number of frames; an estimate if the source does not state it."""
    faces: int
    """Number of restored faces over all frames, estimated from the samples."""
    segments: tuple[int, int]
    """Least and most number of segments, which depends on the cuts in the film."""
    seconds: float
    """Duration of the run on this machine, without loading the networks."""
    disk_bytes: int
    """Space for finished segments and for the outputs while they are assembled."""
    free_bytes: int
    """Free space on the disk of the output."""
    sampled_frames: int
    """Number of frames that the estimates are based on."""


def dry_run(
    source: Path,
    output: Path,
    *,
    settings: RestoreSettings,
    job: JobSettings,
    on_download: DownloadCallback = not_shown,
) -> Estimate:
    """Return what ``restore_video`` would do; no file is left behind.

    Args:
        source: The film to restore.
        output: The file that the run would write.
        settings: Settings of the run.
        job: How the run is divided.
        on_download: As for ``restore_video``.

    Raises:
        VidrestoreError: As for ``restore_video``: everything that is refused before the first
            frame, and errors in the samples.
    """
    check_target(output, source_path=source, overwrite=settings.overwrite)
    with open_source(
        source,
        start_seconds=settings.start_seconds,
        end_seconds=settings.end_seconds,
        fps=settings.fps,
        program=settings.program,
    ) as opened:
        info = opened.info
    frames_sampled = faces = written_bytes = 0
    seconds_sampled = 0.0
    film_seconds_sampled = Fraction(0)
    with tempfile.TemporaryDirectory(prefix=".vidrestore-", dir=output.absolute().parent) as folder:
        for number, (start, end) in enumerate(_sample_times(info, settings)):
            sample = Path(folder) / str(number)
            sample.mkdir()
            compare = settings.compare
            sample_settings = replace(
                settings,
                start_seconds=start,
                end_seconds=end,
                compare=None if compare is None else sample / f"compare-{compare.name}",
                record=None,
                framemd5=None,
                verify=False,
                overwrite=False,
            )
            started = time.monotonic()
            try:
                report = restore_with_engine(
                    Engine(),
                    source,
                    sample / output.name,
                    settings=sample_settings,
                    job=_ONE_SEGMENT,
                    on_download=on_download,
                    tell_cost=False,
                )
            except EmptyRangeError:
                continue
            seconds_sampled += time.monotonic() - started - report.timing.get("load", 0.0)
            frames_sampled += report.frames
            film_seconds_sampled += _SAMPLE_SECONDS
            faces += report.faces
            files = (path for path in sample.rglob("*") if path.is_file())
            written_bytes += sum(path.stat().st_size for path in files)
    if not frames_sampled:
        raise MediaError(f"{source}: no frame of the samples can be decoded; get another copy")
    seconds = _selected_seconds(info, settings)
    rate = info.average_rate or Fraction(25)
    frames = frames_sampled
    if _is_sampled(info, seconds):
        rate = _frame_rate(rate, sampled=frames_sampled / film_seconds_sampled)
        frames = max(1, round((seconds or 0) * rate))
    share = frames / frames_sampled
    length = frames / rate
    rule = config_from(job, SegmentRule)
    return Estimate(
        frames=frames,
        faces=round(share * faces),
        segments=(
            max(1, ceil(length / Fraction(3 * rule.seconds))),
            max(1, ceil(length / Fraction(rule.seconds))),
        ),
        seconds=share * seconds_sampled,
        disk_bytes=round(2 * share * written_bytes),
        free_bytes=shutil.disk_usage(output.absolute().parent).free,
        sampled_frames=frames_sampled,
    )


def _selected_seconds(info: VideoInfo, settings: RestoreSettings) -> Fraction | None:
    """Return the length of the selected time range; None if the source does not state it."""
    if info.duration_seconds is None:
        return None
    duration_seconds = Fraction(info.duration_seconds)
    end = (
        duration_seconds
        if settings.end_seconds is None
        else min(duration_seconds, settings.end_seconds)
    )
    return max(Fraction(0), end - (settings.start_seconds or 0))


def _is_sampled(info: VideoInfo, seconds: Fraction | None) -> bool:
    """Return whether samples stand for the selection; otherwise all of it is restored."""
    return seconds is not None and seconds > _SAMPLES * _SAMPLE_SECONDS and info.kind != "picture"


def _frame_rate(stated: Fraction, *, sampled: Fraction) -> Fraction:
    """Return the rate of the restored frames, which may not be the one that the source states.

    They are fewer where pulldown is undone and where the rate counts repeated fields, and more
    where each field becomes a frame.
    """
    for factor in (Fraction(1), _PULLDOWN_UNDONE, _FRAME_PER_FIELD):
        if abs(sampled - factor * stated) <= _RATE_TOLERANCE * factor * stated:
            return factor * stated
    return sampled


def _sample_times(
    info: VideoInfo, settings: RestoreSettings
) -> Iterator[tuple[Fraction | None, Fraction | None]]:
    """Yield the time ranges of the samples, spread evenly; all of a short selection."""
    seconds = _selected_seconds(info, settings)
    if seconds is None or not _is_sampled(info, seconds):
        yield settings.start_seconds, settings.end_seconds
        return
    for number in range(_SAMPLES):
        middle = seconds * Fraction(2 * number + 1, 2 * _SAMPLES)
        start = (settings.start_seconds or Fraction(0)) + middle - _SAMPLE_SECONDS / 2
        yield start, start + _SAMPLE_SECONDS
