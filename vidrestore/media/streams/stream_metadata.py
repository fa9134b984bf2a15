"""Tags and flags of copied streams, and notes about those that a container lost."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from av.container import InputContainer
from av.stream import AttachmentStream, Disposition, Stream

from vidrestore.media.input.probe import open_container
from vidrestore.media.output.containers import ContainerSpec
from vidrestore.media.stream_info import is_cover_stream
from vidrestore.text import printable_text

# Statistics of packets, and names of the programs that wrote the file.
_NOT_COPIED = (
    "software", "major_brand", "minor_version", "compatible_brands", "encoder", "duration", "bps",
    "number_of_frames", "number_of_bytes", "_statistics", "vendor_id", "source_id",
)  # fmt: skip
# ISO 639-2 has two codes for some languages; QuickTime uses the older ones.
_OLDER_CODES = {
    "bod": "tib", "cym": "wel", "deu": "ger", "ell": "gre", "eus": "baq", "hye": "arm",
    "isl": "ice", "kat": "geo", "mkd": "mac", "msa": "may", "mya": "bur", "nld": "dut",
    "sqi": "alb", "zho": "chi",
}  # fmt: skip
_MEANINGLESS = frozenset({"VideoHandler", "SoundHandler", "SubtitleHandler", "DataHandler", "und"})
# Tags that are copied or reported elsewhere.
_NOT_COMPARED = frozenset({"timecode", "alpha_mode", "filename", "mimetype"})
_FLAGS = (
    Disposition.dub | Disposition.original | Disposition.comment | Disposition.lyrics
    | Disposition.karaoke | Disposition.forced | Disposition.hearing_impaired
    | Disposition.visual_impaired | Disposition.clean_effects | Disposition.captions
    | Disposition.descriptions
)  # fmt: skip
_DATE = "creation_time"
"""MP4 repeats the date of the file for every stream."""
_MAX_LISTED = 5


def copied_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Return the tags that describe the film, without those that describe its file."""
    return {
        key: value for key, value in metadata.items() if not key.lower().startswith(_NOT_COPIED)
    }


def stream_tags(stream: Stream, source: InputContainer, spec: ContainerSpec) -> dict[str, str]:
    """Return the tags of a stream under the names that a container accepts."""
    tags = copied_metadata(dict(stream.metadata))
    if source.format.name.startswith("mov") and "name" in tags:
        # FFmpeg reads the title of a track as ``name``, but writes it only as ``title``.
        tags.setdefault("title", tags.pop("name"))
    if spec.format == "mov" and "language" in tags:
        tags["language"] = _OLDER_CODES.get(tags["language"], tags["language"])
    return tags


def lost_metadata_notes(
    source: InputContainer, written: Path, indexes: Mapping[int, int], *, suffix: str
) -> tuple[str, ...]:
    """Return a note about the tags and flags of a source that the output lacks, if any.

    Args:
        source: The source of the copied streams.
        written: The complete output.
        indexes: Index of each stream of the source in the output.
        suffix: Suffix of the container, for the note.

    Raises:
        MediaError: The output cannot be read.
    """
    dated = {_DATE} & set(source.metadata)
    with open_container(written) as result:
        lost = [f"tag {name}" for name in _missing(source.metadata, result.metadata)]
        # In the output, cover art and attachments come after the tracks.
        ordered = sorted(indexes, key=indexes.__getitem__)
        tracks = [index for index in ordered if _is_track(source, index)]
        copies = [stream for stream in result.streams if _is_track(result, stream.index)]
        for before, copy in zip(tracks, copies, strict=False):
            stream = source.streams[before]
            tags = {key: value for key, value in stream.metadata.items() if key not in dated}
            lost += [f"{name} of stream {before}" for name in _missing(tags, copy.metadata)]
            flags = Disposition(stream.disposition) & ~Disposition(copy.disposition) & _FLAGS
            lost += [f"flag {flag.name} of stream {before}" for flag in flags]
    if not lost:
        return ()
    more = f" and {len(lost) - _MAX_LISTED} more" if len(lost) > _MAX_LISTED else ""
    return (f"{suffix} cannot store {', '.join(lost[:_MAX_LISTED])}{more}",)


def _is_track(container: InputContainer, index: int) -> bool:
    stream = container.streams[index]
    return not (isinstance(stream, AttachmentStream) or is_cover_stream(stream))


def _missing(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    present = {_common_name(key) for key in after}
    for key, value in copied_metadata(dict(before)).items():
        name = _common_name(key)
        if name not in present and name not in _NOT_COMPARED and value not in _MEANINGLESS:
            yield printable_text(key, " ")


def _common_name(key: str) -> str:
    name = key.casefold()
    return "title" if name == "name" else name
