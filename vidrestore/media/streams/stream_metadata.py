"""Writes the descriptions of streams, and finds what a container did not accept."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from av.container import InputContainer
from av.stream import AttachmentStream, Disposition, Stream

from vidrestore.media.input.probe import is_attached_picture, open_container
from vidrestore.media.output.containers import ContainerSpec
from vidrestore.media.streams.stream_copy import copied_metadata

# Of some languages ISO 639-2 has two codes; QuickTime's table has the older ones.
_OLDER_CODES = {
    "bod": "tib", "cym": "wel", "deu": "ger", "ell": "gre", "eus": "baq", "hye": "arm",
    "isl": "ice", "kat": "geo", "mkd": "mac", "msa": "may", "mya": "bur", "nld": "dut",
    "sqi": "alb", "zho": "chi",
}  # fmt: skip
_SAY_NOTHING = frozenset({"VideoHandler", "SoundHandler", "SubtitleHandler", "DataHandler", "und"})
# Of what is copied elsewhere, or told elsewhere.
_NOT_LOOKED_FOR = frozenset({"timecode", "alpha_mode", "filename", "mimetype"})
_FLAGS = (
    Disposition.dub | Disposition.original | Disposition.comment | Disposition.lyrics
    | Disposition.karaoke | Disposition.forced | Disposition.hearing_impaired
    | Disposition.visual_impaired | Disposition.clean_effects | Disposition.captions
    | Disposition.descriptions
)  # fmt: skip
_DATE = "creation_time"
"""MP4 repeats the film's for every stream."""
_SHOWN = 5


def stream_tags(stream: Stream, source: InputContainer, spec: ContainerSpec) -> dict[str, str]:
    """Return the tags of a stream under the names by which a container takes them."""
    tags = copied_metadata(dict(stream.metadata))
    if source.format.name.startswith("mov") and "name" in tags:
        # FFmpeg reads the title of a track so, but writes it by its other name only.
        tags.setdefault("title", tags.pop("name"))
    if spec.format == "mov" and "language" in tags:
        tags["language"] = _OLDER_CODES.get(tags["language"], tags["language"])
    return tags


def descriptions_lost(
    source: InputContainer, written: Path, indexes: Mapping[int, int], *, suffix: str
) -> tuple[str, ...]:
    """Return a note on tags and flags of a source that are not in the film made of it, if any.

    Args:
        source: Where they were copied from.
        written: The film, whole.
        indexes: Of streams of the source, and of what became of them.
        suffix: Of the container, for the note.

    Raises:
        MediaError: The film cannot be read.
    """
    dated = {_DATE} & set(source.metadata)
    with open_container(written) as result:
        lost = [f"tag {name}" for name in _missing(source.metadata, result.metadata)]
        # Covers and attachments come after the tracks, whatever their place was.
        tracks = [at for at in sorted(indexes, key=indexes.__getitem__) if _is_track(source, at)]
        copies = [each for each in result.streams if _is_track(result, each.index)]
        for before, copy in zip(tracks, copies, strict=False):
            stream = source.streams[before]
            own = {key: value for key, value in stream.metadata.items() if key not in dated}
            lost += [f"{name} of stream {before}" for name in _missing(own, copy.metadata)]
            flags = Disposition(stream.disposition) & ~Disposition(copy.disposition) & _FLAGS
            lost += [f"flag {flag.name} of stream {before}" for flag in flags]
    if not lost:
        return ()
    more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
    return (f"{suffix} has no place for {', '.join(lost[:_SHOWN])}{more}",)


def _is_track(container: InputContainer, index: int) -> bool:
    stream = container.streams[index]
    return not (isinstance(stream, AttachmentStream) or is_attached_picture(stream))


def _missing(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    there = {_common_name(key) for key in after}
    for key, value in copied_metadata(dict(before)).items():
        name = _common_name(key)
        if name not in there and name not in _NOT_LOOKED_FOR and value not in _SAY_NOTHING:
            yield "".join(each if each.isprintable() else " " for each in key)


def _common_name(key: str) -> str:
    name = key.casefold()
    return "title" if name == "name" else name
