"""FFmpeg's description of an open file as text: what PyAV does not show otherwise."""

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
    """Return the description, with its details."""
    with _lock:
        logger = logging.getLogger("libav")
        propagates, level = logger.propagate, av_log.get_level()
        # What codecs of other threads say meanwhile goes nowhere.
        nowhere = logging.NullHandler()
        logger.addHandler(nowhere)
        logger.propagate = False
        av_log.set_level(av_log.VERBOSE)
        av_log.set_libav_level(av_log.VERBOSE)
        try:
            return cast(str, container.dumps_format())  # pyright: ignore
        finally:
            av_log.set_libav_level(av_log.INFO)
            av_log.set_level(level)
            logger.propagate = propagates
            logger.removeHandler(nowhere)


def codec_names(container: InputContainer) -> Mapping[int, str]:
    """Return FFmpeg's names of the codecs of all streams by index, without a decoder, too."""
    return {int(index): name for index, name in _CODEC.findall(dump_text(container))}
