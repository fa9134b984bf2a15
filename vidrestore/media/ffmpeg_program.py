"""Runs the ffmpeg program that comes with imageio-ffmpeg, for what PyAV cannot do."""

from pathlib import Path
from typing import Any, cast

import ffmpeg
import imageio_ffmpeg


def ffmpeg_input(path: Path, **options: str) -> Any:
    """Return a file as an input of ffmpeg-python."""
    return cast(Any, ffmpeg).input(f"file:{path}", **options)


def run_ffmpeg(streams: list[Any], output: Path, **options: Any) -> str | None:
    """Run ffmpeg; an existing output is replaced.

    Args:
        streams: Inputs of ``ffmpeg_input``, or streams of them.
        output: The file to write.
        options: Of the output, as ffmpeg-python takes them.

    Returns:
        The last line of ffmpeg's error message; None if it succeeded.
    """
    command = cast(Any, ffmpeg).output(*streams, f"file:{output}", loglevel="error", **options)
    try:
        command.global_args("-nostdin").run(
            cmd=imageio_ffmpeg.get_ffmpeg_exe(),
            capture_stdout=True,
            capture_stderr=True,
            overwrite_output=True,
        )
    except ffmpeg.Error as error:
        text: bytes = error.stderr  # pyright: ignore[reportUnknownMemberType]
        lines = text.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "unknown error"
    return None
