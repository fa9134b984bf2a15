"""Values of options from their text: exact times and rates, tracks."""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import get_args

from vidrestore.settings.option import Setting
from vidrestore.settings.track_strength import parse_track_strengths

_NTSC = {
    "23.976": Fraction(24_000, 1001),
    "23.98": Fraction(24_000, 1001),
    "29.97": Fraction(30_000, 1001),
    "47.952": Fraction(48_000, 1001),
    "59.94": Fraction(60_000, 1001),
    "119.88": Fraction(120_000, 1001),
}


def parse_time(text: str) -> Fraction:
    """Return seconds from ``12.5``, ``MM:SS`` or ``HH:MM:SS.mmm``.

    Raises:
        ValueError: The text is not such a time.
    """
    if re.fullmatch(r"\d+(\.\d+)?|\.\d+", text):
        return Fraction(text)
    clock = re.fullmatch(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)", text)
    if clock is None or int(clock[2]) > 59 or Fraction(clock[3]) >= 60:
        raise ValueError(f"{text!r} is not a time; use seconds (12.5) or HH:MM:SS.mmm")
    return 3600 * int(clock[1] or 0) + 60 * int(clock[2]) + Fraction(clock[3])


def parse_rate(text: str) -> Fraction:
    """Return frames per second from ``25``, ``24000/1001`` or ``23.976``.

    The decimal names of the NTSC rates stand for the exact ones: ``29.97`` is 30000/1001.

    Raises:
        ValueError: The text is not a rate above zero.
    """
    if text in _NTSC:
        return _NTSC[text]
    if not re.fullmatch(r"\d+(\.\d+|/\d+)?", text) or re.fullmatch(r".*/0+", text):
        raise ValueError(f"{text!r} is not a frame rate; use 25, 23.976 or 24000/1001")
    if Fraction(text) == 0:
        raise ValueError(f"a frame rate must be above 0, got {text!r}")
    return Fraction(text)


def parse_tracks(text: str) -> tuple[int, ...]:
    """Return the numbers of tracks in ``3`` or ``3,5``.

    Raises:
        ValueError: The text holds something else.
    """
    parts = text.split(",")
    if not all(re.fullmatch(r"[0-9]{1,9}", part) for part in parts):
        raise ValueError(f"{text!r} is not a track; use a number from the record, or 3,5")
    return tuple(int(part) for part in parts)


def is_repeated(setting: Setting) -> bool:
    """Return whether an option may be repeated."""
    return setting.is_list and not setting.choices


def value_reader(setting: Setting) -> Callable[[str], object] | None:
    """Return the function that reads a value, if tyro does not know how."""
    if setting.is_list:
        if setting.choices:
            return partial(_choices, setting)
        return parse_tracks if get_args(setting.type)[0] is int else parse_track_strengths
    if setting.choices and setting.nullable:
        return partial(_choice, setting)
    if setting.type is Fraction:
        return parse_rate if setting.option.metavar == "RATE" else parse_time
    if setting.has_range:
        return partial(_number_in_range, setting)
    return None


def _choices(setting: Setting, text: str) -> tuple[str, ...]:
    """Return the choices in ``dust,flicker``, each once, in the order of the setting.

    Raises:
        ValueError: One of them is unknown.
    """
    words = text.split(",")
    if not setting.allows(tuple(words)):
        raise ValueError(f"must be {setting.range_text}, got {text!r}")
    return tuple(choice for choice in setting.choices if choice in words)


def _choice(setting: Setting, text: str) -> object:
    """Return the choice that is written like this.

    Raises:
        ValueError: There is none.
    """
    for choice in setting.choices:
        if str(choice) == text:
            return choice
    raise ValueError(f"must be {setting.range_text}, got {text!r}")


def _number_in_range(setting: Setting, text: str) -> float:
    """Return a number.

    Raises:
        ValueError: It is no number, or out of range.
    """
    try:
        value = setting.type(text)
    except ValueError:
        value = None
    if value is None or not setting.allows(value):
        raise ValueError(f"must be {setting.range_text}, got {text!r}")
    return value
