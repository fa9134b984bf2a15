"""All streams that were to be copied: found again, and compared in one pass over both films."""

from collections.abc import Iterator, Sequence

from vidrestore.media import VideoInfo
from vidrestore.media.input.inventory import (
    FileInventory,
    PacketContents,
    StreamContents,
    packets_of,
)
from vidrestore.verify.checks import Check, changed, counted, kept, not_checked, not_promised
from vidrestore.verify.packet_comparison import StreamComparison
from vidrestore.verify.part import Part
from vidrestore.verify.run_files import Evidence
from vidrestore.verify.time_offset import OffsetEstimator

_MPEG_AUDIO = frozenset({"mp1", "mp2", "mp3"})
"""One codec to MP4, and told apart by its packets only."""


def matched_streams(
    source: FileInventory, result: FileInventory
) -> tuple[list[tuple[StreamContents, StreamContents | None]], list[StreamContents]]:
    """Return every stream to copy with its copy, None where there is none, and what is over."""
    left = [
        each for each in result.streams if not each.is_restored and not each.is_written_by_muxer
    ]
    pairs: list[tuple[StreamContents, StreamContents | None]] = []
    for stream in source.streams:
        if stream.is_restored or stream.is_written_by_muxer:
            continue
        found = next((each for each in left if _is_like(stream, each, exactly=True)), None)
        found = found or next((e for e in left if _is_like(stream, e, exactly=False)), None)
        if found is not None:
            left.remove(found)
        pairs.append((stream, found))
    return pairs, left


def _is_like(stream: StreamContents, other: StreamContents, *, exactly: bool) -> bool:
    a, b = stream.info, other.info
    if a.kind != b.kind or a.attached_picture != b.attached_picture:
        return False
    same_name = not exactly or a.file_name == b.file_name
    return same_name and (a.codec == b.codec or {a.codec, b.codec} <= _MPEG_AUDIO)


def stream_checks(
    before: VideoInfo,
    after: VideoInfo,
    contents: tuple[FileInventory, FileInventory],
    evidence: Evidence,
    shift: OffsetEstimator,
) -> Iterator[Check]:
    """Yield what became of the streams beside the pictures.

    Raises:
        MediaError: A film cannot be read.
    """
    if before.kind != "film":
        yield not_promised("streams", "pictures have none but themselves")
        return
    pairs, added = matched_streams(*contents)
    if after.kind != "film":
        said = f"pictures cannot hold the other {counted(len(pairs), 'stream')} of the film"
        yield not_promised("streams", said)
        return
    missing = [str(stream.info) for stream, copy in pairs if copy is None]
    if missing and evidence.drops_streams:
        yield not_promised("streams", f"left out on request: {', '.join(missing)}")
    elif missing:
        yield changed("streams", f"missing: {', '.join(missing)}")
    elif added:
        names = ", ".join(str(each.info) for each in added)
        yield changed("streams", f"the source has no {names}")
    else:
        yield kept("streams", f"{counted(1 + len(pairs), 'stream')} beside each other")
    found = [(stream, copy) for stream, copy in pairs if copy is not None]
    yield from _attachment_checks(found)
    yield from _packet_checks(before, after, found, evidence, shift)


def _attachment_checks(
    pairs: Sequence[tuple[StreamContents, StreamContents]],
) -> Iterator[Check]:
    for stream, copy in pairs:
        if stream.data_sha256 is None:
            continue
        name = str(stream.info)
        if stream.info.file_name != copy.info.file_name:
            yield changed(name, f"is called {copy.info.file_name} in the result")
        elif stream.data_sha256 != copy.data_sha256:
            yield changed(name, "has other bytes")
        else:
            yield kept(name, f"sha256 {stream.data_sha256[:16]}...")


def _packet_checks(
    before: VideoInfo,
    after: VideoInfo,
    pairs: Sequence[tuple[StreamContents, StreamContents]],
    evidence: Evidence,
    shift: OffsetEstimator,
) -> Iterator[Check]:
    start, end = evidence.start_seconds, evidence.end_seconds
    origin = before.origin_seconds
    part = Part(
        start_seconds=None if start is None else origin + start,
        end_seconds=None if end is None else origin + end,
    )
    comparisons: list[StreamComparison] = []
    for stream, copy in pairs:
        if stream.info.kind == "video" and not part.is_whole:
            yield not_checked(str(stream.info), "a part of a film begins at one of its key frames")
        elif stream.data_sha256 is None:
            comparisons.append(StreamComparison(stream, copy, part, shift))
    _compare_packets(before, after, comparisons)
    for comparison in comparisons:
        yield comparison.check()


def _compare_packets(
    before: VideoInfo, after: VideoInfo, comparisons: Sequence[StreamComparison]
) -> None:
    """Read both films once; of the two, always the one that is behind."""
    of_source = {each.source.info.index: each for each in comparisons}
    of_result = {each.result.info.index: each for each in comparisons}
    source: Iterator[PacketContents] = packets_of(before, list(of_source), copied_to=after.path)
    result: Iterator[PacketContents] = packets_of(after, list(of_result))
    taken_source = taken_result = 0
    while True:
        if taken_source <= taken_result:
            packet = next(source, None)
            if packet is None:
                break
            comparison = of_source[packet.stream_index]
            held = comparison.bytes_taken[0]
            comparison.take_source(packet)
            taken_source += comparison.bytes_taken[0] - held
        else:
            packet = next(result, None)
            if packet is None:
                break
            of_result[packet.stream_index].take_result(packet)
            taken_result += len(packet.data)
    for packet in source:
        of_source[packet.stream_index].take_source(packet)
    for packet in result:
        of_result[packet.stream_index].take_result(packet)
