"""Options of muxers, apart from the streams."""

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import ContainerSpec
from vidrestore.media.streams.stream_copy import copied_metadata

_MOV_TAGS = frozenset(
    {
        "title", "artist", "album", "album_artist", "composer", "comment", "date", "genre",
        "copyright", "description", "synopsis", "grouping", "lyrics", "track", "disc", "show",
        "episode_id", "network", "encoder", "creation_time", "timecode", "media_type", "location",
        "keywords", "episode_sort", "season_number", "hd_video", "compilation", "gapless_playback",
    }
)  # fmt: skip


def muxer_options(
    spec: ContainerSpec, info: VideoInfo, time_bases: Sequence[Fraction]
) -> dict[str, str]:
    """Return the options of a container's muxer.

    Args:
        spec: The container.
        info: Of the pictures.
        time_bases: Of the streams beside them.
    """
    # Else some muxers write random identifiers, and no two runs give the same bytes.
    options = {"fflags": "+bitexact"}
    if not spec.is_mov:
        return options
    denominators = [each.denominator for each in (info.time_base, *time_bases)]
    scale = lcm(*denominators)
    options |= {
        "video_track_timescale": str(info.time_base.denominator),
        # Edit lists, which hold the offsets between streams, count in this.
        "movie_timescale": str(scale if scale < 1 << 31 else max(denominators)),
    }
    if set(map(str.lower, copied_metadata(dict(info.metadata)))) - _MOV_TAGS:
        options["movflags"] = "use_metadata_tags"
    return options
