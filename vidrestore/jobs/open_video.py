"""Opens a source and decodes it, in the same way for every engine."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vidrestore.devices import gpu_number
from vidrestore.errors import MediaError
from vidrestore.jobs.store.frame_analysis import FrameMismatchError
from vidrestore.media.input.folder import missing_frame_numbers
from vidrestore.media.input.format_changes import check_constant_format
from vidrestore.media.input.raw_streams import check_rate_is_needed
from vidrestore.media.input.source import Source, open_source
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.streams.programs import program_notes
from vidrestore.pipeline.field_plan import plan_fields
from vidrestore.pipeline.repair_checks import check_repair
from vidrestore.prefetch import prefetched
from vidrestore.progress import DownloadCallback, not_shown
from vidrestore.settings import RestoreSettings
from vidrestore.types import FinishedFrame, Frame, Timestamp, TrackedFrame

if TYPE_CHECKING:
    from vidrestore.pipeline.setup import Setup
    from vidrestore.pipeline.stages import Stages

_READ_AHEAD_FRAMES = 4
_SHOWN_NUMBERS = 5


class EmptyRangeError(MediaError):
    """There is no frame in the selected time range."""


@contextmanager
def open_setup(
    path: Path,
    settings: RestoreSettings,
    *,
    check_format: bool = False,
    on_download: DownloadCallback = not_shown,
) -> Generator["Setup"]:
    """Open a source and decide how its fields are handled; no network is loaded.

    Args:
        path: Film, folder of frames or picture.
        settings: Settings of the run.
        check_format: Refuse a rate that the source does not need, and a film whose size or format
            changes; that reads it through.
        on_download: As for ``restore_video``.

    Raises:
        MediaError: The source cannot be read or is refused.
        DeviceError: The GPU cannot decode it.
        ConfigError: A setting does not suit the source.
    """
    with open_source(
        path,
        start_seconds=settings.start_seconds,
        end_seconds=settings.end_seconds,
        fps=settings.fps,
        program=settings.program,
        gpu=gpu_number(settings.device) if settings.hardware_decoding else None,
    ) as source:
        if check_format:
            check_rate_is_needed(source.info, settings.fps)
            check_constant_format(source.info, source.time_range)
        # Imported late: a source that cannot be read is refused before torch is loaded.
        from vidrestore.pipeline.setup import Setup

        plan = plan_fields(source, deinterlace=settings.deinterlace, pulldown=settings.pulldown)
        check_repair(plan.source.info, settings, is_interlaced=plan.is_interlaced)
        yield Setup(
            source=plan.source,
            fields=plan.mode,
            is_interlaced=plan.is_interlaced,
            settings=settings,
            notes=[
                *plan.notes,
                *_notes_on_folder(source.info),
                *program_notes(source.info),
                *_notes_on_start(source),
            ],
            on_download=on_download,
        )


@contextmanager
def decoded_frames(
    source: Source, stages: "Stages", index: int, ticks: int | None, *, seek: bool
) -> Generator[Iterator[Frame]]:
    """Decode frames on a thread, as the stages see them: whole, or split into fields.

    Args:
        source: The open source.
        stages: The stages.
        index: Number of the first frame, as the stages count.
        ticks: Time of that frame, in ticks of the source; None decodes from the start.
        seek: Whether to seek instead of decoding from the start up to there.

    Raises:
        MediaError: The source cannot be decoded.
        FrameMismatchError: Seeking did not find the frame.
    """
    frames = iter(source)
    if ticks is not None:
        frames = _frames_from(source, index // stages.fields.index_step, ticks, seek=seek)
    decoded = stages.stopwatch.timed("decode", frames)
    with closing(prefetched(decoded, size=_READ_AHEAD_FRAMES)) as read_ahead:
        yield stages.fields.split(read_ahead)


def finished_frames(
    source: Source,
    stages: "Stages",
    track: Callable[[Iterator[Frame]], Iterable[TrackedFrame]],
    *,
    index: int = 0,
    ticks: int | None = None,
    seek: bool = False,
) -> Generator[FinishedFrame]:
    """Yield the restored frames of a source, whole, in order; closing it stops its threads.

    ``track`` returns the frames or fields that are decoded with their faces, as ``Stages.analyze``
    does. The other arguments are those of ``decoded_frames``.

    Raises:
        VidrestoreError: A frame cannot be decoded or restored.
    """
    with (
        decoded_frames(source, stages, index, ticks, seek=seek) as frames,
        # Closed before what it reads from: its threads may be reading.
        closing(stages.restore(track(frames))) as restored,
    ):
        yield from stages.fields.weave(restored)


def no_frame_error(info: VideoInfo, settings: RestoreSettings) -> MediaError:
    """Return the error of a source of which no frame was restored."""
    if settings.start_seconds or settings.end_seconds:
        return EmptyRangeError(
            f"{info.path}: no frame between --start and --end; check these times"
        )
    return MediaError(f"{info.path}: not a single frame can be decoded; get another copy")


def _frames_from(source: Source, index: int, ticks: int, *, seek: bool) -> Iterator[Frame]:
    frames = source.frames_from(index, Timestamp(ticks, source.info.time_base), seek=seek)
    try:
        first = next(frames)
    except MediaError as error:
        if not seek:
            raise
        raise FrameMismatchError(str(error)) from error
    yield first
    yield from frames


def _notes_on_start(source: Source) -> list[str]:
    """Return a note on frames that were cut from those which they need, if there are any."""
    count = source.info.frames_before_key
    if not count or source.time_range.start_seconds is not None:
        return []
    frames = (
        "the first frame needs others" if count == 1 else f"the first {count} frames need others"
    )
    return [f"{frames} from before the film was cut, and cannot be decoded: left out"]


def _notes_on_folder(info: VideoInfo) -> list[str]:
    """Return a note on missing numbers in the names of an image sequence, if any are missing."""
    missing = missing_frame_numbers(info.path) if info.is_folder else []
    if not missing:
        return []
    first_numbers = ", ".join(map(str, missing[:_SHOWN_NUMBERS]))
    more = f" and {len(missing) - _SHOWN_NUMBERS} more" if len(missing) > _SHOWN_NUMBERS else ""
    return [
        f"no image is numbered {first_numbers}{more}; the frames around are shown one after the "
        "other"
    ]


def check_tracks(setup: "Setup", track_limit: int) -> None:
    """Refuse a run of ``--only-track`` in which nothing can be restored; note absent tracks.

    Args:
        setup: Source and settings of the video.
        track_limit: The highest number of a track in the source, plus 1; 0 if there is none.

    Raises:
        MediaError: None of the tracks is there; the message says which are.
    """
    selected, path = setup.settings.only_tracks, setup.source.info.path
    absent = [
        strength.track
        for strength in setup.settings.track_strengths
        if strength.track >= track_limit
    ]
    if absent:
        names = ", ".join(map(str, absent))
        setup.notes.append(f"--track-strength: the film has no track {names}")
    if not selected or min(selected) < track_limit:
        return
    names = ", ".join(map(str, selected))
    existing = (
        f"its tracks are 1 to {track_limit - 1}" if track_limit > 2 else "its only track is 1"
    )
    existing = existing if track_limit else "it has no faces"
    raise MediaError(f"{path}: has no track {names}, {existing}; --review FILE shows who they are")
