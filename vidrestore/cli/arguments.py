"""Types of arguments: model settings from 0 to 1, exact times and rates, track numbers."""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from itertools import zip_longest
from math import inf
from typing import Annotated, Any, TypeAlias

import tyro
from tyro.constructors import PrimitiveConstructorSpec

_NTSC = {
    "23.976": Fraction(24_000, 1001),
    "23.98": Fraction(24_000, 1001),
    "29.97": Fraction(30_000, 1001),
    "47.952": Fraction(48_000, 1001),
    "59.94": Fraction(60_000, 1001),
    "119.88": Fraction(120_000, 1001),
}


def with_bare_background(argv: Sequence[str]) -> list[str]:
    """Return the arguments with a bare ``--background`` written as ``--background auto``.

    tyro has no option with an optional value that does not also take the argument after it.
    """
    words: list[str] = []
    for word, following in zip_longest(argv, argv[1:]):
        words.append(word)
        if word == "--background" and (following is None or following.startswith("-")):
            words.append("auto")
    return words


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


def _number(
    words: Sequence[str],
    *,
    number: Callable[[str], float],
    accepts: Callable[[float], bool],
    range_text: str,
) -> float:
    """Return the number that a word stands for.

    Raises:
        ValueError: It is no number, or out of range.
    """
    try:
        value = number(words[0])
    except ValueError:
        value = float("nan")
    if not accepts(value):  # of nan, every comparison is false
        raise ValueError(f"must be {range_text}, got {words[0]!r}")
    return value


def _in_range(
    number: type[int] | type[float],
    metavar: str,
    range_text: str,
    accepts: Callable[[float], bool],
) -> PrimitiveConstructorSpec[Any]:
    """Return how tyro reads a number, so that one out of range is a usage error."""
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=partial(_number, number=number, accepts=accepts, range_text=range_text),
        is_instance=lambda value: value is None or isinstance(value, (int, float)),
        str_from_instance=lambda value: [str(value)],
    )


def _is_tracks(value: object) -> bool:
    return isinstance(value, tuple)


def _is_fraction(value: object) -> bool:
    return value is None or isinstance(value, Fraction)


_NO_DEFAULT_SHOWN = tyro.conf.arg(help_behavior_hint="")
"""For options without a value by default: their help says what that means."""
_SHARE = _in_range(float, "0..1", "a number from 0 to 1", lambda value: 0 <= value <= 1)
_COUNT = _in_range(int, "N", "a whole number of at least 1", lambda value: value >= 1)
Share: TypeAlias = Annotated[float, _SHARE]
Count: TypeAlias = Annotated[int | None, _COUNT, _NO_DEFAULT_SHOWN]
FaceHeight: TypeAlias = Annotated[
    float, _in_range(float, "PX", "a number of at least 0", lambda value: 0 <= value < inf)
]
SegmentLength: TypeAlias = Annotated[
    float,
    _in_range(
        float, "SECONDS", "above 0 and at most 3600 seconds", lambda value: 0 < value <= 3600
    ),
]
Knob: TypeAlias = Annotated[float | None, _SHARE, _NO_DEFAULT_SHOWN]
"""A setting that only some models have; None means the model's default."""
Seconds: TypeAlias = Annotated[
    Fraction | None,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="TIME",
        instance_from_str=lambda words: parse_time(words[0]),
        is_instance=_is_fraction,
        str_from_instance=lambda value: [str(value)],
    ),
    _NO_DEFAULT_SHOWN,
]
FrameRate: TypeAlias = Annotated[
    Fraction,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="RATE",
        instance_from_str=lambda words: parse_rate(words[0]),
        is_instance=_is_fraction,
        str_from_instance=lambda value: [str(value)],
    ),
]
TrackNumbers: TypeAlias = Annotated[
    tuple[int, ...],
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="N",
        instance_from_str=lambda words: parse_tracks(words[0]),
        is_instance=_is_tracks,
        str_from_instance=lambda value: [",".join(map(str, value))],
    ),
]
"""One number or several; the option may be given more than once."""
