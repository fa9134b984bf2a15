"""The final join, by the ffmpeg program, of what PyAV cannot carry.

PyAV copies a stream only where FFmpeg has a decoder for its codec, and cannot state the aspect
of pixels in Matroska's header. The ffmpeg program, which comes with imageio-ffmpeg, can do both.
Timestamps pass through unchanged (``-copyts``).
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
    """Whether ffmpeg copies a stream of ``source`` into a container; tried on its first second."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial"
        stream = ffmpeg_input(source)[str(stream_index)]
        error = run_ffmpeg([stream], trial, format=spec.format, t=1, **_COPY)
        return error is None and trial.stat().st_size > 0


def remux_with_ffmpeg(
    film: Path | None,
    source: Path,
    stream_indexes: Sequence[int],
    output: Path,
    *,
    spec: ContainerSpec,
    clock: CopyTimeline,
    muxer_options: dict[str, str],
    repeated_options: Sequence[str],
    source_format: str,
    aspect: tuple[int, Fraction] | None = None,
) -> None:
    """Write ``film``, if any, and some streams of ``source`` to ``output``, packets as they are.

    Args:
        film: A whole film, without those streams; None writes the streams alone.
        source: Where they come from.
        stream_indexes: Which they are.
        output: What to write.
        spec: Its container.
        clock: How times of ``source`` become those of ``film``, and which part is wanted.
        muxer_options: Options that ``film`` was written with.
        repeated_options: Words of further options, each of which may be given several times.
        source_format: FFmpeg's name of the source's container.
        aspect: Index of a stream, and the aspect of its picture that the container is to state.

    Raises:
        MediaError: ffmpeg fails.
    """
    options: dict[str, Any] = _input_options(clock)
    if source_format == "mpegts":
        options |= DEMUXER_OPTIONS
    second = ffmpeg_input(source, **options)
    streams = [] if film is None else [ffmpeg_input(film)]
    streams += [second[str(index)] for index in stream_indexes]
    options = {
        "map_metadata": 0,
        "map_chapters": -1 if film is None else 0,
        "copyts": None,
        "avoid_negative_ts": "disabled",
        **muxer_options,
    }
    if film is not None and not stream_indexes:
        # Alone, an input stands for ffmpeg's choice of one stream of each kind.
        options["map"] = "0"
    if aspect is not None:
        index, ratio = aspect
        options[f"aspect:{index}"] = f"{ratio.numerator}:{ratio.denominator}"
    error = run_ffmpeg(
        streams, output, repeated=repeated_options, format=spec.format, **options, **_COPY
    )
    if error is not None:
        raise MediaError(f"{output}: ffmpeg could not join the streams: {error}")


def _input_options(clock: CopyTimeline) -> dict[str, Any]:
    later = clock.delay_seconds - clock.shift_seconds
    options: dict[str, Any] = {"itsoffset": f"{float(later):.6f}"}
    start, end = clock.time_range.start_seconds, clock.time_range.end_seconds
    if start is not None:
        options["ss"] = f"{float(start):.6f}"
    if end is not None:
        options["to"] = f"{float(end):.6f}"
    return options
