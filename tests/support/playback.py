"""What the ffmpeg program plays of a film: the judge of times that is not our own reader."""

import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

_MICROSECOND = Fraction(1, 1_000_000)


@dataclass(frozen=True, slots=True)
class Played:
    """One decoded video or audio frame."""

    seconds: Fraction
    duration_seconds: Fraction
    checksum: str


def decoded_frames(path: Path, kind: str, number: int = 0) -> list[Played]:
    """Return the decoded frames of the n-th stream of a kind (``v`` or ``a``) with their times."""
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-copyts", "-i", str(path),
        "-map", f"0:{kind}:{number}", "-fps_mode", "passthrough",
        "-enc_time_base:v", str(_MICROSECOND).replace("/", ":"),
        "-c:a", "pcm_s16le", "-f", "framecrc", "-",
    ]  # fmt: skip
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    base = Fraction(1)
    frames: list[Played] = []
    for line in text.splitlines():
        if line.startswith("#tb"):
            base = Fraction(line.split(":")[1].strip())
        elif not line.startswith("#"):
            fields = [field.strip() for field in line.split(",")]
            frames.append(Played(int(fields[2]) * base, int(fields[3]) * base, fields[5]))
    return frames


def sound_lag_seconds(path: Path, number: int = 0) -> dict[str, Fraction]:
    """Return the time of every decoded audio frame after the first video frame, by checksum."""
    first = decoded_frames(path, "v")[0].seconds
    return {
        played_frame.checksum: played_frame.seconds - first
        for played_frame in decoded_frames(path, "a", number)
    }
