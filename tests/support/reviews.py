"""Two small films that differ in a face, with the record of what happened between them."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from support.clips import Clip, make_clip
from support.records import make_header, write_record

from vidrestore.record import FaceRecord, FrameRecord, RecordHeader
from vidrestore.review import write_review

SIZE_HW = (96, 128)
FACE_BOX = (40.0, 24.0, 72.0, 64.0)
DARK, BRIGHT = 30, 200
_POINTS = ((48.0, 36.0), (64.0, 36.0), (56.0, 44.0), (50.0, 52.0), (62.0, 52.0))


@dataclass(frozen=True, slots=True)
class ReviewFiles:
    """What a review is made of."""

    source: Path
    result: Path
    record: Path
    page: Path

    def written(self) -> Path:
        """Write the page and return it."""
        write_review(self.source, self.result, self.record, self.page, rerun=self.rerun)
        return self.page

    def rerun(self, track: int | None) -> list[str]:
        """Return a command as the program would."""
        if track is None:
            return ["vidrestore", self.source.name, "-o", "again.mkv"]
        return ["vidrestore", self.source.name, "-o", "alone.mkv", "--only-track", str(track)]


def shifted_points(x: float) -> tuple[tuple[float, float], ...]:
    """Return five landmarks, moved to the right."""
    return tuple((left + x, top) for left, top in _POINTS)


def review_face(number: int, **changes: object) -> FaceRecord:
    """Return the face of a frame: what the detector found trembles, and what was used does not."""
    values: dict[str, object] = {
        "track": 1,
        "box_xyxy": FACE_BOX,
        "score": 0.9,
        "points_measured_xy": shifted_points(1.0 if number % 2 else 0.0),
        "points_xy": shifted_points(0.5),
        "mask_xyxy": (36, 20, 76, 68),
        "strength": 1.0,
        "identity_similarity": 0.9 - 0.01 * number,
        "luma_before": 60.0 + number % 2,
        "luma_after": 200.0,
    }
    return FaceRecord(**{**values, **changes})  # type: ignore[arg-type]


def review_frames(count: int) -> list[FrameRecord]:
    """Return ``count`` frames with one face each."""
    return [
        FrameRecord(index=number, pts=number, shot=0, faces=(review_face(number),))
        for number in range(count)
    ]


def review_header(**changes: object) -> RecordHeader:
    """Return the header of ``review_files``."""
    sizes = {"coded_hw": SIZE_HW, "display_hw": SIZE_HW, "time_base": Fraction(1, 25)}
    return make_header(**{**sizes, **changes})


def film_picture(level: int):
    """Return what draws a level of gray that tells the frame, with a face of ``level``."""

    def picture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        drawn = np.full((*size_hw, 3), 60 + 5 * number, np.uint8)
        left, top, right, bottom = map(int, FACE_BOX)
        drawn[top:bottom, left:right] = level
        return drawn

    return picture


def review_files(
    folder: Path,
    frames: Sequence[FrameRecord] | None = None,
    *,
    count: int = 8,
    header: RecordHeader | None = None,
) -> ReviewFiles:
    """Make a film with a dark face, a result with a bright one, and their record.

    The films are lossless. The clock of the source runs in 25ths, that of the result in
    thousandths.
    """
    lossless: dict[str, Any] = {
        "codec": "ffv1",
        "options": {},
        "size_hw": SIZE_HW,
        "ticks": tuple(range(count)),
    }
    paths = {"source.mkv": DARK, "result.mkv": BRIGHT}
    for name, level in paths.items():
        make_clip(folder / name, Clip(**lossless, picture=film_picture(level)))
    header = header or review_header(time_base=Fraction(1, 1000))
    ticks = round(Fraction(1, 25) / header.time_base)
    timed = [
        replace(frame_record, pts=frame_record.pts * ticks)
        for frame_record in (review_frames(count) if frames is None else frames)
    ]
    return ReviewFiles(
        source=folder / "source.mkv",
        result=folder / "result.mkv",
        record=write_record(folder / "record.jsonl", header, timed),
        page=folder / "page.html",
    )


def data_of(page: Path) -> dict[str, Any]:
    """Return the data of a page."""
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL
    )
    return json.loads(text)
