"""Compare tags, dispositions, chapters and side data."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from vidrestore.media.file_kinds import container_facts
from vidrestore.media.input.inventory import ChapterContents, FileInventory, StreamContents
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.side_data import UNSTORED_SIDE_DATA
from vidrestore.text import count_text, printable_text
from vidrestore.types.time_range import TimeRange
from vidrestore.verify.checks import Check, changed, kept, not_promised, seconds_text
from vidrestore.verify.run_files import Evidence
from vidrestore.verify.time_offset import OffsetEstimator

_CHAPTER_SECONDS = Fraction(1, 1000)
_SAME_NUMBER = 1e-4
_UNDETERMINED = "und"
_MAX_LISTED = 3
_NO_FRACTION = re.compile(r"\.0+(?=Z$)")
_CODEC_SIDE_DATA = ("GOP_TIMECODE",)
"""Side data that only some codecs store, in their packets."""
_STREAM_TAGS_OF_MP4 = frozenset({"language", "handler_name", "title"})
_ALSO_CALLED = {"name": "title"}
"""Tags that MP4 and MOV return under another name."""


def description_checks(
    before: VideoInfo,
    after: VideoInfo,
    contents: tuple[FileInventory, FileInventory],
    pairs: Sequence[tuple[StreamContents, StreamContents | None]],
    evidence: Evidence,
    offset: OffsetEstimator,
) -> Iterator[Check]:
    """Yield the checks of tags, dispositions, chapters and side data."""
    if before.kind != "film":
        return
    source, result = contents
    if after.kind != "film":
        yield not_promised("tags and chapters", "images store none of those of a video")
        return
    restored = [
        (a, b) for a in source.streams for b in result.streams if a.is_restored and b.is_restored
    ]
    all_pairs = [*restored, *((a, b) for a, b in pairs if b is not None)]
    yield _tags(source, result, all_pairs, before, after)
    yield _dispositions(all_pairs, before, after)
    yield _chapters(source.chapters, result.chapters, evidence, offset)
    yield _side_data(source.side_data, result.side_data)


def _tags(
    source: FileInventory,
    result: FileInventory,
    pairs: Sequence[tuple[StreamContents, StreamContents]],
    before: VideoInfo,
    after: VideoInfo,
) -> Check:
    broken: list[str] = []
    unsupported: list[str] = []
    count = len(source.metadata) + sum(len(stream.metadata) for stream, _ in pairs)
    differences = [("", *tag) for tag in _tag_differences(source.metadata, result.metadata)]
    for stream, copy in pairs:
        place = f"stream {stream.info.index}: "
        differences += [(place, *tag) for tag in _tag_differences(stream.metadata, copy.metadata)]
    for place, key, difference in differences:
        can_store = _can_store(key, before, after, of_stream=bool(place))
        (broken if can_store else unsupported).append(f"{place}{_short(key)} {difference}")
    if broken:
        return changed("tags", _listed(broken))
    if unsupported:
        text = f"{after.path.suffix} cannot store all: {_listed(unsupported)}"
        return not_promised("tags", text)
    return kept("tags", count_text(count, "tag"))


def _can_store(key: str, before: VideoInfo, after: VideoInfo, *, of_stream: bool) -> bool:
    """Whether the container of the result can store a tag of the source."""
    family = after.container.partition(",")[0]
    name = _ALSO_CALLED.get(key.casefold(), key.casefold())
    if name == "alpha_mode" and not after.pixel_format.has_alpha:
        # It would announce an alpha channel that is missing.
        return False
    if _is_same_container(before, after):
        return True
    if family == "matroska":
        return not (of_stream and name == "creation_time")
    if family == "mov" and of_stream:
        # MOV has codes for some languages only.
        return name in _STREAM_TAGS_OF_MP4 and not (name == "language" and _is_mov(after))
    return container_facts(after.container).stores_any_tag


def _is_same_container(before: VideoInfo, after: VideoInfo) -> bool:
    return before.container == after.container and _is_mov(before) == _is_mov(after)


def _is_mov(info: VideoInfo) -> bool:
    """Whether a file is MOV; FFmpeg has one name for MOV and MP4."""
    return info.path.suffix.lower() in (".mov", ".qt")


def _tag_differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the name of every tag that differs, and the difference."""
    # Some containers change the case of tag names.
    tags = {key.casefold(): value for key, value in after.items()}
    tags |= {also: tags[key] for key, also in _ALSO_CALLED.items() if key in tags}
    differences: list[tuple[str, str]] = []
    for key, value in before.items():
        copy = tags.get(_ALSO_CALLED.get(key.casefold(), key.casefold()))
        if copy == value or (copy is not None and _is_same_date(key, value, copy)):
            continue
        if key == "language" and value == _UNDETERMINED and copy is None:
            continue
        change = "is missing" if copy is None else f"became {_short(copy)}"
        differences.append((key, f"{_short(value)} {change}"))
    return differences


