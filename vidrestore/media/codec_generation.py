"""Encodes images with a lossy codec and decodes them, in memory: compression for training."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias, cast

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

PassCodec: TypeAlias = Literal[
    "mpeg1video", "mpeg2video", "mpeg4", "flv1", "wmv2", "mjpeg", "h264", "hevc"
]
"""Discs and broadcasts (MPEG-1, MPEG-2), early downloads (MPEG-4 part 2, H.263, WMV), cameras
(Motion JPEG) and today's web (H.264, HEVC)."""

SimpleCodec: TypeAlias = Literal["mpeg1video", "mpeg2video", "mpeg4", "h264"]
"""Codecs that ``encode_decode`` supports."""

_CONTAINERS = {"flv1": "flv", "wmv2": "avi"}
_RATE = Fraction(25)
_ENCODERS = {"h264": "libx264", "hevc": "libx265", "flv1": "flv"}
_QUANTIZER_LIMITS = {"h264": (0, 51), "hevc": (0, 51)}
_MPEG_QUANTIZER_LIMITS = (1, 31)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecGeneration:
    """One lossy generation."""

    codec: PassCodec
    quantizer: int | None = None
    """Fixed quantizer: 1 to 31, or 0 to 51 for H.264 and HEVC; None with ``bits_per_pixel``."""
    bits_per_pixel: float | None = None
    """Mean bit rate of the clip, in bits per pixel and frame; None with ``quantizer``."""
    gop_frames: int = 12
    """Distance of key frames, for codecs that have other frames too."""
    interlaced: bool = False
    """Let the encoder choose between fields and frames (MPEG-2, MPEG-4, H.264)."""

    def __post_init__(self) -> None:
        if (self.quantizer is None) == (self.bits_per_pixel is None):
            raise ValueError("give either quantizer or bits_per_pixel")
        low, high = _QUANTIZER_LIMITS.get(self.codec, _MPEG_QUANTIZER_LIMITS)
        if self.quantizer is not None and not low <= self.quantizer <= high:
            raise ValueError(f"quantizer of {self.codec} must be {low} to {high}")
        if self.bits_per_pixel is not None and self.bits_per_pixel <= 0:
            raise ValueError(f"bits_per_pixel must be > 0, got {self.bits_per_pixel}")
        if self.gop_frames < 1:
            raise ValueError(f"gop_frames must be >= 1, got {self.gop_frames}")


def apply_generation(
    images: Sequence[NDArray[np.uint8]], generation: CodecGeneration
) -> list[NDArray[np.uint8]]:
    """Return ``images`` after one lossy generation, 4:2:0, 25 frames per second.

    It is deterministic and uses one thread.

    Args:
        images: ``(H, W, 3)`` uint8 RGB, all of the same size with even sides.
        generation: Codec and settings of the encoder.

    Returns:
        The same number of images, of the same size.
    """
    height, width = images[0].shape[:2]
    if height % 2 or width % 2:
        raise ValueError(f"sides must be even, got {width} x {height}")
    bit_rate = None
    if generation.bits_per_pixel is not None:
        bit_rate = max(1000, round(generation.bits_per_pixel * width * height * _RATE))
    return _encode_and_decode(
        images,
        generation.codec,
        _options(generation),
        gop_frames=None if generation.codec == "mjpeg" else generation.gop_frames,
        bit_rate=bit_rate,
    )


def encode_decode(
    images: Sequence[NDArray[np.uint8]], *, codec: SimpleCodec, quantizer: int
) -> list[NDArray[np.uint8]]:
    """Return ``images`` after one lossy generation with the default settings of an encoder.

    Args:
        images: ``(H, W, 3)`` uint8 RGB, all of the same size with even sides.
        codec: The encoder.
        quantizer: Fixed quantizer: 2 to 31 for MPEG codecs, 0 to 51 for H.264.
    """
    if codec == "h264":
        options = {"qp": str(quantizer), "preset": "veryfast"}
    else:
        options = {"qmin": str(quantizer), "qmax": str(quantizer)}
    return _encode_and_decode(images, codec, options)


def _encode_and_decode(
    images: Sequence[NDArray[np.uint8]],
    codec: PassCodec,
    options: Mapping[str, str],
    *,
    gop_frames: int | None = None,
    bit_rate: int | None = None,
) -> list[NDArray[np.uint8]]:
    buffer = io.BytesIO()
    container_name = _CONTAINERS.get(codec, "matroska")
    with av.open(buffer, "w", format=container_name) as container:
        encoder = _ENCODERS.get(codec, codec)
        stream = cast(
            "VideoStream", container.add_stream(encoder, rate=_RATE, options=dict(options))
        )
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.thread_count = 1
        if gop_frames is not None:
            stream.codec_context.gop_size = gop_frames
        if bit_rate is not None:
            stream.codec_context.bit_rate = bit_rate
        for image in images:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r", format=container_name) as container:
        frames = container.decode(video=0)
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]


def _options(generation: CodecGeneration) -> dict[str, str]:
    if generation.codec == "h264":
        options = {"preset": "veryfast", "tune": "zerolatency"}
        if generation.interlaced:
            options["x264-params"] = "tff=1"
        if generation.quantizer is not None:
            options["qp"] = str(generation.quantizer)
        return options
    if generation.codec == "hevc":
        # Without this, x265 starts a thread per core even for tiny images.
        parameters = "log-level=none:pools=none:frame-threads=1:rc-lookahead=0:bframes=0"
        if generation.quantizer is not None:
            parameters += f":qp={generation.quantizer}"
        return {"preset": "ultrafast", "x265-params": parameters}
    options: dict[str, str] = {}
    if generation.quantizer is not None:
        options["qmin"] = options["qmax"] = str(generation.quantizer)
    if generation.interlaced and generation.codec in ("mpeg2video", "mpeg4"):
        options["flags"] = "+ildct+ilme"
    return options
