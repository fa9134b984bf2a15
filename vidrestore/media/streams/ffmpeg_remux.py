"""A last pass by the ffmpeg program, for what PyAV cannot write.

PyAV copies a stream only if FFmpeg has a decoder for its codec, and cannot write the pixel aspect
ratio into Matroska's header. The ffmpeg program, which comes with imageio-ffmpeg, can do both.
Timestamps stay the same (``-copyts``).
"""

import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidrestore.errors import MediaError
from vidrestore.media.ffmpeg_program import ffmpeg_input, run_ffmpeg
from vidrestore.media.input.clock import CopyTimeline
from vidrestore.media.input.probe import DEMUXER_OPTIONS
from vidrestore.media.output.containers import ContainerSpec

_COPY: dict[str, Any] = {"c": "copy", "copy_unknown": None}


def can_remux(source: Path, stream_index: int, spec: ContainerSpec) -> bool:
    """Whether ffmpeg copies a stream of ``source`` into a container, tried on its first second."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial"
        stream = ffmpeg_input(source)[str(stream_index)]
        error = run_ffmpeg([stream], trial, format=spec.format, t=1, **_COPY)
        return error is None and trial.stat().st_size > 0


def remux_with_ffmpeg(
    video: Path | None,
    source: Path,
    stream_indexes: Sequence[int],
    output: Path,
    *,
    spec: ContainerSpec,
    timeline: CopyTimeline,
    muxer_options: dict[str, str],
    repeated_options: Sequence[str],
    source_format: str,
    aspect: tuple[int, Fraction] | None = None,
) -> None:
    """Copy all streams of ``video``, and some of ``source``, into ``output``.

    Args:
        video: A complete file without the streams of ``source``; None if there is none.
        source: File of the other streams.
        stream_indexes: Indexes of these streams in ``source``.
        output: The file to write.
        spec: Its container.
        timeline: How times of ``source`` become those of ``video``, and which range is copied.
        muxer_options: Options that ``video`` was written with.
        repeated_options: More arguments, in which options may repeat.
        source_format: FFmpeg's name of the source's container.
        aspect: Index of a stream, and its display aspect ratio, to write into the header.

    Raises:
        MediaError: ffmpeg fails.
    """
    options: dict[str, Any] = _input_options(timeline)
    if source_format == "mpegts":
        options |= DEMUXER_OPTIONS
    second_input = ffmpeg_input(source, **options)
    inputs = [] if video is None else [ffmpeg_input(video)]
    inputs += [second_input[str(index)] for index in stream_indexes]
    options = {
        "map_metadata": 0,
        "map_chapters": -1 if video is None else 0,
        "copyts": None,
        "avoid_negative_ts": "disabled",
        **muxer_options,
    }
    if video is not None and not stream_indexes:
        # Without a map, ffmpeg takes one stream of each kind.
        options["map"] = "0"
    if aspect is not None:
        index, ratio = aspect
        options[f"aspect:{index}"] = f"{ratio.numerator}:{ratio.denominator}"
    error = run_ffmpeg(
        inputs, output, repeated=repeated_options, format=spec.format, **options, **_COPY
    )
    if error is not None:
        raise MediaError(f"{output}: ffmpeg could not join the streams: {error}")


def _input_options(timeline: CopyTimeline) -> dict[str, Any]:
    offset = timeline.delay_seconds - timeline.shift_seconds
    options: dict[str, Any] = {"itsoffset": f"{float(offset):.6f}"}
    start, end = timeline.time_range.start_seconds, timeline.time_range.end_seconds
    if start is not None:
        options["ss"] = f"{float(start):.6f}"
    if end is not None:
        options["to"] = f"{float(end):.6f}"
    return options
