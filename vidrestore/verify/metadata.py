"""What describes a film: tags, dispositions, chapters and side data."""

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from vidrestore.media import VideoInfo
from vidrestore.media.input.inventory import ChapterContents, FileInventory, StreamContents
from vidrestore.verify.checks import Check, changed, counted, kept, not_promised, seconds_text
from vidrestore.verify.run_files import Evidence
from vidrestore.verify.time_offset import OffsetEstimator

_CHAPTER_SECONDS = Fraction(1, 1000)
_SAME_NUMBER = 1e-4
_UNDETERMINED = "und"
_SHOWN = 3
_NO_FRACTION = re.compile(r"\.0+(?=Z$)")
_HOLD_FEW_TAGS = ("avi", "mpegts", "mpeg", "mxf")
"""Containers with places for a fixed, short list of tags only."""
_OF_THE_CODEC = ("GOP_TIMECODE",)
"""What only some codecs have a place for in their packets."""
_STREAM_TAGS_OF_MP4 = frozenset({"language", "handler_name", "title"})
_ALSO_CALLED = {"name": "title"}
"""Names of tags under which MP4 and MOV give back others."""


def description_checks(
    before: VideoInfo,
    after: VideoInfo,
    contents: tuple[FileInventory, FileInventory],
    pairs: Sequence[tuple[StreamContents, StreamContents | None]],
    evidence: Evidence,
    shift: OffsetEstimator,
) -> Iterator[Check]:
    """Yield what became of tags, dispositions, chapters and side data."""
    if before.kind != "film":
        return
    source, result = contents
    if after.kind != "film":
        yield not_promised("tags and chapters", "pictures hold none of a film's")
        return
    own = [
        (a, b) for a in source.streams for b in result.streams if a.is_restored and b.is_restored
    ]
    both = [*own, *((a, b) for a, b in pairs if b is not None)]
    yield _tags(source, result, both, before, after)
    yield _dispositions(both, before, after)
    yield _chapters(source.chapters, result.chapters, evidence, shift)
    yield _side_data(source.side_data, result.side_data)


def _tags(
    source: FileInventory,
    result: FileInventory,
    pairs: Sequence[tuple[StreamContents, StreamContents]],
    before: VideoInfo,
    after: VideoInfo,
) -> Check:
    held: list[str] = []
    lost: list[str] = []
    count = len(source.metadata) + sum(len(stream.metadata) for stream, _ in pairs)
    wrong = [("", *each) for each in _wrong_tags(source.metadata, result.metadata)]
    for stream, copy in pairs:
        where = f"stream {stream.info.index}: "
        wrong += [(where, *each) for each in _wrong_tags(stream.metadata, copy.metadata)]
    for where, key, said in wrong:
        can = _can_hold(key, before, after, of_stream=bool(where))
        (held if can else lost).append(f"{where}{_short(key)} {said}")
    if held:
        return changed("tags", _some(held))
    if lost:
        return not_promised("tags", f"{after.path.suffix} cannot hold all: {_some(lost)}")
    return kept("tags", counted(count, "tag"))


def _can_hold(key: str, before: VideoInfo, after: VideoInfo, *, of_stream: bool) -> bool:
    """Whether the container of the result has a place for a tag of the source."""
    family = after.container.partition(",")[0]
    name = _ALSO_CALLED.get(key.casefold(), key.casefold())
    if _is_same_container(before, after):
        return True
    if family == "matroska":
        return not (of_stream and name == "creation_time")
    if family == "mov" and of_stream:
        # MOV has numbers for some languages only.
        return name in _STREAM_TAGS_OF_MP4 and not (name == "language" and _is_mov(after))
    return family not in _HOLD_FEW_TAGS


def _is_same_container(before: VideoInfo, after: VideoInfo) -> bool:
    return before.container == after.container and _is_mov(before) == _is_mov(after)


def _is_mov(info: VideoInfo) -> bool:
    """Whether a film is MOV; FFmpeg has one name for it and MP4."""
    return info.path.suffix.lower() in (".mov", ".qt")


