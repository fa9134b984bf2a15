"""The encoders on offer, their defaults and the ranges of their settings; needs no library."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from vidrestore.errors import ConfigError

_X26X_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower",
    "veryslow", "placebo",
)  # fmt: skip


# Quality, and which formats of samples it has.
DNXHR_FORMATS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "lb": ("yuv422p",),
        "sq": ("yuv422p",),
        "hq": ("yuv422p",),
        "hqx": ("yuv422p10le",),
        "444": ("yuv444p10le", "gbrp10le"),
    }
)


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
    supports_interlaced_coding: bool = False
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
            supports_interlaced_coding=True,
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
            supports_interlaced_coding=True,
        ),
        "dnxhr": EncoderSpec(
            encoders=("dnxhd",),
            presets=tuple(DNXHR_FORMATS),
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