def _is_same_date(key: str, before: str, after: str) -> bool:
    """Whether two dates are the same; some containers append zero fractions of a second."""
    dates = [_NO_FRACTION.sub("", date) for date in (before, after)]
    return key.casefold() == "creation_time" and dates[0] == dates[1]


def _short(text: str) -> str:
    printable = printable_text(text, " ")
    return printable if len(printable) <= 40 else f"{printable[:40]}..."


def _listed(problems: Sequence[str]) -> str:
    more = len(problems) - _MAX_LISTED
    return "; ".join(problems[:_MAX_LISTED]) + (f"; and {more} more" if more > 0 else "")


def _dispositions(
    pairs: Sequence[tuple[StreamContents, StreamContents]], before: VideoInfo, after: VideoInfo
) -> Check:
    differences = [
        f"stream {stream.info.index}: {_flags(stream)} became {_flags(copy)}"
        for stream, copy in pairs
        if stream.dispositions != copy.dispositions
    ]
    if not differences:
        return kept("dispositions", f"of {count_text(len(pairs), 'stream')}")
    if not _is_same_container(before, after):
        reason = f"{after.path.suffix} has other flags than the source's container"
        return not_promised("dispositions", f"{reason}: {_listed(differences)}")
    return changed("dispositions", _listed(differences))


def _flags(stream: StreamContents) -> str:
    return "+".join(sorted(stream.dispositions)) or "none"


def _chapters(
    before: Sequence[ChapterContents],
    after: Sequence[ChapterContents],
    evidence: Evidence,
    offset: OffsetEstimator,
) -> Check:
    name = "chapters"
    selected = list(_selected_chapters(before, evidence.time_range))
    if selected and not after and evidence.drops_streams:
        return not_promised(name, f"dropped on request: {count_text(len(selected), 'chapter')}")
    if len(selected) != len(after):
        return changed(name, f"{len(selected)} in the source, {len(after)} in the result")
    for number, (chapter, copy) in enumerate(zip(selected, after, strict=True), start=1):
        for verb, source_seconds, seconds in (
            ("starts", chapter.start_seconds, copy.start_seconds),
            ("ends", chapter.end_seconds, copy.end_seconds),
        ):
            expected = source_seconds - offset.offset_seconds
            if abs(expected - seconds) > _CHAPTER_SECONDS:
                text = f"chapter {number} {verb} at {seconds_text(seconds)}"
                return changed(name, f"{text}, not at {seconds_text(expected)}")
        for key, difference in _tag_differences(chapter.metadata, copy.metadata):
            return changed(name, f"chapter {number}: {_short(key)} {difference}")
    return kept(name, count_text(len(selected), "chapter"))


def _selected_chapters(
    chapters: Sequence[ChapterContents], selected: TimeRange
) -> Iterator[ChapterContents]:
    """Yield the chapters inside a time range, clipped to it."""
    for chapter in chapters:
        clipped = selected.clip(chapter.start_seconds, chapter.end_seconds)
        if clipped is not None:
            start, end = clipped
            yield replace(chapter, start_seconds=start, end_seconds=end)


def _side_data(
    before: Mapping[str, tuple[float, ...] | str], after: Mapping[str, tuple[float, ...] | str]
) -> Check:
    name = "side data"
    differences: list[str] = []
    lost: list[str] = []
    for key, value in before.items():
        copy = after.get(key)
        if copy is None and key in UNSTORED_SIDE_DATA:
            lost.append(f"{UNSTORED_SIDE_DATA[key]} cannot be kept")
        elif key in _CODEC_SIDE_DATA:
            if copy is None:
                lost.append(f"{_plain(key)} belongs to the codec of the source")
        elif copy is None:
            differences.append(f"{_plain(key)} is missing")
        elif not _is_same(value, copy):
            differences.append(f"{_plain(key)} differs")
    if differences:
        return changed(name, f"of the first frame: {_listed(differences)}")
    if lost:
        return not_promised(name, "; ".join(dict.fromkeys(lost)))
    names = ", ".join(map(_plain, before)) or "none"
    return kept(name, f"of the first frame: {names}")


def _is_same(before: tuple[float, ...] | str, after: tuple[float, ...] | str) -> bool:
    if isinstance(before, str) or isinstance(after, str):
        return before == after
    # Encoders store luminance and color as integers in small units.
    return len(before) == len(after) and all(
        abs(a - b) <= _SAME_NUMBER * max(1.0, abs(a)) for a, b in zip(before, after, strict=True)
    )


def _plain(name: str) -> str:
    return name.lower().replace("_", " ")
