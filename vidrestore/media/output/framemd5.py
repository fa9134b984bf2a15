"""Writes a sidecar with a checksum of every frame, for archives.

The format is FFmpeg's ``framemd5``: checksums of the decoded frames and of the audio packets. For a
copy of the file, this command prints the same: ``ffmpeg -i FILE -map 0:v:0 -map 0:a? -c:a copy -f
framemd5 -``.
"""

from pathlib import Path

from vidrestore.errors import ConfigError, MediaError
from vidrestore.media.ffmpeg_program import ffmpeg_input, run_ffmpeg
from vidrestore.media.input.video_info import probe
from vidrestore.media.output.containers import CONTAINERS
from vidrestore.storage.atomic_output import atomic_file, check_target

_VARIABLE_RATE = {"fps_mode": "passthrough", "enc_time_base:v": "demux"}
"""Options that keep all frames and times; otherwise FFmpeg makes the rate constant."""


def check_framemd5(target: Path, video: Path, source: Path, *, overwrite: bool) -> None:
    """Check, before the run, that checksums can be written after it.

    Args:
        target: The file of checksums.
        video: The output that they are computed from.
        source: The source of the output.
        overwrite: Whether an existing file may be replaced.

    Raises:
        ConfigError: ``video`` is not a video, or ``target`` is a folder.
        MediaError: ``target`` is refused.
    """
    if video.suffix.lower() not in CONTAINERS:
        known = ", ".join(CONTAINERS)
        raise ConfigError(
            f"--framemd5 {target}: image outputs have no framemd5 file; "
            f"choose a video with -o ({known}), or leave out --framemd5"
        )
    if target.is_dir():
        raise ConfigError(f"--framemd5 {target}: a folder; choose a file")
    check_target(target, source_path=source, overwrite=overwrite)


def write_framemd5(video: Path, target: Path, *, overwrite: bool) -> None:
    """Decode a finished video and write the checksums of its frames.

    Raises:
        MediaError: The video cannot be decoded, or the file cannot be written.
    """
    source = ffmpeg_input(video)
    options = _VARIABLE_RATE if probe(video).variable_rate else {}
    with atomic_file(target, overwrite=overwrite) as pending:
        error = run_ffmpeg(
            [source["v:0"], source["a?"]],
            pending.path,
            format="framemd5",
            **{"c:a": "copy"},
            **options,
        )
        if error is not None:
            raise MediaError(f"{target}: ffmpeg could not decode {video}: {error}")
        pending.complete = True
