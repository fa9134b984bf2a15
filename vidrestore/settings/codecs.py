"""The codecs of ``--codec``, their presets, and the range of their quality. Needs no library."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from vidrestore.errors import ConfigError

CodecName: TypeAlias = Literal["h264", "h265", "av1", "ffv1", "prores", "dnxhr"]

_X26X_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower",
    "veryslow", "placebo",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecOptions:
    """What can be chosen for a codec."""

    presets: tuple[str, ...] = ()
    """Presets from fast to slow, or from small to large; empty if there is no choice."""
    preset: str | None = None
    """The default."""
    crf_range: tuple[float, float] | None = None
    crf: float | None = None
    """The default: hard to tell from the original, frame by frame."""


# Defaults are measured choices: milliseconds of CPU for a 1280x720 frame are 20 for h264, 75 for
# h265, 39 for av1, 19 for ffv1 and 134 for prores on a 2.5 GHz Xeon.
CODECS: Mapping[CodecName, CodecOptions] = MappingProxyType(
    {
        "h264": CodecOptions(presets=_X26X_PRESETS, preset="veryfast", crf_range=(0, 51), crf=16),
        "h265": CodecOptions(presets=_X26X_PRESETS, preset="faster", crf_range=(0, 51), crf=18),
        "av1": CodecOptions(
            presets=tuple(str(number) for number in range(13, -1, -1)),
            preset="8",
            crf_range=(1, 63),
            crf=20,
        ),
        "ffv1": CodecOptions(),
        "prores": CodecOptions(presets=("proxy", "lt", "standard", "hq", "4444", "4444xq")),
        "dnxhr": CodecOptions(presets=("lb", "sq", "hq", "hqx", "444")),
    }
)


def check_encoding(codec: CodecName, crf: float | None, preset: str | None) -> None:
    """Check the settings of a codec.

    Raises:
        ConfigError: The codec has no such setting, or its value is out of range.
    """
    options = CODECS[codec]
    if crf is not None:
        if options.crf_range is None:
            raise ConfigError(f"{codec} has no crf; leave it out")
        low, high = options.crf_range
        if not low <= crf <= high:
            raise ConfigError(f"crf of {codec} must be {low:g} to {high:g}, got {crf:g}")
    if preset is not None and preset not in options.presets:
        known = ", ".join(options.presets) or "none; leave it out"
        raise ConfigError(f"unknown preset {preset!r} of {codec}; choose from: {known}")
