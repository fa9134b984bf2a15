"""``write_review``: make a page of source, result and record, one file for any browser."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

from vidrestore.errors import RecordError
from vidrestore.media.input.video_info import DEFAULT_IMAGE_RATE, probe
from vidrestore.record import RecordHeader, RecordReader
from vidrestore.review.page_data import page_data
from vidrestore.review.thumbnails import make_thumbnails
from vidrestore.review.tracks import read_tracks
from vidrestore.storage.atomic_output import write_text

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


def write_review(
    source: Path,
    result: Path,
    record: Path,
    page: Path,
    *,
    rerun: Callable[[int | None], Sequence[str]],
) -> None:
    """Write the page of a restoration; it appears when it is complete, and replaces an older one.

    Args:
        source: The source.
        result: The output of the restoration.
        record: Its record.
        page: The page to write.
        rerun: Returns the words of a command that restores only the track with a number;
            for None, the whole film, without strengths of tracks.

    Raises:
        VidrestoreError: A file cannot be read or written, or the record is not of these files.
    """
    with RecordReader(record) as reader:
        tracks = read_tracks(reader)
        header = reader.header
    fps = _image_rate(header, record)
    thumbnails = make_thumbnails(tracks, header, source, result, fps=fps)
    origin = probe(source, fps=fps).origin_seconds
    text = page_html(page_data(header, tracks, thumbnails, origin, rerun))
    write_text(page, text, overwrite=True)


def _image_rate(header: RecordHeader, record: Path) -> Fraction:
    """Return the frame rate at which the run read an image sequence."""
    recorded = header.settings.get("fps")
    try:
        rate = DEFAULT_IMAGE_RATE if recorded is None else Fraction(str(recorded))
        if rate <= 0:
            raise ValueError("not above 0")
    except (ValueError, ZeroDivisionError) as error:
        raise RecordError(
            f"{record}: line 1: settings.fps: not a frame rate: {recorded!r}"
        ) from error
    return rate


def page_html(data: object) -> str:
    """Return the page that shows ``data``.

    Its policy allows only its style and script, by their hashes: nothing is fetched, and no text
    of a video or a file name can run.
    """
    folder = files("vidrestore.review") / "data"
    style = _joined("review.css", "viewer.css")
    script = _joined("viewer.js", "charts.js", "strengths.js", "review.js")
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_csp_hash(style)}; script-src {_csp_hash(script)}"
    )
    values = {"policy": policy, "style": style, "script": script, "data": _json(data)}
    template = (folder / "template.html").read_text(encoding="utf-8")
    # In one pass: inserted text is not searched for placeholders.
    return _PLACEHOLDER.sub(lambda placeholder: values[placeholder[1]], template)


def viewer_parts() -> tuple[str, str]:
    """Return script and style of the viewer, for another page that shows frames before and after.

    The style uses the variables ``--ink``, ``--quiet``, ``--panel``, ``--line`` and ``--after``.
    """
    return _joined("viewer.js"), _joined("viewer.css")


def _joined(*names: str) -> str:
    folder = files("vidrestore.review") / "data"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def _json(data: object) -> str:
    """Return JSON for a script element: nothing in it can end the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _csp_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
