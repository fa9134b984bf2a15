"""Turns errors of FFmpeg and of the operating system into ``MediaError``."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import av.error

from vidrestore.errors import MediaError
from vidrestore.media.input.demuxer import is_damage
from vidrestore.storage.file_errors import ADVICE, Action, explain

_DAMAGED = "not a video that FFmpeg can read, or truncated; check it or get another copy"


@contextmanager
def media_errors(path: Path, action: Action = "read") -> Generator[None]:
    """Turn errors inside the block into ``MediaError``, with ``path`` in the message."""
    try:
        yield
    except MediaError:
        raise
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(f"{path}: {_reason(error, action)}") from error


def _reason(error: av.error.FFmpegError | OSError, action: Action) -> str:
    if action == "read" and error.errno not in ADVICE and is_damage(error):
        return _DAMAGED
    return explain(error.errno, error.strerror or str(error), action)