def _wrong_tags(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the name of every tag that differs, and how."""
    # Containers write names of tags in upper case or lower case, as they like.
    found = {key.casefold(): value for key, value in after.items()}
    found |= {also: found[key] for key, also in _ALSO_CALLED.items() if key in found}
    wrong: list[tuple[str, str]] = []
    for key, value in before.items():
        there = found.get(_ALSO_CALLED.get(key.casefold(), key.casefold()))
        if there == value or (there is not None and _is_same_date(key, value, there)):
            continue
        if key == "language" and value == _UNDETERMINED and there is None:
            continue
        became = "is missing" if there is None else f"became {_short(there)}"
        wrong.append((key, f"{_short(value)} {became}"))
    return wrong


def _is_same_date(key: str, before: str, after: str) -> bool:
    """Whether two dates differ in fractions of a second that are 0; containers write them so."""
    dates = [_NO_FRACTION.sub("", each) for each in (before, after)]
    return key.casefold() == "creation_time" and dates[0] == dates[1]


def _short(text: str) -> str:
    plain = "".join(each if each.isprintable() else " " for each in text)
    return plain if len(plain) <= 40 else f"{plain[:40]}..."


def _some(problems: Sequence[str]) -> str:
    more = len(problems) - _SHOWN
    return "; ".join(problems[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _dispositions(
    pairs: Sequence[tuple[StreamContents, StreamContents]], before: VideoInfo, after: VideoInfo
) -> Check:
    wrong = [
        f"stream {stream.info.index}: {_flags(stream)} became {_flags(copy)}"
        for stream, copy in pairs
        if stream.dispositions != copy.dispositions
    ]
    if not wrong:
        return kept("dispositions", f"of {counted(len(pairs), 'stream')}")
    if not _is_same_container(before, after):
        said = f"{after.path.suffix} has other flags than the source's container"
        return not_promised("dispositions", f"{said}: {_some(wrong)}")
    return changed("dispositions", _some(wrong))


def _flags(stream: StreamContents) -> str:
    return "+".join(sorted(stream.dispositions)) or "none"


def _chapters(
    before: Sequence[ChapterContents],
    after: Sequence[ChapterContents],
    evidence: Evidence,
    shift: OffsetEstimator,
) -> Check:
    name = "chapters"
    wanted = list(_wanted_chapters(before, evidence))
    if wanted and not after and evidence.drops_streams:
        return not_promised(name, f"left out on request: {counted(len(wanted), 'chapter')}")
    if len(wanted) != len(after):
        return changed(name, f"{len(wanted)} in the source, {len(after)} in the result")
    for number, (was, found) in enumerate(zip(wanted, after, strict=True), start=1):
        for said, at, there in (
            ("begins", was.start_seconds, found.start_seconds),
            ("ends", was.end_seconds, found.end_seconds),
        ):
            wanted_at = at - shift.shift_seconds
            if abs(wanted_at - there) > _CHAPTER_SECONDS:
                said = f"chapter {number} {said} at {seconds_text(there)}"
                return changed(name, f"{said}, not at {seconds_text(wanted_at)}")
        for key, said in _wrong_tags(was.metadata, found.metadata):
            return changed(name, f"chapter {number}: {_short(key)} {said}")
    return kept(name, counted(len(wanted), "chapter"))


def _wanted_chapters(
    chapters: Sequence[ChapterContents], evidence: Evidence
) -> Iterator[ChapterContents]:
    """Yield the chapters of the part that was wanted, cut to it."""
    start, end = evidence.start_seconds, evidence.end_seconds
    for each in chapters:
        begins = each.start_seconds if start is None else max(each.start_seconds, start)
        ends = each.end_seconds if end is None else min(each.end_seconds, end)
        if begins < ends or not evidence.is_part:
            yield ChapterContents(start_seconds=begins, end_seconds=ends, metadata=each.metadata)


def _side_data(
    before: Mapping[str, tuple[float, ...] | str], after: Mapping[str, tuple[float, ...] | str]
) -> Check:
    name = "side data"
    wrong: list[str] = []
    gone = [_plain(key) for key in _OF_THE_CODEC if key in before and key not in after]
    for key, value in before.items():
        there = after.get(key)
        if key in _OF_THE_CODEC:
            continue
        if there is None:
            wrong.append(f"{_plain(key)} is missing")
        elif not _is_same(value, there):
            wrong.append(f"{_plain(key)} differs")
    if wrong:
        return changed(name, f"of the first picture: {_some(wrong)}")
    if gone:
        return not_promised(name, f"{', '.join(gone)} belongs to the codec of the source")
    said = ", ".join(map(_plain, before)) or "none"
    return kept(name, f"of the first picture: {said}")


def _is_same(before: tuple[float, ...] | str, after: tuple[float, ...] | str) -> bool:
    if isinstance(before, str) or isinstance(after, str):
        return before == after
    # Encoders write brightness and colour as whole numbers in small units.
    return len(before) == len(after) and all(
        abs(a - b) <= _SAME_NUMBER * max(1.0, abs(a)) for a, b in zip(before, after, strict=True)
    )


def _plain(name: str) -> str:
    return name.lower().replace("_", " ")
