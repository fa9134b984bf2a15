"""``write_review``: source, result and record become one file that any browser shows."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

from vidrestore.errors import RecordError
from vidrestore.media import probe
from vidrestore.media.input.video_info import DEFAULT_PICTURE_RATE
from vidrestore.record import RecordHeader, RecordReader
from vidrestore.review.page_data import PageValues
from vidrestore.review.thumbnails import gallery
from vidrestore.review.tracks import read_tracks
from vidrestore.storage.atomic_output import atomic_file
from vidrestore.storage.file_errors import file_errors

_PLACE = re.compile(r"\{\{(\w+)\}\}")


def write_review(
    source: Path,
    result: Path,
    record: Path,
    page: Path,
    *,
    rerun: Callable[[int], Sequence[str]],
) -> None:
    """Write the page of a restoration; it appears whole or not at all, and replaces another.

    Args:
        source: What was restored.
        result: What was made of it.
        record: What was recorded on the way.
        page: Where the page goes.
        rerun: Gives the words of the command that restores the track of a number alone.

    Raises:
        VidrestoreError: A file cannot be read or written, or they do not belong together.
    """
    with RecordReader(record) as reader:
        film = read_tracks(reader)
        header = reader.header
    fps = _picture_rate(header, record)
    pictures = gallery(film, header, source, result, fps=fps)
    origin = probe(source, fps=fps).origin_seconds
    data = PageValues(header, film, pictures, origin, rerun).whole()
    text = page_html(data)
    with atomic_file(page, overwrite=True) as pending:
        with file_errors(page, "write"):
            pending.path.write_text(text, encoding="utf-8", newline="\n")
        pending.complete = True


def _picture_rate(header: RecordHeader, record: Path) -> Fraction:
    """Return how many pictures of a folder the run took for a second."""
    written = header.settings.get("fps")
    try:
        rate = DEFAULT_PICTURE_RATE if written is None else Fraction(str(written))
        if rate <= 0:
            raise ValueError("not above 0")
    except (ValueError, ZeroDivisionError) as error:
        raise RecordError(f"{record}: line 1: settings.fps: no rate: {written!r}") from error
    return rate


def page_html(data: object) -> str:
    """Return the page that shows ``data``.

    Style and script are the page's own, named by their hashes in a policy that forbids everything
    else: nothing is fetched, and no text of a film or a file name can run.
    """
    folder = files("vidrestore.review") / "data"
    style = (folder / "review.css").read_text(encoding="utf-8")
    parts = ("charts.js", "compare.js", "review.js")
    script = "\n".join((folder / part).read_text(encoding="utf-8") for part in parts)
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_csp_hash(style)}; script-src {_csp_hash(script)}"
    )
    values = {"policy": policy, "style": style, "script": script, "data": _json(data)}
    template = (folder / "template.html").read_text(encoding="utf-8")
    # In one pass: what is put in is never looked at again.
    return _PLACE.sub(lambda place: values[place[1]], template)


def _json(data: object) -> str:
    """Return JSON that can stand inside a script element: nothing in it can end that."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _csp_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
