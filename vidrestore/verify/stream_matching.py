"""Find the copy of every stream in the result, and compare all streams in one pass."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from vidrestore.media.input.inventory import (
    FileInventory,
    PacketContents,
    StreamContents,
    read_audio_inventory,
    read_packets,
)
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import container_of
from vidrestore.media.streams.audio_file import AUDIO_CONTAINER, AUDIO_FILE, plan_audio
from vidrestore.text import count_text
from vidrestore.verify.checks import Check, changed, kept, not_checked, not_promised
from vidrestore.verify.packet_comparison import StreamComparison
from vidrestore.verify.run_files import Evidence
from vidrestore.verify.time_offset import OffsetEstimator

_MPEG_AUDIO = frozenset({"mp1", "mp2", "mp3"})
"""MP4 has one name for them all; only their packets tell them apart."""


def matched_streams(
    source: FileInventory, result: FileInventory
) -> tuple[list[tuple[StreamContents, StreamContents | None]], list[StreamContents]]:
    """Pair each stream to copy with its copy or None; also return streams the source lacks."""
    unmatched = [
        copy for copy in result.streams if not copy.is_restored and not copy.is_written_by_muxer
    ]
    pairs: list[tuple[StreamContents, StreamContents | None]] = []
    for stream in source.streams:
        if stream.is_restored or stream.is_written_by_muxer:
            continue
        same_name = [copy for copy in unmatched if _is_same_kind(stream, copy, same_name=True)]
        others = [copy for copy in unmatched if _is_same_kind(stream, copy, same_name=False)]
        match = next(iter([*same_name, *others]), None)
        if match is not None:
            unmatched.remove(match)
        pairs.append((stream, match))
    return pairs, unmatched


def _is_same_kind(stream: StreamContents, other: StreamContents, *, same_name: bool) -> bool:
    a, b = stream.info, other.info
    if a.kind != b.kind or a.is_cover != b.is_cover:
        return False
    if same_name and a.file_name != b.file_name:
        return False
    return a.codec == b.codec or {a.codec, b.codec} <= _MPEG_AUDIO


def stream_checks(
    before: VideoInfo,
    after: VideoInfo,
    contents: tuple[FileInventory, FileInventory],
    evidence: Evidence,
    offset: OffsetEstimator,
) -> Iterator[Check]:
    """Yield the checks of all streams except the restored video.

    Raises:
        MediaError: A file cannot be read.
    """
    if before.kind != "film":
        yield not_promised("streams", "the source has no streams besides its images")
        return
    pairs, added = matched_streams(*contents)
    if after.kind != "film":
        yield from _audio_file_checks(before, after, contents[0], evidence, offset)
        return
    missing = [str(stream.info) for stream, copy in pairs if copy is None]
    if missing and evidence.drops_streams:
        yield not_promised("streams", f"dropped on request: {', '.join(missing)}")
    elif missing:
        yield changed("streams", f"missing: {', '.join(missing)}")
    elif added:
        names = ", ".join(str(stream.info) for stream in added)
        yield changed("streams", f"the source has no {names}")
    else:
        yield kept("streams", count_text(1 + len(pairs), "stream"))
    matched = [(stream, copy) for stream, copy in pairs if copy is not None]
    yield from _attachment_checks(matched)
    yield from _packet_checks(before, after, matched, evidence, offset)


def _audio_file_checks(
    before: VideoInfo,
    after: VideoInfo,
    contents: FileInventory,
    evidence: Evidence,
    offset: OffsetEstimator,
) -> Iterator[Check]:
    """Yield the checks of the audio file next to the frames of a film."""
    others = [stream for stream in contents.streams if not stream.is_restored]
    folder, selected = after.path, evidence.time_range
    plan = plan_audio(before, before.path, folder, selected) if after.is_folder else None
    indexes = () if plan is None else plan.stream_indexes
    copied = tuple(stream for stream in others if stream.info.index in indexes)
    lost = len(others) - len(copied)
    if lost:
        yield not_promised(
            "streams", f"a folder cannot hold {count_text(lost, 'other stream')} of the video"
        )
    path = folder / AUDIO_FILE
    if not copied:
        if path.is_file():
            yield changed("audio", f"the source has none, but {AUDIO_FILE} is in the folder")
        return
    if not path.is_file():
        yield changed("audio", f"{AUDIO_FILE} is missing in the folder")
        return
    streams, inventory = read_audio_inventory(path)
    pairs, added = matched_streams(FileInventory(streams=copied), inventory)
    missing = [str(stream.info) for stream, copy in pairs if copy is None]
    if missing or added:
        names = ", ".join([*missing, *(str(stream.info) for stream in added)])
        yield changed("audio", f"{AUDIO_FILE} has other streams; it differs in {names}")
    else:
        yield kept("audio", f"{count_text(len(pairs), 'stream')} in {AUDIO_FILE}")
    matched = [(stream, copy) for stream, copy in pairs if copy is not None]
    audio = replace(after, path=path, kind="film", streams=streams)
    yield from _packet_checks(before, audio, matched, evidence, offset)


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
    offset: OffsetEstimator,
) -> Iterator[Check]:
    selected = evidence.time_range.shifted(before.origin_seconds)
    comparisons: list[StreamComparison] = []
    for stream, copy in pairs:
        if stream.info.kind == "video" and not selected.is_full:
            yield not_checked(
                str(stream.info),
                "not comparable: a copied video stream starts at one of its key frames",
            )
        elif stream.data_sha256 is None:
            comparisons.append(StreamComparison(stream, copy, selected, offset))
    _compare_packets(before, after, comparisons)
    for comparison in comparisons:
        yield comparison.check()


def _compare_packets(
    before: VideoInfo, after: VideoInfo, comparisons: Sequence[StreamComparison]
) -> None:
    """Read both files once, in step: always the one of which fewer bytes are compared."""
    by_source = {comparison.source.info.index: comparison for comparison in comparisons}
    by_result = {comparison.result.info.index: comparison for comparison in comparisons}
    spec = AUDIO_CONTAINER if after.path.name == AUDIO_FILE else container_of(after.path)
    source: Iterator[PacketContents] = read_packets(before, list(by_source), copied_to=spec)
    result: Iterator[PacketContents] = read_packets(after, list(by_result))
    source_bytes = result_bytes = 0
    while True:
        if source_bytes <= result_bytes:
            packet = next(source, None)
            if packet is None:
                break
            comparison = by_source[packet.stream_index]
            compared_bytes = comparison.compared_bytes[0]
            comparison.add_source(packet)
            source_bytes += comparison.compared_bytes[0] - compared_bytes
        else:
            packet = next(result, None)
            if packet is None:
                break
            by_result[packet.stream_index].add_result(packet)
            result_bytes += len(packet.data)
    for packet in source:
        by_source[packet.stream_index].add_source(packet)
    for packet in result:
        by_result[packet.stream_index].add_result(packet)
