"""Strengths of single tracks: ``--track-strength 3=0.5``."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from vidrestore.errors import ConfigError


class TrackStrength(NamedTuple):
    """How much of the restored face is used in one track."""

    track: int
    strength: float
    """0 none, 1 all."""

    def __str__(self) -> str:
        return f"{self.track}={self.strength:g}"


def parse_track_strengths(text: str) -> tuple[TrackStrength, ...]:
    """Return the strengths of tracks in ``3=0.5`` or ``3=0.5,7=0``.

    Raises:
        ValueError: The text holds something else.
    """
    parts = [re.fullmatch(r"([0-9]{1,9})=(\d+(?:\.\d*)?|\.\d+)", part) for part in text.split(",")]
    strengths = [TrackStrength(int(part[1]), float(part[2])) for part in parts if part is not None]
    if len(strengths) < len(parts):
        raise ValueError(f"{text!r} is not a track with its strength; use 3=0.5, or 3=0.5,7=0")
    return tuple(strengths)


def check_track_strengths(strengths: Sequence[TrackStrength]) -> None:
    """Raise an error if a track has two strengths, or one out of range.

    Raises:
        ConfigError: The message names the track.
    """
    for at, (track, strength) in enumerate(strengths):
        if track < 1 or not 0 <= strength <= 1:
            raise ConfigError(
                "track_strengths must be tracks, from 1 on, with strengths from 0 to 1, got "
                f"{track}={strength:g}"
            )
        if any(track == other for other, _ in strengths[:at]):
            raise ConfigError(f"track_strengths names track {track} twice; leave out one of them")


def strength_of_track(track: int, strength: float, strengths: Sequence[TrackStrength]) -> float:
    """Return the strength of a track.

    Args:
        track: Its number.
        strength: Of tracks without their own.
        strengths: Of single tracks.
    """
    return dict(strengths).get(track, strength)
