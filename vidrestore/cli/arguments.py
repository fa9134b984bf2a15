"""Types of arguments: knobs of models; times and rates, exact; numbers of tracks."""

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import zip_longest
from typing import Annotated, TypeAlias

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
    """Return the arguments of a command with ``--background`` followed by what it means.

    tyro takes no option that may have a value or none without swallowing what comes after it.
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
        ValueError: The text is no such time.
    """
    if re.fullmatch(r"\d+(\.\d+)?|\.\d+", text):
        return Fraction(text)
    clock = re.fullmatch(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)", text)
    if clock is None or int(clock[2]) > 59 or Fraction(clock[3]) >= 60:
        raise ValueError(f"{text!r} is not a time: use seconds (12.5) or HH:MM:SS.mmm")
    return 3600 * int(clock[1] or 0) + 60 * int(clock[2]) + Fraction(clock[3])


def parse_rate(text: str) -> Fraction:
    """Return frames per second from ``25``, ``24000/1001`` or ``23.976``.

    The decimal names of the NTSC rates stand for the exact ones: ``29.97`` is 30000/1001.

    Raises:
        ValueError: The text is no rate above zero.
    """
    if text in _NTSC:
        return _NTSC[text]
    if not re.fullmatch(r"\d+(\.\d+|/\d+)?", text) or re.fullmatch(r".*/0+", text):
        raise ValueError(f"{text!r} is not a rate: use 25, 23.976 or 24000/1001")
    if Fraction(text) == 0:
        raise ValueError(f"a rate must be above 0, got {text!r}")
    return Fraction(text)


def parse_tracks(text: str) -> tuple[int, ...]:
    """Return the numbers of tracks in ``3`` or ``3,5``.

    Raises:
        ValueError: The text holds something else.
    """
    parts = text.split(",")
    if not all(re.fullmatch(r"[0-9]{1,9}", part) for part in parts):
        raise ValueError(f"{text!r} is no track: use a number as the record has it, or 3,5")
    return tuple(int(part) for part in parts)


def _is_tracks(value: object) -> bool:
    return isinstance(value, tuple)


def _is_fraction(value: object) -> bool:
    return value is None or isinstance(value, Fraction)


Knob: TypeAlias = Annotated[float | None, tyro.conf.arg(metavar="0..1")]
"""Of single models; None is the model's own choice."""
Seconds: TypeAlias = Annotated[
    Fraction | None,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="TIME",
        instance_from_str=lambda words: parse_time(words[0]),
        is_instance=_is_fraction,
        str_from_instance=lambda value: [str(value)],
    ),
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
