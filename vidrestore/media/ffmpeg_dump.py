"""FFmpeg's description of an open file as text, for what PyAV does not expose."""

import logging
import re
import threading
from collections.abc import Mapping
from typing import cast

import av.logging as av_log
from av.container import InputContainer

_lock = threading.Lock()
_CODEC = re.compile(
    r"^ *Stream #0:(\d+)(?:\[\w+\])?(?:\([^)]*\))?: \w+: (?!none\b)(\w+)", re.MULTILINE
)


def dump_text(container: InputContainer) -> str:
    """Return the description with all details."""
    with _lock:
        logger = logging.getLogger("libav")
        propagates, level = logger.propagate, av_log.get_level()
        # Messages of codecs in other threads are dropped meanwhile.
        null_handler = logging.NullHandler()
        logger.addHandler(null_handler)
        logger.propagate = False
        av_log.set_level(av_log.VERBOSE)
        av_log.set_libav_level(av_log.VERBOSE)
        try:
            return cast(str, container.dumps_format())  # pyright: ignore
        finally:
            av_log.set_libav_level(av_log.INFO)
            av_log.set_level(level)
            logger.propagate = propagates
            logger.removeHandler(null_handler)


def codec_names(container: InputContainer) -> Mapping[int, str]:
    """Return FFmpeg's codec names by stream index, also of codecs without a decoder."""
    return {int(index): name for index, name in _CODEC.findall(dump_text(container))}
