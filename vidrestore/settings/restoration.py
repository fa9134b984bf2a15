"""All settings of a restoration: those of its frames, of its outputs and of the machine."""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

from vidrestore.errors import ConfigError
from vidrestore.settings.codecs import CodecName, check_encoding
from vidrestore.settings.frames import FrameSettings
from vidrestore.settings.option import check_options, option
from vidrestore.settings.track_strength import check_track_strengths
from vidrestore.settings.upscaler_names import check_upscaler_name

PrecisionName: TypeAlias = Literal["auto", "fp32", "bf16", "fp16"]
Deinterlace: TypeAlias = Literal["auto", "keep", "frame", "field"]
"""``auto`` keeps the fields of interlaced film. ``keep`` also treats a film without flags as
interlaced, unless its frames show that it is not. ``frame`` and ``field`` deinterlace to one
frame per frame or per field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSettings(FrameSettings):
    """Settings of ``restore_video``; the defaults suit most films.

    ``vidrestore.settings.settings_of(RestoreSettings)`` has the help and the range of each.
    """

    codec: CodecName = option(
        "h264",
        "Video codec. ffv1 is lossless.",
        group="The output",
        common=True,
    )
    crf: float | None = option(
        None,
        "Quality of the encoder; lower is better.",
        group="The output",
        metavar="N",
        means="visually lossless",
        resolved=True,
    )
    preset: str | None = option(
        None,
        "Speed of the encoder; for prores and dnxhr, the profile.",
        group="The output",
        metavar="NAME",
        means="chosen for the codec",
        resolved=True,
    )
    chroma: Literal["source", "420"] = option(
        "source",
        "Chroma sampling of the film: the source's, as near as the codec has it, or 4:2:0, which "
        "every player shows.",
        group="The output",
    )
    fps: Fraction | None = option(
        None,
        "Frame rate of an image sequence, or of a raw stream that does not state one: 25, 23.976, "
        "24000/1001.",
        group="The output",
        above=0,
        metavar="RATE",
        means="25 for an image sequence",
        resolved=True,
    )
    deinterlace: Deinterlace = option(
        "auto",
        "For interlaced film: restore each field and keep the film interlaced (auto and keep), "
        "write one whole frame per frame (frame), or one per field at twice the rate (field).",
        group="The output",
    )
    pulldown: bool = option(
        False,
        "Undo the 3:2 pulldown of telecined film: four frames for every five.",
        group="The output",
    )
    drop_unsupported: bool = option(
        False,
        "Drop streams and chapters that the output cannot hold, instead of refusing the film.",
        group="The output",
    )
    overwrite: bool = option(
        False,
        "Replace existing outputs, and discard an interrupted run.",
        group="The output",
        affects="nothing",
        per_run=True,
    )
    compare: Path | None = option(
        None,
        "Also write a film with before and after side by side.",
        group="Reports",
        metavar="FILE",
        affects="presence",
        per_run=True,
    )
    record: Path | None = option(
        None,
        "Also write every change in every frame, as JSON lines, for `vidrestore verify`.",
        group="Reports",
        metavar="FILE",
        see="preservation.md#proof",
        affects="presence",
        per_run=True,
    )
    framemd5: Path | None = option(
        None,
        "Also write checksums of the written frames, as FFmpeg's framemd5.",
        group="Reports",
        metavar="FILE",
        see="preservation.md#checksums",
        affects="nothing",
        per_run=True,
    )
    verify: bool = option(
        False,
        "Prove at the end that nothing else changed, as `vidrestore verify` does. The record is "
        "written, too: beside the output, unless --record names it.",
        group="Reports",
        see="preservation.md#proof",
        affects="nothing",
    )
    device: str = option(
        "auto",
        "Where the networks run; auto is the first GPU, or else the CPU.",
        group="The machine",
        metavar="auto|cpu|cuda|cuda:N",
        resolved=True,
    )
    precision: PrecisionName = option(
        "auto",
        "Number format of the networks; auto is bf16 where it is fast, or else fp32.",
        group="The machine",
        resolved=True,
    )
    batch_size: int | None = option(
        None,
        "Faces per call of the network.",
        group="The machine",
        low=1,
        means="chosen for the device",
        resolved=True,
    )
    gpu_stages: bool = option(
        False,
        "Also cut out, average, check and paste faces on the device, in batches. Has never been "
        "run on a GPU.",
        group="The machine",
        see="scaling.md#batches-on-the-device",
    )
    hardware_decoding: bool = option(
        False,
        "Decode films on the GPU's decoder (NVDEC): H.264 of 8 bits, HEVC of 8 or 10 bits, 4:2:0. "
        "Has never been run on a GPU.",
        group="The machine",
        see="scaling.md#hardware-decoding",
    )

    def __post_init__(self) -> None:
        check_options(self)
        check_encoding(self.codec, self.crf, self.preset)
        if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", self.device):
            raise ConfigError(f"device must be auto, cpu, cuda or cuda:N, got {self.device!r}")
        if isinstance(self.background, str):
            check_upscaler_name(self.background)
        if self.scale is not None and self.background is None:
            raise ConfigError("scale needs background; set background, or leave out scale")
        if self.pulldown and self.deinterlace == "field":
            raise ConfigError("pulldown excludes deinterlace field; leave out one of them")
        if any(number < 1 for number in self.only_tracks):
            raise ConfigError(f"only_tracks must be numbers from 1 on, got {self.only_tracks}")
        check_track_strengths(self.track_strengths)
        start = self.start_seconds or Fraction(0)
        if start < 0 or (self.end_seconds is not None and self.end_seconds <= start):
            raise ConfigError(f"the end ({self.end_seconds} s) must come after the start ({start})")

    def with_record(self, output: Path) -> "RestoreSettings":
        """Return the settings with a record beside the output where a proof needs one."""
        if not self.verify or self.record is not None:
            return self
        return replace(self, record=output.parent / f"{output.stem}.jsonl")
