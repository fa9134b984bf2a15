"""Table of the containers that can be written, and options of their muxers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from pathlib import Path
from types import MappingProxyType

from vidrestore.errors import MediaError, UnsupportedStreamError
from vidrestore.media.input.video_info import VideoInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """One entry of the table of containers."""

    format: str
    """FFmpeg's name of the muxer."""
    codecs: frozenset[str] | None = None
    """Codecs that players support, if FFmpeg's muxer accepts more; None for any."""
    stores_rotation: bool = True
    stores_attachments: bool = False
    stores_covers: bool = False
    """Whether it stores cover art as a stream, not as an attached file."""
    stores_chapters: bool = True
    is_mov: bool = False
    rounds_to_milliseconds: bool = False
    """Whether timestamps are rounded to 1/1000 s, as in Matroska."""
    video_only: bool = False
    """Whether only video with a constant, common frame rate is written. (FFmpeg's MXF muxer ends
    with the shortest stream: it would cut off video or audio.)"""
    lacks_timestamps: bool = False
    """Whether frames are numbered instead of timed: gaps are filled with empty frames."""
    may_repeat_times: bool = False
    """Whether packets of a stream may have the same time."""
    audio_codecs: frozenset[str] | None = None
    """Codecs of audio that it stores with the right times, besides PCM; None for any."""


_TRANSPORT_CODECS = frozenset(
    {
        "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "mp1", "mp2", "mp3", "aac",
        "aac_latm", "ac3", "eac3", "dts", "truehd", "opus", "dvb_subtitle", "dvb_teletext", "klv",
        "timed_id3",
    }
)  # fmt: skip
# SCTE 35 is missing: FFmpeg writes its sections as private data, which no receiver reads.

# For other audio in AVI, FFmpeg guesses how long a packet is.
_AVI_AUDIO_CODECS = frozenset({"mp1", "mp2", "mp3", "aac", "ac3", "wmav1", "wmav2"})
_WEBM_CODECS = frozenset({"vp8", "vp9", "av1", "opus", "vorbis", "webvtt"})
_MXF_CODECS = frozenset({"mpeg2video", "h264", "dnxhd", "prores", "ffv1"})
# Frame rates of MXF.
_COMMON_RATES = (
    *(Fraction(rate * 1000, 1001) for rate in (24, 30, 60)),
    *map(Fraction, (24, 25, 30, 48, 50, 60)),
)
_RATE_TOLERANCE = Fraction(1, 2500)
_TRANSPORT = ContainerSpec(
    format="mpegts", codecs=_TRANSPORT_CODECS, stores_rotation=False, stores_chapters=False
)

CONTAINERS: Mapping[str, ContainerSpec] = MappingProxyType(
    {
        ".mp4": ContainerSpec(format="mp4", is_mov=True, stores_covers=True),
        ".m4v": ContainerSpec(format="mp4", is_mov=True, stores_covers=True),
        ".mov": ContainerSpec(format="mov", is_mov=True),
        ".mkv": ContainerSpec(
            format="matroska",
            stores_attachments=True,
            rounds_to_milliseconds=True,
            may_repeat_times=True,
        ),
        ".webm": ContainerSpec(
            format="webm", codecs=_WEBM_CODECS, rounds_to_milliseconds=True, may_repeat_times=True
        ),
        ".avi": ContainerSpec(
            format="avi",
            stores_rotation=False,
            stores_chapters=False,
            lacks_timestamps=True,
            audio_codecs=_AVI_AUDIO_CODECS,
        ),
        ".mxf": ContainerSpec(
            format="mxf",
            codecs=_MXF_CODECS,
            stores_rotation=False,
            stores_chapters=False,
            video_only=True,
        ),
        ".ts": _TRANSPORT,
        ".m2ts": _TRANSPORT,
    }
)

FILM_SUFFIXES = (
    *CONTAINERS,
    *(".mts", ".mpg", ".mpeg", ".m2v", ".vob", ".wmv", ".asf", ".flv", ".dv", ".ogv", ".3gp"),
    *(".rm", ".y4m"),
)
"""Suffixes of films; those below ``CONTAINERS`` can be read but not written."""


def container_of(target: Path) -> ContainerSpec:
    """Return the container for the suffix of ``target``.

    Raises:
        MediaError: The suffix is unknown.
    """
    spec = CONTAINERS.get(target.suffix.lower())
    if spec is None:
        known = ", ".join(CONTAINERS)
        raise MediaError(f"{target}: unknown file extension {target.suffix!r}; use one of {known}")
    return spec


def container_frame_rate(spec: ContainerSpec, target: Path, info: VideoInfo) -> Fraction | None:
    """Return the frame rate to write: the source's, or the common rate nearest to it.

    Raises:
        MediaError: The container needs a constant, common rate, and the source has another.
    """
    rate = info.average_rate
    if not spec.video_only:
        return rate
    common_rate = min(_COMMON_RATES, key=lambda common: abs(common - (rate or 0)))
    if rate is None or info.variable_rate or abs(rate / common_rate - 1) > _RATE_TOLERANCE:
        rate_text = "an unknown rate" if rate is None else f"{float(rate):.3f} fps"
        variable = ", variable" if info.variable_rate else ""
        raise UnsupportedStreamError(
            f"{target}: {target.suffix} needs a constant rate of 23.976 to 60 fps; the source has "
            f"{rate_text}{variable}"
        )
    return common_rate


def supports_codec(spec: ContainerSpec, codec: str | None) -> bool:
    """Whether a container supports a codec, by FFmpeg's name."""
    return spec.codecs is None or codec in spec.codecs


_MOV_TAGS = frozenset(
    {
        "title", "artist", "album", "album_artist", "composer", "comment", "date", "genre",
        "copyright", "description", "synopsis", "grouping", "lyrics", "track", "disc", "show",
        "episode_id", "network", "encoder", "creation_time", "timecode", "media_type", "location",
        "keywords", "episode_sort", "season_number", "hd_video", "compilation", "gapless_playback",
    }
)  # fmt: skip


def muxer_options(
    spec: ContainerSpec,
    video_time_base: Fraction,
    other_time_bases: Sequence[Fraction],
    tags: Mapping[str, str],
) -> dict[str, str]:
    """Return the options of a container's muxer.

    Args:
        spec: The container.
        video_time_base: Time base of the video stream.
        other_time_bases: Time bases of the copied streams.
        tags: Metadata of the file.
    """
    # Otherwise some muxers write random identifiers, and the bytes differ from run to run.
    options = {"fflags": "+bitexact"}
    if not spec.is_mov:
        return options
    denominators = [base.denominator for base in (video_time_base, *other_time_bases)]
    scale = lcm(*denominators)
    options |= {
        "video_track_timescale": str(video_time_base.denominator),
        # Time base of edit lists, which store the offsets between streams.
        "movie_timescale": str(scale if scale < 1 << 31 else max(denominators)),
    }
    # With the index in front, a film plays while it is downloaded.
    options["movflags"] = "+faststart"
    if not {name.lower() for name in tags} <= _MOV_TAGS:
        options["movflags"] += "+use_metadata_tags"
    return options
