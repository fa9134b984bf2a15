"""Decodes on the decoder of a GPU (NVDEC), through FFmpeg, into the machine's memory.

Where this cannot be done, it is refused: FFmpeg's decoder on the processor never replaces it.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import cast

from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.video.stream import VideoStream

from vidrestore.errors import DeviceError, MediaError
from vidrestore.media.input.probe import decode_start, open_container
from vidrestore.media.input.video_info import VideoInfo

_FORMATS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "h264": frozenset({"yuv420p", "yuvj420p"}),
        "hevc": frozenset({"yuv420p", "yuvj420p", "yuv420p10le"}),
    }
)
"""Codec -> formats whose samples the standard defines to the bit, and that GPUs decode."""
_DOWNLOADED = frozenset({"nv12", "p010le"})
"""Formats in which such samples come from a GPU."""
_ADVICE = "leave out --hardware-decoding"


def open_on_gpu(path: Path, gpu: int) -> InputContainer:
    """Open a film whose video a GPU decodes.

    Args:
        path: The film.
        gpu: Number of the GPU.

    Raises:
        DeviceError: There is no such GPU, no driver, or nothing that it decodes.
    """
    accelerator = HWAccel("cuda", device=str(gpu), allow_software_fallback=False)
    try:
        return open_container(path, accelerator=accelerator)
    except (MediaError, RuntimeError) as error:
        cause = error.__cause__ or error
        raise DeviceError(
            f"{path}: is not decoded by GPU {gpu}: no such GPU, or no driver that decodes films "
            f"(FFmpeg: {getattr(cause, 'strerror', None) or cause}); {_ADVICE}"
        ) from error


def check_gpu_decodes(info: VideoInfo, gpu: int) -> None:
    """Refuse a film that a GPU does not decode; decodes its first frame.

    Raises:
        MediaError: The codec or its format is not among those that are decoded alike everywhere.
        DeviceError: This GPU cannot decode it.
    """
    path, name = info.path, info.pixel_format_name
    if name not in _FORMATS.get(info.codec, ()):
        raise MediaError(
            f"{path}: is {info.codec} in {name}; GPUs decode 4:2:0 in H.264 of 8 bits, and in HEVC "
            f"of 8 or 10 bits; {_ADVICE}"
        )
    with open_on_gpu(path, gpu) as container:
        stream = cast(VideoStream, container.streams[info.video_stream_index])
        try:
            frame = decode_start(container, stream, path)[0]
        except MediaError as error:
            raise DeviceError(f"{path}: GPU {gpu} decodes no frame of it; {_ADVICE}") from error
    if not is_on_gpu(stream) or frame.format.name not in _DOWNLOADED:
        raise DeviceError(f"{path}: FFmpeg does not decode it on GPU {gpu}; {_ADVICE}")
    if (frame.height, frame.width) != info.geometry.coded_hw:
        raise DeviceError(
            f"{path}: GPU {gpu} decodes {frame.width}x{frame.height}, which is not the "
            f"{info.format_text} of the film; {_ADVICE}"
        )


def is_on_gpu(stream: VideoStream) -> bool:
    """Return whether a GPU decodes a stream."""
    return stream.codec_context.is_hwaccel
