"""The record of a run: what it synthesized in every frame."""

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

from vidrestore import __version__
from vidrestore.media.file_kinds import (
    LOSSLESS_IMAGES,
    ffmpeg_codec,
    image_format,
    kind_of_output,
)
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.encoders import encoder_choice
from vidrestore.media.output.y4m_writer import y4m_format
from vidrestore.models.registry import RESTORERS
from vidrestore.pipeline.loading.checkpoints import checkpoint_fields
from vidrestore.pipeline.loading.spandrel_models import SPANDREL_MODELS
from vidrestore.record import (
    FaceRecord,
    FrameRecord,
    OutputFile,
    RecordHeader,
    RepairRecord,
    SourceFile,
)
from vidrestore.record.schema import JsonScalar, PointsXy
from vidrestore.settings import RestoreSettings, config_from
from vidrestore.storage.checksums import file_sha256
from vidrestore.storage.standard_streams import is_standard_stream
from vidrestore.types import (
    FinishedFace,
    FinishedFrame,
    FloatArray,
    Repair,
)


def record_header(
    settings: RestoreSettings,
    info: VideoInfo,
    output: Path,
    *,
    detail: float | None,
    scale: int = 1,
) -> RecordHeader:
    """Return the header of the record of a run. Reads the whole source for its checksum.

    Args:
        settings: Settings of the run.
        info: The source.
        output: The result, which need not be there yet.
        detail: Detail of the restorer's weights.
        scale: How many times larger the result is.
    """
    is_file = info.path.is_file()
    return RecordHeader(
        program=f"vidrestore {__version__}",
        source=SourceFile(
            name=info.path.resolve().name or "/",
            size_bytes=info.path.stat().st_size if is_file else None,
            sha256=file_sha256(info.path) if is_file else None,
        ),
        output=output_file(settings, info, output, scale=scale),
        coded_hw=info.geometry.coded_hw,
        display_hw=info.geometry.display_hw,
        time_base=info.time_base,
        model=_model_name(settings.model),
        **checkpoint_fields(settings.model, scale=scale, detail=detail),
        detail=detail,
        scale=scale,
        settings=plain_settings(settings),
    )


def output_file(
    settings: RestoreSettings, info: VideoInfo, output: Path, *, scale: int = 1
) -> OutputFile:
    """Return the format of the result, and whether samples outside faces are unchanged."""
    whole_picture = (
        settings.background is not None
        or settings.deinterlace in ("frame", "field")
        or settings.pulldown
    )
    source = info.pixel_format
    if is_standard_stream(output):
        planar = y4m_format(source)
        codec, name, is_lossless = "rawvideo", planar.name, planar == source
    elif kind_of_output(output) != "film":
        codec = image_format(output) or (info.codec if info.kind != "film" else "png")
        converted = source.model == "yuv"
        fits = source.bit_depth == 8 or codec != "bmp"
        is_lossless = codec in LOSSLESS_IMAGES and fits and not converted
        name = "rgb24" if converted else source.name
    else:
        height, width = info.geometry.coded_hw
        choice = encoder_choice(
            config_from(settings, EncoderSettings), source, (height * scale, width * scale)
        )
        codec = ffmpeg_codec(settings.codec)
        is_lossless = choice.planar == source and _keeps_samples(settings, source.bit_depth)
        name = choice.planar.name
    return OutputFile(
        name=output.name, codec=codec, pixel_format=name, lossless=is_lossless and not whole_picture
    )


def _keeps_samples(settings: RestoreSettings, bit_depth: int) -> bool:
    # In x264, crf 0 is lossless only at 8 bits; at more bits the scale begins below 0.
    return settings.codec == "ffv1" or (
        settings.codec == "h264" and settings.crf == 0 and bit_depth == 8
    )


def plain_settings(settings: RestoreSettings) -> dict[str, JsonScalar]:
    """Return the settings as single values: fractions as ``n/d``, files by name without folder."""
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    values["model"] = _model_name(settings.model)
    return {name: _json_value(value) for name, value in values.items()}


def _json_value(value: Any) -> JsonScalar:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Path):
        return value.name
    if isinstance(value, tuple):
        return ",".join(map(str, cast("tuple[object, ...]", value)))
    return f"{value.numerator}/{value.denominator}" if isinstance(value, Fraction) else str(value)


def frame_record(finished: FinishedFrame, settings: RestoreSettings) -> FrameRecord:
    """Return the record of one finished frame; it depends on nothing else.

    Args:
        finished: As the stages yield it.
        settings: Settings of the run.
    """
    return FrameRecord(
        index=finished.source.index,
        pts=finished.source.timestamp.ticks,
        shot=finished.shot,
        faces=tuple(
            _face_record(face, settings.strength_of(face.face.track_id)) for face in finished.faces
        ),
        repair=None if finished.repair is None else _repair_record(finished.repair),
    )


def _repair_record(repair: Repair) -> RepairRecord:
    return RepairRecord(
        curve=repair.curve,
        dust_xyxy=repair.dust_xyxy,
        scratches_xyxy=repair.scratches_xyxy,
        specks=repair.specks,
    )


def _face_record(finished: FinishedFace, strength: float) -> FaceRecord:
    face, verdict = finished.face, finished.assessment
    left, top, right, bottom = map(float, face.box_xyxy)
    return FaceRecord(
        track=face.track_id,
        box_xyxy=(left, top, right, bottom),
        score=_clamp(float(face.score), 0, 1),
        interpolated=face.interpolated,
        points_measured_xy=_points(face.raw_landmarks_xy),
        points_xy=_points(face.landmarks_xy),
        mask_xyxy=finished.mask_xyxy,
        strength=_clamp(strength * verdict.strength, 0, 1),
        reason=verdict.reason,
        identity_similarity=_clamp_optional(verdict.identity_similarity, -1, 1),
        luma_before=_clamp_optional(finished.luma_before, 0, 255),
        luma_after=_clamp_optional(finished.luma_after, 0, 255),
        crop_px=finished.crop_side_px,
    )


def _points(landmarks_xy: FloatArray) -> PointsXy:
    return tuple((float(x), float(y)) for x, y in landmarks_xy)


def _clamp_optional(value: float | None, low: float, high: float) -> float | None:
    return None if value is None else _clamp(float(value), low, high)


def _clamp(value: float, low: float, high: float) -> float:
    # Rounding may leave the range by the last digit.
    return min(high, max(low, value))


def _model_name(model: str) -> str:
    """Return the name of a model for the record: a file without its folder."""
    return model if model in RESTORERS or model in SPANDREL_MODELS else Path(model).name
