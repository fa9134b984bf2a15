"""``--progress FILE``: the progress of a run as JSON, and its latest frame, for other programs."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from vidrestore.cli.display.frame_rate import FrameRateMeter
from vidrestore.cli.display.progress_bars import Display
from vidrestore.progress import LatestFrame, Progress

_SECONDS_BETWEEN_WRITES = 0.5
_IMAGE_SIDE_PX = 960
_IMAGE_BYTES = 200 << 10


class ProgressFile:
    """Passes the progress on to another display, and writes it to a file.

    Both files are replaced atomically. If they cannot be written, the run continues: problems with
    the disk are reported for its output.
    """

    def __init__(self, path: Path, display: Display[Progress], clock: Callable[[], float]) -> None:
        """Start the display of a run.

        Args:
            path: The file; the image has its name with the suffix ``.jpg``.
            display: Shows the progress, too.
            clock: Returns monotonic seconds.
        """
        self._path = path
        self._display = display
        self._clock = clock
        self._meter = FrameRateMeter(clock)
        self._next_seconds = clock()
        self._stage = ""

    def show(self, progress: Progress) -> None:
        """Show the progress, and write it if it is time."""
        self._display.show(progress)
        speed = self._meter.speed(progress)
        if not self._is_time(progress.stage):
            return
        self._write(
            {
                "stage": progress.stage,
                "frames_done": progress.frames_done,
                "frames_total": progress.frames_total,
                "faces_done": progress.faces_done,
                "frame_share": progress.frame_share,
                "workers": progress.workers,
                "frames_per_second": None if speed is None else speed.frames_per_second,
                "seconds_left": None if speed is None else speed.seconds_left,
            }
        )
        if progress.latest is not None:
            self._replace(self._path.with_suffix(".jpg"), _jpeg_bytes(progress.latest))

    def show_download(self, name: str, bytes_here: int, bytes_total: int | None) -> None:
        """Show the progress of a download, and write it if it is time."""
        self._display.show_download(name, bytes_here, bytes_total)
        if self._is_time("downloading"):
            self._write(
                {
                    "stage": "downloading",
                    "name": name,
                    "bytes_done": bytes_here,
                    "bytes_total": bytes_total,
                }
            )

    def _is_time(self, stage: str) -> bool:
        now = self._clock()
        if stage == self._stage and now < self._next_seconds:
            return False
        self._stage, self._next_seconds = stage, now + _SECONDS_BETWEEN_WRITES
        return True

    def _write(self, values: Mapping[str, object]) -> None:
        self._replace(self._path, (json.dumps(values) + "\n").encode())

    @staticmethod
    def _replace(path: Path, data: bytes) -> None:
        temporary = path.with_name(f".{path.name}.tmp")
        with suppress(OSError):
            temporary.write_bytes(data)
            temporary.replace(path)


def _jpeg_bytes(latest: LatestFrame) -> bytes:
    # Imported late: only runs with this file need them.
    from vidrestore.media.color.preview import preview_rgb
    from vidrestore.review.jpeg import jpeg

    rgb = preview_rgb(latest.frame, latest.geometry, _IMAGE_SIDE_PX).rgb_hwc
    return jpeg(rgb, max_side_px=_IMAGE_SIDE_PX, max_bytes=_IMAGE_BYTES).data
