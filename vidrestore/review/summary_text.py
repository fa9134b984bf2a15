"""What the page says in words: facts of the run, and what is synthetic in the result."""

from vidrestore.record import COMPOSITE_SOURCE_TYPE, RecordHeader
from vidrestore.review.tracks import FilmTracks

_HASH_DIGITS = 16


def facts(header: RecordHeader, film: FilmTracks) -> list[tuple[str, str]]:
    """Return label and value of every line at the top of the page."""
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
        ("frames", f"{film.frames:,}"),
        ("shots", f"{film.shots:,}"),
        ("tracks", f"{len(film.tracks):,}"),
        ("faces", f"{film.faces:,}, of which {film.changed_faces:,} changed"),
        ("made by", header.program),
    ]
    return rows


def synthesis(header: RecordHeader, film: FilmTracks) -> list[str]:
    """Return a few plain sentences on what is synthetic, one paragraph each."""
    if header.settings.get("background"):
        where = (
            "The whole picture went through a super-resolution network: no sample of the result "
            "is the source's."
        )
    elif not film.changed_faces:
        where = "Nothing was synthesised: no face was changed."
    else:
        where = (
            f"In the result, {film.changed_faces:,} faces (each counted once per frame) are drawn, "
            f"wholly or partly, by the network “{header.model}”. Outside of the soft masks of "
            "these faces every sample is the source's"
        )
        where += (
            ", and the file keeps it bit for bit."
            if header.output.lossless
            else f" until it reaches the encoder ({header.output.codec}), which is lossy."
        )
    told = [where]
    if film.changed_faces:
        told.append(
            "What is lost cannot be known. A restored face is a likely picture of what was there: "
            "it is no evidence of how a person looked, and no ground to recognise anybody."
        )
    if header.digital_source_type == COMPOSITE_SOURCE_TYPE:
        told.append(
            "IPTC digital source type: composite with trained algorithmic media "
            f"({header.digital_source_type})."
        )
    else:
        told.append(f"IPTC digital source type: {header.digital_source_type}")
    return told


def _encoding(header: RecordHeader) -> str:
    kept = "lossless" if header.output.lossless else "lossy"
    return f"{header.output.codec}, {header.output.pixel_format}, {kept}"


def _checkpoint(header: RecordHeader) -> str:
    if header.checkpoint_sha256 is None:
        return "not one file"
    return f"SHA-256 {header.checkpoint_sha256[:_HASH_DIGITS]}…"
