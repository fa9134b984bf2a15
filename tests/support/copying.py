"""A film through the reader and the writer, its frames as they are."""

from pathlib import Path

from vidrestore.media import EncoderSettings, open_sink, open_source
from vidrestore.types import Frame


def copy_film(
    source: Path,
    target: Path,
    *,
    codec: str = "ffv1",
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    drop_unsupported: bool = False,
    overwrite: bool = False,
) -> list[str]:
    """Copy a film through the package; return the notes of the sink."""
    with (
        open_source(source, start_seconds=start_seconds, end_seconds=end_seconds) as frames,
        open_sink(
            target,
            source=frames,
            source_path=source,
            settings=EncoderSettings(codec=codec),
            drop_unsupported=drop_unsupported,
            overwrite=overwrite,
        ) as sink,
    ):
        for frame in frames:
            sink.write(frame)
    return sink.notes


def frames_of(path: Path) -> list[Frame]:
    """Return all frames of a source."""
    with open_source(path) as source:
        return list(source)
