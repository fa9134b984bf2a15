"""Compare frame size, pixel format, color, field order, rotation and aspect."""

from collections.abc import Iterator, Mapping
from fractions import Fraction

from vidrestore.media.color.color_tags import chroma_column, unstored_color_tags
from vidrestore.media.input.inventory import stores_rotation
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.encoders import is_needed_by_codec
from vidrestore.types import DisplayGeometry
from vidrestore.verify.checks import Check, changed, kept, not_promised
from vidrestore.verify.run_files import Evidence

_ASPECT_TOLERANCE = Fraction(1, 1000)


def format_checks(before: VideoInfo, after: VideoInfo, evidence: Evidence) -> Iterator[Check]:
    """Yield the checks of size, pixel format, color, field order, rotation and aspect."""
    yield _size(before, after, evidence)
    yield _pixel_format(before, after, evidence)
    if before.pixel_format.model != after.pixel_format.model:
        yield not_promised("color tags", "the samples were converted to another color model")
    elif before.kind == "film" and after.kind != "film":
        yield not_promised("color tags", "images store none of those of a video")
    else:
        yield _color_tags(before, after)
    if after.kind != "film":
        upright = "images are written upright, without a pixel aspect ratio"
        yield not_promised("rotation and aspect", upright)
        return
    reason = evidence.why_frames_differ
    if reason is not None:
        yield not_promised("field order", reason)
    elif before.field_order in ("unknown", "progressive"):
        if after.field_order in ("unknown", "progressive"):
            yield kept("field order", "progressive")
        else:
            change = f"{before.field_order} became {after.field_order}"
            yield changed("field order", change)
    else:
        yield _same("field order", {"": before.field_order}, {"": after.field_order})
    yield _rotation(before, after)
    yield _aspect(before, after)


def _size(before: VideoInfo, after: VideoInfo, evidence: Evidence) -> Check:
    height, width = before.geometry.coded_hw
    expected_hw = (height * evidence.scale, width * evidence.scale)
    upright_hw = expected_hw[::-1] if before.geometry.quarter_turns % 2 else expected_hw
    result_hw = after.geometry.coded_hw
    size = f"{result_hw[1]} x {result_hw[0]}"
    is_upright = after.kind != "film" and before.kind == "film" and result_hw == upright_hw
    if result_hw == expected_hw or is_upright:
        return kept("size", size if evidence.scale == 1 else f"{size}, {evidence.scale} times")
    return changed("size", f"{expected_hw[1]} x {expected_hw[0]} became {size}")


def _pixel_format(before: VideoInfo, after: VideoInfo, evidence: Evidence) -> Check:
    name, source, result = "pixel format", before.pixel_format, after.pixel_format
    if source == result:
        return kept(name, f"{result.name}, {result.bit_depth} bits")
    change = f"{source.name} became {result.name}"
    header = evidence.header
    if header is not None and header.output.pixel_format == result.name:
        return not_promised(name, f"{change}, as {header.output.codec} needs it")
    if after.kind != "film" and source.model == "yuv":
        return not_promised(name, f"{change}: images store RGB")
    if after.kind == "film" and is_needed_by_codec(after, source):
        return not_promised(name, f"{change}: {after.codec} requires it")
    loses_chroma = source.model != "gray" and any(
        result_shift > source_shift
        for result_shift, source_shift in zip(
            result.chroma_shift_xy, source.chroma_shift_xy, strict=True
        )
    )
    loses_depth = result.bit_depth < source.bit_depth
    loses_alpha = source.has_alpha and not result.has_alpha
    is_gray_as_yuv = (source.model, result.model) == ("gray", "yuv")
    if (source.model == result.model or is_gray_as_yuv) and not (
        loses_chroma or loses_depth or loses_alpha
    ):
        return not_promised(name, f"{change}, which stores every sample")
    return changed(name, change)


def _color_tags(before: VideoInfo, after: VideoInfo) -> Check:
    source, result = _color_values(before), _color_values(after)
    if {source["range"], result["range"]} == {"unspecified", "limited"}:
        del source["range"]  # an unspecified range is read as limited
    subsampled = before.pixel_format.model == "yuv" and any(before.pixel_format.chroma_shift_xy)
    locations = {source["chroma location"], result["chroma location"]}
    if before.pixel_format != after.pixel_format or not subsampled or locations == {"0", "1"}:
        # Chroma was converted, or there is none; an unspecified location means left.
        del source["chroma location"]
    if before.pixel_format.model == "rgb" and {source["matrix"], result["matrix"]} == {"0", "2"}:
        del source["matrix"]  # unspecified, where samples are RGB already
    if {source.get("matrix"), result["matrix"]} == {"5", "6"}:
        del source["matrix"]  # two numbers of BT.601
    check = _same("color tags", source, result)
    is_420 = after.pixel_format.chroma_shift_xy == (1, 1)
    unstored = unstored_color_tags(after.container, after.codec, is_420=is_420)
    differing = {name for name, value in source.items() if result[name] != value}
    if differing and differing <= unstored:
        text = f"{after.codec} in {after.path.suffix} cannot store all: {check.detail}"
        return not_promised(check.name, text)
    return check


def _color_values(info: VideoInfo) -> dict[str, str]:
    color = info.color
    limited_or_full = "full" if color.full_range else "limited"
    return {
        "matrix": str(color.matrix),
        "primaries": str(color.primaries),
        "transfer": str(color.transfer),
        "range": limited_or_full if color.range_known else "unspecified",
        "chroma location": str(chroma_column(color, info.pixel_format)),
    }


def _same(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> Check:
    differences = [
        f"{key} {value} became {after.get(key, 'nothing')}".strip()
        for key, value in before.items()
        if after.get(key) != value
    ]
    if differences:
        return changed(name, "; ".join(differences))
    return kept(name, ", ".join(f"{key} {value}".strip() for key, value in before.items()))


def _rotation(before: VideoInfo, after: VideoInfo) -> Check:
    source, result = (_orientation_text(info.geometry) for info in (before, after))
    if source == result:
        return kept("rotation", result)
    if not stores_rotation(after):
        return not_promised("rotation", f"{after.path.suffix} cannot store it")
    return changed("rotation", f"{source} became {result}")


def _orientation_text(geometry: DisplayGeometry) -> str:
    return f"{geometry.quarter_turns * 90} degrees" + (", mirrored" if geometry.mirrored else "")


def _aspect(before: VideoInfo, after: VideoInfo) -> Check:
    source, result = (info.geometry.sample_aspect_ratio for info in (before, after))
    if abs(source - result) <= source * _ASPECT_TOLERANCE:
        return kept("aspect", f"pixels {source.numerator}:{source.denominator}")
    return changed("aspect", f"pixels {source} became {result}".replace("/", ":"))
