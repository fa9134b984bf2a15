"""Which encoder and pixel format a film is written in, and FFmpeg's options for it."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import inf

import av
import av.error

from vidrestore.errors import MediaError
from vidrestore.media.color.pixel_conversion import Loss, loss_between
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.output.encoder_table import DNXHR_FORMATS, EncoderSettings, EncoderSpec
from vidrestore.settings import CODECS
from vidrestore.types import PixelFormat

# Slices of FFV1 by number of samples: more of them lose less to damage, and use more threads.
_FFV1_SLICES = ((3840 * 2160, 64), (1280 * 720, 24), (640 * 360, 16), (64 * 64, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderChoice:
    """An encoder and the pixel format it is given."""

    encoder: str
    name: str
    """FFmpeg's name of the format, which may be the packed form of ``planar``."""
    planar: PixelFormat
    loss: Loss


# Lists formats with alpha, and opens with them only where it was built so.
_ALPHA_IN_NAME_ONLY = frozenset({"libx265"})
# What packs the same samples, for encoders without the planar format.
_PACKED = {"bgr0": "gbrp", "bgra": "gbrap", "rgb24": "gbrp"}


def encoder_choice(
    settings: EncoderSettings, pixel_format: PixelFormat, coded_hw: tuple[int, int]
) -> EncoderChoice:
    """Return the encoder and format that lose nothing of ``pixel_format``, or else least.

    Raises:
        MediaError: The picture is too large for the codec.
    """
    spec = settings.spec
    _check_size(settings.codec, spec, coded_hw)
    odd_hw = (coded_hw[0] % 2 == 1, coded_hw[1] % 2 == 1)
    choices: list[EncoderChoice] = []
    for encoder in spec.encoders:
        for offered in av.Codec(encoder, "w").video_formats or ():
            planar = PLANAR.get(_PACKED.get(offered.name, offered.name))
            if planar is None or (planar.has_alpha and encoder in _ALPHA_IN_NAME_ONLY):
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
        wide = settings.preset.startswith("4444")
        choices = [each for each in choices if (each.planar.chroma_shift_xy == (0, 0)) == wide]
    if settings.codec == "dnxhr" and settings.preset is not None:
        choices = [each for each in choices if each.name in DNXHR_FORMATS[settings.preset]]
    # Of equals, the planar format, which needs no packing.
    return min(choices, key=lambda each: (each.loss, each.name in _PACKED))


def _check_size(codec: str, spec: EncoderSpec, coded_hw: tuple[int, int]) -> None:
    height, width = coded_hw
    least_h, least_w = spec.smallest_hw
    if height < least_h or width < least_w:
        raise MediaError(
            f"pictures of {width}x{height} are smaller than {codec} holds ({least_w}x{least_h}); "
            "use --codec ffv1 or prores"
        )
    most_h, most_w = spec.largest_hw or coded_hw
    if height <= most_h and width <= most_w and height * width <= (spec.most_samples or inf):
        return
    most = f"{most_w}x{most_h}" if spec.largest_hw else f"{spec.most_samples} samples"
    raise MediaError(
        f"pictures of {width}x{height} are more than {codec} holds ({most}); use --codec ffv1"
    )


def _cannot_crop(planar: PixelFormat, odd_hw: tuple[bool, bool]) -> bool:
    shift_x, shift_y = planar.chroma_shift_xy
    return (odd_hw[0] and shift_y > 0) or (odd_hw[1] and shift_x > 0)


@cache
def _ffv1_slices(planar: PixelFormat, coded_hw: tuple[int, int]) -> int | None:
    """Return how many slices a frame is coded in; None leaves it to the encoder.

    FFmpeg refuses slices that would cut through a sample of chroma, as in odd sizes; which these
    are is found out by trying.
    """
    area = coded_hw[0] * coded_hw[1]
    wanted = (count for least, count in _FFV1_SLICES if area >= least)
    return next((count for count in wanted if _opens_in_slices(count, planar, coded_hw)), None)


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
    """Return FFmpeg's options for the encoder of pictures of a size and format."""
    spec, codec = settings.spec, CODECS[settings.codec]
    options = dict(spec.options)
    preset = settings.preset or codec.preset
    if settings.codec == "prores" and preset is None:
        preset = "hq" if planar.chroma_shift_xy == (1, 0) else "4444"
    if settings.codec == "dnxhr":
        # The last in the table that has these samples is the best of them.
        fitting = [name for name, formats in DNXHR_FORMATS.items() if planar.name in formats]
        preset = f"dnxhr_{preset or fitting[-1]}"
    if settings.codec == "ffv1":
        slices = _ffv1_slices(planar, coded_hw)
        if slices is not None:
            options["slices"] = str(slices)
    if preset is not None:
        options[spec.preset_option] = preset
    crf = settings.crf if settings.crf is not None else codec.crf
    if crf is not None:
        options["crf"] = f"{crf:g}"
    return options
