"""The text of the page: facts about the run, and what is synthetic in the result."""

from vidrestore.record import COMPOSITE_SOURCE_TYPE, RecordHeader
from vidrestore.review.tracks import VideoTracks

_HASH_DIGITS = 16


def summary_rows(header: RecordHeader, tracks: VideoTracks) -> list[tuple[str, str]]:
    """Return label and value of every line of the summary."""
    height, width = header.display_hw
    rows = [
        ("source", header.source.name),
        ("result", header.output.name),
        ("written as", _encoding(header)),
        ("size", f"{width} x {height}" + (f", enlarged {header.scale}x" * (header.scale > 1))),
        ("model", header.model),
        ("checkpoint", _checkpoint(header)),
    ]
    if header.detail is not None:
        rows.append(("detail", f"{header.detail:g}"))
    rows += [
        ("frames", f"{tracks.frames:,}"),
        ("shots", f"{tracks.shots:,}"),
        ("tracks", f"{len(tracks.tracks):,}"),
        ("faces", f"{tracks.faces:,}, of which {tracks.changed_faces:,} changed"),
        ("made by", header.program),
    ]
    return rows


def synthesis_paragraphs(header: RecordHeader, tracks: VideoTracks) -> list[str]:
    """Return a few paragraphs about what is synthetic."""
    if header.settings.get("background"):
        where = (
            "Whole frames were processed by a super-resolution network: no sample of the result "
            "is the source's."
        )
    elif not tracks.changed_faces:
        where = "Nothing was synthesized: no face was changed."
    else:
        where = (
            f"In the result, {tracks.changed_faces:,} faces (each counted once per frame) are "
            f"drawn, wholly or partly, by the network “{header.model}”. Outside the soft masks of "
            "these faces every sample is the source's"
        )
        where += (
            ", and the file keeps it bit for bit."
            if header.output.lossless
            else f" until it reaches the encoder ({header.output.codec}), which is lossy."
        )
    paragraphs = [where]
    if tracks.changed_faces:
        paragraphs.append(
            "Lost detail cannot be known. A restored face shows what is likely, not what was "
            "there: do not use it as evidence of a person's appearance or to identify anyone."
        )
    if header.digital_source_type == COMPOSITE_SOURCE_TYPE:
        paragraphs.append(
            "IPTC digital source type: composite with trained algorithmic media "
            f"({header.digital_source_type})."
        )
    else:
        paragraphs.append(f"IPTC digital source type: {header.digital_source_type}")
    return paragraphs


def _encoding(header: RecordHeader) -> str:
    loss = "lossless" if header.output.lossless else "lossy"
    return f"{header.output.codec}, {header.output.pixel_format}, {loss}"


def _checkpoint(header: RecordHeader) -> str:
    if header.checkpoint_sha256 is None:
        return "not a single file"
    others = (
        ("small faces", header.small_checkpoint_sha256),
        ("faces of few pixels", header.tiny_checkpoint_sha256),
    )
    more = [f"; for {faces} {sha256[:_HASH_DIGITS]}…" for faces, sha256 in others if sha256]
    return f"SHA-256 {header.checkpoint_sha256[:_HASH_DIGITS]}…{''.join(more)}"
