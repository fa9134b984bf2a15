"""Source and result side by side, with the result's sound, in one film that browsers play."""

import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg

_MAX_HEIGHT_PX = 720
_MAX_WIDTH_PX = 1280
"""Of one side."""


class ViewingCopies:
    """Makes the copies that are asked for, one at a time, by ffmpeg."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._threads: dict[Path, threading.Thread] = {}
        self._failures: dict[Path, str] = {}
        self._is_closing = False

    def request(
        self, copy: Path, *, source: Path, result: Path, size_wh: tuple[int, int], start: str = ""
    ) -> str:
        """Start to make a copy unless it is there; return ``ready``, ``making`` or what is wrong.

        Args:
            copy: The file to write.
            source: The source.
            result: The restored film.
            size_wh: Width and height of the source on the screen.
            start: Time in the source at which the result starts, in seconds; empty for its start.
        """
        if copy.exists():
            return "ready"
        if copy in self._failures:
            return self._failures[copy]
        if copy not in self._threads:
            words = copy_words(source, result, copy.with_name("view.partial.mp4"), size_wh, start)
            thread = threading.Thread(target=self._make, args=(copy, words), daemon=True)
            self._threads[copy] = thread
            thread.start()
        return "making"

    def close(self) -> None:
        """Stop."""
        self._is_closing = True
        child = self._child
        if child is not None:
            child.kill()
        for thread in self._threads.values():
            thread.join()

    def _make(self, copy: Path, words: Sequence[str]) -> None:
        with self._mutex:
            if self._is_closing:
                return
            with subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            ) as child:
                self._child = child
                _, errors = child.communicate()
                self._child = None
            partial = Path(words[-1].removeprefix("file:"))
            if child.returncode == 0:
                partial.replace(copy)
                return
            partial.unlink(missing_ok=True)
            lines = errors.decode(errors="replace").strip().splitlines()
            self._failures[copy] = lines[-1] if lines else f"ended with code {child.returncode}"


def copy_words(
    source: Path, result: Path, copy: Path, size_wh: tuple[int, int], start: str
) -> list[str]:
    """Return the command that makes a copy; see ``ViewingCopies.request``."""
    width, height = _side_wh(size_wh)
    # Both start at the same frame, but not at the same time if the result is of a later part.
    timed = "setpts=PTS-STARTPTS," if start else ""
    shape = f"{timed}scale={width}:{height},setsar=1"
    graph = f"[0:v:0]{shape}[a];[1:v:0]{shape}[b];[a][b]hstack=shortest=1,format=yuv420p[v]"
    seek = ["-ss", start] if start else []
    video = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20"]
    sound = ["-map", "1:a:0?", "-c:a", "aac", "-b:a", "160k", "-ac", "2"]
    return [
        imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y",
        *seek, "-i", f"file:{source}", "-i", f"file:{result}",
        "-filter_complex", graph, "-map", "[v]", *sound, *video,
        "-movflags", "+faststart", f"file:{copy}",
    ]  # fmt: skip


def _side_wh(size_wh: tuple[int, int]) -> tuple[int, int]:
    """Return even width and height of one side, within limits."""
    width, height = size_wh
    scale = min(1.0, _MAX_WIDTH_PX / width, _MAX_HEIGHT_PX / height)
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))
