"""What to use where a container cannot hold a film: only what was tried."""

from pathlib import Path
from typing import Protocol

from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import CONTAINERS
from vidrestore.settings import CodecName

_USUAL_SUFFIXES = (".mkv", ".mov", ".mp4", ".avi")
_USUAL_CODECS: tuple[CodecName, ...] = ("h264", "ffv1", "prores", "av1")


class Attempt(Protocol):
    """Opens an output that holds the film, and nothing else."""

    def __call__(self, target: Path, codec: CodecName | None, *, drop_unsupported: bool) -> bool:
        """Whether a target can be opened, with another codec if one is named."""
        ...


def advice(target: Path, info: VideoInfo, attempt: Attempt) -> str:
    """Return options of the command line that hold a film which ``target`` does not.

    Another container that holds everything comes first, then the same one with less.

    Args:
        target: The output that is refused.
        info: The source.
        attempt: Tries an output.
    """
    own = info.path.suffix.lower()
    suffixes = dict.fromkeys((".mkv", own, *_USUAL_SUFFIXES))
    others = [
        target.with_suffix(suffix)
        for suffix in suffixes
        if suffix in CONTAINERS and suffix != target.suffix.lower()
    ]
    ways: list[str] = []
    better = next((e for e in others if attempt(e, None, drop_unsupported=False)), None)
    if better is not None:
        ways.append(f"-o {better.name}")
    if attempt(target, None, drop_unsupported=True):
        ways.append("--drop-unsupported")
    codec = next((e for e in _USUAL_CODECS if attempt(target, e, drop_unsupported=False)), None)
    if codec is not None:
        ways.append(f"--codec {codec}")
    if not ways:
        smaller = next((e for e in others if attempt(e, None, drop_unsupported=True)), None)
        ways.append(
            f"-o {smaller.name} --drop-unsupported"
            if smaller is not None
            else "a folder, which holds the pictures alone: -o FOLDER"
        )
    return " or ".join(ways)
