"""The form of the pictures: size, pixel format, colour, fields, rotation and aspect."""

from collections.abc import Iterator, Mapping
from fractions import Fraction

from vidrestore.media import VideoInfo
from vidrestore.media.input.inventory import stores_rotation
from vidrestore.verify.checks import Check, changed, kept, not_promised
from vidrestore.verify.run_files import Evidence

_ASPECT_TOLERANCE = Fraction(1, 1000)


def format_checks(before: VideoInfo, after: VideoInfo, evidence: Evidence) -> Iterator[Check]:
    """Yield what became of size, pixel format, colour, fields, rotation and aspect."""
    yield _size(before, after, evidence)
    yield _pixel_format(before, after, evidence)
    converted = before.pixel_format.model != after.pixel_format.model
    if converted:
        yield not_promised("colour tags", "the samples were converted to another colour model")
    else:
        yield _colour_tags(before, after)
    if after.kind != "film":
        upright = "pictures are written upright, with the pixels they have"
        yield not_promised("rotation and aspect", upright)
        return
    other = evidence.why_frames_differ
    if other is not None:
        yield not_promised("field order", other)
    elif before.field_order in ("unknown", "progressive"):
        progressive = after.field_order in ("unknown", "progressive")
        said = "progressive" if progressive else f"{before.field_order} became {after.field_order}"
        yield kept("field order", said) if progressive else changed("field order", said)
    else:
        yield _same("field order", {"": before.field_order}, {"": after.field_order})
    yield _rotation(before, after)
    yield _aspect(before, after)


def _size(before: VideoInfo, after: VideoInfo, evidence: Evidence) -> Check:
    height, width = before.geometry.coded_hw
    wanted_hw = (height * evidence.scale, width * evidence.scale)
    turned_hw = wanted_hw[::-1] if before.geometry.quarter_turns % 2 else wanted_hw
    found_hw = after.geometry.coded_hw
    said = f"{found_hw[1]} x {found_hw[0]}"
    upright = after.kind != "film" and before.kind == "film" and found_hw == turned_hw
    if found_hw == wanted_hw or upright:
        return kept("size", said if evidence.scale == 1 else f"{said}, {evidence.scale} times")
    return changed("size", f"{wanted_hw[1]} x {wanted_hw[0]} became {said}")


def _pixel_format(before: VideoInfo, after: VideoInfo, evidence: Evidence) -> Check:
    name, was, found = "pixel format", before.pixel_format, after.pixel_format
    if was == found:
        return kept(name, f"{found.name}, {found.bit_depth} bits")
    said = f"{was.name} became {found.name}"
    header = evidence.header
    if header is not None and header.output.pixel_format == found.name:
        return not_promised(name, f"{said}, as {header.output.codec} demanded")
    if after.kind != "film" and was.model == "yuv":
        return not_promised(name, f"{said}: pictures hold RGB")
    wider = was.model == found.model and found.bit_depth >= was.bit_depth
    wider = wider and all(
        fine <= coarse
        for fine, coarse in zip(found.chroma_shift_xy, was.chroma_shift_xy, strict=True)
    )
    if wider and found.has_alpha >= was.has_alpha:
        return not_promised(name, f"{said}, which holds all of it")
    return changed(name, said)


def _colour_tags(before: VideoInfo, after: VideoInfo) -> Check:
    was, found = _colour(before), _colour(after)
    if {was["range"], found["range"]} == {"unspecified", "limited"}:
        del was["range"]  # a film that does not say has to be taken for limited
    if before.pixel_format != after.pixel_format:
        del was["chroma location"]  # of other chroma
    check = _same("colour tags", was, found)
    if check.result == "changed" and after.container == "avi":
        return not_promised(check.name, f".avi cannot hold all: {check.detail}")
    return check


def _colour(info: VideoInfo) -> dict[str, str]:
    color = info.color
    limited_or_full = "full" if color.full_range else "limited"
    return {
        "matrix": str(color.matrix),
        "primaries": str(color.primaries),
        "transfer": str(color.transfer),
        "range": limited_or_full if color.range_known else "unspecified",
        "chroma location": str(color.chroma_location),
    }


def _same(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> Check:
    wrong = [
        f"{key} {value} became {after.get(key, 'nothing')}".strip()
        for key, value in before.items()
        if after.get(key) != value
    ]
    if wrong:
        return changed(name, "; ".join(wrong))
    return kept(name, ", ".join(f"{key} {value}".strip() for key, value in before.items()))


def _rotation(before: VideoInfo, after: VideoInfo) -> Check:
    was, found = (
        (each.geometry.quarter_turns * 90, each.geometry.mirrored) for each in (before, after)
    )
    said = _turned(*found)
    if was == found:
        return kept("rotation", said)
    if not stores_rotation(after):
        return not_promised("rotation", f"{after.path.suffix} cannot hold it")
    return changed("rotation", f"{_turned(*was)} became {said}")


def _turned(degrees: int, mirrored: bool) -> str:
    return f"{degrees} degrees" + (", mirrored" if mirrored else "")


def _aspect(before: VideoInfo, after: VideoInfo) -> Check:
    was, found = (each.geometry.sample_aspect_ratio for each in (before, after))
    if abs(was - found) <= was * _ASPECT_TOLERANCE:
        return kept("aspect", f"pixels {was.numerator}:{was.denominator}")
    return changed("aspect", f"pixels {was} became {found}".replace("/", ":"))
