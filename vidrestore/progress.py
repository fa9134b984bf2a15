"""How a long run tells its caller where it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from vidrestore.types import DisplayGeometry, Frame

Stage: TypeAlias = Literal["starting", "restoring", "finishing", "comparing"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LatestFrame:
    """The frame that was restored last."""

    frame: "Frame"
    """The frame as it is written."""
    geometry: "DisplayGeometry"
    """How it appears on the screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run is. Sent from the thread that called ``restore_video``."""

    stage: Stage
    """``starting`` opens files and networks, ``finishing`` joins the streams and renames;
    ``comparing`` is ``vidrestore verify``."""
    frames_done: int
    """Frames handed to the encoder so far."""
    frames_total: int | None
    """Frames expected in the end; an estimate, and None where the source does not say."""
    faces_done: int
    """Faces restored so far, counted once per frame."""
    frame_share: float = 0.0
    """Share of the next frame that is done, 0 to 1: frames can take minutes."""
    frames_searched: int | None = None
    """Frames in which faces were looked for; None where this goes along with restoring."""
    workers: int | None = None
    """Other processes that are at work on this now; None where this one does it."""
    latest: LatestFrame | None = None
    """The frame that was restored last; None between frames, and where others restore them."""

    def __post_init__(self) -> None:
        if self.frames_done < 0 or self.faces_done < 0:
            raise ValueError(f"counts must be >= 0, got {self.frames_done}, {self.faces_done}")
        if self.frames_total is not None and self.frames_total < 0:
            raise ValueError(f"frames_total must be >= 0, got {self.frames_total}")


ProgressCallback: TypeAlias = Callable[[Progress], None]
"""Called often and must return quickly; what it raises stops the run and reaches the caller."""


def comparing(on_progress: ProgressCallback) -> Callable[[int, int | None], None]:
    """Return a callback for ``verify`` that reports the number of compared frames and the total."""

    def report(frames: int, total: int | None) -> None:
        on_progress(
            Progress(stage="comparing", frames_done=frames, frames_total=total, faces_done=0)
        )

    return report


def silent(_progress: Progress) -> None:
    """Tell nobody."""


DownloadCallback: TypeAlias = Callable[[str, int, int | None], None]
"""Called with the name of a checkpoint, its bytes here, and its total bytes or None."""


def not_shown(_name: str, _bytes_here: int, _bytes_total: int | None) -> None:
    """Tell nobody about a download."""
