"""Table of the encoders: FFmpeg's encoder for each codec, its options and limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from vidrestore.errors import ConfigError
from vidrestore.settings import (
    CodecName,
    RestoreSettings,
    check_encoding,
    check_options,
    same_option,
)

# Pixel formats of each profile, from small to large.
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
    """FFmpeg's encoders; later ones are for pixel formats that the first does not support."""
    preset_option: str = "preset"
    options: Mapping[str, str]
    needs_even_size: bool = False
    """Whether subsampled chroma needs even sizes (the cropping units of H.264 and H.265)."""
    min_hw: tuple[int, int] = (1, 1)
    max_hw: tuple[int, int] | None = None
    """Largest height and width; None if there is no limit."""
    max_pixels: int | None = None
    """Largest height times width (for H.265, that of its highest level)."""
    supports_interlaced_coding: bool = False
    """Whether interlaced frames are encoded as fields."""


# Presets and ranges of crf are in vidrestore/settings/codecs.py.
ENCODERS: Mapping[CodecName, EncoderSpec] = MappingProxyType(
    {
        "h264": EncoderSpec(
            encoders=("libx264", "libx264rgb"),
            options={},
            needs_even_size=True,
            max_hw=(16_384, 16_384),
            supports_interlaced_coding=True,
        ),
        "h265": EncoderSpec(
            encoders=("libx265",),
            options={"x265-params": "log-level=none"},
            needs_even_size=True,
            max_pixels=142_606_336,
        ),
        "av1": EncoderSpec(
            encoders=("libsvtav1",),
            options={},
            max_hw=(8704, 16_384),
        ),
        "ffv1": EncoderSpec(
            encoders=("ffv1",),
            # Version 3 with a checksum on every slice, as archives require. At 8 bits, the range
            # coder makes files a quarter smaller than Golomb-Rice; more bits always use it.
            options={"level": "3", "slicecrc": "1", "g": "1", "coder": "1"},
        ),
        "prores": EncoderSpec(
            encoders=("prores_ks",),
            preset_option="profile",
            options={"vendor": "apl0"},
            supports_interlaced_coding=True,
        ),
        "dnxhr": EncoderSpec(
            encoders=("dnxhd",),
            preset_option="profile",
            options={},
            min_hw=(120, 256),
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """How a video is encoded."""

    codec: CodecName = same_option(RestoreSettings, "codec")
    crf: float | None = same_option(RestoreSettings, "crf")
    preset: str | None = same_option(RestoreSettings, "preset")
    chroma: Literal["source", "420"] = same_option(RestoreSettings, "chroma")
    threads: int = 0
    """Threads of the encoder; 0 lets it choose."""

    def __post_init__(self) -> None:
        check_options(self)
        check_encoding(self.codec, self.crf, self.preset)
        if self.threads < 0:
            raise ConfigError(f"threads must be >= 0, got {self.threads}")

    @property
    def spec(self) -> EncoderSpec:
        """The table entry of the codec."""
        return ENCODERS[self.codec]
