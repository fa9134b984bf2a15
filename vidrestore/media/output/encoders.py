"""Chooses the encoder and pixel format of a video, and FFmpeg's options for the encoder."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import inf

import av
import av.error
import cv2

from vidrestore.errors import MediaError
from vidrestore.media.color.pixel_conversion import ConversionLoss, loss_between
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.file_kinds import ffmpeg_codec
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.encoder_table import (
    DNXHR_FORMATS,
    ENCODERS,
    EncoderSettings,
    EncoderSpec,
)
from vidrestore.settings import CODECS, CodecName
from vidrestore.types import PixelFormat

# Minimum of pixels, slices of FFV1: more slices lose less to damage and use more threads.
_FFV1_SLICES = ((3840 * 2160, 64), (1280 * 720, 24), (640 * 360, 16), (64 * 64, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderChoice:
    """An encoder and its pixel format."""

    encoder: str
    name: str
    """FFmpeg's name of the format; may be the packed form of ``planar``."""
    planar: PixelFormat
    loss: ConversionLoss


_CPU_AVX_512F = 13
"""OpenCV's number of this CPU feature."""
# Lists formats with alpha, but some builds cannot open them.
_UNRELIABLE_ALPHA = frozenset({"libx265"})
# Packed formats of the same samples, for encoders without the planar format.
_PACKED = {"bgr0": "gbrp", "bgra": "gbrap", "rgb24": "gbrp"}


def encoder_choice(
    settings: EncoderSettings, pixel_format: PixelFormat, coded_hw: tuple[int, int]
) -> EncoderChoice:
    """Return the encoder and format that lose least of ``pixel_format``, if possible nothing.

    Raises:
        MediaError: The frame is too small or too large for the codec.
    """
    spec = settings.spec
    _check_size(settings.codec, spec, coded_hw)
    odd_hw = (coded_hw[0] % 2 == 1, coded_hw[1] % 2 == 1)
    choices: list[EncoderChoice] = []
    for encoder in spec.encoders:
        for offered in av.Codec(encoder, "w").video_formats or ():
            planar = PLANAR.get(_PACKED.get(offered.name, offered.name))
            if planar is None or (planar.has_alpha and encoder in _UNRELIABLE_ALPHA):
                continue
            if spec.needs_even_size and _cannot_crop(planar, odd_hw):
                continue
            choices.append(
                EncoderChoice(
                    encoder=encoder,
                    name=offered.name,
                    planar=planar,
                    loss=loss_between(pixel_format, planar),
                )
            )
    if settings.codec == "prores" and settings.preset is not None:
        is_4444 = settings.preset.startswith("4444")
        choices = [
            choice for choice in choices if (choice.planar.chroma_shift_xy == (0, 0)) == is_4444
        ]
    if settings.codec == "dnxhr" and settings.preset is not None:
        formats = DNXHR_FORMATS[settings.preset]
        choices = [choice for choice in choices if choice.name in formats]
    if settings.chroma == "420":
        choices = [choice for choice in choices if choice.planar.chroma_shift_xy == (1, 1)]
    if not choices:
        raise MediaError(
            f"{settings.codec} cannot encode {coded_hw[1]}x{coded_hw[0]} in 4:2:0; leave out "
            "--chroma, or use --codec av1"
        )
    # Among equals, a planar format, which needs no packing.
    return min(choices, key=lambda choice: (choice.loss, choice.name in _PACKED))


def _check_size(codec: str, spec: EncoderSpec, coded_hw: tuple[int, int]) -> None:
    height, width = coded_hw
    min_height, min_width = spec.min_hw
    if height < min_height or width < min_width:
        raise MediaError(
            f"{width}x{height} is below the minimum frame size of {codec} "
            f"({min_width}x{min_height}); "
            "use --codec ffv1 or prores"
        )
    max_height, max_width = spec.max_hw or coded_hw
    is_within_sides = height <= max_height and width <= max_width
    if is_within_sides and height * width <= (spec.max_pixels or inf):
        return
    limit = f"{max_width}x{max_height}" if spec.max_hw else f"{spec.max_pixels} pixels"
    raise MediaError(
        f"{width}x{height} is above the maximum frame size of {codec} ({limit}); use --codec ffv1"
    )


def _cannot_crop(planar: PixelFormat, odd_hw: tuple[bool, bool]) -> bool:
    shift_x, shift_y = planar.chroma_shift_xy
    return (odd_hw[0] and shift_y > 0) or (odd_hw[1] and shift_x > 0)


@cache
def _ffv1_slices(planar: PixelFormat, coded_hw: tuple[int, int]) -> int | None:
    """Return the number of slices of a frame; None leaves it to the encoder.

    FFmpeg refuses numbers that would split a chroma sample, as in odd sizes. There is no list of
    them, so each is tried.
    """
    area = coded_hw[0] * coded_hw[1]
    counts = (count for min_area, count in _FFV1_SLICES if area >= min_area)
    return next((count for count in counts if _opens_in_slices(count, planar, coded_hw)), None)


def _opens_in_slices(count: int, planar: PixelFormat, coded_hw: tuple[int, int]) -> bool:
    context = av.CodecContext.create("ffv1", "w")
    context.height, context.width = coded_hw
    context.pix_fmt, context.time_base = planar.name, Fraction(1, 25)
    context.options = {"level": "3", "slices": str(count)}
    try:
        context.open()
    except av.error.FFmpegError:
        return False
    return True


def encoder_options(
    settings: EncoderSettings, planar: PixelFormat, coded_hw: tuple[int, int]
) -> dict[str, str]:
    """Return FFmpeg's encoder options for a frame size and pixel format."""
    spec, codec = settings.spec, CODECS[settings.codec]
    options = dict(spec.options)
    preset = settings.preset or codec.preset
    if settings.codec == "prores" and preset is None:
        preset = "hq" if planar.chroma_shift_xy == (1, 0) else "4444"
    if settings.codec == "dnxhr":
        # The last profile in the table with this pixel format has the best quality.
        presets = [name for name, formats in DNXHR_FORMATS.items() if planar.name in formats]
        preset = f"dnxhr_{preset or presets[-1]}"
    if settings.codec == "ffv1":
        slices = _ffv1_slices(planar, coded_hw)
        if slices is not None:
            options["slices"] = str(slices)
    if settings.codec == "h264" and cv2.checkHardwareSupport(_CPU_AVX_512F):
        # x264's AVX-512 macroblock tree reads uninitialized memory if a row has an odd number of
        # macroblocks, as at a width of 720: the bytes differ from run to run.
        options["x264-params"] = "asm=AVX2"
    if preset is not None:
        options[spec.preset_option] = preset
    crf = settings.crf if settings.crf is not None else codec.crf
    if crf is not None:
        options["crf"] = f"{crf:g}"
    return options


def is_needed_by_codec(written: VideoInfo, source: PixelFormat) -> bool:
    """Whether the pixel format of a result is the one its codec stores the source in.

    Args:
        written: The result.
        source: Pixel format of the source.
    """
    codecs: list[CodecName] = [name for name in ENCODERS if ffmpeg_codec(name) == written.codec]
    if not codecs:
        return False
    size_hw = written.geometry.coded_hw
    try:
        expected = encoder_choice(EncoderSettings(codec=codecs[0]), source, size_hw).planar
    except MediaError:
        return False
    decoded = written.pixel_format
    # Some decoders return more bits than were encoded, as for ProRes.
    return expected.bit_depth <= decoded.bit_depth and (
        (expected.model, expected.chroma_shift_xy, expected.has_alpha)
        == (decoded.model, decoded.chroma_shift_xy, decoded.has_alpha)
    )
