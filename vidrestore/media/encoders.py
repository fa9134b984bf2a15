"""The encoders on offer: their settings, their defaults, and the pixel formats they take."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import inf
from types import MappingProxyType

import av
import av.error

from vidrestore.errors import ConfigError, MediaError
from vidrestore.media.convert import Loss, loss_between
from vidrestore.media.formats import PLANAR
from vidrestore.types import PixelFormat

_X26X_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower",
    "veryslow", "placebo",
)  # fmt: skip


# Quality, and which formats of samples it has.
_DNXHR_FORMATS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "lb": ("yuv422p",),
        "sq": ("yuv422p",),
        "hq": ("yuv422p",),
        "hqx": ("yuv422p10le",),
        "444": ("yuv444p10le", "gbrp10le"),
    }
)
# Slices of FFV1 by number of samples: more of them lose less to damage, and use more threads.
_FFV1_SLICES = ((3840 * 2160, 64), (1280 * 720, 24), (640 * 360, 16), (64 * 64, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSpec:
    """One entry of the table of encoders."""

    encoders: tuple[str, ...]
    """FFmpeg's encoders; the later ones for pixel formats that the first does not take."""
    presets: tuple[str, ...] = ()
    """From fast to slow, or from small to large; empty where there is no choice."""
    preset: str | None = None
    """The default."""
    preset_option: str = "preset"
    crf_range: tuple[float, float] | None = None
    crf: float | None = None
    """The default: hard to tell from the original, frame by frame."""
    options: Mapping[str, str]
    needs_even_size: bool = False
    """Whether subsampled chroma demands even sizes (the cropping units of H.264 and H.265)."""
    smallest_hw: tuple[int, int] = (1, 1)
    largest_hw: tuple[int, int] | None = None
    """The encoder's limits on each side; None where there are none that matter."""
    most_samples: int | None = None
    """Limit on height times width (of H.265: that of its highest level)."""
    codes_fields: bool = False
    """Whether interlaced frames are coded as fields; otherwise they are flagged at most."""


# Defaults are measured choices: milliseconds of CPU for a 1280x720 frame are 20 for h264, 75 for
# h265, 39 for av1, 19 for ffv1 and 134 for prores on a 2.5 GHz Xeon.
ENCODERS: Mapping[str, EncoderSpec] = MappingProxyType(
    {
        "h264": EncoderSpec(
            encoders=("libx264", "libx264rgb"),
            presets=_X26X_PRESETS,
            preset="veryfast",
            crf_range=(0, 51),
            crf=16,
            options={},
            needs_even_size=True,
            largest_hw=(16_384, 16_384),
            codes_fields=True,
        ),
        "h265": EncoderSpec(
            encoders=("libx265",),
            presets=_X26X_PRESETS,
            preset="faster",
            crf_range=(0, 51),
            crf=18,
            options={"x265-params": "log-level=none"},
            needs_even_size=True,
            most_samples=142_606_336,
        ),
        "av1": EncoderSpec(
            encoders=("libsvtav1",),
            presets=tuple(str(number) for number in range(13, -1, -1)),
            preset="8",
            crf_range=(1, 63),
            crf=20,
            options={},
            largest_hw=(8704, 16_384),
        ),
        "ffv1": EncoderSpec(
            encoders=("ffv1",),
            # Version 3 with a checksum on every slice: what archives ask for. Of 8 bits, the
            # range coder takes a quarter less room than Golomb-Rice; more bits always have it.
            options={"level": "3", "slicecrc": "1", "g": "1", "coder": "1"},
        ),
        "prores": EncoderSpec(
            encoders=("prores_ks",),
            presets=("proxy", "lt", "standard", "hq", "4444", "4444xq"),
            preset_option="profile",
            options={"vendor": "apl0"},
            codes_fields=True,
        ),
        "dnxhr": EncoderSpec(
            encoders=("dnxhd",),
            presets=tuple(_DNXHR_FORMATS),
            preset_option="profile",
            options={},
            smallest_hw=(120, 256),
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """How a film is encoded."""

    codec: str = "h264"
    crf: float | None = None
    """Constant quality: lower is better; None is a default hard to tell from the original."""
    preset: str | None = None
    """Speed against size; of ProRes and DNxHR, the profile. None is a sensible default."""
    threads: int = 0
    """Threads of the encoder; 0 lets it choose."""

    def __post_init__(self) -> None:
        if self.codec not in ENCODERS:
            known = ", ".join(ENCODERS)
            raise ConfigError(f"unknown codec {self.codec!r}; choose from: {known}")
        spec = ENCODERS[self.codec]
        if self.crf is not None:
            if spec.crf_range is None:
                raise ConfigError(f"{self.codec} has no crf; leave it out")
            low, high = spec.crf_range
            if not low <= self.crf <= high:
                raise ConfigError(
                    f"crf of {self.codec} must be {low:g} to {high:g}, got {self.crf:g}"
                )
        if self.preset is not None and self.preset not in spec.presets:
            known = ", ".join(spec.presets) or "none; leave it out"
            raise ConfigError(
                f"unknown preset {self.preset!r} of {self.codec}; choose from: {known}"
            )
        if self.threads < 0:
            raise ConfigError(f"threads must be >= 0, got {self.threads}")

    @property
    def spec(self) -> EncoderSpec:
        """The table entry of the codec."""
        return ENCODERS[self.codec]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderChoice:
    """An encoder and the pixel format it is given."""

    encoder: str
    name: str
    """FFmpeg's name of the format, which may pack what ``planar`` has in planes."""
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
        choices = [each for each in choices if each.name in _DNXHR_FORMATS[settings.preset]]
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
    spec = settings.spec
    options = dict(spec.options)
    preset = settings.preset or spec.preset
    if settings.codec == "prores" and preset is None:
        preset = "hq" if planar.chroma_shift_xy == (1, 0) else "4444"
    if settings.codec == "dnxhr":
        # The last in the table that has these samples is the best of them.
        fitting = [name for name, formats in _DNXHR_FORMATS.items() if planar.name in formats]
        preset = f"dnxhr_{preset or fitting[-1]}"
    if settings.codec == "ffv1":
        slices = _ffv1_slices(planar, coded_hw)
        if slices is not None:
            options["slices"] = str(slices)
    if preset is not None:
        options[spec.preset_option] = preset
    crf = settings.crf if settings.crf is not None else spec.crf
    if crf is not None:
        options["crf"] = f"{crf:g}"
    return options
