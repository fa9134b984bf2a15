"""Runs the ffmpeg program that comes with imageio-ffmpeg, for what PyAV cannot do."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import ffmpeg
import imageio_ffmpeg


def ffmpeg_input(path: Path, **options: str) -> Any:
    """Return a file as an input of ffmpeg-python."""
    return cast(Any, ffmpeg).input(f"file:{path}", **options)


def run_ffmpeg(
    streams: list[Any], output: Path, *, repeated: Sequence[str] = (), **options: Any
) -> str | None:
    """Run ffmpeg; an existing output is replaced.

    Args:
        streams: Inputs of ``ffmpeg_input``, or streams of them.
        output: The file to write.
        repeated: Further arguments, whose options may repeat.
        options: Options of the output, as ffmpeg-python takes them.

    Returns:
        The last line of ffmpeg's error message; None if it succeeded.
    """
    command = cast(Any, ffmpeg).output(*streams, f"file:{output}", loglevel="error", **options)
    args: list[str] = command.global_args("-nostdin").compile(
        cmd=imageio_ffmpeg.get_ffmpeg_exe(), overwrite_output=True
    )
    index = args.index(f"file:{output}")
    args[index:index] = repeated
    process = subprocess.run(args, capture_output=True, check=False)
    if process.returncode == 0:
        return None
    lines = process.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "unknown error"
