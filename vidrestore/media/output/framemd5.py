"""Checksums of every frame of a film, in the form that archives keep beside it.

They are FFmpeg's ``framemd5``: of pictures as they are decoded from the finished file, and of the
packets of its sound. ``COMMAND`` gives the same of any copy.
"""

import subprocess
from pathlib import Path

import imageio_ffmpeg

from vidrestore.errors import ConfigError, MediaError
from vidrestore.media.input.video_info import probe
from vidrestore.media.output.containers import CONTAINERS
from vidrestore.storage.atomic_output import atomic_file, check_target

COMMAND = ("-map", "0:v:0", "-map", "0:a?", "-c:a", "copy")
"""Options between ffmpeg's ``-i FILE`` and ``-f framemd5 -``."""
_UNEVEN = ("-fps_mode", "passthrough", "-enc_time_base:v", "demux")
"""Options that keep frames and times instead of rounding them to a constant rate."""


def check_framemd5(target: Path, film: Path, source: Path, *, overwrite: bool) -> None:
    """Refuse, before the work, a file that could not be written after it.

    Args:
        target: Where the checksums would go.
        film: What they would be of.
        source: What the film is made from.
        overwrite: Whether a file may be replaced.

    Raises:
        ConfigError: ``film`` is no film.
        MediaError: ``target`` is refused.
    """
    if film.suffix.lower() not in CONTAINERS:
        known = ", ".join(CONTAINERS)
        raise ConfigError(
            f"--framemd5 {target}: needs a film as the output, not pictures; "
            f"name a film with -o ({known}), or leave it out"
        )
    if target.is_dir():
        raise ConfigError(f"--framemd5 {target}: is a folder; name a file")
    check_target(target, source_path=source, overwrite=overwrite)


def write_framemd5(film: Path, target: Path, *, overwrite: bool) -> None:
    """Decode a finished film and write the checksums of its frames.

    Raises:
        MediaError: The film cannot be decoded, or the file not written.
    """
    uneven = _UNEVEN if probe(film).variable_rate else ()
    with atomic_file(target, overwrite=overwrite) as pending:
        done = subprocess.run(
            [
                imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y",
                "-i", f"file:{film}", *COMMAND, *uneven, "-f", "framemd5", f"file:{pending.path}",
            ],
            capture_output=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip().splitlines()
            raise MediaError(
                f"{target}: ffmpeg could not decode {film}: {reason[-1] if reason else 'unknown'}"
            )
        pending.complete = True
