"""Elementary streams: packets in a file without a container, so without timestamps.

FFmpeg assumes 25 frames per second if their headers state no rate.
"""

from dataclasses import replace
from fractions import Fraction

from av.container import InputContainer
from av.video.stream import VideoStream

from vidrestore.errors import ConfigError, MediaError
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.storage.standard_streams import is_standard_stream

_RAW_FORMATS = frozenset(
    {
        "h261", "h263", "h264", "hevc", "vvc", "evc", "m4v", "mpegvideo", "mjpeg", "vc1", "dirac",
        "cavsvideo", "avs2", "avs3", "obu", "dv", "dnxhd", "rawvideo",
    }
)  # fmt: skip
_ASSUMED_RATE = Fraction(25)


def is_raw(container_name: str) -> bool:
    """Whether a format, by FFmpeg's name, is an elementary stream."""
    return container_name in _RAW_FORMATS


def raw_frame_rate(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return frames per second as the headers of an elementary stream state them, or None."""
    if container.format.name == "dv":
        # 25 or 30000/1001, by the system. FFmpeg derives its average from the time base.
        return stream.guessed_rate
    stated = stream.codec_context.framerate
    return stream.guessed_rate if stated else None


def at_frame_rate(info: VideoInfo, fps: Fraction | None) -> VideoInfo:
    """Return the info of a film with the frame rate that the user states, if it needs one.

    Args:
        info: As probed.
        fps: Frames per second; None if the user states none.

    Raises:
        MediaError: The film is an elementary stream without a rate, and none is stated.
    """
    if not is_raw(info.container) or info.average_rate is not None:
        return info
    if fps is None:
        raise MediaError(
            f"{info.path}: a raw {info.codec} stream that does not state its frame rate; "
            "add it, for example --fps 25"
        )
    return replace(info, average_rate=fps, time_base=info.time_base * _ASSUMED_RATE / fps)


def check_rate_is_needed(info: VideoInfo, fps: Fraction | None) -> None:
    """Refuse a frame rate for a film that has timestamps.

    Raises:
        ConfigError: It has timestamps.
    """
    if fps is None or info.kind != "film":
        return
    may_lack_rate = is_raw(info.container) or is_standard_stream(info.path)
    if may_lack_rate and info.average_rate in (None, fps):
        return
    rate = "" if info.average_rate is None else f" ({float(info.average_rate):.3f} fps)"
    raise ConfigError(
        f"{info.path}: its frames have timestamps{rate}; leave out --fps, which is for folders "
        "of images and raw streams without a rate"
    )
